//! Sums that tell whether words are what was written: CRC-32C, for which processors have an instruction.
//!
//! A sum covers words as the file holds them, little-endian, and with a record its address and lease, so that neither
//! an old record in a reused segment nor one in another place passes for a new one.

use crate::region::WORD;
use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Words of most records: few enough that to clear the copy costs nothing beside the sum.
const SHORT_WORDS: usize = 32;
/// Words at a time of longer ones: enough that three sums run side by side.
const LONG_WORDS: usize = 384;

/// Words as bytes. Aligned, because a sum takes the bytes before a multiple of eight one by one.
#[repr(align(8))]
struct Copied<const N: usize>([[u8; WORD]; N]);

/// The sum of some words, going on from `seed`; 0 to begin with.
pub(crate) fn sum_of<const N: usize>(seed: u32, words: [u64; N]) -> u32 {
    let copy = Copied(words.map(u64::to_le_bytes));
    crc32c::crc32c_append(seed, copy.0.as_flattened())
}

/// The same of any number of words.
pub(crate) fn sum_of_words(seed: u32, words: &[u64]) -> u32 {
    let mut copy = Copied([[0; WORD]; LONG_WORDS]);
    words.chunks(LONG_WORDS).fold(seed, |sum, chunk| {
        copy.0.iter_mut().zip(chunk).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        crc32c::crc32c_append(sum, copy.0[..chunk.len()].as_flattened())
    })
}

/// The same of words of the file. The caller knows that nobody stores to them, or else that the sum may be wrong.
pub(crate) fn sum_of_shared(seed: u32, words: &[AtomicU64]) -> u32 {
    if words.len() <= SHORT_WORDS {
        sum_by::<SHORT_WORDS>(seed, words)
    } else {
        sum_by::<LONG_WORDS>(seed, words)
    }
}

/// The words are copied before they are summed, because another process may write to a file that it has mapped.
fn sum_by<const N: usize>(seed: u32, words: &[AtomicU64]) -> u32 {
    let mut copy = Copied([[0; WORD]; N]);
    words.chunks(N).fold(seed, |sum, chunk| {
        copy_words(&mut copy.0, chunk);
        crc32c::crc32c_append(sum, copy.0[..chunk.len()].as_flattened())
    })
}

fn copy_words(copy: &mut [[u8; WORD]], words: &[AtomicU64]) {
    for (bytes, word) in copy.iter_mut().zip(words) {
        *bytes = word.load(Relaxed).to_le_bytes();
    }
}

/// The sum of a word and of words of the file behind it: of a short record in one go.
fn sum_of_body(seed: u32, version: u64, rest: &[AtomicU64]) -> u32 {
    if rest.len() >= SHORT_WORDS {
        return sum_of_shared(sum_of(seed, [version]), rest);
    }
    let mut copy = Copied([[0; WORD]; SHORT_WORDS]);
    copy.0[0] = version.to_le_bytes();
    copy_words(&mut copy.0[1..], rest);
    crc32c::crc32c_append(seed, copy.0[..=rest.len()].as_flattened())
}

/// The check word of a record.
///
/// Its low half covers the header word alone, so that the record's length can be believed before it is used; the high
/// half goes on from there over everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordCheck(u64);

impl RecordCheck {
    /// The check of a record that begins at the word `address` of a segment leased as number `lease`. `rest` is what
    /// lies behind the check word: the expiry if there is one, key and value up to the end of their last word.
    pub(crate) fn of(place: Place, header: u64, version: u64, rest: &[AtomicU64]) -> Self {
        let low = header_sum(place, header);
        let high = sum_of_body(low, version, rest);
        RecordCheck(u64::from(low) | u64::from(high) << 32)
    }

    /// A check as it was read.
    pub(crate) fn from_word(word: u64) -> Self {
        RecordCheck(word)
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// Whether the header is that of a record written here under this lease.
    pub(crate) fn covers_header(self, place: Place, header: u64) -> bool {
        self.0 & u64::from(u32::MAX) == u64::from(header_sum(place, header))
    }

    /// Whether all of the record is.
    pub(crate) fn covers(
        self,
        place: Place,
        header: u64,
        version: u64,
        rest: &[AtomicU64],
    ) -> bool {
        self == RecordCheck::of(place, header, version, rest)
    }
}

/// Where and when a record was written: what tells it from an older one at the same place, or the same one elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Word of the log at which the record begins.
    pub(crate) address: u64,
    /// Number of the segment's lease.
    pub(crate) lease: u64,
}

fn header_sum(place: Place, header: u64) -> u32 {
    sum_of(0, [header, place.address, place.lease])
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn shared(words: impl IntoIterator<Item = u64>) -> Vec<AtomicU64> {
        words.into_iter().map(AtomicU64::new).collect()
    }

    const PLACE: Place = Place { address: 4104, lease: 7 };

    #[test]
    fn sums_are_crc_32c() {
        // The check value of the algorithm's catalogue, and RFC 3720's of 32 zero bytes.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(sum_of(0, [0; 4]), 0x8A91_36AA);
        assert_eq!(sum_of(0, [u64::from_le_bytes(*b"12345678")]), crc32c::crc32c(b"12345678"));
    }

    #[test]
    fn shared_words_sum_to_the_same_at_every_length() {
        for len in (0..70).chain([383, 384, 385, 767, 768, 769, 5000]) {
            let words: Vec<u64> =
                (1..=len).map(|i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
            let expected = words.iter().fold(17, |sum, word| sum_of(sum, [*word]));
            let words = shared(words);
            assert_eq!(sum_of_shared(17, &words), expected, "{len} words");
            if let [first, rest @ ..] = &words[..] {
                let first = first.load(Relaxed);
                assert_eq!(sum_of_body(17, first, rest), expected, "{len} words");
            }
        }
    }

    #[test]
    fn a_record_is_known_by_its_bytes_its_place_and_its_lease() {
        let rest = shared([1, 2, 3]);
        let check = RecordCheck::of(PLACE, 11, 12, &rest);
        assert_eq!(RecordCheck::from_word(check.word()), check);
        assert!(check.covers_header(PLACE, 11) && check.covers(PLACE, 11, 12, &rest));
        for place in [Place { address: 4105, ..PLACE }, Place { lease: 8, ..PLACE }] {
            assert!(!check.covers_header(place, 11) && !check.covers(place, 11, 12, &rest));
        }
        assert!(!check.covers_header(PLACE, 10));
        assert!(!check.covers(PLACE, 11, 13, &rest));
        assert!(!check.covers(PLACE, 11, 12, &rest[1..]));
        assert!(!check.covers(PLACE, 11, 12, &shared([1, 2, 3, 0])));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let words = [11, 12, 1, 2, 3];
        let rest = |words: &[u64; 5]| shared(words[2..].iter().copied());
        let check = RecordCheck::of(PLACE, words[0], words[1], &rest(&words));
        for bit in 0..5 * 64 {
            let mut flipped = words;
            flipped[bit / 64] ^= 1 << (bit % 64);
            assert!(!check.covers(PLACE, flipped[0], flipped[1], &rest(&flipped)), "bit {bit}");
        }
        for bit in 0..64 {
            let flipped = RecordCheck::from_word(check.word() ^ 1 << bit);
            assert!(!flipped.covers(PLACE, words[0], words[1], &rest(&words)), "bit {bit}");
        }
    }

    #[test]
    fn zeroed_words_are_no_record() {
        let zero = RecordCheck::from_word(0);
        assert!(!zero.covers_header(Place { address: 0, lease: 0 }, 0));
    }
}
