//! The one place that asks a store to check its own structure.

use nyala::Store;

use super::Check;

/// Checks every structural invariant of a store that no other thread is using.
pub(crate) fn validate(store: &Store) -> Check {
    store.validate()
}
