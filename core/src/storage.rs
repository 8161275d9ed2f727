//! The seam to the operating system: where the words of a region come from and where they go back to.

use std::fmt;

use crate::error::{Error, Result};
#[cfg(not(loom))]
use crate::geometry::HUGE_PAGE_BYTES;
use crate::sync::AtomicU64;

/// Address space that is reserved once, never moves, and reads as zero until it is written.
pub(crate) trait Storage: Send + Sync + fmt::Debug {
    /// The first word. Words stay readable and writable as long as the storage lives.
    fn base(&self) -> *const AtomicU64;

    /// Gives the memory of these words back to the system. They stay readable, as zeros or as they were, and may be
    /// written again.
    fn decommit(&self, first: usize, words: usize);

    /// Whether the system may commit these words by the huge page, or must by the small one. Nothing, where it knows
    /// only one size.
    fn prefer_huge(&self, _first: usize, _words: usize, _huge: bool) {}
}

/// Anonymous memory of this process: pages are committed when they are first written.
#[cfg(not(loom))]
#[derive(Debug)]
pub(crate) struct AnonymousMemory {
    map: memmap2::MmapRaw,
    /// Bytes before the first word, which begins a huge page.
    skipped: usize,
}

#[cfg(not(loom))]
impl AnonymousMemory {
    /// Reserves `words` words. Asks for huge pages for the first `huge_words`: a dependent random load measured 192 ns
    /// with them and 294 ns without.
    pub(crate) fn reserve(words: usize, huge_words: usize) -> Result<Self> {
        let slack = if huge_words > 0 { HUGE_PAGE_BYTES } else { 0 };
        let bytes = words.checked_mul(8).and_then(|bytes| bytes.checked_add(slack));
        let bytes = bytes.ok_or_else(|| Error::NoMemory {
            bytes: u64::MAX,
            reason: "the address space of this machine is smaller".into(),
        })?;
        let map = memmap2::MmapOptions::new()
            .len(bytes)
            .no_reserve_swap()
            .map_anon()
            .map_err(|e| Error::NoMemory { bytes: bytes as u64, reason: e.to_string() })?;
        let skipped = map.as_ptr().align_offset(HUGE_PAGE_BYTES).min(slack);
        let memory = AnonymousMemory { map: memmap2::MmapRaw::from(map), skipped };
        // Where nobody asked, a system that gives huge pages to all would commit more than was written.
        memory.prefer_huge(0, words, false);
        memory.prefer_huge(0, huge_words, true);
        Ok(memory)
    }
}

#[cfg(not(loom))]
impl Storage for AnonymousMemory {
    fn base(&self) -> *const AtomicU64 {
        self.map.as_ptr().wrapping_add(self.skipped).cast()
    }

    fn decommit(&self, first: usize, words: usize) {
        #[cfg(target_os = "linux")]
        // SAFETY: the range lies in this mapping. Private anonymous pages read as zero afterwards; every word is an
        // atomic, so that a reader sees the old word or zero, and the reader protocol throws either away (I5).
        let _ = unsafe {
            self.map.unchecked_advise_range(
                memmap2::UncheckedAdvice::DontNeed,
                self.skipped + first * 8,
                words * 8,
            )
        };
        #[cfg(not(target_os = "linux"))]
        let _ = (first, words);
    }

    fn prefer_huge(&self, first: usize, words: usize, huge: bool) {
        #[cfg(target_os = "linux")]
        if words > 0 {
            let advice = if huge { memmap2::Advice::HugePage } else { memmap2::Advice::NoHugePage };
            // A kernel without huge pages refuses; the store works as well, only slower.
            let _ = self.map.advise_range(advice, self.skipped + first * 8, words * 8);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (first, words, huge);
    }
}

/// Words of the model checker, which watches each of them.
#[cfg(loom)]
pub(crate) struct ModelMemory {
    words: Vec<AtomicU64>,
}

#[cfg(loom)]
impl ModelMemory {
    pub(crate) fn reserve(words: usize, _huge_words: usize) -> Result<Self> {
        Ok(ModelMemory { words: (0..words).map(|_| AtomicU64::new(0)).collect() })
    }
}

#[cfg(loom)]
impl fmt::Debug for ModelMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelMemory({} words)", self.words.len())
    }
}

#[cfg(loom)]
impl Storage for ModelMemory {
    fn base(&self) -> *const AtomicU64 {
        self.words.as_ptr()
    }

    fn decommit(&self, _first: usize, _words: usize) {}
}

#[cfg(loom)]
pub(crate) type Memory = ModelMemory;
#[cfg(not(loom))]
pub(crate) type Memory = AnonymousMemory;
