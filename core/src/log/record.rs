//! A record: what the log holds for one write of one key.
//!
//! ```text
//! word 0   header: lengths, kind, flags
//! word 1   version; its low bit is set while the record is being overwritten in place
//! word 2   expiry, milliseconds since the epoch, 0 = none     only if the header says so
//! then     key bytes, value bytes, zero bytes to the word, slack words
//! ```
//! The extent, all words together, never changes once the record is written, so that a segment can be walked.

use std::mem::MaybeUninit;

use crate::region::{View, WORD};
use crate::sync::Ordering::{Relaxed, Release};

/// Longest key in bytes.
pub(crate) const MAX_KEY_LEN: usize = (1 << KEY_LEN_BITS) - 1;
/// Longest value in bytes that the header can hold.
pub(crate) const MAX_VALUE_LEN: usize = (1 << VALUE_LEN_BITS) - 1;
/// Most words that a record may be longer than its bytes need.
pub(crate) const MAX_SLACK: usize = (1 << SLACK_BITS) - 1;

const KEY_LEN_BITS: u32 = 16;
const VALUE_LEN_BITS: u32 = 30;
const SLACK_BITS: u32 = 12;
const KIND_BITS: u32 = 3;

const VALUE_LEN_SHIFT: u32 = KEY_LEN_BITS;
const SLACK_SHIFT: u32 = VALUE_LEN_SHIFT + VALUE_LEN_BITS;
const KIND_SHIFT: u32 = SLACK_SHIFT + SLACK_BITS;
const EXPIRY_SHIFT: u32 = KIND_SHIFT + KIND_BITS;

/// The only kind so far: key and value. 0 stays free, so that zeroed memory is no record.
const KIND_VALUE: u64 = 1;

const HEADER_WORDS: usize = 2;
const VERSION_WORD: usize = 1;
const EXPIRY_WORD: usize = 2;

const _: () =
    assert!(EXPIRY_SHIFT < 64, "the header is one word, so that one load reads all lengths");

/// Word 0 of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header(u64);

impl Header {
    /// The header of a record with these lengths and at least `least_words` words.
    pub(crate) fn new(key_len: usize, value_len: usize, expires: bool, least_words: usize) -> Self {
        debug_assert!(key_len <= MAX_KEY_LEN && value_len <= MAX_VALUE_LEN);
        let bare = Header(
            key_len as u64
                | (value_len as u64) << VALUE_LEN_SHIFT
                | KIND_VALUE << KIND_SHIFT
                | u64::from(expires) << EXPIRY_SHIFT,
        );
        bare.with_extent(least_words.max(bare.words()))
    }

    /// Reads the header of the record at word `start`.
    #[inline]
    pub(crate) fn load(log: View<'_>, start: usize) -> Self {
        Header(log.load(start))
    }

    #[inline]
    pub(crate) fn key_len(self) -> usize {
        (self.0 & MAX_KEY_LEN as u64) as usize
    }

    #[inline]
    pub(crate) fn value_len(self) -> usize {
        (self.0 >> VALUE_LEN_SHIFT) as usize & MAX_VALUE_LEN
    }

    #[inline]
    pub(crate) fn has_expiry_word(self) -> bool {
        self.0 >> EXPIRY_SHIFT & 1 == 1
    }

    pub(crate) fn is_value(self) -> bool {
        self.0 >> KIND_SHIFT & ((1 << KIND_BITS) - 1) == KIND_VALUE
    }

    /// Words before the key.
    #[inline]
    fn prelude(self) -> usize {
        HEADER_WORDS + usize::from(self.has_expiry_word())
    }

    /// Words that the record's bytes need.
    #[inline]
    pub(crate) fn words(self) -> usize {
        self.prelude() + (self.key_len() + self.value_len()).div_ceil(WORD)
    }

    /// Words that the record occupies.
    #[inline]
    pub(crate) fn extent(self) -> usize {
        self.words() + ((self.0 >> SLACK_SHIFT) as usize & MAX_SLACK)
    }

    /// The same record in `extent` words.
    pub(crate) fn with_extent(self, extent: usize) -> Self {
        let slack = extent - self.words();
        debug_assert!(slack <= MAX_SLACK);
        Header(self.0 & !((MAX_SLACK as u64) << SLACK_SHIFT) | (slack as u64) << SLACK_SHIFT)
    }

    /// The header after the value has been overwritten in place, or `None` if the new value does not fit, or would
    /// leave most of a long extent unused.
    pub(crate) fn overwritten(self, value_len: usize) -> Option<Self> {
        let extent = self.extent();
        let fresh = Header::new(self.key_len(), value_len, self.has_expiry_word(), 0);
        let slack = extent.checked_sub(fresh.words())?;
        let wasteful = slack > SMALL_SLACK && slack > extent / 2;
        (slack <= MAX_SLACK && !wasteful).then(|| fresh.with_extent(extent))
    }
}

/// Slack that is never worth a new record: a counter's digits come and go within it.
const SMALL_SLACK: usize = 4;

/// A record at its place in the log. The reads make sense only if the reader protocol says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) log: View<'a>,
    /// Index of word 0.
    pub(crate) start: usize,
    pub(crate) header: Header,
}

impl<'a> Record<'a> {
    pub(crate) fn at(log: View<'a>, start: usize) -> Self {
        Record { log, start, header: Header::load(log, start) }
    }

    /// Index of the version word.
    #[inline]
    pub(crate) fn version_word(start: usize) -> usize {
        start + VERSION_WORD
    }

    pub(crate) fn version(&self) -> u64 {
        self.log.load(Self::version_word(self.start))
    }

