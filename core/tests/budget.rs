//! The budget: a store is not full while its entries are charged less than 80 % of `max_bytes`, however long and
//! however they are overwritten; and what an entry costs beyond its bytes.
#![forbid(unsafe_code)]

mod common;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nyala::{Error, Options, SetOptions, Store};

use common::{EXPIRY_LAG_MS, FakeClock, Random, charge, never_full_below, validate};

const MIB: u64 = 1 << 20;
const BUDGETS: [u64; 4] = [MIB, 4 * MIB, 16 * MIB, 64 * MIB];

/// Bytes beyond key and value that an entry of 16 + 64 bytes may take.
const OVERHEAD: f64 = 36.0;

/// A store whose entries are known, kept just below the charge at which it may be full.
struct Packed {
    store: Store,
    clock: Arc<FakeClock>,
    random: Random,
    max_bytes: u64,
    /// Length of each value, by the key's number; `None` where it is absent.
    lens: Vec<Option<usize>>,
    charged: u64,
    /// The charge up to which it must not be full.
    limit: u64,
    present: usize,
}

impl Packed {
    fn open(max_bytes: u64) -> Packed {
        let clock = FakeClock::new();
        Packed {
            store: Store::open(Options::memory(max_bytes).clock(clock.clone())).expect("open"),
            clock,
            random: Random::new(max_bytes),
            max_bytes,
            lens: Vec::new(),
            charged: 0,
            limit: never_full_below(max_bytes),
            present: 0,
        }
    }

    /// All keys are 12 bytes long.
    fn key(number: usize) -> String {
        format!("key {number:08}")
    }

    /// The longest value that the promise of 80 % is about: with its key it takes an eighth of a segment.
    fn longest_promised(&self) -> usize {
        usize::try_from(self.store.stats().segment_bytes / 8).unwrap() - 40
    }

    /// The charge once the value of this key has this length.
    fn charged_with(&self, number: usize, len: usize) -> u64 {
        let old = self.lens[number].map_or(0, |old| charge(12, old));
        self.charged - old + charge(12, len)
    }

    fn note(&mut self, number: usize, len: Option<usize>) {
        let old = std::mem::replace(&mut self.lens[number], len);
        self.charged -= old.map_or(0, |old| charge(12, old));
        self.charged += len.map_or(0, |len| charge(12, len));
        self.present += usize::from(len.is_some());
        self.present -= usize::from(old.is_some());
    }

    /// Writes a value if the store may not be full then; then it must not be.
    #[track_caller]
    fn set(&mut self, number: usize, len: usize) -> bool {
        self.set_with(number, len, SetOptions::new())
    }

    #[track_caller]
    fn set_with(&mut self, number: usize, len: usize, options: SetOptions<'_>) -> bool {
        while number >= self.lens.len() {
            self.lens.push(None);
        }
        let charged = self.charged_with(number, len);
        if charged > self.limit {
            return false;
        }
        let value = vec![number.to_le_bytes()[0]; len];
        if let Err(error) = self.store.set_with(Self::key(number), value, options) {
            let percent = charged * 100 / self.max_bytes;
            panic!("{error}, at {percent} % charged by {} entries", self.present);
        }
        self.note(number, Some(len));
        true
    }

    #[track_caller]
    fn delete(&mut self, number: usize) {
        let found =
            self.store.delete(Self::key(number)).expect("delete never fails for want of room");
        assert_eq!(found, self.lens[number].is_some());
        self.note(number, None);
    }

    /// Writes fresh keys until the next would pass the limit.
    #[track_caller]
    fn fill(&mut self, mut len: impl FnMut(&mut Random) -> usize) {
        let mut number = self.lens.len();
        loop {
            let len = len(&mut self.random);
            if !self.set(number, len) {
                break;
            }
            number += 1;
        }
        self.lens.truncate(number);
    }

    /// Overwrites keys chosen at random until `times` the budget's bytes have been written.
    #[track_caller]
    fn overwrite(&mut self, times: u64, mut len: impl FnMut(&mut Random, usize) -> usize) {
        let mut written = 0;
        while written < times * self.max_bytes {
            let number = self.random.below(self.lens.len());
            let len = len(&mut self.random, self.lens[number].unwrap_or(0));
            self.set(number, len);
            // What would not fit counts too, or this might not end.
            written += charge(12, len);
        }
    }

