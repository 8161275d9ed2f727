//! Power cuts and deaths of the process, by the thousand: random operations on a fake disk, images of what could be left
//! at every moment, and what a store that opens each of them may say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::file::disk::BootId;
use crate::file::fake::{Dice, Effect, Failure, FakeDisk};
use crate::file::mutant::{self, Mutant};
use crate::file::progress::Meter;
use crate::options::{Durability, Eviction, Options, Tuning};
use crate::update::{Change, NewValue};

const RESERVED: u64 = 192 << 10;
const MAX_BYTES: u64 = 64 << 10;
/// Keys of a store, and of a cache that they fill.
const KEYS: usize = 16;
const CACHED_KEYS: usize = 150;
/// One value in so many is large, and in a store belongs to one of the first few keys.
const LARGE: u64 = 6;
const LARGE_KEYS: usize = 3;
/// One trial in so many is of a cache.
const CACHES: u64 = 4;
/// And another one never syncs by itself, so that a power cut may take everything of a stripe, from its first segment on.
const UNSYNCED: u64 = 1;
const LEVELS: [Durability; 3] =
    [Durability::Process, Durability::Interval(Duration::from_secs(1 << 30)), Durability::Sync];

/// Most keys of a frame: as many of the longest values fit a segment.
const FRAME: usize = 4;

const MUTANTS: [Mutant; 18] = [
    Mutant::NoTombstone,
    Mutant::AnyVictim,
    Mutant::EarlyAcknowledgement,
    Mutant::SumWithoutLease,
    Mutant::UncheckedRecords,
    Mutant::UnloggedClear,
    Mutant::UnmarkedVoid,
    Mutant::LengthTooSoon,
    Mutant::ReuseTooSoon,
    Mutant::OldestTooSoon,
    Mutant::NumbersAgain,
    Mutant::SyncAgain,
    Mutant::StaleCheckpoint,
    Mutant::PartOfFrame,
    Mutant::CopyOfPart,
    Mutant::RunReusedTooSoon,
    Mutant::UncheckedRuns,
    Mutant::RunGoneInFrame,
];

/// What a key has been: the number of each value that it got, `None` where it was removed.
#[derive(Debug, Clone)]
struct Past {
    states: Vec<Option<u64>>,
    /// The first of them that a power cut may leave.
    durable: usize,
}

/// What each key of a frame became by it: which of the states of its past.
type Frame = Vec<(usize, usize)>;

/// How an image came about, and so what it may have lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// The process was killed.
    Process,
    /// The power went.
    Power,
}

/// A store under test and what it must say.
struct Trial {
    level: Durability,
    eviction: Eviction,
    unsynced: bool,
    disk: Arc<FakeDisk>,
    engine: Engine,
    dice: Dice,
    past: BTreeMap<usize, Past>,
    frames: Vec<Frame>,
    values: u64,
    images: u64,
    /// Images that were opened with the power failing again meanwhile.
    doubles: u64,
    /// Times that the store was opened by its checkpoint.
    checkpoints: u64,
    /// Large values that were written.
    large: u64,
}

fn options(level: Durability, eviction: Eviction) -> Options {
    let tuning = Tuning { segment_bytes: 4096, stripes: 2, seed: Some(11), ..Tuning::default() };
    Options::file("").max_bytes(MAX_BYTES).tuning(tuning).durability(level).eviction(eviction)
}

fn key(number: usize) -> Vec<u8> {
    format!("key {number}").into_bytes()
}

fn is_large(number: u64) -> bool {
    number % LARGE == LARGE - 1
}

/// Each value is another: its number, and as many bytes as the number says. Large ones take one segment to three.
fn value(number: u64) -> Vec<u8> {
    let len = number.wrapping_mul(0x9E37_79B9) as usize;
    let len = if is_large(number) { 2048 + len % 8000 } else { len % 700 };
    number.to_le_bytes().into_iter().cycle().take(8 + len).collect()
}

/// The number of a value that was read.
fn number_of(bytes: &[u8]) -> u64 {
    let number = u64::from_le_bytes(*bytes.first_chunk().expect("a value begins with its number"));
    assert_eq!(bytes, value(number), "a torn value");
    number
}

