//! The main header: what the file is, and what is durable in it.
//!
//! Two copies, each of one sector at the start of its own page, written in turn: the epoch says which is newer and, by
//! being odd or even, where it belongs. At every moment one of them is durable and whole.

use crate::error::{Error, Result};
use crate::file::check::sum_of_shared;
use crate::file::disk::{BootId, Disk, PAGE_BYTES};
use crate::hash::MAX_STRIPES;
use crate::sync::{AtomicU64, Ordering::Relaxed};

/// The first eight bytes. None of them is a letter of ours alone: a copy that went through a text conversion, or lost
/// its eighth bits, is noticed.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"\x89Nyala\r\n");
/// Files of another major version are refused.
pub(crate) const MAJOR: u64 = 1;
/// Files of a later minor version are read; what they have beyond this one is ignored, and lost when they are written.
pub(crate) const MINOR: u64 = 0;

/// Words of a copy: one sector, which disks write as a whole more often than not.
pub(crate) const HEADER_WORDS: usize = 64;
/// Bytes of both copies, each in its own page.
pub(crate) const HEADERS_BYTES: u64 = COPIES * PAGE_BYTES;
/// Where the journal begins, as long as a segment.
pub(crate) const JOURNAL_BYTE: u64 = HEADERS_BYTES;

const COPIES: u64 = 2;
const PAGE_WORDS: usize = PAGE_BYTES as usize / 8;
const CHECK_WORD: usize = HEADER_WORDS - 1;

/// Least and greatest segment, in bytes.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 512..=1 << 30;
/// Versions and leases are reserved up to here at most: so many writes fit the version word, with room for the margin.
const NUMBERS_MAX: u64 = 1 << 54;
/// Most numbers that one writing of the header may reserve beyond the last: a lost copy is made up for by as many.
pub(crate) const RESERVATION_MAX: u64 = 1 << 32;

/// The main header, save its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MainHeader {
    /// Bytes of a segment, a power of two.
    pub(crate) segment_bytes: u64,
    /// Number of stripes, a power of two: keys find theirs by it for as long as the file lives.
    pub(crate) stripes: u64,
    /// What keys are hashed under.
    pub(crate) seed: u64,
    /// The hash of a fixed text under the seed: tells a library that hashes differently.
    pub(crate) seed_proof: u64,
    /// The run of the operating system in which the file was last written.
    pub(crate) boot: BootId,
    /// Whether the store was closed, and nothing written since.
    pub(crate) clean: bool,
    /// Whether segments were reused without waiting for syncs since everything was last durable.
    pub(crate) unordered: bool,
    /// Versions up to here, and leases, may have been used. What is used next lies above.
    pub(crate) versions: u64,
    pub(crate) leases: u64,
    /// All leases up to here were durable when the header was written.
    pub(crate) durable_lease: u64,
    /// The file is at least as long, even after a power cut.
    pub(crate) durable_len: u64,
    /// The latest time that the store has seen, in milliseconds since the epoch.
    pub(crate) latest_ms: u64,
    /// Where the index checkpoint begins, 0 if there is none.
    pub(crate) checkpoint: u64,
    /// Of a closed file: the sum of all its leases, so that none can be missing.
    pub(crate) census: u64,
}

/// A header that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) header: MainHeader,
    /// Number of the last writing of the header; the next one has the next.
    pub(crate) epoch: u64,
}

impl MainHeader {
    /// Byte at which segment 0 begins; the words of the log are counted from here.
    pub(crate) fn first_segment(&self) -> u64 {
        // The sizes are bounded: the sum is small.
        (JOURNAL_BYTE + self.segment_bytes).next_multiple_of(PAGE_BYTES)
    }

    /// Whole segments in a file of `len` bytes.
    pub(crate) fn segments_in(&self, len: u64) -> u64 {
        len.saturating_sub(self.first_segment()) / self.segment_bytes
    }

