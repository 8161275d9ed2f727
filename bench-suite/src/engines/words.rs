//! Anonymous memory on huge pages, seen as atomic words, and the prefetch instruction. One of the suite's few files with `unsafe`.

use std::sync::atomic::AtomicU64;

use memmap2::{Advice, MmapMut};

use crate::fault::{Context, Result};

/// Zeroed words, resident once touched.
#[derive(Debug)]
pub(crate) struct Words {
    map: MmapMut,
}

impl Words {
    pub(crate) fn zeroed(count: usize) -> Result<Words> {
        let bytes = count.max(1) * 8;
        let map = MmapMut::map_anon(bytes).context(|| format!("cannot map {bytes} bytes"))?;
        // Refused where the kernel has no huge pages; the environment line of the record says what it has.
        let _ = map.advise(Advice::HugePage);
        Ok(Words { map })
    }

    #[inline]
    pub(crate) fn get(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, zeroed, as long as `self`, and reached through these atomics alone; every
        // bit pattern is a valid `AtomicU64`.
        let (_, words, _) = unsafe { self.map.align_to::<AtomicU64>() };
        words
    }
}

/// Asks for the cache line of `word`, without waiting for it.
#[inline]
pub(crate) fn prefetch(word: &AtomicU64) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect on memory, and the address comes from a live reference.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(word).cast()) };
    }
    // Stable Rust has no prefetch for other processors: there the batch overlaps only what the core reorders.
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(word);
}
