//! What a segment of the file says of itself, twice: in its first 64 bytes and again in its last, so that no single
//! damaged place makes a segment disappear.
//!
//! All of it but the check word stays as it is while the lease lasts. A change of state is one store of the check word,
//! which is there or is not, whatever happens meanwhile.

use crate::file::check::sum_of;
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::sync::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};

/// Words at the end of a segment that repeat its header.
pub(crate) const SEGMENT_TRAILER_WORDS: usize = SEGMENT_HEADER_WORDS;

const WORDS: usize = SEGMENT_HEADER_WORDS;
const CHECK_WORD: usize = WORDS - 1;

/// What the sum in the check word is combined with. Any two differ in 12 bits or more, so that no state turns into
/// another by a few flipped ones.
const IN_USE: u32 = 0x1B87_3593;
const SEALED: u32 = 0xE654_6B64;
const FREED: u32 = 0x85EB_CA6B;
const DISCARDED: u32 = 0x9A9A_80FD;

/// What is said of a lease when it begins. Nothing here changes while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Number of the lease, from 1, unique in the file for ever.
    pub(crate) number: u64,
    /// The stripe that appends here.
    pub(crate) stripe: u64,
    /// When the lease began, in milliseconds since the epoch.
    pub(crate) leased_at_ms: u64,
    /// The stripe's lease before this one, 0 if it is the first: a recovery that misses one notices.
    pub(crate) previous: u64,
    /// The stripe's oldest lease, this one if there is no other: all before it are free, whatever their segments say.
    pub(crate) oldest: u64,
    /// The stripe's last lease that was sealed before the last completed sync began, 0 if none: up to there a power cut
    /// has taken nothing.
    pub(crate) durable: u64,
    /// Segments of the run that begins here, 0 for a segment of a window. A run is in no order with other leases: nothing is
    /// before it.
    pub(crate) run: u64,
}

impl Lease {
    /// The lease of a run.
    pub(crate) fn of_run(number: u64, stripe: u64, leased_at_ms: u64, run: u64) -> Lease {
        Lease { number, stripe, leased_at_ms, previous: 0, oldest: number, durable: 0, run }
    }
}

/// Where a segment lies: what its sums cover beside its words, so that what was written elsewhere, or by somebody who does
/// not know the file's seed, is not taken for its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site {
    /// Word of the log at which the segment begins.
    pub(crate) address: u64,
    /// The seed of the file.
    pub(crate) seed: u64,
}

/// What a segment is to its stripe, each state following the one before, save that the last two exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Appended to, or was when the process ended.
    InUse,
    /// Full: nothing is appended any more, by recovery neither.
    Sealed {
        /// Words from the segment's first to the end of its last record.
        used_words: u32,
    },
    /// Reclaimed: what lived here was copied, here and in all older leases of the stripe.
    Freed,
    /// Given up by recovery, because records before it were lost: says nothing of other leases.
    Discarded,
}

impl State {
    fn constant(self) -> u32 {
        match self {
            State::InUse => IN_USE,
            State::Sealed { .. } => SEALED,
            State::Freed => FREED,
            State::Discarded => DISCARDED,
        }
    }

    fn used_words(self) -> u32 {
        if let State::Sealed { used_words } = self { used_words } else { 0 }
    }
}

/// What was found in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Zeros: it never was leased, or its memory was given back.
    Blank,
    /// The first lease was cut off before it was written: one place is torn, the other still blank.
    Unfinished,
    /// Neither place is what was written. After a power cut that can be a lease that was never synced.
    Damaged,
    /// A lease, and whether both places say the same.
    Leased {
        /// The lease.
        lease: Lease,
        /// The latest state that either place says.
        state: State,
        /// Whether the other place says the same.
        twice: bool,
    },
}

/// The two places of one segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'a> {
    words: &'a [AtomicU64],
    site: Site,
    /// Number of stripes of the store.
    stripes: u64,
}

