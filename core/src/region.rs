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

/// Words of a cache line.
pub(crate) const LINE_WORDS: usize = 8;

/// A power of two of words, somewhere.
#[derive(Debug)]
pub(crate) struct Region {
    base: *const AtomicU64,
    /// Number of words less one: an index is masked with it, so that no index reaches outside.
    mask: usize,
    /// Words of a run at most: as many are reserved behind the last word, so that no run reaches outside.
    run_max: usize,
    storage: Box<dyn Storage>,
}

/// The words of a region, to be kept in registers: after an acquire load the compiler reads whatever lies behind a
/// reference again, and a get has six of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    base: *const AtomicU64,
    mask: usize,
    run_max: usize,
    region: PhantomData<&'a Region>,
}

// SAFETY: `base` points into `storage`, which is Send, never moves its words and lives as long as the region.
unsafe impl Send for Region {}
// SAFETY: the words are atomics, and everything else is constant after construction.
unsafe impl Sync for Region {}

impl Region {
    /// Reserves at least `words` words, rounded up to a power of two that holds a cache line; the first `huge_words` in
    /// huge pages if they can be had. No run will be longer than `run_max` words.
    pub(crate) fn anonymous(words: usize, run_max: usize, huge_words: usize) -> Result<Region> {
        let words = words.next_power_of_two().max(LINE_WORDS);
        let run_max = run_max.max(LINE_WORDS);
        let storage = Box::new(Memory::reserve(words + run_max, huge_words)?);
        Ok(Region { base: storage.base(), mask: words - 1, run_max, storage })
    }

    /// The words of a storage, a power of two of them and `run_max` more behind.
    pub(crate) fn of_storage(storage: Box<dyn Storage>, words: usize, run_max: usize) -> Region {
        assert!(words.is_power_of_two() && words >= LINE_WORDS, "{words} words");
        assert!(run_max >= LINE_WORDS, "runs of {run_max} words");
        Region { base: storage.base(), mask: words - 1, run_max, storage }
    }

    #[inline]
    pub(crate) fn view(&self) -> View<'_> {
        View { base: self.base, mask: self.mask, run_max: self.run_max, region: PhantomData }
    }

    pub(crate) fn decommit(&self, first: usize, words: usize) {
        assert!(first + words <= self.mask + 1, "range lies behind the region");
        self.storage.decommit(first, words);
    }

    /// Whether the system may commit these words by the huge page.
    pub(crate) fn prefer_huge(&self, first: usize, words: usize, huge: bool) {
        assert!(first + words <= self.mask + 1, "range lies behind the region");
        self.storage.prefer_huge(first, words, huge);
    }
}

/// A type whose values may be all zero bytes, which mean its default.
///
/// # Safety
/// All zero bytes are a value of the type.
pub(crate) unsafe trait Zeroable: Default {}

// SAFETY: 0 is a number, and a word's default.
unsafe impl Zeroable for AtomicU64 {}