fn get(engine: &Engine, number: usize) -> Option<u64> {
    let key = key(number);
    let mut bytes = Vec::new();
    let hash = engine.admit_key(&key).unwrap();
    let copy = crate::reader::CopyTo(&mut bytes);
    let found = engine.read(hash, &key, &engine.moment(), copy).unwrap();
    found.map(|()| number_of(&bytes))
}

fn remove(engine: &Engine, number: usize) -> Result<()> {
    engine.update(&key(number), |_, _| Ok((Change::Remove, ()))).map(|_| ())
}

impl Trial {
    fn new(level: Durability, seed: u64) -> Trial {
        let disk = Arc::new(FakeDisk::new(RESERVED));
        let (eviction, keys) = match seed % CACHES {
            0 => (Eviction::Adaptive, CACHED_KEYS),
            _ => (Eviction::None, KEYS),
        };
        let engine = open(&disk, level, eviction).unwrap();
        let past = Past { states: vec![None], durable: 0 };
        Trial {
            level,
            eviction,
            unsynced: seed % CACHES == UNSYNCED,
            disk,
            engine,
            dice: Dice::new(seed),
            past: (0..keys).map(|number| (number, past.clone())).collect(),
            frames: Vec::new(),
            values: 0,
            images: 0,
            doubles: 0,
            checkpoints: 0,
            large: 0,
        }
    }

    /// A random operation, with images from before it, in the midst of it and after it.
    fn step(&mut self) {
        self.disk.observe();
        let before = self.past.clone();
        let photographed = self.dice.below(2) == 0;
        if photographed {
            let seed = self.dice.next();
            self.disk.photograph(seed);
        }
        self.disk.photograph_records(self.dice.next());
        self.operate();
        let killed = FakeDisk::take_records();
        let images = self.disk.take_images();
        self.disk.stop_photographing();
        // In the midst: what was durable before, and perhaps what this operation did.
        let during: BTreeMap<usize, Past> = self
            .past
            .iter()
            .map(|(number, past)| {
                let durable = before[number].durable.min(past.durable);
                (*number, Past { states: past.states.clone(), durable })
            })
            .collect();
        for image in images {
            self.check(&image, Cut::Power, &during);
        }
        let acknowledged: BTreeMap<usize, Past> = during
            .iter()
            .map(|(number, past)| {
                let durable = before[number].states.len() - 1;
                (*number, Past { states: past.states.clone(), durable })
            })
            .collect();
        for image in killed.into_iter().chain([self.disk.process_image(Some(&mut self.dice))]) {
            self.check(&image, Cut::Process, &acknowledged);
        }
        let after = self.past.clone();
        let image = self.disk.crash_image(&mut self.dice);
        self.check(&image, Cut::Power, &after);
    }

