//! A disk of the tests: heap memory that remembers what may survive a power cut, and fails when it is told to.
//!
//! A test stores through the map as the store does, and the disk looks at the memory at every call and whenever
//! `observe` is called. For each page it keeps what the last sync made durable and everything seen since: the system may
//! have written any of that, torn between sectors and within them, and no page before another.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, IoFailure, Result};
use crate::file::disk::{BootId, Disk, PAGE_BYTES, check_range};
use crate::sync::{AtomicU64, Ordering::Relaxed};

/// What errors call the file.
const NAME: &str = "fake";
const RESERVED_MAX: u64 = 320 << 10;
const PAGE_WORDS: usize = PAGE_BYTES as usize / 8;
const SECTOR_WORDS: usize = 512 / 8;
/// Images that a photographed run keeps, the first ones.
const IMAGES_MAX: usize = 64;

type Page = [u64; PAGE_WORDS];

/// What can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Any,
    Len,
    Allocate,
    Populate,
    Punch,
    Truncate,
    Sync,
}

/// For how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Once,
    ForGood,
}

/// Random numbers that a seed repeats (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// What is recorded of the records that a thread appends.
type Recording = (Arc<FakeDisk>, Dice, Vec<Vec<u8>>);

thread_local! {
    static RECORDED: Cell<Option<Recording>> = const { Cell::new(None) };
}

/// Called when a record is whole: the next one is written after it, in whatever order its words are.
pub(crate) fn note_record() {
    const ONE_IN: usize = 4;
    if let Some((disk, mut dice, mut images)) = RECORDED.take() {
        if images.len() < IMAGES_MAX && dice.below(ONE_IN) == 0 {
            images.push(disk.process_image(Some(&mut dice)));
        }
        disk.observe();
        RECORDED.set(Some((disk, dice, images)));
    }
}

#[derive(Debug)]
pub(crate) struct FakeDisk {
    words: Box<[AtomicU64]>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    pages: Vec<PageHistory>,
    /// Lengths that the file has had, the durable one first and the present one last.
    lens: Vec<u64>,
    syncs: u64,
    calls: u64,
    /// Calls that were made to fail, and how many of them were syncs.
    failed: (u64, u64),
    /// Calls until one fails, which ones, for how long.
    failure: Option<(u64, Effect, Failure)>,
    /// Photographs are taken while there is a dice.
    camera: Option<Dice>,
    images: Vec<Vec<u8>>,
    now_ms: u64,
    boot: BootId,
}

#[derive(Debug)]
struct PageHistory {
    /// The durable version, then what was seen since. The last is the page at the last look.
    versions: Vec<Box<Page>>,
    /// Whether stores are allowed: to others the system may answer with a signal.
    allocated: bool,
    /// The versions before this one were in a sync that failed: the system counts the page as clean until the next store.
    failed_at: Option<usize>,
}

impl FakeDisk {
    /// An empty file that may grow up to `reserved` bytes.
    pub(crate) fn new(reserved: u64) -> FakeDisk {
        FakeDisk::with_image(&[], reserved)
    }

