//! Words addressed by index, bytes packed into words, and nothing that knows what they mean.
//!
//! All shared memory of the store is touched through this file, as aligned 64-bit atomics, relaxed where the caller
//! does not say otherwise. A copy that loses a race is then garbage, which the reader protocol throws away, and not
//! undefined behaviour. Bytes are packed little-endian, so that a file means the same on every machine.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use crate::error::Result;
use crate::storage::{Memory, Storage};
use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Bytes of a word.
pub(crate) const WORD: usize = 8;

/// A power of two of words, somewhere.
#[derive(Debug)]
pub(crate) struct Region {
    base: *const AtomicU64,
    /// Number of words less one: an index is masked with it, so that no index reaches outside.
    mask: usize,
    storage: Box<dyn Storage>,
}

/// The words of a region, to be kept in registers: after an acquire load the compiler reads whatever lies behind a
/// reference again, and a get has six of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    base: *const AtomicU64,
    mask: usize,
    region: PhantomData<&'a Region>,
}

// SAFETY: `base` points into `storage`, which is Send, never moves its words and lives as long as the region.
unsafe impl Send for Region {}
// SAFETY: the words are atomics, and everything else is constant after construction.
unsafe impl Sync for Region {}

impl Region {
    /// Reserves at least `words` words, rounded up to a power of two; the first `huge_words` in huge pages if they can be
    /// had.
    pub(crate) fn anonymous(words: usize, huge_words: usize) -> Result<Region> {
        let storage = Box::new(Memory::reserve(words.next_power_of_two(), huge_words)?);
        Ok(Region { base: storage.base(), mask: storage.words() - 1, storage })
    }

    #[inline]
    pub(crate) fn view(&self) -> View<'_> {
        View { base: self.base, mask: self.mask, region: PhantomData }
    }

    pub(crate) fn decommit(&self, first: usize, words: usize) {
        assert!(first + words <= self.mask + 1, "range lies behind the region");
        self.storage.decommit(first, words);
    }
}

impl<'a> View<'a> {
    /// The word at `index`, modulo the size of the region.
    #[inline]
    pub(crate) fn word(self, index: usize) -> &'a AtomicU64 {
        debug_assert!(index <= self.mask, "word {index} lies behind the region");
        // SAFETY: the masked index lies within the `mask + 1` words of the storage.
        let word = unsafe { self.base.add(index & self.mask) };
        // SAFETY: the storage lives as long as the region and its words are initialised.
        unsafe { &*word }
    }

    /// A run of words.
    ///
    /// # Panics
    /// If it reaches behind the region.
    #[inline]
    pub(crate) fn words(self, first: usize, count: usize) -> &'a [AtomicU64] {
        let words = self.mask + 1;
        assert!(count <= words && first <= words - count, "words lie behind the region");
        // SAFETY: `first` is at most the number of words of the storage.
        let start = unsafe { self.base.add(first) };
        // SAFETY: the run was checked to lie in the storage, which lives as long as the region; its words are initialised.
        unsafe { std::slice::from_raw_parts(start, count) }
    }

    #[inline]
    pub(crate) fn load(self, index: usize) -> u64 {
        self.word(index).load(Relaxed)
    }

    #[inline]
    pub(crate) fn store(self, index: usize, value: u64) {
        self.word(index).store(value, Relaxed);
    }

    /// Asks for the cache line of a word.
    #[inline]
    pub(crate) fn prefetch(self, index: usize) {
        #[cfg(all(target_arch = "x86_64", not(loom)))]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // The line behind the last record may lie behind the region.
            let word = self.base.wrapping_add(index);
            // SAFETY: a prefetch reads nothing and never faults, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(word.cast()) };
        }
        #[cfg(not(all(target_arch = "x86_64", not(loom))))]
        let _ = index;
    }

    /// Whether the bytes from the start of word `first` are these.
    #[inline]
    pub(crate) fn equals(self, first: usize, bytes: &[u8]) -> bool {
        let words = self.words(first, bytes.len().div_ceil(WORD));
        let (chunks, tail) = bytes.as_chunks::<WORD>();
        let whole =
            words.iter().zip(chunks).all(|(word, chunk)| get(word) == u64::from_le_bytes(*chunk));
        whole
            && match words.get(chunks.len()) {
                Some(last) => (get(last) ^ pack(tail)) & low_bytes(tail.len()) == 0,
                None => true,
            }
    }

    /// Copies bytes out, from the byte `byte` of the region on.
    #[inline(always)]
    pub(crate) fn copy_out(self, byte: usize, out: &mut [MaybeUninit<u8>]) {
        if !byte.is_multiple_of(WORD) {
            return self.copy_out_shifted(byte, out);
        }
        let words = self.words(byte / WORD, out.len().div_ceil(WORD));
        let (chunks, tail) = out.as_chunks_mut::<WORD>();
        for (chunk, word) in chunks.iter_mut().zip(words) {
            *chunk = get(word).to_le_bytes().map(MaybeUninit::new);
        }
        if let Some(last) = words.get(chunks.len()) {
            write_tail(tail, get(last));
        }
    }

    /// The same from the middle of a word: out\[i\] = the upper bytes of one word and the lower ones of the next. Out of
    /// line, because keys are a multiple of eight bytes more often than not, and the usual read is to stay short.
    #[inline(never)]
    fn copy_out_shifted(self, byte: usize, out: &mut [MaybeUninit<u8>]) {
        let skip = byte % WORD;
        // Exactly the words that hold the bytes: the next one may lie behind the record.
        let words = self.words(byte / WORD, (skip + out.len()).div_ceil(WORD));
        let (chunks, tail) = out.as_chunks_mut::<WORD>();
        let (down, up) = (8 * skip, 8 * (WORD - skip));
        for (chunk, pair) in chunks.iter_mut().zip(words.windows(2)) {
            let word = get(&pair[0]) >> down | get(&pair[1]) << up;
            *chunk = word.to_le_bytes().map(MaybeUninit::new);
        }
        if !tail.is_empty() {
            let low = words.get(chunks.len()).map_or(0, get);
            let high = words.get(chunks.len() + 1).map_or(0, get);
            write_tail(tail, low >> down | high << up);
        }
    }

    /// Packs two runs of bytes, one behind the other, from the start of word `first` on. The rest of the last word
    /// becomes zero.
    #[inline]
    pub(crate) fn write_pair(self, first: usize, a: &[u8], b: &[u8]) {
        let words = self.words(first, (a.len() + b.len()).div_ceil(WORD));
        let (a_chunks, a_tail) = a.as_chunks::<WORD>();
        let (b_chunks, b_tail) = b.as_chunks::<WORD>();
        let (a_words, b_words) = words.split_at(a_chunks.len());
        for (word, chunk) in a_words.iter().zip(a_chunks) {
            put(word, u64::from_le_bytes(*chunk));
        }
        if a_tail.is_empty() {
            for (word, chunk) in b_words.iter().zip(b_chunks) {
                put(word, u64::from_le_bytes(*chunk));
            }
            if let Some(last) = b_words.get(b_chunks.len()) {
                put(last, pack(b_tail));
            }
            return;
        }
        // rest = bytes that do not yet fill a word: first a's tail, then the upper bytes of each word of b
        let (up, down) = (8 * a_tail.len(), 8 * (WORD - a_tail.len()));
        let mut rest = pack(a_tail);
        for (word, chunk) in b_words.iter().zip(b_chunks) {
            let bytes = u64::from_le_bytes(*chunk);
            put(word, rest | bytes << up);
            rest = bytes >> down;
        }
        let last = pack(b_tail);
        put(&b_words[b_chunks.len()], rest | last << up);
        if let Some(word) = b_words.get(b_chunks.len() + 1) {
            put(word, last >> down);
        }
    }

    /// Copies words within the region; the ranges do not overlap.
    pub(crate) fn copy_words(self, from: usize, to: usize, words: usize) {
        for (from, to) in self.words(from, words).iter().zip(self.words(to, words)) {
            put(to, get(from));
        }
    }

    /// The bytes `start..start + len` in place.
    ///
    /// # Safety
    /// No word that they touch is stored to while the slice lives, and what was stored before happens before this call.
    pub(crate) unsafe fn bytes(self, start: usize, len: usize) -> &'a [u8] {
        assert!(start + len <= (self.mask + 1) * WORD, "range lies behind the region");
        let first: *const u8 = self.base.cast();
        // SAFETY: the range was checked above to lie in the storage.
        let start = unsafe { first.add(start) };
        // SAFETY: the bytes are initialised memory of the storage, which lives as long as the region; that nobody writes
        // them is the caller's promise.
        unsafe { std::slice::from_raw_parts(start, len) }
    }
}

