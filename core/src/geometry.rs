//! Sizes of one store, derived from its budget and the machine.

use crate::error::{Error, Result};
use crate::file::segment::SEGMENT_TRAILER_WORDS;
use crate::file::window::MILESTONE_WORDS;
use crate::hash::{MAX_DEPTH, MAX_STRIPES};
use crate::index::PAGE_WORDS;
use crate::log::record::{Header, MAX_KEY_LEN, MAX_VALUE_LEN, RECORD_PRELUDE_WORDS};
use crate::log::segment::SEGMENT_HEADER_WORDS;
use crate::options::Options;
use crate::region::WORD;

/// Segments of a budget below [`LARGE_SEGMENT_BYTES`] times this: few enough to be large against a record, enough that
/// the open ones are a few per cent and that a twentieth of a stripe's is several.
const SEGMENTS: u64 = 1024;
/// Segments stay at this size while the budget grows ...
const LARGE_SEGMENT_BYTES: u64 = 512 << 10;
/// ... until there are so many; then they grow again.
const MAX_SEGMENTS: u64 = 1 << 16;
/// Least segment.
const MIN_SEGMENT_BYTES: u64 = 8 << 10;
/// Least and greatest segment of a file.
const LEAST_FILE_SEGMENT_BYTES: u64 = 256 << 10;
const LARGEST_FILE_SEGMENT_BYTES: u64 = 1 << 20;
/// Most segments of a file: tables of as many are small against a file of as many.
pub(crate) const MAX_FILE_SEGMENTS: usize = 1 << 22;
/// Most stripes of a file that is created: each that was ever written to has a segment open.
const MAX_FILE_STRIPES: usize = 16;
/// Parts of a file's segment that a key and a value take at most.
const KEYS_PER_FILE_SEGMENT: usize = 4;
/// A longer one has a run for itself.
const VALUES_PER_FILE_SEGMENT: usize = 2;
/// A file has addresses for so many times the segments of its budget: a run finds a gap although the lowest are taken.
const FILE_ADDRESSES: usize = 2;
/// A value takes at most this part of the budget.
const VALUES_PER_BUDGET: u64 = 4;
/// A record up to this part of a segment always lies in one, beside others: seven of an eighth fill seven eighths.
const SMALL_PART: usize = 8;
/// Runs come in whole pages of the operating system; in the models in smaller ones, so that a run has few words.
const RUN_PAGE_BYTES: usize = if cfg!(loom) { 96 } else { 4 << 10 };
pub(crate) const RUN_PAGE_WORDS: usize = RUN_PAGE_BYTES / WORD;
const _: () = assert!(
    RUN_PAGE_WORDS > SEGMENT_HEADER_WORDS,
    "the record begins in the run's first page, by which the run is numbered"
);
/// `max_bytes` may become so many times what the store was opened with, and a part as small.
pub(crate) const RESIZE: u64 = 4;
/// Bytes of an index page.
const PAGE_BYTES: usize = PAGE_WORDS * WORD;
pub(crate) const HUGE_PAGE_BYTES: usize = 2 << 20;
/// Budgets from here on use huge pages for the log. Its last few are small pages, so that the end of the budget can be
/// committed by the segment.
const HUGE_LOG_FROM_BYTES: u64 = 8 << 20;
const SMALL_PAGES_AT_THE_END: usize = 2 * HUGE_PAGE_BYTES;
/// Budgets from here on use huge pages for the index: the last one may stay mostly empty.
const HUGE_INDEX_FROM_BYTES: u64 = 96 << 20;

/// Sizes that are fixed while a store is open.
#[derive(Debug, Clone)]
pub(crate) struct Geometry {
    /// Whether the log is a file: then the index is not in the budget.
    pub(crate) in_file: bool,
    /// The budget that the store was opened with; what it is now, `Space` says.
    pub(crate) opened_bytes: u64,
    /// Number of stripes, a power of two.
    pub(crate) stripes: usize,
    /// log2 of the words of a segment.
    pub(crate) segment_shift: u32,
    /// Longest key in bytes.
    pub(crate) max_key_len: usize,
    /// Longest value in bytes.
    pub(crate) max_value_len: usize,
    /// Longest value in a file that lies beside others in a segment; no limit in memory.
    pub(crate) beside_len_max: usize,
    /// Segments that there are addresses for: as many as the greatest budget could hold if it held nothing else, in a file twice
    /// as many.
    pub(crate) segments: usize,
    /// Segments that the budget at opening could hold.
    pub(crate) opened_segments: usize,
    /// Words of a segment that no record takes: those at its end, in a file.
    pub(crate) trailer_words: usize,
    /// Records of up to so many words always lie in a segment, beside others.
    pub(crate) small_words: usize,
    /// Pages of runs that there are addresses for, behind the segments.
    pub(crate) run_pages: usize,
    /// Segments that fresh writes leave to reclaim: one for each stripe that may be reclaiming, and one more.
    pub(crate) reserve: usize,
    /// Index pages that the greatest budget could hold if it held nothing else.
    pub(crate) pages: usize,
    /// Deepest directory of a stripe.
    pub(crate) depth_max: u32,
    /// Segments that pins may hold at once.
    pub(crate) pinned_max: u64,
    /// Segments from the start of the log that are committed in pieces of `log_piece`; the rest one by one.
    pub(crate) segments_in_pieces: usize,
    /// Segments of a piece: those of a huge page.
    pub(crate) log_piece: usize,
    /// Index pages that are committed at once.
    pub(crate) index_piece: usize,
}