    /// A file that holds these bytes, durably, under boot 1.
    pub(crate) fn with_image(image: &[u8], reserved: u64) -> FakeDisk {
        assert!(reserved <= RESERVED_MAX && reserved.is_multiple_of(PAGE_BYTES));
        assert!(image.len() as u64 <= reserved, "{} bytes", image.len());
        let mut bytes = image.to_vec();
        bytes.resize(reserved as usize, 0);
        let (words, _) = bytes.as_chunks();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let pages = words.chunks(PAGE_WORDS).enumerate().map(|(number, page)| PageHistory {
            versions: vec![Box::new(page.try_into().expect("whole pages"))],
            allocated: number * (PAGE_BYTES as usize) < image.len(),
            failed_at: None,
        });
        let state = State {
            pages: pages.collect(),
            lens: vec![image.len() as u64],
            syncs: 0,
            calls: 0,
            failed: (0, 0),
            failure: None,
            camera: None,
            images: Vec::new(),
            now_ms: 1_000_000,
            boot: BootId(1),
        };
        FakeDisk {
            words: words.into_iter().map(AtomicU64::new).collect(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn set_boot(&self, boot: BootId) {
        self.state().boot = boot;
    }

    pub(crate) fn set_now_ms(&self, now_ms: u64) {
        self.state().now_ms = now_ms;
    }

    /// How many calls, and how many syncs among them, have succeeded or failed.
    pub(crate) fn calls(&self) -> (u64, u64) {
        let state = self.state();
        (state.calls, state.syncs)
    }

    /// How many calls were made to fail, and how many syncs among them.
    pub(crate) fn failed(&self) -> (u64, u64) {
        self.state().failed
    }

    /// The `n`th call of an effect from now on, counted from 1, answers an error.
    pub(crate) fn fail_nth(&self, effect: Effect, n: u64, failure: Failure) {
        self.state().failure = Some((n, effect, failure));
    }

    /// From now on takes an image of what a power cut could leave, at every call before it does anything and after.
    pub(crate) fn photograph(&self, seed: u64) {
        self.state().camera = Some(Dice::new(seed));
    }

    /// Takes no more of them.
    pub(crate) fn stop_photographing(&self) {
        self.state().camera = None;
    }

    /// From now on takes, at each record that this thread appends, an image of a process that was killed just then.
    pub(crate) fn photograph_records(self: &Arc<Self>, seed: u64) {
        RECORDED.set(Some((Arc::clone(self), Dice::new(seed), Vec::new())));
    }

    /// These images, and no more of them.
    pub(crate) fn take_records() -> Vec<Vec<u8>> {
        RECORDED.take().map_or_else(Vec::new, |(_, _, images)| images)
    }

    /// The images since the last time.
    pub(crate) fn take_images(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.state().images)
    }

    /// Looks at the memory: what it holds now may be what survives.
    ///
    /// # Panics
    /// If anything was stored where there is no space, which would have been a signal.
    pub(crate) fn observe(&self) {
        self.look(&mut self.state());
    }

    /// What the last sync that succeeded made durable.
    pub(crate) fn durable_image(&self) -> Vec<u8> {
        let state = self.state();
        let mut image = bytes_of(state.pages.iter().map(|page| *page.versions[0]));
        image.truncate(state.lens[0] as usize);
        image
    }

    /// What a power cut now could leave, a sync that is under way included: it has written any part of what it would.
    pub(crate) fn crash_image(&self, dice: &mut Dice) -> Vec<u8> {
        let mut state = self.state();
        self.look(&mut state);
        state.crash_image(dice)
    }

    /// The file as another process finds it when this one is killed. With a dice, in the midst of the operation that
    /// began at the last look: any of its words are stored, and others not yet.
    pub(crate) fn process_image(&self, dice: Option<&mut Dice>) -> Vec<u8> {
        let state = self.state();
        let mut pages: Vec<Page> = (0..state.pages.len()).map(|number| self.page(number)).collect();
        if let Some(dice) = dice {
            for (now, page) in pages.iter_mut().zip(&state.pages) {
                *now = mix(page.last(), now, dice);
            }
        }
        let mut image = bytes_of(pages);
        image.truncate(state.len() as usize);
        image
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panics under the lock has told its reason.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn page(&self, number: usize) -> Page {
        let words = &self.words[number * PAGE_WORDS..][..PAGE_WORDS];
        std::array::from_fn(|i| words[i].load(Relaxed))
    }

    fn look(&self, state: &mut State) {
        let len = state.len();
        for (number, page) in state.pages.iter_mut().enumerate() {
            let now = self.page(number);
            if *page.last() != now {
                let byte = number as u64 * PAGE_BYTES;
                assert!(
                    page.allocated && byte < len,
                    "stored to page {number}, which has no space"
                );
                page.versions.push(Box::new(now));
            }
        }
    }

    /// Begins a call: looks, takes a photograph, and fails if it is this one's turn.
    fn begin(&self, effect: Effect) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        self.look(&mut state);
        // Nothing happens between two questions for the length.
        if effect != Effect::Len {
            state.take_photograph();
        }
        state.calls += 1;
        match state.failure {
            Some((1, which, failure)) if which == Effect::Any || which == effect => {
                if failure == Failure::Once {
                    state.failure = None;
                }
                state.failed.0 += 1;
                if effect == Effect::Sync {
                    state.failed.1 += 1;
                    state.syncs += 1;
                    state.fail_sync();
                }
                Err(io_error(effect))
            }
            Some((n, which, failure)) if which == Effect::Any || which == effect => {
                state.failure = Some((n - 1, which, failure));
                Ok(state)
            }
            _ => Ok(state),
        }
    }

    /// Ends a call that has changed something.
    fn end(&self, mut state: MutexGuard<'_, State>) {
        self.look(&mut state);
        state.take_photograph();
    }

    fn clear(&self, first: u64, bytes: u64) {
        for word in &self.words[(first / 8) as usize..][..(bytes / 8) as usize] {
            word.store(0, Relaxed);
        }
    }
}

impl State {
    fn len(&self) -> u64 {
        *self.lens.last().expect("the durable length")
    }

    fn take_photograph(&mut self) {
        if let Some(mut dice) = self.camera.take() {
            if self.images.len() < IMAGES_MAX {
                let image = self.crash_image(&mut dice);
                self.images.push(image);
            }
            self.camera = Some(dice);
        }
    }

    fn crash_image(&self, dice: &mut Dice) -> Vec<u8> {
        let mut image = bytes_of(self.pages.iter().map(|page| page.survivor(dice)));
        // What lies behind the length that survived is gone, and zero should the file grow again.
        image.truncate(self.lens[dice.below(self.lens.len())] as usize);
        image
    }

    fn fail_sync(&mut self) {
        for page in &mut self.pages {
            if page.versions.len() > 1 {
                page.failed_at = Some(page.versions.len());
            }
        }
    }

    fn succeed_sync(&mut self) {
        for page in &mut self.pages {
            // Not stored to since it failed: the system thinks that there is nothing to write.
            if page.failed_at != Some(page.versions.len()) {
                page.versions.drain(..page.versions.len() - 1);
                page.failed_at = None;
            }
        }
        self.lens.drain(..self.lens.len() - 1);
    }

    /// Pages of a range.
    fn pages_in(&mut self, first: u64, bytes: u64) -> &mut [PageHistory] {
        &mut self.pages[(first / PAGE_BYTES) as usize..][..(bytes / PAGE_BYTES) as usize]
    }
}

impl PageHistory {
    fn last(&self) -> &Page {
        self.versions.last().expect("the durable version")
    }

    /// One of the pages that can be on the disk: for each sector the durable version, another, or a mix of two that
    /// followed each other.
    fn survivor(&self, dice: &mut Dice) -> Page {
        let mut page = *self.versions[0];
        if self.versions.len() == 1 {
            return page;
        }
        for (number, sector) in page.chunks_mut(SECTOR_WORDS).enumerate() {
            let of =
                |version: usize| &self.versions[version][number * SECTOR_WORDS..][..SECTOR_WORDS];
            let newer = 1 + dice.below(self.versions.len() - 1);
            match dice.below(4) {
                0 => {}
                1 => sector.copy_from_slice(of(self.versions.len() - 1)),
                2 => sector.copy_from_slice(of(newer)),
                _ => {
                    let both = of(newer - 1).iter().zip(of(newer));
                    for (word, (old, new)) in sector.iter_mut().zip(both) {
                        *word = if dice.below(2) == 0 { *old } else { *new };
                    }
                }
            }
        }
        page
    }
}

impl Disk for FakeDisk {
    fn base(&self) -> *const AtomicU64 {
        self.words.as_ptr()
    }

    fn reserved(&self) -> u64 {
        self.words.len() as u64 * 8
    }

    fn len(&self) -> Result<u64> {
        self.begin(Effect::Len).map(|state| state.len())
    }

    fn allocate(&self, first: u64, bytes: u64) -> Result<()> {
        let mut state = self.begin(Effect::Allocate)?;
        check_range(first, bytes, self.reserved())?;
        state.pages_in(first, bytes).iter_mut().for_each(|page| page.allocated = true);
        if first + bytes > state.len() {
            state.lens.push(first + bytes);
        }
        self.end(state);
        Ok(())
    }

    fn populate(&self, first: u64, bytes: u64) -> Result<()> {
        let mut state = self.begin(Effect::Populate)?;
        check_range(first, bytes, self.reserved())?;
        let len = state.len();
        let allocated = state.pages_in(first, bytes).iter().all(|page| page.allocated);
        assert!(allocated && first + bytes <= len, "populates what has no space");
        Ok(())
    }

    fn punch(&self, first: u64, bytes: u64) -> Result<()> {
        let mut state = self.begin(Effect::Punch)?;
        check_range(first, bytes, self.reserved())?;
        self.clear(first, bytes);
        self.look(&mut state);
        state.pages_in(first, bytes).iter_mut().for_each(|page| page.allocated = false);
        self.end(state);
        Ok(())
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let mut state = self.begin(Effect::Truncate)?;
        let end = len.next_multiple_of(PAGE_BYTES);
        let reserved = self.reserved();
        assert!(len <= reserved, "{len} of {reserved} bytes");
        self.clear(len.next_multiple_of(8), reserved - len.next_multiple_of(8));
        self.look(&mut state);
        state.pages_in(end, reserved - end).iter_mut().for_each(|page| page.allocated = false);
        state.lens.push(len);
        self.end(state);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut state = self.begin(Effect::Sync)?;
        state.syncs += 1;
        state.succeed_sync();
        self.end(state);
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new(NAME)
    }

    fn now_ms(&self) -> u64 {
        self.state().now_ms
    }

    fn boot_id(&self) -> BootId {
        self.state().boot
    }
}

fn io_error(effect: Effect) -> Error {
    let (op, kind) = match effect {
        Effect::Allocate => ("allocate space", io::ErrorKind::StorageFull),
        Effect::Populate => ("populate the map", io::ErrorKind::Other),
        Effect::Punch => ("give space back", io::ErrorKind::Other),
        Effect::Truncate => ("truncate", io::ErrorKind::Other),
        Effect::Sync => ("sync", io::ErrorKind::Other),
        Effect::Any | Effect::Len => ("read the length", io::ErrorKind::Other),
    };
    let reason = "told to fail".to_owned();
    Error::Io(Box::new(IoFailure { op, path: PathBuf::from(NAME), kind, code: None, reason }))
}

fn bytes_of(pages: impl IntoIterator<Item = Page>) -> Vec<u8> {
    pages.into_iter().flatten().flat_map(u64::to_le_bytes).collect()
}

/// Each word the old or the new one.
fn mix(old: &Page, new: &Page, dice: &mut Dice) -> Page {
    std::array::from_fn(|i| if dice.below(2) == 0 { old[i] } else { new[i] })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const RESERVED: u64 = 64 << 10;

    fn with_pages(pages: u64) -> FakeDisk {
        let disk = FakeDisk::new(RESERVED);
        disk.allocate(0, pages * PAGE_BYTES).unwrap();
        disk.sync_data().unwrap();
        disk
    }

    fn store(disk: &FakeDisk, word: usize, value: u64) {
        disk.words[word].store(value, Relaxed);
    }

    fn word(image: &[u8], word: usize) -> u64 {
        u64::from_le_bytes(image[word * 8..][..8].try_into().unwrap())
    }

    /// What a word is found to be in many images.
    fn survivors(disk: &FakeDisk, at: usize) -> Vec<u64> {
        let mut dice = Dice::new(at as u64);
        let mut found: Vec<u64> =
            (0..500).map(|_| word(&disk.crash_image(&mut dice), at)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn what_was_synced_survives() {
        let disk = with_pages(2);
        store(&disk, 3, 7);
        disk.sync_data().unwrap();
        assert_eq!(survivors(&disk, 3), [7]);
        assert_eq!(word(&disk.durable_image(), 3), 7);
        assert_eq!(disk.calls(), (3, 2));
    }

    #[test]
    fn what_was_seen_since_the_sync_may_survive_and_nothing_else() {
        let disk = with_pages(2);
        for value in 1..=4 {
            store(&disk, 3, value);
            disk.observe();
        }
        store(&disk, 3, 5);
        assert_eq!(survivors(&disk, 3), [0, 1, 2, 3, 4, 5]);
        assert_eq!(word(&disk.durable_image(), 3), 0);
        disk.sync_data().unwrap();
        assert_eq!(survivors(&disk, 3), [5]);
    }

    #[test]
    fn pages_sectors_and_words_survive_one_without_the_other() {
        let disk = with_pages(2);
        let words = [3, 4, SECTOR_WORDS + 1, PAGE_WORDS + 1];
        words.iter().for_each(|word| store(&disk, *word, 1));
        let mut dice = Dice::new(1);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..2000 {
            let image = disk.crash_image(&mut dice);
            seen.insert(words.map(|at| word(&image, at)));
        }
        assert_eq!(seen.len(), 16, "{seen:?}");
    }

    #[test]
    fn growth_may_be_lost_until_it_is_synced() {
        let disk = with_pages(1);
        disk.allocate(4096, 8192).unwrap();
        store(&disk, PAGE_WORDS, 9);
        let mut dice = Dice::new(2);
        let lens: std::collections::BTreeSet<usize> =
            (0..100).map(|_| disk.crash_image(&mut dice).len()).collect();
        assert_eq!(lens.into_iter().collect::<Vec<_>>(), [4096, 12_288]);
        disk.sync_data().unwrap();
        assert_eq!(disk.crash_image(&mut dice).len(), 12_288);
        disk.truncate(8192).unwrap();
        assert_eq!((disk.len(), disk.durable_image().len()), (Ok(8192), 12_288));
    }

    #[test]
    fn a_dead_process_leaves_its_memory() {
        let disk = with_pages(1);
        store(&disk, 3, 1);
        disk.observe();
        (4..100).for_each(|at| store(&disk, at, 2));
        assert!((4..100).all(|at| word(&disk.process_image(None), at) == 2));
        let image = disk.process_image(Some(&mut Dice::new(3)));
        let stored = (4..100).filter(|at| word(&image, *at) == 2).count();
        assert_eq!((image.len(), word(&image, 3)), (4096, 1));
        assert!((20..80).contains(&stored), "{stored}");
        disk.observe();
        let image = disk.process_image(Some(&mut Dice::new(3)));
        assert!((4..100).all(|at| word(&image, at) == 2), "no operation is under way");
    }

    #[test]
    fn punched_space_reads_as_zeros_and_may_still_survive() {
        let disk = with_pages(2);
        store(&disk, PAGE_WORDS, 5);
        disk.sync_data().unwrap();
        disk.punch(4096, 4096).unwrap();
        assert_eq!(disk.words[PAGE_WORDS].load(Relaxed), 0);
        assert_eq!(survivors(&disk, PAGE_WORDS), [0, 5]);
        disk.allocate(4096, 4096).unwrap();
        store(&disk, PAGE_WORDS, 6);
        assert_eq!(survivors(&disk, PAGE_WORDS), [0, 5, 6]);
    }

    #[test]
    fn stores_without_space_are_noticed() {
        let behind_the_end: fn(&FakeDisk) = |disk| store(disk, 3 * PAGE_WORDS, 1);
        let into_a_hole: fn(&FakeDisk) = |disk| {
            disk.punch(4096, 4096).unwrap();
            store(disk, PAGE_WORDS, 1);
        };
        let behind_a_cut: fn(&FakeDisk) = |disk| {
            disk.truncate(4096).unwrap();
            store(disk, PAGE_WORDS, 1);
        };
        let populate: fn(&FakeDisk) = |disk| drop(disk.populate(8192, 4096));
        for mistake in [behind_the_end, into_a_hole, behind_a_cut, populate] {
            let disk = with_pages(2);
            let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                mistake(&disk);
                disk.observe();
            }));
            assert!(noticed.is_err());
        }
    }

    #[test]
    fn the_nth_call_fails_once_or_for_good() {
        let results = |effect, n, failure| {
            let disk = with_pages(1);
            disk.fail_nth(effect, n, failure);
            let calls: [&dyn Fn() -> Result<()>; 6] = [
                &|| disk.sync_data(),
                &|| disk.allocate(0, 4096),
                &|| disk.sync_data(),
                &|| disk.punch(0, 4096),
                &|| disk.truncate(0),
                &|| disk.sync_data(),
            ];
            calls.map(|call| call().is_ok())
        };
        let (once, good) = (Failure::Once, Failure::ForGood);
        assert_eq!(results(Effect::Any, 1, once), [false, true, true, true, true, true]);
        assert_eq!(results(Effect::Any, 4, good), [true, true, true, false, false, false]);
        assert_eq!(results(Effect::Sync, 2, once), [true, true, false, true, true, true]);
        assert_eq!(results(Effect::Sync, 2, good), [true, true, false, true, true, false]);
        assert_eq!(results(Effect::Truncate, 1, once), [true, true, true, true, false, true]);
        let disk = with_pages(1);
        disk.fail_nth(Effect::Allocate, 1, once);
        let Err(Error::Io(failure)) = disk.allocate(0, 4096) else { panic!("it was told to fail") };
        assert_eq!(failure.kind, io::ErrorKind::StorageFull);
        disk.fail_nth(Effect::Len, 1, once);
        assert!(disk.len().is_err() && disk.len().is_ok());
        disk.fail_nth(Effect::Populate, 1, once);
        assert!(disk.populate(0, 4096).is_err());
    }

    #[test]
    fn what_a_failed_sync_lost_stays_lost_until_it_is_stored_again() {
        let disk = with_pages(2);
        store(&disk, 3, 1);
        store(&disk, PAGE_WORDS, 1);
        disk.fail_nth(Effect::Sync, 1, Failure::Once);
        disk.sync_data().unwrap_err();
        store(&disk, PAGE_WORDS + 1, 2);
        disk.sync_data().unwrap();
        assert_eq!(survivors(&disk, 3), [0, 1], "nobody wrote it");
        assert_eq!(survivors(&disk, PAGE_WORDS), [1], "its page was stored to");
        store(&disk, 4, 2);
        disk.sync_data().unwrap();
        assert_eq!(survivors(&disk, 3), [1]);
    }

    #[test]
    fn a_photographed_call_shows_what_was_before_it_and_after() {
        let disk = with_pages(1);
        disk.photograph(5);
        store(&disk, 3, 1);
        disk.sync_data().unwrap();
        let images = disk.take_images();
        assert_eq!(images.len(), 2);
        assert_eq!(word(&images[1], 3), 1);
        assert!(disk.take_images().is_empty());
        let before = (0..100).map(|seed| {
            let disk = with_pages(1);
            disk.photograph(seed);
            store(&disk, 3, 1);
            disk.sync_data().unwrap();
            word(&disk.take_images()[0], 3)
        });
        let written = before.sum::<u64>();
        assert!((20..90).contains(&written), "{written}");
    }

    #[test]
    fn an_image_is_opened_again() {
        let disk = with_pages(2);
        store(&disk, 700, 8);
        let again = FakeDisk::with_image(&disk.process_image(None), RESERVED);
        assert_eq!((again.len(), again.words[700].load(Relaxed)), (Ok(8192), 8));
        assert_eq!(survivors(&again, 700), [8]);
        again.set_boot(BootId(2));
        again.set_now_ms(5);
        assert_eq!((again.boot_id(), again.now_ms()), (BootId(2), 5));
        store(&again, 700, 9);
        assert_eq!(again.len(), Ok(8192));
    }
}
