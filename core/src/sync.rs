//! The primitives of synchronisation, from `std` or, in a build with `--cfg loom`, from the model checker, so that the
//! models run the production modules.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{Ordering, fence},
};
#[cfg(loom)]
pub(crate) use modelled::{AtomicU32, AtomicU64};
#[cfg(nyala_tsan)]
pub(crate) use observed::Mutex;
#[cfg(not(any(loom, nyala_tsan)))]
pub(crate) use std::sync::Mutex;
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Condvar, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

/// Locks a mutex; `None` if a panic under the lock has poisoned it.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn lock_patiently<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    if let Ok(guard) = mutex.try_lock() {
        return Some(guard);
    }
    wait_for(mutex)
}

/// Before it goes to sleep, it tries for as long as the longest step under a stripe's lock takes, a page split of some 20
/// microseconds: to sleep and be woken takes longer than that.
#[cfg(not(loom))]
#[cold]
fn wait_for<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    use std::sync::TryLockError;
    const TRIES: usize = 400;
    const PAUSES_BETWEEN: usize = 4;
    for _ in 0..TRIES {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(_)) => return None,
            Err(TryLockError::WouldBlock) => {
                (0..PAUSES_BETWEEN).for_each(|_| std::hint::spin_loop());
            }
        }
    }
    mutex.lock().ok()
}

#[cfg(loom)]
pub(crate) fn lock_patiently<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    mutex.lock().ok()
}

/// Waits to be told that `lasts` no longer holds, and not for longer than `most`.
#[cfg(not(loom))]
pub(crate) fn wait_at_most<'a, T>(
    condvar: &Condvar,
    _mutex: &'a Mutex<T>,
    guard: MutexGuard<'a, T>,
    most: std::time::Duration,
    lasts: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let waited = condvar.wait_timeout_while(guard, most, lasts);
    waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
}

/// The same for loom, which knows no time: it is over once others have had their turn, however many loom gives them.
#[cfg(loom)]
pub(crate) fn wait_at_most<'a, T>(
    _condvar: &Condvar,
    mutex: &'a Mutex<T>,
    guard: MutexGuard<'a, T>,
    _most: std::time::Duration,
    _lasts: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    drop(guard);
    loom::thread::yield_now();
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A sequentially consistent fence.
///
/// By a locked instruction on x86-64, as C compilers do it: `mfence`, which `fence` becomes there, also keeps the
/// processor from starting anything that follows, the cache misses of the next operation included.
#[inline]
pub(crate) fn full_fence() {
    #[cfg(all(target_arch = "x86_64", not(any(loom, nyala_tsan))))]
    // SAFETY: adds zero to a word of the stack that belongs to nobody, or to the innermost call frame, which it leaves as
    // it is. The assembler block counts as reading and writing all memory.
    unsafe {
        std::arch::asm!("lock or dword ptr [rsp], 0", options(nostack));
    }
    #[cfg(not(all(target_arch = "x86_64", not(any(loom, nyala_tsan)))))]
    fence(Ordering::SeqCst);
}

/// A release store to a word that other threads compare and swap.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) fn store_beside_swaps(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Release);
}

/// The same for loom, which does not know that nothing comes between what a swap reads and what it writes: after a store by a
/// thread that has not seen the swap, it would let loads go on reading what was swapped in. As a swap itself the store comes
/// last.
#[cfg(loom)]
pub(crate) fn store_beside_swaps(word: &AtomicU64, value: u64) {
    word.swap(value, Ordering::Release);
}

/// Keeps what different cores write on different cache lines; 128 bytes, because x86 fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> std::ops::Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A mutex that ThreadSanitizer understands.
///
/// std is not built for it: it sees what std inlines here, which is all of a mutex but the wait for one that is taken.
#[cfg(nyala_tsan)]
mod observed {
    use std::sync::{LockResult, MutexGuard, TryLockError, TryLockResult};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
            self.0.try_lock()
        }

        pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
            loop {
                match self.0.try_lock() {
                    Ok(guard) => return Ok(guard),
                    Err(TryLockError::Poisoned(poisoned)) => return Err(poisoned),
                    Err(TryLockError::WouldBlock) => std::thread::yield_now(),
                }
            }
        }
    }
}

/// The model checker's atomics, with a schedule to choose at every access.
///
/// loom tries another schedule where two threads' accesses to one object conflict, but it compares a store with the
/// last access only: a reader's load followed by the writer's own load hides the conflict with the writer's store, and
/// almost every store of this crate comes after a load of the same word. So every access here first touches one object
/// that all accesses share. It is relaxed, and orders nothing.
#[cfg(loom)]
mod modelled {
    use super::Ordering;

    loom::lazy_static! {
        static ref TURN: loom::sync::atomic::AtomicU64 = loom::sync::atomic::AtomicU64::new(0);
    }

    fn take_turn() {
        TURN.fetch_add(0, Ordering::Relaxed);
    }

    macro_rules! modelled {
        ($name:ident, $number:ty) => {
            #[derive(Debug, Default)]
            pub(crate) struct $name(loom::sync::atomic::$name);

            impl $name {
                pub(crate) fn new(value: $number) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                pub(crate) fn load(&self, order: Ordering) -> $number {
                    take_turn();
                    self.0.load(order)
                }

                pub(crate) fn store(&self, value: $number, order: Ordering) {
                    take_turn();
                    self.0.store(value, order);
                }

                #[allow(dead_code, reason = "not every width is counted with")]
                pub(crate) fn fetch_add(&self, value: $number, order: Ordering) -> $number {
                    take_turn();
                    self.0.fetch_add(value, order)
                }

                #[allow(dead_code, reason = "not every width is raised")]
                pub(crate) fn fetch_max(&self, value: $number, order: Ordering) -> $number {
                    take_turn();
                    self.0.fetch_max(value, order)
                }

                #[allow(dead_code, reason = "not every width is swapped")]
                pub(crate) fn swap(&self, value: $number, order: Ordering) -> $number {
                    take_turn();
                    self.0.swap(value, order)
                }

                #[allow(dead_code, reason = "not every width is compared")]
                pub(crate) fn compare_exchange(
                    &self,
                    current: $number,
                    new: $number,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$number, $number> {
                    take_turn();
                    self.0.compare_exchange(current, new, success, failure)
                }

                #[allow(dead_code, reason = "not every width is counted with")]
                pub(crate) fn fetch_sub(&self, value: $number, order: Ordering) -> $number {
                    take_turn();
                    self.0.fetch_sub(value, order)
                }
            }
        };
    }

    modelled!(AtomicU32, u32);
    modelled!(AtomicU64, u64);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_poisoned_mutex_is_not_waited_for() {
        let mutex = Mutex::new(());
        std::thread::scope(|scope| {
            let panics = scope.spawn(|| {
                let _guard = lock_patiently(&mutex).expect("nobody has it");
                panic!("under the lock");
            });
            assert!(panics.join().is_err());
        });
        assert!(lock_patiently(&mutex).is_none());
        assert!(lock_patiently(&mutex).is_none(), "the first look kept it locked");
    }
}