impl<'a> Segment<'a> {
    /// The segment with these words, all of it.
    ///
    /// # Panics
    /// If it is too short for a header and a trailer, which the main header's bounds exclude.
    pub(crate) fn new(words: &'a [AtomicU64], site: Site, stripes: u64) -> Self {
        assert!(words.len() > WORDS + SEGMENT_TRAILER_WORDS, "{} words", words.len());
        Segment { words, site, stripes }
    }

    /// Writes a new lease over whatever was here. The one before is freed, discarded or was never synced.
    pub(crate) fn begin(&self, lease: &Lease) {
        let words = encode(lease, State::InUse, self.site);
        // A run has no trailer: its value lies there.
        let places = if lease.run == 0 { 2 } else { 1 };
        for place in self.places().into_iter().take(places) {
            for (word, value) in place.iter().zip(words).take(CHECK_WORD) {
                // Release: a process that dies has written no word of the trailer before the header is whole, so that at
                // most one place is torn.
                word.store(value, Release);
            }
            // Release: a process that dies here leaves a lease only with all that it stored before, the seal of the lease
            // before above all.
            place[CHECK_WORD].store(words[CHECK_WORD], Release);
            #[cfg(all(test, not(loom)))]
            crate::file::fake::note_record();
        }
    }

    /// Changes the state, in the header first.
    pub(crate) fn set_state(&self, lease: &Lease, state: State) {
        let check = encode(lease, state, self.site)[CHECK_WORD];
        let places = if lease.run == 0 { 2 } else { 1 };
        for place in self.places().into_iter().take(places) {
            // Release: whoever maps the file beside this process and sees the segment sealed sees its records.
            place[CHECK_WORD].store(check, Release);
        }
    }

    /// Makes it a segment that never was leased, from the place `first` on: 0 is the header, 1 the trailer.
    pub(crate) fn blank(&self, first: usize) {
        for place in self.places().into_iter().skip(first) {
            for word in place {
                word.store(0, Release);
            }
        }
    }

    /// What both places together say.
    pub(crate) fn read(&self) -> Found {
        let [first, last] = self.places().map(load);
        let decode = |words| decode(words, self.site, self.stripes, self.words.len());
        match (decode(&first), decode(&last)) {
            (None, None) => match (first == [0; WORDS], last == [0; WORDS]) {
                (true, true) => Found::Blank,
                (true, false) | (false, true) => Found::Unfinished,
                (false, false) => Found::Damaged,
            },
            (Some((lease, state)), None) | (None, Some((lease, state))) => {
                Found::Leased { lease, state, twice: false }
            }
            (Some(first), Some(last)) => {
                let twice = first == last;
                let (lease, state) = later(first, last);
                Found::Leased { lease, state, twice }
            }
        }
    }

    /// The number of the lease. What the header says may be damaged, and the trailer right.
    pub(crate) fn lease_number(&self) -> u64 {
        match self.read() {
            Found::Leased { lease, .. } => lease.number,
            _ => self.words[0].load(Relaxed),
        }
    }

    fn places(&self) -> [&'a [AtomicU64]; 2] {
        let (header, rest) = self.words.split_at(WORDS);
        [header, &rest[rest.len() - SEGMENT_TRAILER_WORDS..]]
    }
}

/// Of two things that were written to one segment, what was written later. A seal that names fewer words is a
/// recovery's, which found no more.
fn later(a: (Lease, State), b: (Lease, State)) -> (Lease, State) {
    match (a.1, b.1) {
        _ if a.0.number != b.0.number => {
            if a.0.number > b.0.number {
                a
            } else {
                b
            }
        }
        (State::Sealed { used_words: of_a }, State::Sealed { used_words: of_b }) => {
            if of_a <= of_b { a } else { b }
        }
        _ => {
            if a.1 >= b.1 {
                a
            } else {
                b
            }
        }
    }
}

fn load(place: &[AtomicU64]) -> [u64; WORDS] {
    std::array::from_fn(|i| place[i].load(Relaxed))
}

/// The eight words of either place.
pub(crate) fn encode(lease: &Lease, state: State, site: Site) -> [u64; WORDS] {
    let mut words = [
        lease.number,
        lease.stripe,
        lease.leased_at_ms,
        lease.previous,
        lease.oldest,
        lease.durable,
        lease.run,
        0,
    ];
    let used = state.used_words();
    words[CHECK_WORD] =
        u64::from(sum(&words, site, used) ^ state.constant()) | u64::from(used) << 32;
    words
}