    fn operate(&mut self) {
        let number = self.dice.below(self.past.len());
        let what = self.dice.below(40);
        match what {
            0 => {
                for number in 0..self.engine.stripes.len() {
                    self.engine.clear_stripe(number, &self.engine.moment()).unwrap();
                }
                self.past.values_mut().for_each(|past| past.states.push(None));
            }
            1 | 2 | 4 if self.unsynced => self.set_frame(),
            1 | 2 => {
                self.engine.file.as_ref().unwrap().sync().unwrap();
                self.all_durable();
            }
            3 => {
                self.engine.maintain(Duration::from_millis(5), &self.engine.moment()).unwrap();
            }
            4 => self.reopen(),
            5..=13 => {
                remove(&self.engine, number).unwrap();
                self.past.get_mut(&number).unwrap().states.push(None);
            }
            14..=16 => {
                // Another lifetime, which does not end here.
                let expiry = 1 << 50 | self.dice.next() & 0xffff;
                match self.engine.update(&key(number), |_, _| Ok((Change::Expire(expiry), ()))) {
                    // A large value is written again for it.
                    Ok(_) => {}
                    Err(Error::Full { .. }) if self.eviction == Eviction::None => {}
                    Err(error) => panic!("{error}"),
                }
            }
            17..=22 => self.set_frame(),
            _ => {
                self.values += 1;
                let id = self.values;
                let number = match is_large(id) && self.eviction == Eviction::None {
                    true => number % LARGE_KEYS,
                    false => number,
                };
                let write = Change::Store(NewValue::Bytes(&value(id)), 0);
                match self.engine.update(&key(number), |_, _| Ok((write, ()))) {
                    Ok(_) => {
                        self.past.get_mut(&number).unwrap().states.push(Some(id));
                        self.large += u64::from(is_large(id));
                    }
                    Err(Error::Full { .. }) if is_large(id) && self.eviction == Eviction::None => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        if self.level == Durability::Sync {
            self.all_durable();
        }
    }

    /// Several keys get values as one, some of them two, of which nobody ever sees the first.
    fn set_frame(&mut self) {
        let mut pairs = Vec::new();
        let mut frame = Frame::new();
        for _ in 0..2 + self.dice.below(FRAME - 1) {
            let number = self.dice.below(self.past.len());
            self.values += 1;
            if is_large(self.values) {
                pairs.push((key(number), value(self.values)));
                let refused = self.engine.set_frame(&pairs);
                assert!(matches!(refused, Err(Error::ValueTooLarge { max: 2048, .. })));
                pairs.pop();
                self.values += 1;
            }
            pairs.push((key(number), value(self.values)));
            let states = &mut self.past.get_mut(&number).unwrap().states;
            match frame.iter().find(|(other, _)| *other == number) {
                Some((_, index)) => states[*index] = Some(self.values),
                None => {
                    frame.push((number, states.len()));
                    states.push(Some(self.values));
                }
            }
        }
        match self.engine.set_frame(&pairs) {
            Ok(()) => self.frames.push(frame),
            // Only large values leave so little room.
            Err(Error::Full { .. }) if self.engine.space.spending().runs > 0 => {
                for (number, _) in frame {
                    self.past.get_mut(&number).unwrap().states.pop();
                }
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn all_durable(&mut self) {
        self.past.values_mut().for_each(|past| past.durable = past.states.len() - 1);
    }

    /// Closes the store and opens it again.
    fn reopen(&mut self) {
        let memory = Engine::open(&Options::memory(1 << 20), &Meter::default()).unwrap();
        drop(std::mem::replace(&mut self.engine, memory));
        self.all_durable();
        self.engine = open(&self.disk, self.level, self.eviction).unwrap();
        self.checkpoints += u64::from(has_unread(&self.engine));
        // Else it goes on with pages that sleep.
        if self.dice.below(2) == 0 {
            self.verify(&self.engine, &self.past.clone());
        }
    }

    /// Opens an image, sometimes with the power failing again meanwhile, and checks what it says.
    fn check(&mut self, image: &[u8], cut: Cut, past: &BTreeMap<usize, Past>) {
        let boot = if cut == Cut::Power { BootId(2) } else { BootId(1) };
        // At this level a power cut may take anything; only wrong values are forbidden.
        let lenient = cut == Cut::Power && self.level == Durability::Process;
        let mut past = past.clone();
        if lenient {
            past.values_mut().for_each(|past| {
                past.durable = 0;
                past.states.push(None);
            });
        }
        let disk = disk_of(image, boot);
        let twice = self.dice.below(50) == 0;
        if twice {
            disk.photograph(self.dice.next());
        }
        self.images += 1;
        let engine = match open(&disk, self.level, self.eviction) {
            Ok(engine) => engine,
            Err(error) => {
                panic!("image {} of a {cut:?} cut, level {:?}: {error:?}", self.images, self.level)
            }
        };
        self.verify(&engine, &past);
        if self.dice.below(20) == 0 {
            // The process that opened it dies at once: on the same boot, what was forgiven before would be an error.
            let again = disk_of(&disk.process_image(None), boot);
            let again = open(&again, self.level, self.eviction).unwrap_or_else(|error| {
                panic!("opened again after a {cut:?} cut, level {:?}: {error:?}", self.level)
            });
            self.verify(&again, &past);
            if !lenient {
                self.verify_frames(&again, &past);
            }
        }
        if !lenient {
            self.verify_frames(&engine, &past);
        }
        if twice {
            // What it opened with is not undone, whatever it does next.
            let found: BTreeMap<usize, Past> =
                past.keys().map(|number| (*number, self.found(&engine, *number, &past))).collect();
            let images = disk.take_images();
            disk.stop_photographing();
            std::mem::forget(engine);
            for image in images {
                self.doubles += 1;
                let disk = disk_of(&image, BootId(3));
                let engine = open(&disk, self.level, self.eviction).unwrap_or_else(|error| {
                    panic!("second cut, level {:?}: {error:?}", self.level)
                });
                self.verify(&engine, &found);
                if !lenient {
                    self.verify_frames(&engine, &found);
                }
            }
        }
    }

    /// No frame is there in part: not one of its keys as it was before, and another as it was made or later.
    fn verify_frames(&self, engine: &Engine, past: &BTreeMap<usize, Past>) {
        for frame in &self.frames {
            let (mut before, mut after) = (None, None);
            for (number, index) in frame {
                let (found, past) = (get(engine, *number), &past[number]);
                if found.is_none() && self.eviction != Eviction::None {
                    continue;
                }
                // A removed key looks the same whenever it was removed.
                let may_be = |at: &usize| past.states[*at] == found;
                let mut may_be = (past.durable..past.states.len()).filter(may_be);
                let first = may_be.next();
                let last = may_be.next_back().or(first);
                if last.is_some_and(|last| last < *index) {
                    before = Some(number);
                }
                if first.is_some_and(|first| first >= *index) {
                    after = Some(number);
                }
            }
            assert!(
                before.is_none() || after.is_none(),
                "image {}, level {:?}: key {before:?} is not as a frame made it, key {after:?} is: {frame:?}",
                self.images,
                self.level
            );
        }
    }

    /// What a key may be when recovery is cut off: what it was before, as recovery had not written anything of it.
    fn found(&self, engine: &Engine, number: usize, past: &BTreeMap<usize, Past>) -> Past {
        let now = get(engine, number);
        let past = &past[&number];
        let Some(at) = past.states.iter().rposition(|state| *state == now) else {
            return past.clone();
        };
        Past { states: past.states[..=at].to_vec(), durable: past.durable.min(at) }
    }

    fn verify(&self, engine: &Engine, past: &BTreeMap<usize, Past>) {
        for (number, past) in past {
            let found = get(engine, *number);
            // What was evicted is gone, but what was there before it stays away.
            let evicted = found.is_none() && self.eviction != Eviction::None;
            assert!(
                evicted || past.states[past.durable..].contains(&found),
                "image {}, level {:?}: key {number} is {found:?}, not one of {:?}",
                self.images,
                self.level,
                &past.states[past.durable..]
            );
        }
        for number in 0..engine.stripes.len() {
            engine.lock_stripe(number, &engine.moment()).unwrap().validate().unwrap();
        }
        engine.space.validate().unwrap();
    }
}

/// Whether it was opened by its checkpoint, and has not reclaimed all that it was opened with.
fn has_unread(engine: &Engine) -> bool {
    let moment = engine.moment();
    let unread = |number| !engine.lock_stripe(number, &moment).unwrap().state.unread.is_empty();
    (0..engine.stripes.len()).any(unread)
}

fn disk_of(image: &[u8], boot: BootId) -> Arc<FakeDisk> {
    let disk = FakeDisk::with_image(image, RESERVED);
    disk.set_boot(boot);
    Arc::new(disk)
}

fn open(disk: &Arc<FakeDisk>, level: Durability, eviction: Eviction) -> Result<Engine> {
    let disk: Arc<FakeDisk> = Arc::clone(disk);
    Engine::open_on(disk, &options(level, eviction), &Meter::default())
}

/// Answers how many images it made, how many of a second crash, how often it was opened by a checkpoint, and how many large
/// values were written.
fn run_trial(level: Durability, seed: u64) -> [u64; 4] {
    let mut trial = Trial::new(level, seed);
    let steps = match trial.eviction {
        Eviction::None if trial.unsynced => 120,
        Eviction::None => 60,
        _ => 400,
    };
    for _ in 0..steps {
        trial.step();
    }
    if level == Durability::Sync {
        trial.fail();
    }
    // It is not closed: its disk may be broken.
    std::mem::forget(trial.engine);
    [trial.images, trial.doubles, trial.checkpoints, trial.large]
}

/// Runs trials until there were so many images; answers the same of all.
fn run(images: u64, seed: u64) -> [u64; 4] {
    let mut counts = [0; 4];
    for round in 0.. {
        let more = run_trial(LEVELS[round % LEVELS.len()], seed + round as u64);
        counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        if counts[0] + counts[1] >= images {
            break;
        }
    }
    counts
}

impl Trial {
    /// A sync fails, and with it every change from then on.
    fn fail(&mut self) {
        self.disk.fail_nth(Effect::Sync, 1, Failure::Once);
        let mut acknowledged = 0;
        for _ in 0..3 {
            let number = self.dice.below(self.past.len());
            self.values += 1;
            let done = self.engine.set(&key(number), &value(self.values));
            let past = self.past.get_mut(&number).unwrap();
            past.states.push(Some(self.values));
            if done.is_ok() && self.level == Durability::Sync {
                past.durable = past.states.len() - 1;
                acknowledged += 1;
            }
        }
        let after = self.past.clone();
        for _ in 0..4 {
            let image = self.disk.crash_image(&mut self.dice);
            self.check(&image, Cut::Power, &after);
        }
        assert_eq!(acknowledged, 0, "a write was acknowledged after a failed sync");
    }
}

/// How many images it takes to notice a bug.
fn images_until_noticed(mutant: Mutant) -> Option<u64> {
    const MOST: u64 = 30_000;
    mutant::switch(Some(mutant));
    let mut images = 0;
    let mut noticed = None;
    for round in 0.. {
        // Each round is a trial of its own, so that the images of those before it are known.
        let trial =
            std::panic::catch_unwind(|| run_trial(LEVELS[round % LEVELS.len()], round as u64));
        match trial {
            Ok([some, twice, ..]) => images += some + twice,
            Err(_) => noticed = Some(images),
        }
        if noticed.is_some() || images > MOST {
            break;
        }
    }
    mutant::switch(None);
    noticed
}

/// Runs what is to panic, without a word of it. One at a time: the hook is the process's.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let answer = run();
    std::panic::set_hook(told);
    answer
}

#[test]
#[expect(clippy::print_stdout, reason = "how soon each is noticed")]
fn bugs_of_other_stores_are_noticed() {
    let found: Vec<_> =
        quietly(|| MUTANTS.iter().map(|mutant| (*mutant, images_until_noticed(*mutant))).collect());
    for (mutant, images) in &found {
        println!("{mutant:?}: {images:?} images before the trial that notices it");
    }
    let missed: Vec<_> = found.iter().filter(|(_, images)| images.is_none()).collect();
    assert!(missed.is_empty(), "not noticed: {missed:?}");
}

/// Seldom met: of a frame over two stripes one was cleared, and that is durable; of the other's share the end is lost.
#[test]
fn leases_are_out_after_their_frames_are_durable() {
    const SEED: u64 = 20_261_133;
    let trial = || run_trial(LEVELS[1], SEED);
    trial();
    mutant::switch(Some(Mutant::OutBeforeFrame));
    let noticed = quietly(|| std::panic::catch_unwind(trial).is_err());
    mutant::switch(None);
    assert!(noticed, "the trial of seed {SEED} does not meet the case any more: find another one");
}

#[test]
#[expect(clippy::print_stdout, reason = "counts add up over runs")]
fn nothing_acknowledged_is_lost_in_a_crash() {
    let of = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let images = of("NYALA_CRASH_IMAGES").unwrap_or(20_000);
    let seed = of("NYALA_CRASH_SEED").unwrap_or(1);
    let [images, doubles, checkpoints, large] = run(images, seed);
    println!(
        "{images} images, and {doubles} of a second crash, seeds from {seed}; {checkpoints} times opened by a checkpoint; {large} large values"
    );
    assert!(checkpoints > 0, "no checkpoint was of use");
}