    fn encode(&self, epoch: u64) -> [u64; HEADER_WORDS] {
        let mut words = [0; HEADER_WORDS];
        let fields = [
            MAGIC,
            MAJOR,
            MINOR,
            PAGE_BYTES,
            self.segment_bytes,
            self.stripes,
            self.seed,
            self.seed_proof,
            self.boot.0 as u64,
            (self.boot.0 >> 64) as u64,
            epoch,
            u64::from(self.clean),
            u64::from(self.unordered),
            self.versions,
            self.leases,
            self.durable_len,
            self.latest_ms,
            self.checkpoint,
            self.durable_lease,
            self.census,
        ];
        words[..fields.len()].copy_from_slice(&fields);
        words[CHECK_WORD] = check(&words);
        words
    }

    /// What both copies say the same for as long as the file lives.
    fn identity(&self) -> [u64; 4] {
        [self.segment_bytes, self.stripes, self.seed, self.seed_proof]
    }

    /// Answers an error if a field lies outside its bounds, before anybody computes with it.
    fn check_bounds(&self, file_len: u64, copy: u64) -> Result<()> {
        let checkpoint_fits = self.checkpoint == 0
            || self.checkpoint >= self.durable_len.max(self.first_segment())
                && (self.checkpoint - self.first_segment()).is_multiple_of(self.segment_bytes);
        let wrong = |what, found| Err(Error::corrupt_number(what, found, copy * PAGE_BYTES));
        if self.durable_len < HEADERS_BYTES {
            let what = "the main header's durable length is shorter than the header's 8192 bytes";
            return wrong(what, self.durable_len);
        }
        if self.durable_len > file_len {
            return wrong("the file is shorter than its main header says", self.durable_len);
        }
        for numbers in [self.versions, self.leases] {
            if numbers > NUMBERS_MAX {
                return wrong("the main header reserves more than 2^54 numbers", numbers);
            }
        }
        if self.durable_lease > self.leases {
            let what = "the main header has more durable leases than leases";
            return wrong(what, self.durable_lease);
        }
        if !checkpoint_fits {
            return wrong("the main header's checkpoint lies among the segments", self.checkpoint);
        }
        Ok(())
    }
}

/// What one copy turned out to be.
#[derive(Debug)]
enum Copy {
    Valid(Opened),
    /// A whole copy of a file that this library does not open.
    Refused(Error),
    /// Neither; whether it is zero throughout, and whether it could be the beginning of one of ours.
    Broken {
        blank: bool,
        ours: bool,
    },
}

/// Reads the main header. `None` is a file that is empty, or whose creation was cut off before anything was stored in it.
pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Opened>> {
    let len = disk.len()?;
    if len == 0 {
        return Ok(None);
    }
    if len < HEADERS_BYTES {
        return Err(Error::corrupt_number(
            "the file is shorter than its two main headers of 8192 bytes",
            len,
            len,
        ));
    }
    let pages = disk.words(0, COPIES as usize * PAGE_WORDS)?;
    let (first, second) = pages.split_at(PAGE_WORDS);
    choose(decode(first, len, 0), decode(second, len, 1), len)
}

/// Writes the header of a new file, both copies, and makes them durable.
pub(crate) fn create(disk: &dyn Disk, header: &MainHeader) -> Result<Opened> {
    disk.allocate(0, HEADERS_BYTES)?;
    make_ready(disk)?;
    let mut opened = Opened { header: *header, epoch: 0 };
    // Twice, so that both copies are there: a missing one is what damage looks like.
    write(disk, &mut opened)?;
    write(disk, &mut opened)?;
    Ok(opened)
}

/// Makes sure that both copies can be written.
pub(crate) fn make_ready(disk: &dyn Disk) -> Result<()> {
    disk.populate(0, HEADERS_BYTES)
}

/// Makes the header durable, in the place of the older copy.
pub(crate) fn write(disk: &dyn Disk, opened: &mut Opened) -> Result<()> {
    let epoch = opened.epoch + 1;
    let page = disk.words(copy_of(epoch) * PAGE_BYTES, HEADER_WORDS)?;
    for (word, value) in page.iter().zip(opened.header.encode(epoch)) {
        word.store(value, Relaxed);
    }
    opened.epoch = epoch;
    disk.sync_data()
}