    fn check(&self) {
        assert!(self.store.used_bytes() <= self.max_bytes, "used {}", self.store.used_bytes());
        assert_eq!(self.store.max_bytes(), self.max_bytes);
        validate(&self.store).unwrap();
        for (number, len) in self.lens.iter().enumerate() {
            let info = self.store.entry_info(Self::key(number)).unwrap();
            assert_eq!(info.map(|info| info.value_len), *len, "{}", Self::key(number));
        }
        assert_eq!(self.store.len(), self.present as u64);
    }
}

/// How often the budget's bytes are written: many times over where that is soon done.
fn times(max_bytes: u64) -> u64 {
    (64 * MIB / max_bytes).clamp(2, 12)
}

/// Any length up to `most`, short ones more often.
fn mixed(random: &mut Random, most: usize) -> usize {
    let cut = random.between(0, most);
    random.between(0, cut)
}

#[test]
fn equal_sizes() {
    for max_bytes in BUDGETS {
        let mut packed = Packed::open(max_bytes);
        packed.fill(|_| 200);
        packed.overwrite(times(max_bytes), |_, _| 200);
        packed.check();
    }
}

#[test]
fn small_entries() {
    for max_bytes in [MIB, 16 * MIB] {
        let mut packed = Packed::open(max_bytes);
        packed.fill(|random| random.below(17));
        packed.overwrite(4, |random, _| random.below(17));
        packed.check();
    }
}

#[test]
fn mixed_sizes() {
    for max_bytes in BUDGETS {
        let mut packed = Packed::open(max_bytes);
        let most = packed.longest_promised().min(8 << 10);
        packed.fill(|random| mixed(random, most));
        packed.overwrite(times(max_bytes), |random, _| mixed(random, most));
        packed.check();
    }
}

#[test]
fn longest_values() {
    for max_bytes in BUDGETS {
        let mut packed = Packed::open(max_bytes);
        let most = packed.longest_promised();
        packed.fill(|random| most - random.below(9));
        packed.overwrite(times(max_bytes), |random, _| most - random.below(9));
        // The length that wastes most: just above half of the longest.
        packed.overwrite(times(max_bytes), |random, _| most / 2 + random.below(9));
        packed.check();
    }
}

/// Values of any length: two fifths of the budget, since the shortest that get pages of their own may fill only half of
/// them, and one that is overwritten is there twice for a moment.
#[test]
fn large_values() {
    for max_bytes in BUDGETS {
        let mut packed = Packed::open(max_bytes);
        let (least, most) = (packed.longest_promised(), packed.store.max_value_len() / 4);
        packed.limit = max_bytes / 5 * 2;
        for _ in 0..3 {
            packed.fill(|random| random.between(least, most));
            packed.overwrite(times(max_bytes), |random, _| random.between(least, most));
            packed.overwrite(times(max_bytes), |random, _| random.below(most));
            packed.check();
        }
    }
}

/// A value that lies beside others may shrink in place to a length that would get pages of its own; reclaim moves it as it
/// is.
#[test]
fn values_that_shrink_where_they_are() {
    let mut packed = Packed::open(64 * MIB);
    // Of segments of 64 KiB, three records of 21,600 bytes take less than six pages each; one of 16,400 takes five.
    packed.fill(|_| 21_600);
    let number = packed.lens.len();
    for even in (0..number).step_by(2) {
        packed.set(even, 16_400);
    }
    let before = packed.store.stats();
    for odd in (1..number).step_by(2) {
        packed.delete(odd);
    }
    while packed.store.maintain(Duration::from_millis(10)).unwrap().bytes > 0 {}
    let after = packed.store.stats();
    assert!(after.records_moved > before.records_moved, "{after:?}");
    assert_eq!(after.runs, before.runs, "{after:?}");
    packed.check();
}

/// Every value doubles until it is long, then it is short again.
#[test]
fn growing_and_shrinking_sizes() {
    for max_bytes in BUDGETS {
        let mut packed = Packed::open(max_bytes);
        let most = packed.longest_promised().min(4 << 10);
        packed.fill(|random| 8 << random.below(6));
        packed.overwrite(times(max_bytes), |_, old| if old * 2 > most { 8 } else { old * 2 });
        packed.check();
    }
}