impl Geometry {
    pub(crate) fn new(options: &Options) -> Result<Geometry> {
        let max_bytes = options.max_bytes;
        let tuning = options.tuning;
        let in_file = options.path.is_some();
        let segment_bytes = match tuning.segment_bytes as u64 {
            0 if in_file => choose_file_segment_bytes(max_bytes),
            0 => choose_segment_bytes(max_bytes),
            bytes => bytes,
        };
        if !segment_bytes.is_power_of_two() || segment_bytes < MIN_SEGMENT_BYTES.min(512) {
            return Err(Error::InvalidArgument(format!(
                "segment_bytes = {segment_bytes} bytes is not a power of two of at least 512 bytes"
            )));
        }
        let opened_segments = usize::try_from(max_bytes / segment_bytes).unwrap_or(usize::MAX);
        if in_file && opened_segments > MAX_FILE_SEGMENTS {
            return Err(Error::InvalidArgument(format!(
                "max_bytes = {max_bytes} bytes is {opened_segments} segments of {segment_bytes} bytes: a file has at most {MAX_FILE_SEGMENTS}"
            )));
        }
        let stripes = match tuning.stripes {
            0 if in_file => choose_stripes(max_bytes, opened_segments).min(MAX_FILE_STRIPES),
            0 => choose_stripes(max_bytes, opened_segments),
            stripes => stripes,
        };
        if !stripes.is_power_of_two() || stripes > MAX_STRIPES {
            return Err(Error::InvalidArgument(format!(
                "stripes = {stripes} is not a power of two of at most {MAX_STRIPES}"
            )));
        }
        let huge_log = max_bytes >= HUGE_LOG_FROM_BYTES && !in_file;
        let huge_index = max_bytes >= HUGE_INDEX_FROM_BYTES;
        let segment_len = segment_bytes as usize;
        let resize = if in_file { 1 } else { RESIZE as usize };
        let addresses = if in_file { FILE_ADDRESSES } else { resize };
        let (max_key_len, beside_len_max) = match in_file {
            true => (
                MAX_KEY_LEN.min(segment_len / KEYS_PER_FILE_SEGMENT),
                segment_len / VALUES_PER_FILE_SEGMENT,
            ),
            false => (MAX_KEY_LEN, usize::MAX),
        };
        let max_value_len = ((max_bytes / VALUES_PER_BUDGET) as usize).min(MAX_VALUE_LEN);
        let segments = (opened_segments * addresses).next_power_of_two();
        let pages = usize::try_from(max_bytes).unwrap_or(usize::MAX) / PAGE_BYTES * resize;
        let depth = (pages.div_ceil(stripes)).next_power_of_two().trailing_zeros() + 1;
        Ok(Geometry {
            in_file,
            trailer_words: if in_file { SEGMENT_TRAILER_WORDS } else { 0 },
            small_words: if in_file { usize::MAX } else { segment_len / WORD / SMALL_PART },
            opened_bytes: max_bytes,
            stripes,
            segment_shift: (segment_len / WORD).trailing_zeros(),
            max_key_len,
            max_value_len,
            beside_len_max,
            segments,
            opened_segments,
            run_pages: if in_file { 0 } else { segments * segment_len / RUN_PAGE_BYTES },
            reserve: stripes + 1,
            pages,
            depth_max: depth.min(MAX_DEPTH),
            pinned_max: (opened_segments as u64 / 32).max(1),
            segments_in_pieces: match huge_log {
                true => segments.saturating_sub(SMALL_PAGES_AT_THE_END / segment_len),
                false => 0,
            },
            log_piece: (HUGE_PAGE_BYTES / segment_len).max(1),
            index_piece: if huge_index { HUGE_PAGE_BYTES / PAGE_BYTES } else { 1 },
        })
    }

    pub(crate) fn segment_words(&self) -> usize {
        1 << self.segment_shift
    }

    pub(crate) fn segment_bytes(&self) -> usize {
        self.segment_words() * WORD
    }

    /// The segment, or run, in which the record at the word `address` lies. Runs are numbered behind the segments, by
    /// their first page.
    #[inline]
    pub(crate) fn segment_of(&self, address: usize) -> usize {
        match address.checked_sub(self.segments << self.segment_shift) {
            None => address >> self.segment_shift,
            Some(word) => self.segments + word / RUN_PAGE_WORDS,
        }
    }

    /// Whether the number is that of a run.
    #[inline]
    pub(crate) fn is_run(&self, segment: usize) -> bool {
        segment >= self.segments
    }

    /// First word of a segment or run.
    pub(crate) fn first_word(&self, segment: usize) -> usize {
        match segment.checked_sub(self.segments) {
            None => segment << self.segment_shift,
            Some(page) => (self.segments << self.segment_shift) + page * RUN_PAGE_WORDS,
        }
    }