/// The place of an epoch, of which 1 is the first.
fn copy_of(epoch: u64) -> u64 {
    (epoch + 1) % COPIES
}

fn check(words: &[u64; HEADER_WORDS]) -> u64 {
    let shared = words.map(AtomicU64::new);
    let sum = sum_of_shared(0, &shared[..CHECK_WORD]);
    u64::from(sum) | u64::from(!sum) << 32
}

fn decode(page: &[AtomicU64], file_len: u64, copy: u64) -> Copy {
    let words: [u64; HEADER_WORDS] = std::array::from_fn(|i| page[i].load(Relaxed));
    if words[0] != MAGIC || words[CHECK_WORD] != check(&words) {
        let zero = |words: &[AtomicU64]| words.iter().all(|word| word.load(Relaxed) == 0);
        let ours = [0, MAGIC].contains(&words[0]) && zero(&page[HEADER_WORDS..]);
        return Copy::Broken { blank: zero(page), ours };
    }
    match decode_whole(&words, file_len, copy) {
        Ok(opened) => Copy::Valid(opened),
        Err(error) => Copy::Refused(error),
    }
}

/// Decodes words whose sum is right; they may still come from a later version, or from somebody who computes sums.
fn decode_whole(words: &[u64; HEADER_WORDS], file_len: u64, copy: u64) -> Result<Opened> {
    let [_, major, _, page_bytes, segment_bytes, stripes, seed, seed_proof, rest @ ..] = words;
    let [boot_low, boot_high, epoch, clean, unordered, versions, leases, rest @ ..] = rest;
    let [durable_len, latest_ms, checkpoint, durable_lease, census, ..] = rest;
    let wrong = |what, found: &u64| Err(Error::corrupt_number(what, *found, copy * PAGE_BYTES));
    if *major != MAJOR {
        return Err(Error::Version { found: *major, supported: MAJOR, path: None });
    }
    if *page_bytes != PAGE_BYTES {
        return wrong("the main header's page is not of 4096 bytes", page_bytes);
    }
    if !segment_bytes.is_power_of_two() || !SEGMENT_BYTES.contains(segment_bytes) {
        let what = "the main header's segment is not a power of two from 512 bytes to 1 GiB";
        return wrong(what, segment_bytes);
    }
    if !stripes.is_power_of_two() || *stripes > MAX_STRIPES as u64 {
        let what = "the main header's number of stripes is not a power of two up to 256";
        return wrong(what, stripes);
    }
    for flag in [clean, unordered] {
        if *flag > 1 {
            return wrong("a flag of the main header is neither 0 nor 1", flag);
        }
    }
    if *epoch == 0 || *epoch > u64::MAX / 2 || copy_of(*epoch) != copy {
        return wrong("the main header's epoch is that of another copy", epoch);
    }
    let header = MainHeader {
        segment_bytes: *segment_bytes,
        stripes: *stripes,
        seed: *seed,
        seed_proof: *seed_proof,
        boot: BootId(u128::from(*boot_high) << 64 | u128::from(*boot_low)),
        clean: *clean == 1,
        unordered: *unordered == 1,
        versions: *versions,
        leases: *leases,
        durable_lease: *durable_lease,
        durable_len: *durable_len,
        latest_ms: *latest_ms,
        checkpoint: *checkpoint,
        census: *census,
    };
    header.check_bounds(file_len, copy)?;
    Ok(Opened { header, epoch: *epoch })
}

fn choose(first: Copy, second: Copy, file_len: u64) -> Result<Option<Opened>> {
    match (first, second) {
        // One that is whole but refused may be the newer of the two: the other does not count then.
        (Copy::Refused(error), _) | (_, Copy::Refused(error)) => Err(error),
        (Copy::Valid(first), Copy::Valid(second)) => {
            if first.header.identity() != second.header.identity() {
                return Err(Error::corrupt(
                    "the two main headers are of different files",
                    PAGE_BYTES,
                ));
            }
            Ok(Some(if first.epoch > second.epoch { first } else { second }))
        }
        (Copy::Valid(only), Copy::Broken { .. }) | (Copy::Broken { .. }, Copy::Valid(only)) => {
            Ok(Some(distrust(only)))
        }
        (Copy::Broken { ours: true, .. }, Copy::Broken { blank: true, .. })
            if file_len == HEADERS_BYTES =>
        {
            Ok(None)
        }
        (Copy::Broken { ours: false, .. }, Copy::Broken { ours: false, .. }) => {
            Err(Error::corrupt("this is no file of Nyala", 0))
        }
        (Copy::Broken { .. }, Copy::Broken { .. }) => {
            Err(Error::corrupt("neither main header is what was written", 0))
        }
    }
}

