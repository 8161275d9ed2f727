//! Notices that this process was forked from the one that opened the store.
//!
//! The child has a copy of the memory, but locks that another thread held at that moment stay locked for ever in it.
//! So every operation in a child answers [`Error::Forked`], at the price of one load of a word that never changes.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};

/// How many forks lie between the first process that loaded this library and this one.
static FORKS: AtomicU64 = AtomicU64::new(0);
static REGISTER: Once = Once::new();

/// The process in which a store was opened.
#[derive(Debug)]
pub(crate) struct Birthplace {
    forks: u64,
}

impl Birthplace {
    pub(crate) fn here() -> Self {
        REGISTER.call_once(|| {
            #[cfg(unix)]
            // SAFETY: the handler only adds to an atomic, which is allowed in a child of a threaded process. When this
            // library is unloaded, the C library drops the handler with it.
            unsafe {
                libc::pthread_atfork(None, None, Some(count_fork))
            };
        });
        Birthplace { forks: FORKS.load(Ordering::Relaxed) }
    }

    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        if FORKS.load(Ordering::Relaxed) == self.forks { Ok(()) } else { Err(Error::Forked) }
    }
}

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
