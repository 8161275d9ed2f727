//! The primitives of synchronisation, from `std` or, in a build with `--cfg loom`, from the model checker, so that the
//! models run the production modules.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{Ordering, fence},
};
#[cfg(loom)]
pub(crate) use modelled::{AtomicU32, AtomicU64};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

/// Keeps what different cores write on different cache lines; 128 bytes, because x86 fetches lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> std::ops::Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
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
