//! A record: what the log holds for one write of one key.
//!
//! ```text
//! word 0   header: lengths, kind, flags
//! word 1   version; its low bit is set while the record is being overwritten in place
//! then     check, sums of the header and of all else           only in a file, which the header says
//! then     expiry, milliseconds since the epoch, 0 = none     only if the header says so
//! then     key bytes, value bytes, zero bytes to the word, slack words
//! ```
//! The extent, all words together, never changes once the record is written, so that a segment can be walked.

use std::mem::MaybeUninit;

use crate::file::check::{Place, RecordCheck};
use crate::file::mutant::{Mutant, is_on};
use crate::region::{View, WORD, copy_out, copy_words, equal, write_pair};
use crate::sync::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

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
const CHECK_SHIFT: u32 = EXPIRY_SHIFT + 1;
/// The bits of both words that a record may have or not.
const OPTIONAL: u64 = 1 << EXPIRY_SHIFT | 1 << CHECK_SHIFT;

/// What a record says. 0 stays free, so that zeroed memory is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A key and its value.
    Value = 1,
    /// In a file: the key was deleted.
    Tombstone = 2,
    /// In a file: all that the stripe held was cleared.
    Clear = 3,
    /// In a file: a key whose value lies in a run.
    Link = 4,
    /// In a file: the records of a frame in this stripe follow. The version word is the lease of the frame's next share,
    /// the key says where that ends.
    Share = 5,
    /// In a file: the version word is a lease up to which all of the stripe's are out. What lived there was copied before.
    Milestone = 6,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Value, Kind::Tombstone, Kind::Clear, Kind::Link, Kind::Share, Kind::Milestone];
}

const HEADER_WORDS: usize = 2;
/// Words before the key at most: with the expiry.
pub(crate) const RECORD_PRELUDE_WORDS: usize = HEADER_WORDS + 2;
/// Words of the longest record.
pub(crate) const RECORD_WORDS_MAX: usize =
    RECORD_PRELUDE_WORDS + (MAX_KEY_LEN + MAX_VALUE_LEN).div_ceil(WORD);
const VERSION_WORD: usize = 1;
const CHECK_WORD: usize = 2;

const _: () =
    assert!(CHECK_SHIFT < 64, "the header is one word, so that one load reads all lengths");

/// Word 0 of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header(u64);

impl Header {
    /// The header of a record with these lengths and no slack.
    #[inline]
    pub(crate) fn new(key_len: usize, value_len: usize, expires: bool) -> Self {
        debug_assert!(key_len <= MAX_KEY_LEN && value_len <= MAX_VALUE_LEN);
        Header(
            key_len as u64
                | (value_len as u64) << VALUE_LEN_SHIFT
                | (Kind::Value as u64) << KIND_SHIFT
                | u64::from(expires) << EXPIRY_SHIFT,
        )
    }

    /// The header of a record that is no value, in a file. What it says beside the key has `len` bytes.
    pub(crate) fn of_kind(kind: Kind, key_len: usize, len: usize) -> Self {
        let bare = Header::new(key_len, len, false).with_check();
        Header(bare.0 & !(((1 << KIND_BITS) - 1) << KIND_SHIFT) | (kind as u64) << KIND_SHIFT)
    }

    /// The same record with a check word.
    pub(crate) fn with_check(self) -> Self {
        Header(self.0 | 1 << CHECK_SHIFT)
    }