#[inline]
fn get(word: &AtomicU64) -> u64 {
    word.load(Relaxed)
}

#[inline]
fn put(word: &AtomicU64, value: u64) {
    word.store(value, Relaxed);
}

/// Up to eight bytes as the low bytes of a word.
#[inline]
fn pack(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Mask of the `len` low bytes, 1 to 7.
#[inline]
fn low_bytes(len: usize) -> u64 {
    (1 << (8 * len)) - 1
}

#[inline]
fn write_tail(tail: &mut [MaybeUninit<u8>], word: u64) {
    for (to, from) in tail.iter_mut().zip(word.to_le_bytes()) {
        to.write(from);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_every_length_come_back() {
        let region = Region::anonymous(64, 0).unwrap();
        let region = region.view();
        for a_len in 0..40_u8 {
            for b_len in 0..40_u8 {
                let a: Vec<u8> = (1..=a_len).collect();
                let b: Vec<u8> = (101..101 + b_len).collect();
                for i in 0..64 {
                    region.store(i, u64::MAX);
                }
                region.write_pair(3, &a, &b);
                assert!(region.equals(3, &a));
                let mut out = vec![MaybeUninit::new(0); b.len()];
                region.copy_out(3 * WORD + a.len(), &mut out);
                // SAFETY: every element was initialised.
                let out: Vec<u8> = out.iter().map(|b| unsafe { b.assume_init() }).collect();
                assert_eq!(out, b, "{a_len} + {b_len} bytes");
                let end = 3 + (a.len() + b.len()).div_ceil(WORD);
                assert!((end.max(4)..64).all(|i| region.load(i) == u64::MAX), "wrote too far");
                assert_eq!(region.load(2), u64::MAX);
            }
        }
    }

    #[test]
    fn unequal_bytes_differ_wherever_they_do() {
        let region = Region::anonymous(8, 0).unwrap();
        let region = region.view();
        let key: Vec<u8> = (0..21).collect();
        region.write_pair(0, &key, b"value");
        for i in 0..key.len() {
            let mut other = key.clone();
            other[i] ^= 1;
            assert!(!region.equals(0, &other));
        }
        assert!(region.equals(0, &key));
    }
}