/// What these words say, if they were written at this site and make sense.
pub(crate) fn decode(
    words: &[u64; WORDS],
    site: Site,
    stripes: u64,
    segment_words: usize,
) -> Option<(Lease, State)> {
    let [number, stripe, leased_at_ms, previous, oldest, durable, run, check] = *words;
    let (constant, used_words) = (check as u32, (check >> 32) as u32);
    let state = match constant ^ sum(words, site, used_words) {
        IN_USE => State::InUse,
        SEALED => State::Sealed { used_words },
        FREED => State::Freed,
        DISCARDED => State::Discarded,
        _ => return None,
    };
    let room = WORDS..=segment_words - SEGMENT_TRAILER_WORDS;
    let used = match state {
        State::Sealed { used_words } => room.contains(&(used_words as usize)) && run == 0,
        _ => used_words == 0,
    };
    let ordered = previous < number && durable <= previous && (1..=number).contains(&oldest);
    let apart = run == 0 || previous == 0 && oldest == number;
    (used && ordered && apart && stripe < stripes)
        .then_some((Lease { number, stripe, leased_at_ms, previous, oldest, durable, run }, state))
}

/// The sum of everything that does not change while the lease lasts, and of the used words.
fn sum(words: &[u64; WORDS], site: Site, used_words: u32) -> u32 {
    let [a, b, c, d, e, f, g, _] = *words;
    sum_of(0, [a, b, c, d, e, f, g, site.address, u64::from(used_words), site.seed])
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LEN: usize = 64;
    const SITE: Site = Site { address: 3 * LEN as u64, seed: 21 };
    const STRIPES: u64 = 4;
    const LEASE: Lease = Lease {
        number: 9,
        stripe: 3,
        leased_at_ms: 77,
        previous: 7,
        oldest: 5,
        durable: 6,
        run: 0,
    };
    const STATES: [State; 4] =
        [State::InUse, State::Sealed { used_words: 40 }, State::Freed, State::Discarded];

    fn words() -> Vec<AtomicU64> {
        (0..LEN).map(|_| AtomicU64::new(0)).collect()
    }

    fn segment(words: &[AtomicU64]) -> Segment<'_> {
        Segment::new(words, SITE, STRIPES)
    }

    fn decoded(words: &[u64; WORDS]) -> Option<(Lease, State)> {
        decode(words, SITE, STRIPES, LEN)
    }

    #[test]
    fn constants_of_states_are_far_apart() {
        let constants = STATES.map(State::constant);
        for (i, a) in constants.iter().enumerate() {
            for b in &constants[..i] {
                assert!((a ^ b).count_ones() >= 12, "{a:x} and {b:x}");
            }
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_at_its_own_address() {
        for state in STATES {
            let words = encode(&LEASE, state, SITE);
            assert_eq!(decoded(&words), Some((LEASE, state)));
            for other in [Site { address: SITE.address + 64, ..SITE }, Site { seed: 22, ..SITE }] {
                assert_eq!(decode(&words, other, STRIPES, LEN), None);
            }
        }
    }

    #[test]
    fn no_flipped_bit_passes() {
        for state in STATES {
            let words = encode(&LEASE, state, SITE);
            for bit in 0..WORDS * 64 {
                let mut flipped = words;
                flipped[bit / 64] ^= 1 << (bit % 64);
                assert_eq!(decoded(&flipped), None, "{state:?}, bit {bit}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_not_believed() {
        let absurd = [
            Lease { stripe: STRIPES, ..LEASE },
            Lease { previous: 9, ..LEASE },
            Lease { durable: 8, ..LEASE },
            Lease { oldest: 0, ..LEASE },
            Lease { oldest: 10, ..LEASE },
            Lease { number: 0, previous: 0, oldest: 0, durable: 0, ..LEASE },
            Lease { run: 2, ..LEASE },
            Lease { run: 2, previous: 0, durable: 0, ..LEASE },
        ];
        for lease in absurd {
            assert_eq!(decoded(&encode(&lease, State::InUse, SITE)), None, "{lease:?}");
        }
        for used_words in [0, 7, 57, 64, u32::MAX] {
            let sealed = State::Sealed { used_words };
            assert_eq!(decoded(&encode(&LEASE, sealed, SITE)), None, "{used_words}");
        }
        for used_words in [8, 56] {
            let sealed = State::Sealed { used_words };
            assert_eq!(decoded(&encode(&LEASE, sealed, SITE)), Some((LEASE, sealed)));
        }
    }

    #[test]
    fn a_segment_lives_through_its_states() {
        let words = words();
        let segment = segment(&words);
        assert_eq!(segment.read(), Found::Blank);
        segment.begin(&LEASE);
        for state in STATES {
            segment.set_state(&LEASE, state);
            assert_eq!(segment.read(), Found::Leased { lease: LEASE, state, twice: true });
        }
        let next = Lease { number: 12, previous: 9, oldest: 9, durable: 9, ..LEASE };
        segment.begin(&next);
        let found = Found::Leased { lease: next, state: State::InUse, twice: true };
        assert_eq!(segment.read(), found);
        let between = &words[WORDS..LEN - SEGMENT_TRAILER_WORDS];
        assert!(between.iter().all(|word| word.load(Relaxed) == 0));
    }

    /// Each place holds an earlier state, a later one, or garbage.
    #[test]
    fn the_later_of_two_places_counts() {
        let next = Lease { number: 12, previous: 9, oldest: 9, durable: 9, ..LEASE };
        let shorter = State::Sealed { used_words: 30 };
        let written = [
            (LEASE, State::InUse),
            (LEASE, State::Sealed { used_words: 40 }),
            (LEASE, shorter),
            (LEASE, State::Freed),
            (next, State::InUse),
            (next, State::Discarded),
        ];
        for (i, &early) in written.iter().enumerate() {
            for &late in &written[i..] {
                for (first, last) in [(early, late), (late, early)] {
                    let words = words();
                    put(&words[..WORDS], first);
                    put(&words[LEN - WORDS..], last);
                    let (lease, state) = late;
                    let found = Found::Leased { lease, state, twice: early == late };
                    assert_eq!(segment(&words).read(), found);
                    for place in [0, LEN - WORDS] {
                        let kept = words[place + 1].swap(99, Relaxed);
                        let (lease, state) = if place == 0 { last } else { first };
                        let found = Found::Leased { lease, state, twice: false };
                        assert_eq!(segment(&words).read(), found);
                        words[place + 1].store(kept, Relaxed);
                    }
                }
            }
        }
    }

    fn put(place: &[AtomicU64], (lease, state): (Lease, State)) {
        for (word, value) in place.iter().zip(encode(&lease, state, SITE)) {
            word.store(value, Relaxed);
        }
    }

    /// Any subset of the words of a lease is stored over zeros, or over the lease before.
    #[test]
    fn a_lease_that_is_cut_off_is_not_one() {
        let before = Lease { number: 4, previous: 3, oldest: 3, durable: 3, ..LEASE };
        for old in [[0; WORDS], encode(&before, State::Freed, SITE)] {
            let new = encode(&LEASE, State::InUse, SITE);
            for subset in 0..1_u32 << WORDS {
                let mixed: [u64; WORDS] =
                    std::array::from_fn(|i| if subset >> i & 1 == 1 { new[i] } else { old[i] });
                let expected = decoded(if mixed == new { &new } else { &old });
                let found = decoded(&mixed);
                assert!(found.is_none() || found == expected, "{subset:b}: {found:?}");
                let words = words();
                for (word, value) in words.iter().zip(mixed) {
                    word.store(value, Relaxed);
                }
                let read = segment(&words).read();
                if old == [0; WORDS] && mixed != new && mixed != old {
                    assert_eq!(read, Found::Unfinished);
                }
                assert_ne!(read, Found::Damaged);
            }
        }
        let words = words();
        words[0].store(1, Relaxed);
        words[LEN - 1].store(1, Relaxed);
        assert_eq!(segment(&words).read(), Found::Damaged);
    }
}