    /// The same record with room for a value of `value_len` bytes.
    pub(crate) fn with_room_for(self, value_len: usize) -> Self {
        self.with_extent(self.of_len(value_len).words())
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

    #[inline]
    pub(crate) fn has_check_word(self) -> bool {
        self.0 >> CHECK_SHIFT & 1 == 1
    }

    /// What the record says; `None` if it is none.
    pub(crate) fn kind(self) -> Option<Kind> {
        let kind = self.0 >> KIND_SHIFT & ((1 << KIND_BITS) - 1);
        Kind::ALL.into_iter().find(|known| *known as u64 == kind)
    }

    pub(crate) fn is_value(self) -> bool {
        self.kind() == Some(Kind::Value)
    }

    /// Whether the record is about an entry, and so has its key.
    pub(crate) fn names_a_key(self) -> bool {
        matches!(self.kind(), Some(Kind::Value | Kind::Tombstone | Kind::Link))
    }

    /// The word itself.
    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// A value of another length with the same key and words in front, and no slack.
    #[inline]
    fn of_len(self, value_len: usize) -> Self {
        debug_assert!(value_len <= MAX_VALUE_LEN);
        let lens = (MAX_VALUE_LEN as u64) << VALUE_LEN_SHIFT | (MAX_SLACK as u64) << SLACK_SHIFT;
        Header(self.0 & !lens | (value_len as u64) << VALUE_LEN_SHIFT)
    }

    /// Words before the key.
    #[inline]
    fn prelude(self) -> usize {
        if self.0 & OPTIONAL != 0 {
            // A branch, which the processor guesses, instead of a sum, for which it would wait: the address of what comes
            // behind is then known before the header is, and a record's cache lines arrive together.
            std::hint::cold_path();
            return match (self.has_expiry_word(), self.has_check_word()) {
                (true, true) => HEADER_WORDS + 2,
                _ => HEADER_WORDS + 1,
            };
        }
        HEADER_WORDS
    }

    /// Words that the record's bytes need.
    #[inline]
    pub(crate) fn words(self) -> usize {
        self.prelude() + self.body_words()
    }

    /// Words that hold key and value.
    #[inline]
    fn body_words(self) -> usize {
        (self.key_len() + self.value_len()).div_ceil(WORD)
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
    #[inline(always)]
    pub(crate) fn overwritten(self, value_len: usize) -> Option<Self> {
        if value_len == self.value_len() {
            return Some(self);
        }
        let extent = self.extent();
        let fresh = self.of_len(value_len);
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
    /// Index of word 0.
    pub(crate) start: usize,
    /// The words from there on, as many as a record may have at most.
    pub(crate) words: &'a [AtomicU64],
    pub(crate) header: Header,
}

impl<'a> Record<'a> {
    /// The record that begins here.
    #[inline(always)]
    pub(crate) fn at(log: View<'a>, start: usize) -> Self {
        let words = log.longest_run(start);
        Record { start, words, header: Header(words[0].load(Relaxed)) }
    }

    /// The same with its version, which is read first: a header that is overwritten meanwhile is then known by it.
    #[inline(always)]
    pub(crate) fn with_version(log: View<'a>, start: usize) -> (u64, Self) {
        let words = log.longest_run(start);
        // Pairs with the release store of the even version in `overwrite`.
        let version = words[VERSION_WORD].load(Acquire);
        (version, Record { start, words, header: Header(words[0].load(Relaxed)) })
    }

    /// The place for a record with this header.
    pub(crate) fn with_header(log: View<'a>, start: usize, header: Header) -> Self {
        Record { start, words: log.longest_run(start), header }
    }

    #[inline(always)]
    pub(crate) fn version_word(&self) -> &'a AtomicU64 {
        &self.words[VERSION_WORD]
    }

    pub(crate) fn version(&self) -> u64 {
        self.version_word().load(Relaxed)
    }

    /// When the record expires, in milliseconds since the epoch; 0 if it does not.
    #[inline(always)]
    pub(crate) fn expiry(&self) -> u64 {
        if self.header.has_expiry_word() { self.expiry_word().load(Relaxed) } else { 0 }
    }

    /// Changes the expiry of a record that has the word for it. One store: a reader sees the old or the new.
    pub(crate) fn set_expiry(&self, expiry: u64) {
        debug_assert!(self.header.has_expiry_word());
        self.expiry_word().store(expiry, Relaxed);
    }

    /// The last word before the key, if the header says that there is one for the expiry.
    #[inline(always)]
    fn expiry_word(&self) -> &'a AtomicU64 {
        &self.words[self.header.prelude() - 1]
    }

    /// Writes the check word of a record in a file, which has all its other words and begins in a segment of this lease.
    pub(crate) fn seal(&self, lease: u64) {
        debug_assert!(self.header.has_check_word());
        let check = RecordCheck::of(self.place(lease), self.header.0, self.version(), self.rest());
        // Release: a process that dies leaves a whole record only behind whole ones.
        self.words[CHECK_WORD].store(check.word(), Release);
        #[cfg(all(test, not(loom)))]
        crate::file::fake::note_record();
    }

    /// Makes a removal of a link, in its place.
    pub(crate) fn bury(&self, lease: u64) {
        let len = self.header.value_len();
        let removal = Header::of_kind(Kind::Tombstone, self.header.key_len(), len);
        self.words[0].store(removal.0, Relaxed);
        Record { header: removal, ..*self }.seal(lease);
    }

    /// The record of a file that begins at `start`, in a segment of this lease that has `room` words from there on; `None`
    /// if there is none, or not a whole one. No length is believed before it is checked.
    pub(crate) fn whole(log: View<'a>, start: usize, room: usize, lease: u64) -> Option<Self> {
        if room < CHECK_WORD + 1 {
            return None;
        }
        let record = Record::at(log, start);
        let header = record.header;
        let check = RecordCheck::from_word(record.words[CHECK_WORD].load(Relaxed));
        let believed = header.has_check_word()
            && check.covers_header(record.place(lease), header.0)
            && header.kind().is_some()
            && header.extent() <= room.min(record.words.len());
        let whole = believed
            && (is_on(Mutant::UncheckedRecords)
                || check.covers(record.place(lease), header.0, record.version(), record.rest()));
        whole.then_some(record)
    }

    /// The check word of a record in a file.
    pub(crate) fn check_word(&self) -> u64 {
        self.words[CHECK_WORD].load(Relaxed)
    }

    fn place(&self, lease: u64) -> Place {
        let lease = if is_on(Mutant::SumWithoutLease) { 0 } else { lease };
        Place { address: self.start as u64, lease }
    }

    /// The words behind the check word.
    fn rest(&self) -> &'a [AtomicU64] {
        &self.words[CHECK_WORD + 1..self.header.words()]
    }