/// What remains true when the other copy is lost, which may have been the newer one, durable and only later damaged: it
/// may have begun a session, reserved more numbers and used them.
fn distrust(only: Opened) -> Opened {
    let reserved = |numbers: u64| (numbers + RESERVATION_MAX).min(NUMBERS_MAX);
    Opened {
        header: MainHeader {
            clean: false,
            checkpoint: 0,
            boot: BootId(0),
            unordered: true,
            versions: reserved(only.header.versions),
            leases: reserved(only.header.leases),
            ..only.header
        },
        epoch: only.epoch,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::file::fake::{Dice, FakeDisk};

    const HEADER: MainHeader = MainHeader {
        segment_bytes: 4096,
        stripes: 4,
        seed: 0x5EED,
        seed_proof: 0x9100F,
        boot: BootId(1 << 100 | 7),
        clean: true,
        unordered: false,
        versions: 1000,
        leases: 20,
        durable_lease: 11,
        durable_len: HEADERS_BYTES,
        latest_ms: 123_456,
        checkpoint: 0,
        census: 0,
    };

    const RESERVED: u64 = 64 << 10;

    fn created() -> (FakeDisk, Opened) {
        let disk = FakeDisk::new(RESERVED);
        let opened = create(&disk, &HEADER).unwrap();
        (disk, opened)
    }

    fn read_image(image: &[u8]) -> Result<Option<Opened>> {
        let reserved = (image.len() as u64).next_multiple_of(PAGE_BYTES).max(PAGE_BYTES);
        read(&FakeDisk::with_image(image, reserved))
    }

    /// A file whose two copies are these words.
    fn image_of(copies: [[u64; HEADER_WORDS]; 2]) -> Vec<u8> {
        let mut image = vec![0; HEADERS_BYTES as usize];
        for (page, copy) in image.chunks_mut(PAGE_BYTES as usize).zip(copies) {
            page[..HEADER_WORDS * 8].copy_from_slice(copy.map(u64::to_le_bytes).as_flattened());
        }
        image
    }

    fn distrusted(opened: Opened) -> Opened {
        let it = distrust(opened);
        assert!(!it.header.clean && it.header.unordered && it.header.boot == BootId(0));
        assert!(it.header.versions > opened.header.versions);
        assert!(it.header.leases > opened.header.leases);
        it
    }

    #[test]
    fn what_is_written_is_read() {
        let (disk, mut opened) = created();
        assert_eq!(opened, Opened { header: HEADER, epoch: 2 });
        for versions in 1001..1010 {
            assert_eq!(read(&disk), Ok(Some(opened)));
            opened.header = MainHeader { versions, clean: !opened.header.clean, ..opened.header };
            write(&disk, &mut opened).unwrap();
        }
        assert_eq!(read_image(&disk.durable_image()), Ok(Some(opened)));
    }

    #[test]
    fn geometry_follows_from_the_segment() {
        for (segment_bytes, first) in [(512, 12_288), (4096, 12_288), (8192, 16_384)] {
            let header = MainHeader { segment_bytes, ..HEADER };
            assert_eq!(header.first_segment(), first);
            assert_eq!(header.segments_in(first + 3 * segment_bytes - 1), 2);
            assert_eq!(header.segments_in(0), 0);
        }
    }

    #[test]
    fn an_empty_file_is_a_new_one() {
        assert_eq!(read_image(&[]), Ok(None));
        assert_eq!(read_image(&[0; HEADERS_BYTES as usize]), Ok(None));
    }

    /// Somebody else's file is never taken for one that was not finished.
    #[test]
    fn other_files_are_refused() {
        let ours = |image: &[u8]| match read_image(image) {
            Err(Error::Corrupt(corruption)) => corruption.what,
            other => panic!("{other:?}"),
        };
        assert_eq!(ours(&[b'x'; 8192]), "this is no file of Nyala");
        assert_eq!(ours(&[0; 8191]), "the file is shorter than its two main headers of 8192 bytes");
        assert_eq!(ours(&[b'x'; 1]), "the file is shorter than its two main headers of 8192 bytes");
        let mut blank_disk = vec![0; 12_288];
        assert_eq!(ours(&blank_disk), "neither main header is what was written");
        blank_disk.truncate(8192);
        blank_disk[600] = 1;
        assert_eq!(ours(&blank_disk), "neither main header is what was written");
        blank_disk[0] = 1;
        blank_disk[5000] = 1;
        blank_disk[4096] = 1;
        assert_eq!(ours(&blank_disk), "this is no file of Nyala");
    }

    #[test]
    fn another_major_version_is_refused_and_a_later_minor_one_read() {
        let with = |word: usize, value| {
            let mut words = [1, 2].map(|epoch| HEADER.encode(epoch));
            words[1][word] = value;
            words[1][CHECK_WORD] = check(&words[1]);
            read_image(&image_of(words))
        };
        assert_eq!(with(1, 2), Err(Error::Version { found: 2, supported: 1, path: None }));
        let opened = Ok(Some(Opened { header: HEADER, epoch: 2 }));
        assert_eq!(with(2, 99), opened);
        assert_eq!(with(40, 99), opened, "a field of a later minor version");
    }

    /// Sums prove nothing: whoever can write the file can compute them.
    #[test]
    fn fields_out_of_bounds_are_refused_in_either_copy() {
        let wide = MainHeader { segment_bytes: 8192, durable_len: 20_480, ..HEADER };
        let file_len = 24_576;
        let absurd: &[(usize, &[u64])] = &[
            (3, &[0, 512, 8192, u64::MAX]),
            (4, &[0, 256, 513, 4095, 1 << 31, 1 << 63, u64::MAX]),
            (5, &[0, 3, 512, u64::MAX]),
            (10, &[0, u64::MAX, u64::MAX - 1]),
            (11, &[2, u64::MAX]),
            (12, &[2, u64::MAX]),
            (13, &[NUMBERS_MAX + 1, u64::MAX]),
            (14, &[NUMBERS_MAX + 1, u64::MAX]),
            (15, &[0, 8191, 24_577, u64::MAX]),
            (17, &[1, 8, 8192, 16_384, 16_385, 20_480, 24_584, u64::MAX]),
            (18, &[21, u64::MAX]),
        ];
        for copy in [0, 1] {
            for (word, values) in absurd {
                for value in *values {
                    let mut words = [wide.encode(1), wide.encode(2)];
                    words[copy][*word] = *value;
                    words[copy][CHECK_WORD] = check(&words[copy]);
                    let mut image = image_of(words);
                    image.resize(file_len, 0);
                    let read = read_image(&image);
                    let offset = copy as u64 * PAGE_BYTES;
                    assert!(
                        matches!(&read, Err(Error::Corrupt(wrong)) if wrong.offset == offset && wrong.found == Some(*value)),
                        "word {word} = {value}: {read:?}"
                    );
                }
            }
        }
        let largest = [(13, NUMBERS_MAX), (14, NUMBERS_MAX), (15, 24_576), (17, 24_576)];
        for (word, value) in largest {
            let mut words = [wide.encode(1), wide.encode(2)];
            words[1][word] = value;
            words[1][CHECK_WORD] = check(&words[1]);
            let mut image = image_of(words);
            image.resize(file_len, 0);
            let opened = read_image(&image).unwrap().unwrap();
            assert_eq!(opened.epoch, 2, "word {word}");
            assert!(distrust(opened).header.versions <= NUMBERS_MAX);
        }
    }

    #[test]
    fn copies_of_two_files_are_refused() {
        let other = MainHeader { seed: 1, ..HEADER };
        let read = read_image(&image_of([HEADER.encode(1), other.encode(2)]));
        let second = matches!(&read, Err(Error::Corrupt(wrong)) if wrong.offset == PAGE_BYTES);
        assert!(second, "{read:?}");
    }

    /// One flipped bit in either copy: the header is still read, and never trusted more than it deserves.
    #[test]
    fn one_flipped_bit_loses_no_header() {
        let (disk, newest) = created();
        let older = Opened { header: HEADER, epoch: 1 };
        let image = disk.durable_image();
        let sectors = [0, 4096].map(|first| first * 8..(first + 512) * 8);
        let elsewhere = (0..HEADERS_BYTES as usize * 8).step_by(61);
        for bit in sectors.into_iter().flatten().chain(elsewhere) {
            let (page, sector) = (bit / 8 / PAGE_BYTES as usize, bit / 8 / 512);
            let mut flipped = image.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match (sector.is_multiple_of(8), page) {
                (true, 0) => distrusted(newest),
                (true, _) => distrusted(older),
                // Nothing is kept behind the sector.
                (false, _) => newest,
            };
            assert_eq!(read_image(&flipped), Ok(Some(expected)), "bit {bit}");
        }
    }

    #[test]
    fn a_file_cut_off_at_any_byte_is_a_typed_error() {
        let (disk, opened) = created();
        let image = disk.durable_image();
        for len in 1..image.len() {
            let error = read_image(&image[..len]).unwrap_err();
            assert!(matches!(error, Error::Corrupt(_)), "{len} bytes: {error:?}");
        }
        assert_eq!(read_image(&image), Ok(Some(opened)));
    }

    /// A power cut at each call while the header is created and then written: the header is a written one, the last
    /// durable or a later one, or the file is still a new one.
    #[test]
    fn a_power_cut_leaves_the_last_durable_header_or_a_later_one() {
        let mut new = 0;
        for seed in 0..400 {
            let disk = FakeDisk::new(RESERVED);
            disk.photograph(seed);
            let mut written = vec![];
            let mut opened = create(&disk, &HEADER).unwrap();
            let of_creation = disk.take_images();
            written.push(opened);
            for image in of_creation {
                match read_image(&image) {
                    Ok(None) => new += 1,
                    Ok(Some(found)) if found.epoch == 1 => {
                        assert_eq!(found, distrust(Opened { header: HEADER, epoch: 1 }));
                    }
                    found => assert_eq!(found, Ok(Some(opened))),
                }
            }
            for step in 1..5 {
                opened.header = MainHeader { versions: 1000 * step, ..opened.header };
                opened.header.clean = step.is_multiple_of(2);
                let before = opened;
                write(&disk, &mut opened).unwrap();
                written.push(opened);
                for image in disk.take_images() {
                    let found = read_image(&image).unwrap().expect("it is created");
                    let whole = written.contains(&found) && found.epoch >= before.epoch;
                    let last = written[written.len() - 2];
                    assert!(whole || found == distrust(last), "{found:?}");
                }
            }
            let mut dice = Dice::new(seed);
            assert_eq!(read_image(&disk.crash_image(&mut dice)), Ok(Some(opened)));
        }
        assert!(new > 100, "{new} images of a file that was not finished");
    }

    #[test]
    fn a_failure_is_told_and_leaves_a_header() {
        use crate::file::fake::{Effect, Failure};
        for n in 1..8 {
            let disk = FakeDisk::new(RESERVED);
            disk.fail_nth(Effect::Any, n, Failure::Once);
            match create(&disk, &HEADER) {
                Ok(_) => assert!(n > 6, "call {n} failed and nobody noticed"),
                Err(error) => assert!(matches!(error, Error::Io(_)), "{error:?}"),
            }
            let mut dice = Dice::new(n);
            let read = read_image(&disk.crash_image(&mut dice)).unwrap();
            assert!(read.is_none_or(|opened| opened.header.seed == HEADER.seed));
        }
    }
}