/// A table of zeros whose memory is committed as it is written.
pub(crate) fn zeroed<T: Zeroable>(len: usize) -> Box<[T]> {
    #[cfg(loom)]
    return (0..len).map(|_| T::default()).collect();
    #[cfg(not(loom))]
    {
        let zeros = Box::new_zeroed_slice(len);
        // SAFETY: all zero bytes are a value of the type.
        unsafe { zeros.assume_init() }
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

    /// The `N` words, a power of two of at most a cache line, at a multiple of `N`, modulo the size of the region.
    #[inline]
    pub(crate) fn line<const N: usize>(self, first: usize) -> &'a [AtomicU64; N] {
        const { assert!(N.is_power_of_two() && N <= LINE_WORDS) };
        debug_assert!(first.is_multiple_of(N), "word {first} is not the first of a line");
        // SAFETY: a multiple of `N` below the number of words, which is itself one: the line ends within the storage.
        let start = unsafe { self.base.add(first & self.mask & !(N - 1)) };
        // SAFETY: the storage lives as long as the region and its words are initialised.
        unsafe { &*start.cast() }
    }

    /// As many words from `first` on, modulo the size of the region, as a run may have.
    #[inline(always)]
    pub(crate) fn longest_run(self, first: usize) -> &'a [AtomicU64] {
        debug_assert!(first <= self.mask, "word {first} lies behind the region");
        // SAFETY: every region is made so.
        unsafe { std::hint::assert_unchecked(self.run_max >= LINE_WORDS) };
        // SAFETY: the masked index lies within the `mask + 1` words of the region.
        let start = unsafe { self.base.add(first & self.mask) };
        // SAFETY: behind those, `run_max` more are reserved; the storage lives as long as the region and its words are
        // initialised.
        unsafe { std::slice::from_raw_parts(start, self.run_max) }
    }

    /// The words from `first` on.
    pub(crate) fn run(self, first: usize, count: usize) -> &'a [AtomicU64] {
        assert!(first + count <= self.mask + 1, "range lies behind the region");
        // SAFETY: the range was checked to begin within the `mask + 1` words of the storage, or right behind them.
        let start = unsafe { self.base.add(first) };
        // SAFETY: it was checked to end there; the storage lives as long as the region and its words are initialised.
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

/// Whether words begin with these bytes.
///
/// # Panics
/// If the words are fewer.
#[inline(always)]
pub(crate) fn equal(words: &[AtomicU64], bytes: &[u8]) -> bool {
    let (chunks, tail) = bytes.as_chunks::<WORD>();
    let whole =
        words.iter().zip(chunks).all(|(word, chunk)| get(word) == u64::from_le_bytes(*chunk));
    whole
        && match words.get(chunks.len()) {
            Some(last) => (get(last) ^ pack(tail)) & low_bytes(tail.len()) == 0,
            None => true,
        }
}

/// Copies bytes out of words, from the byte `skip` of the first on.
///
/// # Safety
/// The words hold as many bytes.
#[inline(always)]
pub(crate) unsafe fn copy_out(words: &[AtomicU64], skip: usize, out: &mut [MaybeUninit<u8>]) {
    debug_assert!(skip + out.len() <= words.len() * WORD, "bytes lie behind the words");
    if skip != 0 {
        return copy_out_shifted(words, skip, out);
    }
    let (mut from, mut rest) = (words.as_ptr(), out);
    while let Some(line) = rest.first_chunk_mut::<{ LINE_WORDS * WORD }>() {
        // SAFETY: the words hold all of `out`.
        unsafe { copy_line(from, line) };
        // SAFETY: as before; it points behind the words at most.
        from = unsafe { from.add(LINE_WORDS) };
        let line_and_rest = rest;
        rest = &mut line_and_rest[LINE_WORDS * WORD..];
    }
    while let Some(chunk) = rest.first_chunk_mut::<WORD>() {
        // SAFETY: the words hold all of `out`.
        let word = unsafe { &*from };
        *chunk = get(word).to_le_bytes().map(MaybeUninit::new);
        // SAFETY: as before; it points behind the words at most.
        from = unsafe { from.add(1) };
        let chunk_and_rest = rest;
        rest = &mut chunk_and_rest[WORD..];
    }
    if !rest.is_empty() {
        // SAFETY: the words hold all of `out`.
        write_tail(rest, get(unsafe { &*from }));
    }
}