    #[inline(always)]
    pub(crate) fn key_is(&self, key: &[u8]) -> bool {
        self.key_behind(self.header.prelude(), key)
    }

    /// The value of a record of this key; `None` if it is of another, or its header is garbage.
    ///
    /// Written out for the usual record, which has neither of the optional words: there the offsets are constants.
    #[inline(always)]
    pub(crate) fn value_of(&self, key: &[u8]) -> Option<Packed<'a>> {
        let prelude = self.header.prelude();
        if prelude == HEADER_WORDS {
            return self.value_behind(HEADER_WORDS, key);
        }
        self.value_behind(prelude, key)
    }

    #[inline(always)]
    fn value_behind(&self, prelude: usize, key: &[u8]) -> Option<Packed<'a>> {
        if !self.key_behind(prelude, key) {
            return None;
        }
        let words = self.words.get(prelude + key.len() / WORD..)?;
        Packed::in_words(words, key.len() % WORD, self.header.value_len())
    }

    #[inline(always)]
    fn key_behind(&self, first: usize, key: &[u8]) -> bool {
        self.header.key_len() == key.len()
            && match self.words.get(first..first + key.len().div_ceil(WORD)) {
                Some(words) => equal(words, key),
                None => false,
            }
    }

    /// Appends the key to a vector, but nothing if the header is garbage that promises more than a record may have.
    pub(crate) fn copy_key(&self, out: &mut Vec<u8>) {
        let words = &self.words[self.header.prelude()..];
        if let Some(key) = Packed::in_words(words, 0, self.header.key_len()) {
            key.append_to(out);
        }
    }

    /// Byte of the region at which the value begins.
    #[inline]
    pub(crate) fn value_byte(&self) -> usize {
        (self.start + self.header.prelude()) * WORD + self.header.key_len()
    }

    /// The value, or `None` if the header is garbage that promises more than a record may have.
    #[inline(always)]
    pub(crate) fn value(&self) -> Option<Packed<'a>> {
        let key_len = self.header.key_len();
        let words = self.words.get(self.header.prelude() + key_len / WORD..)?;
        Packed::in_words(words, key_len % WORD, self.header.value_len())
    }

    /// Replaces what a vector holds by the value.
    pub(crate) fn copy_value(&self, out: &mut Vec<u8>) {
        match self.value() {
            Some(value) => value.copy_to_vec(out),
            None => out.clear(),
        }
    }

    pub(crate) fn value_is(&self, value: &[u8]) -> bool {
        let mut copy = Vec::new();
        self.header.value_len() == value.len() && {
            self.copy_value(&mut copy);
            copy == value
        }
    }

    /// Writes a whole record to words that nobody reads yet. The slot that publishes it is stored with release.
    pub(crate) fn write(&self, version: u64, expiry: u64, key: &[u8], value: &[u8]) {
        self.version_word().store(version, Relaxed);
        if self.header.has_expiry_word() {
            self.expiry_word().store(expiry, Relaxed);
        }
        write_pair(&self.words[self.header.prelude()..], key, value);
        self.words[0].store(self.header.0, Relaxed);
    }

    /// Writes a record over the one that is here, whose version is odd. Release: a reader that sees the even version sees
    /// the bytes.
    #[inline(always)]
    pub(crate) fn overwrite(&self, version: u64, expiry: u64, key: &[u8], value: &[u8]) {
        if self.header.has_expiry_word() {
            self.set_expiry(expiry);
        }
        self.words[0].store(self.header.0, Relaxed);
        // Words that hold nothing of the value stay as they are; one that the key ends in is written with both.
        let whole = key.len() / WORD;
        let words = &self.words[self.header.prelude() + whole..];
        write_pair(words, &key[whole * WORD..], value);
        self.version_word().store(version, Release);
    }

    /// Writes a value of the same length, of one to eight bytes, over the one that is here, whose version is odd; as
    /// `overwrite` does.
    #[inline(always)]
    pub(crate) fn overwrite_word(&self, version: u64, value: Packed<'a>, word: u64) {
        value.set_word(word);
        self.version_word().store(version, Release);
    }

    /// Copies this record to `start`, into the words it needs at least, and returns the copy, which in a file is yet to be
    /// sealed.
    pub(crate) fn copy_to(&self, log: View<'a>, start: usize, header: Header) -> Record<'a> {
        let copy = Record::with_header(log, start, header);
        copy.version_word().store(self.version(), Relaxed);
        if header.has_expiry_word() {
            copy.expiry_word().store(self.expiry(), Relaxed);
        }
        let (from, to) = (self.header.prelude(), header.prelude());
        copy_words(&self.words[from..], &copy.words[to..], header.body_words());
        copy.words[0].store(header.0, Relaxed);
        copy
    }

    /// Header of a copy: no slack, and a word for the expiry if `expires`.
    pub(crate) fn compact_header(&self, expires: bool) -> Header {
        let bare = Header::new(self.header.key_len(), self.header.value_len(), expires);
        if self.header.has_check_word() { bare.with_check() } else { bare }
    }
}