/// Entries are deleted in no order, and others with keys that never were take their place.
#[test]
fn fresh_keys() {
    for max_bytes in BUDGETS {
        let mut packed = Packed::open(max_bytes);
        packed.fill(|random| mixed(random, 900));
        let mut alive: Vec<usize> = (0..packed.lens.len()).collect();
        let mut written = 0;
        while written < times(max_bytes) * max_bytes {
            let at = packed.random.below(alive.len());
            packed.delete(alive.swap_remove(at));
            loop {
                let (number, len) = (packed.lens.len(), mixed(&mut packed.random, 900));
                written += charge(12, len);
                if !packed.set(number, len) {
                    packed.lens.truncate(number);
                    break;
                }
                alive.push(number);
            }
        }
        packed.check();
    }
}

/// Everything is deleted, and what comes then is of another size: an index for many small entries gives its room to
/// few large ones, and back.
#[test]
fn from_small_to_large_and_back() {
    for max_bytes in BUDGETS {
        let mut packed = Packed::open(max_bytes);
        let most = packed.longest_promised();
        for len in [16, most, 16, most / 2, 100] {
            packed.fill(|_| len);
            packed.overwrite(1, |_, _| len);
            packed.check();
            for number in 0..packed.lens.len() {
                packed.delete(number);
            }
            assert_eq!((packed.charged, packed.store.len()), (0, 0));
            packed.lens.clear();
        }
        packed.check();
    }
}

/// As above, but the small give way to the large one by one, while the store stays as full as it may.
#[test]
fn from_small_to_large_little_by_little() {
    for max_bytes in [MIB, 16 * MIB] {
        let mut packed = Packed::open(max_bytes);
        let most = packed.longest_promised();
        packed.fill(|_| 24);
        let small = packed.lens.len();
        for number in 0..small {
            packed.delete(number);
            while packed.limit - packed.charged > charge(12, most) {
                let fresh = packed.lens.len();
                assert!(packed.set(fresh, most));
            }
        }
        packed.check();
    }
}

/// Fills a store; entries with an even number get `lasting` as their lifetime, the others `short`. When the short ones
/// are over, fresh keys take their room, whether or not anybody looked at them.
fn expired_entries_make_room(max_bytes: u64, short: Duration, lasting: Option<Duration>) {
    let mut packed = Packed::open(max_bytes);
    let short = SetOptions::new().ttl(short);
    let lasting = lasting.map_or(SetOptions::new(), |ttl| SetOptions::new().ttl(ttl));
    for _ in 0..4 {
        let mut number = 0;
        loop {
            let len = mixed(&mut packed.random, 700);
            let options = if number % 2 == 0 { lasting } else { short };
            if !packed.set_with(number, len, options) {
                break;
            }
            number += 1;
        }
        packed.lens.truncate(number);
        packed.clock.advance(Duration::from_millis(50 + EXPIRY_LAG_MS));
        for expired in (1..number).step_by(2) {
            packed.note(expired, None);
        }
        packed.fill(|_| 300);
        for number in 0..packed.lens.len() {
            packed.delete(number);
        }
        packed.lens.clear();
        assert!(packed.store.used_bytes() <= max_bytes);
        validate(&packed.store).unwrap();
    }
}

#[test]
fn expired_entries_between_permanent_ones_make_room() {
    for max_bytes in BUDGETS {
        expired_entries_make_room(max_bytes, Duration::from_millis(50), None);
    }
}

#[test]
fn expired_entries_between_lasting_ones_make_room() {
    for lasting in [30, 3_000, 100_000] {
        let lasting = Some(Duration::from_secs(lasting));
        expired_entries_make_room(4 * MIB, Duration::from_millis(50), lasting);
    }
}

/// What is left may be room for a segment, and none for a large value: the refusal must not look for it again and again.
#[test]
fn refusing_a_large_value_costs_little() {
    let store = Store::open(Options::memory(8 * MIB)).unwrap();
    for key in 0..1500_u32 {
        store.set(key.to_le_bytes(), [1; 3264]).unwrap();
    }
    let mut refused = Vec::new();
    for key in 0..1500_u32 {
        let before = Instant::now();
        match store.set(key.to_le_bytes(), [2; 65_532]) {
            Ok(()) => {}
            Err(Error::Full { .. }) => refused.push(before.elapsed()),
            Err(error) => panic!("{error}"),
        }
    }
    refused.sort_unstable();
    let median = refused[refused.len() / 2];
    assert!(refused.len() > 1000 && median < Duration::from_millis(2), "{median:?}");
    validate(&store).unwrap();
}