    /// Words of the log and its runs.
    pub(crate) fn log_words(&self) -> usize {
        self.first_word(self.segments + self.run_pages)
    }

    /// Words that a record may have at most when it is written.
    pub(crate) fn record_words_max(&self) -> usize {
        RECORD_PRELUDE_WORDS + (self.max_key_len + self.max_value_len).div_ceil(WORD)
    }

    /// Words that all records of a frame may have together, those that belong to no entry included; the same in memory.
    pub(crate) fn frame_words(&self) -> usize {
        self.segment_words().saturating_sub(
            SEGMENT_HEADER_WORDS + SEGMENT_TRAILER_WORDS + MILESTONE_WORDS.next_multiple_of(8),
        )
    }

    /// Pages of the run that a record of `words` words gets; `None` if it lies in a segment, because it is small, or
    /// because as many of its size as fit a segment take no more room there.
    #[inline]
    pub(crate) fn run_pages_of(&self, words: usize) -> Option<usize> {
        if words <= self.small_words {
            return None;
        }
        let pages = (SEGMENT_HEADER_WORDS + words).div_ceil(RUN_PAGE_WORDS);
        let beside = (self.segment_words() - SEGMENT_HEADER_WORDS) / words;
        let worth = beside == 0 || pages * RUN_PAGE_WORDS < self.segment_words() / beside;
        worth.then_some(pages)
    }

    /// Words of the budget that a record of `words` words takes; in a file, at most.
    #[inline]
    pub(crate) fn occupied(&self, words: usize) -> usize {
        if self.in_file && words * WORD > self.beside_len_max {
            return (SEGMENT_HEADER_WORDS + words).next_multiple_of(self.segment_words());
        }
        self.run_pages_of(words).map_or(words, |pages| pages * RUN_PAGE_WORDS)
    }

    /// Segments of the run that a record with this header has for itself in a file; `None` if it lies beside others.
    #[inline]
    pub(crate) fn run_segments_of(&self, header: Header) -> Option<usize> {
        if header.value_len() <= self.beside_len_max {
            return None;
        }
        Some((SEGMENT_HEADER_WORDS + header.extent()).div_ceil(self.segment_words()))
    }

    /// Words of the run that a record with this header has for itself.
    pub(crate) fn run_words(&self, header: Header) -> usize {
        match self.run_segments_of(header) {
            Some(segments) => segments << self.segment_shift,
            None => self.occupied(header.extent()),
        }
    }
}

/// A file is created with segments that take the longest key and a value of half a segment, however little it may hold.
fn choose_file_segment_bytes(max_bytes: u64) -> u64 {
    let few = (max_bytes / SEGMENTS).clamp(LEAST_FILE_SEGMENT_BYTES, LARGEST_FILE_SEGMENT_BYTES);
    1 << few.ilog2()
}

fn choose_segment_bytes(max_bytes: u64) -> u64 {
    let few = (max_bytes / SEGMENTS).clamp(MIN_SEGMENT_BYTES, LARGE_SEGMENT_BYTES);
    let many = max_bytes.div_ceil(MAX_SEGMENTS);
    let largest_power = |bytes: u64| 1 << bytes.ilog2();
    largest_power(few).max(many.next_power_of_two())
}

/// Enough stripes that cores seldom meet, few enough that their open segments stay a few per cent of the budget.
fn choose_stripes(max_bytes: u64, segments: usize) -> usize {
    if max_bytes < 2 << 20 {
        return 1;
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let by_cores = (16 * cores).next_power_of_two();
    let by_budget = 1 << (segments / 50).max(1).ilog2();
    by_cores.min(by_budget).min(MAX_STRIPES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_take_no_more_than_a_quarter_beyond_their_size() {
        let geometry = Geometry::new(&Options::memory(64 << 20)).unwrap();
        for words in 100..100_000 {
            let taken = match geometry.run_pages_of(words) {
                Some(pages) => pages * RUN_PAGE_WORDS,
                None => geometry.segment_words() / (geometry.segment_words() / words),
            };
            assert!(taken * 4 <= words * 5 + 4 * 64, "{words} words take {taken}");
        }
    }

    #[test]
    fn sizes_follow_from_the_budget() {
        for shift in 20..=40 {
            let geometry = Geometry::new(&Options::memory(1 << shift)).unwrap();
            let open = 2 * geometry.stripes + geometry.reserve;
            assert!(open * 16 <= geometry.opened_segments, "2^{shift} bytes: {geometry:?}");
            assert!(geometry.opened_segments as u64 <= MAX_SEGMENTS);
            assert_eq!(
                geometry.max_value_len as u64,
                (1_u64 << shift >> 2).min(MAX_VALUE_LEN as u64)
            );
            assert_eq!(
                geometry.segment_of(geometry.first_word(geometry.segments + 7) + 8),
                geometry.segments + 7
            );
        }
        assert_eq!(Geometry::new(&Options::memory(1 << 20)).unwrap().stripes, 1);
    }
}