/// Bytes in words of the log: the words hold at least `skip + len` bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed<'a> {
    words: &'a [AtomicU64],
    /// Bytes of the first word that come before.
    skip: usize,
    len: usize,
}

impl<'a> Packed<'a> {
    /// `len` bytes behind the first `skip`, or `None` if the words hold fewer.
    #[inline(always)]
    pub(crate) fn in_words(words: &'a [AtomicU64], skip: usize, len: usize) -> Option<Self> {
        (skip + len <= words.len() * WORD).then_some(Packed { words, skip, len })
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// One to eight bytes as the low bytes of a word.
    #[inline]
    pub(crate) fn as_word(&self) -> Option<u64> {
        if !(1..=WORD).contains(&self.len) {
            return None;
        }
        let mut word = self.words[0].load(Relaxed) >> (8 * self.skip);
        if self.skip + self.len > WORD {
            word |= self.words[1].load(Relaxed) << (8 * (WORD - self.skip));
        }
        Some(word & u64::MAX >> (8 * (WORD - self.len)))
    }

    /// Writes the low bytes of a word, of which the rest is zero, over the one to eight bytes.
    #[inline]
    pub(crate) fn set_word(&self, word: u64) {
        debug_assert!(
            (1..=WORD).contains(&self.len) && word <= u64::MAX >> (8 * (WORD - self.len))
        );
        // What comes before is of the key; behind the value the word is zero.
        let before = self.words[0].load(Relaxed) & !(u64::MAX << (8 * self.skip));
        self.words[0].store(before | word << (8 * self.skip), Relaxed);
        if self.skip + self.len > WORD {
            self.words[1].store(word >> (8 * (WORD - self.skip)), Relaxed);
        }
    }

    /// Appends the bytes to a vector.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        let filled = out.len() + self.len;
        out.reserve(self.len);
        let spare = &mut out.spare_capacity_mut()[..self.len];
        // SAFETY: the words hold `skip + len` bytes.
        unsafe { copy_out(self.words, self.skip, spare) };
        // SAFETY: `copy_out` has initialised the `len` bytes behind the old length.
        unsafe { out.set_len(filled) };
    }