/// Times beyond what a segment notes of its lifetimes, 2^32 seconds, make nothing expire and nobody wait.
#[test]
fn full_after_the_year_2106() {
    let clock = FakeClock::new();
    clock.advance(Duration::from_secs(1 << 32));
    let store = Store::open(Options::memory(MIB).clock(clock.clone())).unwrap();
    let hour = SetOptions::new().ttl(Duration::from_secs(3600));
    let mut kept = 0_u32;
    while store.set_with(kept.to_le_bytes(), [1; 100], hour).is_ok() {
        kept += 1;
    }
    let full = store.set_with(kept.to_le_bytes(), [1; 100], hour);
    assert!(matches!(full, Err(Error::Full { .. })), "{full:?}");
    assert!((0..kept).all(|key| store.contains(key.to_le_bytes()).unwrap()));
    clock.advance(Duration::from_secs(3600));
    assert!((0..kept).all(|key| !store.contains(key.to_le_bytes()).unwrap()));
    validate(&store).unwrap();
}

/// Beyond the promise the store is full at some point; from there on each delete makes room, up to the promise at least.
#[test]
fn full_and_not_full_again() {
    for max_bytes in BUDGETS {
        let store = Store::open(Options::memory(max_bytes)).expect("open");
        let value = vec![5; 500];
        let promised = usize::try_from(never_full_below(max_bytes) / charge(12, 500)).unwrap();
        let mut number = 0;
        let full = loop {
            match store.set(Packed::key(number), &value) {
                Ok(()) => number += 1,
                Err(error) => break error,
            }
            assert!(charge(12, 500) * number as u64 <= max_bytes, "more than the cap");
        };
        assert!(matches!(full, Error::Full { .. }), "{full:?}");
        assert!(number >= promised, "full at {number} entries, {promised} are promised");
        let mut alive: VecDeque<usize> = (0..number).collect();
        for _ in 0..30 {
            alive.drain(..promised / 10).for_each(|gone| {
                assert!(store.delete(Packed::key(gone)).unwrap());
            });
            loop {
                match store.set(Packed::key(number), &value) {
                    Ok(()) => alive.push_back(number),
                    Err(_) if alive.len() >= promised => break,
                    Err(error) => panic!("{error}, with {} entries of {promised}", alive.len()),
                }
                number += 1;
            }
            assert_eq!(store.len(), alive.len() as u64);
        }
        assert!(store.used_bytes() <= max_bytes);
        validate(&store).unwrap();
    }
}

/// The index grows in steps; no number of entries may fall on a bad one. Each store has room for twice as many.
#[test]
fn bytes_beyond_key_and_value() {
    for count in [100_000_u32, 126_000, 160_000, 200_000, 250_000, 315_000, 400_000, 500_000] {
        let store = Store::open(Options::memory(2 * u64::from(count) * charge(16, 64))).unwrap();
        for number in 0..count {
            store.set(format!("{number:016x}"), [9; 64]).unwrap();
        }
        let stats = store.stats();
        assert_eq!(stats.entries, u64::from(count));
        let taken = u32::try_from(stats.live_bytes + stats.index_bytes).expect("below 4 GiB");
        assert!(taken > 80 * count, "{taken} bytes for {count} entries");
        let beyond = f64::from(taken) / f64::from(count) - 80.0;
        assert!(beyond <= OVERHEAD, "{beyond:.1} bytes beyond key and value at {count} entries");
    }
}

/// How full a store gets: bytes of keys, values and 32 an entry, when the first write is refused.
#[test]
fn live_bytes_before_full() {
    for (max_bytes, percent) in [(MIB, 80.0), (16 * MIB, 85.0), (1024 * MIB, 88.0)] {
        let store = Store::open(Options::memory(max_bytes)).expect("open");
        let refused = (0_u64..).find(|number| store.set(format!("{number:016}"), [1; 64]).is_err());
        let live = refused.expect("it is full some time") * (16 + 64 + 32);
        let reached = live as f64 * 100.0 / max_bytes as f64;
        assert!(reached >= percent, "{reached:.1} % of {max_bytes} bytes");
    }
}