/// Copies eight words.
///
/// In half as many instructions as `AtomicU64::load` would take: what waits for a cache miss fills the processor's
/// schedulers, and keeps it from starting on the next get's misses. The assembler may load any bytes at any time; if a
/// writer is at work, they are garbage, which the reader protocol throws away.
///
/// # Safety
/// Eight words can be read.
#[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
#[inline(always)]
unsafe fn copy_line(from: *const AtomicU64, to: &mut [MaybeUninit<u8>; LINE_WORDS * WORD]) {
    // SAFETY: reads 64 bytes of words, which is the caller's promise, and writes the 64 bytes of `to`.
    unsafe {
        std::arch::asm!(
            "movups {a}, xmmword ptr [{from}]",
            "movups {b}, xmmword ptr [{from} + 16]",
            "movups {c}, xmmword ptr [{from} + 32]",
            "movups {d}, xmmword ptr [{from} + 48]",
            "movups xmmword ptr [{to}], {a}",
            "movups xmmword ptr [{to} + 16], {b}",
            "movups xmmword ptr [{to} + 32], {c}",
            "movups xmmword ptr [{to} + 48], {d}",
            from = in(reg) from,
            to = in(reg) to.as_mut_ptr(),
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies eight words.
///
/// # Safety
/// Eight words can be read.
#[cfg(not(all(target_arch = "x86_64", not(any(loom, nyala_tsan)))))]
#[inline]
unsafe fn copy_line(from: *const AtomicU64, to: &mut [MaybeUninit<u8>; LINE_WORDS * WORD]) {
    // SAFETY: eight words can be read, by the caller's promise.
    let words = unsafe { std::slice::from_raw_parts(from, LINE_WORDS) };
    for (chunk, word) in to.as_chunks_mut::<WORD>().0.iter_mut().zip(words) {
        *chunk = get(word).to_le_bytes().map(MaybeUninit::new);
    }
}

/// The same from the middle of a word: out\[i\] = the upper bytes of one word and the lower ones of the next. Out of
/// line, because keys are a multiple of eight bytes more often than not, and the usual read is to stay short.
#[inline(never)]
fn copy_out_shifted(words: &[AtomicU64], skip: usize, out: &mut [MaybeUninit<u8>]) {
    // Exactly the words that hold the bytes: the next one may lie behind the record.
    let words = &words[..(skip + out.len()).div_ceil(WORD)];
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

/// Packs two runs of bytes, one behind the other, into words. The rest of the last word becomes zero.
///
/// # Panics
/// If the words are fewer.
#[inline(always)]
pub(crate) fn write_pair(words: &[AtomicU64], a: &[u8], b: &[u8]) {
    if !a.len().is_multiple_of(WORD) {
        return write_pair_shifted(words, a, b);
    }
    assert!((a.len() + b.len()).div_ceil(WORD) <= words.len(), "bytes lie behind the words");
    // SAFETY: the words hold both, as was just checked.
    let behind = unsafe { copy_in(words.as_ptr(), a) };
    // SAFETY: as before; `a` ends with a word.
    unsafe { copy_in(behind, b) };
}

/// Copies bytes into words and answers the word behind them. The rest of the last word becomes zero.
///
/// # Safety
/// There are as many words.
#[inline(always)]
unsafe fn copy_in(mut to: *const AtomicU64, bytes: &[u8]) -> *const AtomicU64 {
    let mut rest = bytes;
    while let Some((line, behind)) = rest.split_first_chunk() {
        // SAFETY: the words take all of `bytes`.
        write_line(unsafe { &*to.cast() }, line);
        // SAFETY: as before; it points behind the words at most.
        to = unsafe { to.add(LINE_WORDS) };
        rest = behind;
    }
    while let Some((chunk, behind)) = rest.split_first_chunk() {
        // SAFETY: the words take all of `bytes`.
        put(unsafe { &*to }, u64::from_le_bytes(*chunk));
        // SAFETY: as before; it points behind the words at most.
        to = unsafe { to.add(1) };
        rest = behind;
    }
    if !rest.is_empty() {
        // SAFETY: the words take all of `bytes`.
        put(unsafe { &*to }, pack(rest));
    }
    to
}

/// Writes eight words, in half as many instructions as `AtomicU64::store` would take. Where the assembler's stores are
/// cut does not matter: a reader that meets them throws away what it read.
#[cfg(all(target_arch = "x86_64", not(loom)))]
#[inline(always)]
fn write_line(to: &[AtomicU64; LINE_WORDS], from: &[u8; LINE_WORDS * WORD]) {
    // SAFETY: reads the 64 bytes of `from` and writes the 64 of `to`, which may be written through a shared reference.
    unsafe {
        std::arch::asm!(
            "movups {a}, xmmword ptr [{from}]",
            "movups {b}, xmmword ptr [{from} + 16]",
            "movups {c}, xmmword ptr [{from} + 32]",
            "movups {d}, xmmword ptr [{from} + 48]",
            "movups xmmword ptr [{to}], {a}",
            "movups xmmword ptr [{to} + 16], {b}",
            "movups xmmword ptr [{to} + 32], {c}",
            "movups xmmword ptr [{to} + 48], {d}",
            from = in(reg) from.as_ptr(),
            to = in(reg) to.as_ptr(),
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            options(nostack, preserves_flags),
        );
    }
}

/// Writes eight words.
#[cfg(not(all(target_arch = "x86_64", not(loom))))]
#[inline]
fn write_line(to: &[AtomicU64; LINE_WORDS], from: &[u8; LINE_WORDS * WORD]) {
    for (word, chunk) in to.iter().zip(from.as_chunks::<WORD>().0) {
        put(word, u64::from_le_bytes(*chunk));
    }
}

/// The same from the middle of a word: out of line, as [`copy_out_shifted`] is.
#[inline(never)]
fn write_pair_shifted(words: &[AtomicU64], a: &[u8], b: &[u8]) {
    let words = &words[..(a.len() + b.len()).div_ceil(WORD)];
    let (a_chunks, a_tail) = a.as_chunks::<WORD>();
    let (b_chunks, b_tail) = b.as_chunks::<WORD>();
    let (a_words, b_words) = words.split_at(a_chunks.len());
    for (word, chunk) in a_words.iter().zip(a_chunks) {
        put(word, u64::from_le_bytes(*chunk));
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

/// Copies the first `count` words; the two runs do not overlap.
///
/// # Panics
/// If there are fewer.
pub(crate) fn copy_words(from: &[AtomicU64], to: &[AtomicU64], count: usize) {
    for (from, to) in from[..count].iter().zip(&to[..count]) {
        put(to, get(from));
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

/// Up to seven bytes as the low bytes of a word: two loads that overlap, or three.
#[inline]
fn pack(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first))
                | u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4))
        }
        _ if len == 0 => 0,
        _ => {
            let at = |i: usize| u64::from(bytes[i]) << (8 * i);
            at(0) | at(len / 2) | at(len - 1)
        }
    }
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
        let region = Region::anonymous(64, 64, 0).unwrap();
        let region = region.view();
        for a_len in 0..40_u8 {
            for b_len in 0..150_u8 {
                let a: Vec<u8> = (1..=a_len).collect();
                let b: Vec<u8> = (101..101 + b_len).collect();
                for i in 0..64 {
                    region.store(i, u64::MAX);
                }
                write_pair(region.longest_run(3), &a, &b);
                assert!(equal(region.longest_run(3), &a));
                let mut out = vec![MaybeUninit::new(0); b.len()];
                // SAFETY: the 64 words of a run hold 7 + 149 bytes.
                unsafe {
                    copy_out(region.longest_run(3 + a.len() / WORD), a.len() % WORD, &mut out)
                };
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
        let region = Region::anonymous(8, 8, 0).unwrap();
        let region = region.view();
        let key: Vec<u8> = (0..21).collect();
        write_pair(region.longest_run(0), &key, b"value");
        for i in 0..key.len() {
            let mut other = key.clone();
            other[i] ^= 1;
            assert!(!equal(region.longest_run(0), &other));
        }
        assert!(equal(region.longest_run(0), &key));
    }
}