    /// When the record expires, in milliseconds since the epoch; 0 if it does not.
    #[inline]
    pub(crate) fn expiry(&self) -> u64 {
        if self.header.has_expiry_word() { self.log.load(self.start + EXPIRY_WORD) } else { 0 }
    }

    /// Changes the expiry of a record that has the word for it. One store: a reader sees the old or the new.
    pub(crate) fn set_expiry(&self, expiry: u64) {
        debug_assert!(self.header.has_expiry_word());
        self.log.word(self.start + EXPIRY_WORD).store(expiry, Relaxed);
    }

    #[inline]
    pub(crate) fn key_is(&self, key: &[u8]) -> bool {
        self.header.key_len() == key.len() && self.log.equals(self.first_key_word(), key)
    }

    pub(crate) fn copy_key(&self, out: &mut Vec<u8>) {
        copy_to_vec(self.log, self.first_key_word() * WORD, self.header.key_len(), out);
    }

    /// Byte of the region at which the value begins.
    #[inline]
    pub(crate) fn value_byte(&self) -> usize {
        self.first_key_word() * WORD + self.header.key_len()
    }

    pub(crate) fn copy_value(&self, out: &mut Vec<u8>) {
        out.clear();
        copy_to_vec(self.log, self.value_byte(), self.header.value_len(), out);
    }

    pub(crate) fn value_is(&self, value: &[u8]) -> bool {
        let mut copy = Vec::new();
        self.header.value_len() == value.len() && {
            self.copy_value(&mut copy);
            copy == value
        }
    }

    #[inline]
    fn first_key_word(&self) -> usize {
        self.start + self.header.prelude()
    }

    /// Writes a whole record to words that nobody reads yet. The slot that publishes it is stored with release.
    pub(crate) fn write(&self, version: u64, expiry: u64, key: &[u8], value: &[u8]) {
        self.log.store(Self::version_word(self.start), version);
        if self.header.has_expiry_word() {
            self.log.store(self.start + EXPIRY_WORD, expiry);
        }
        self.log.write_pair(self.first_key_word(), key, value);
        self.log.store(self.start, self.header.0);
    }

    /// Writes a record over the one that is here, whose version is odd. Release: a reader that sees the even version sees
    /// the bytes.
    pub(crate) fn overwrite(&self, version: u64, expiry: u64, key: &[u8], value: &[u8]) {
        if self.header.has_expiry_word() {
            self.set_expiry(expiry);
        }
        self.log.store(self.start, self.header.0);
        // Words that hold nothing of the value stay as they are; one that the key ends in is written with both.
        let whole = key.len() / WORD;
        self.log.write_pair(self.first_key_word() + whole, &key[whole * WORD..], value);
        self.log.word(Self::version_word(self.start)).store(version, Release);
    }

    /// Copies this record to `start`, into the words it needs at least, and returns the copy.
    pub(crate) fn copy_to(&self, start: usize, header: Header) -> Record<'a> {
        let copy = Record { log: self.log, start, header };
        self.log.store(Self::version_word(start), self.version());
        if header.has_expiry_word() {
            self.log.store(start + EXPIRY_WORD, self.expiry());
        }
        let (from, to) = (self.first_key_word(), copy.first_key_word());
        self.log.copy_words(from, to, (header.key_len() + header.value_len()).div_ceil(WORD));
        self.log.store(start, header.0);
        copy
    }

    /// Header of a copy: no slack, and a word for the expiry if `expires`.
    pub(crate) fn compact_header(&self, expires: bool) -> Header {
        Header::new(self.header.key_len(), self.header.value_len(), expires, 0)
    }
}

/// Appends `len` bytes of the region to a vector.
#[inline(always)]
pub(crate) fn copy_to_vec(log: View<'_>, byte: usize, len: usize, out: &mut Vec<u8>) {
    out.reserve(len);
    let spare = &mut out.spare_capacity_mut()[..len];
    log.copy_out(byte, spare);
    let filled = out.len() + len;
    // SAFETY: `copy_out` has initialised the `len` bytes behind the old length.
    unsafe { out.set_len(filled) };
}

/// The same for a slice.
#[inline]
pub(crate) fn copy_to_slice(log: View<'_>, byte: usize, out: &mut [u8]) {
    let len = out.len();
    let start: *mut MaybeUninit<u8> = out.as_mut_ptr().cast();
    // SAFETY: the same bytes; `copy_out` only writes initialised ones.
    let out = unsafe { std::slice::from_raw_parts_mut(start, len) };
    log.copy_out(byte, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_what_they_were_given() {
        for (key, value, expires, least) in
            [(1, 0, false, 0), (MAX_KEY_LEN, MAX_VALUE_LEN, true, 0), (16, 64, false, 30)]
        {
            let header = Header::new(key, value, expires, least);
            assert!(header.is_value());
            assert_eq!(header.key_len(), key);
            assert_eq!(header.value_len(), value);
            assert_eq!(header.has_expiry_word(), expires);
            assert_eq!(header.extent(), header.words().max(least));
        }
        assert!(!Header(0).is_value());
    }

    #[test]
    fn overwriting_keeps_the_extent() {
        let header = Header::new(16, 64, false, 0);
        assert_eq!(header.overwritten(64).map(Header::extent), Some(12));
        assert_eq!(header.overwritten(40).map(Header::extent), Some(12));
        assert_eq!(header.overwritten(65), None);
        let long = Header::new(16, 4096, false, 0);
        assert_eq!(long.overwritten(1000), None, "most of the extent would be unused");
    }
}