    /// Replaces what a vector holds by the bytes.
    #[inline(always)]
    pub(crate) fn copy_to_vec(&self, out: &mut Vec<u8>) {
        if out.capacity() < self.len {
            out.clear();
            out.reserve(self.len);
        }
        // SAFETY: the vector has room for `len` elements, which need not be initialised.
        let all = unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast(), self.len) };
        // SAFETY: the words hold `skip + len` bytes.
        unsafe { copy_out(self.words, self.skip, all) };
        // SAFETY: `copy_out` has initialised the first `len` bytes.
        unsafe { out.set_len(self.len) };
    }

    /// Copies the bytes to a slice of their length.
    #[inline]
    pub(crate) fn copy_to(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.len, "the slice must be as long as the value");
        let start: *mut MaybeUninit<u8> = out.as_mut_ptr().cast();
        // SAFETY: the same bytes; `copy_out` only writes initialised ones.
        let out = unsafe { std::slice::from_raw_parts_mut(start, self.len) };
        // SAFETY: the words hold `skip + len` bytes.
        unsafe { copy_out(self.words, self.skip, out) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_what_they_were_given() {
        for (key, value, expires, room) in [
            (1, 0, false, 0),
            (MAX_KEY_LEN, MAX_VALUE_LEN, true, MAX_VALUE_LEN),
            (16, 64, false, 200),
        ] {
            let header = Header::new(key, value, expires).with_room_for(room.max(value));
            assert!(header.is_value());
            assert_eq!(header.key_len(), key);
            assert_eq!(header.value_len(), value);
            assert_eq!(header.has_expiry_word(), expires);
            assert_eq!(header.extent(), Header::new(key, room.max(value), expires).words());
        }
        assert!(!Header(0).is_value());
    }

    #[test]
    fn overwriting_keeps_the_extent() {
        let header = Header::new(16, 64, false);
        assert_eq!(header.overwritten(64).map(Header::extent), Some(12));
        assert_eq!(header.overwritten(40).map(Header::extent), Some(12));
        assert_eq!(header.overwritten(65), None);
        let long = Header::new(16, 4096, false);
        assert_eq!(long.overwritten(1000), None, "most of the extent would be unused");
    }
    #[cfg(not(loom))]
    #[test]
    fn a_word_goes_where_it_came_from() {
        for skip in 0..WORD {
            for len in 1..=WORD {
                let mut bytes = [0; 2 * WORD];
                bytes[..skip].fill(b'k');
                bytes[skip..skip + len].fill(b'7');
                let (words, _) = bytes.as_chunks();
                let words = [0, 1].map(|i| AtomicU64::new(u64::from_le_bytes(words[i])));
                let value = Packed::in_words(&words, skip, len).unwrap();
                let text = |digit: u8| u64::from_le_bytes([digit; WORD]) >> (8 * (WORD - len));
                assert_eq!(value.as_word(), Some(text(b'7')));
                value.set_word(text(b'8'));
                bytes[skip..skip + len].fill(b'8');
                let written = [0, 1].map(|i| words[i].load(Relaxed).to_le_bytes());
                assert_eq!(written.as_flattened(), bytes, "{len} bytes behind {skip}");
            }
        }
    }
}
