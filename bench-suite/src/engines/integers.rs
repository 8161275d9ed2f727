//! Values of the in-process maps: overwritten where they lie, and counters as eight bytes. Nyala, Redis and SQLite keep
//! counters as decimal text, which anybody can read with a get; the maps need not, which favours them.

use crate::fault::{Fault, Result};

/// A counter after its first increment.
pub(crate) const ONE: [u8; 8] = 1_i64.to_le_bytes();

/// Copies in place where the size is equal, so that no allocator call stands between the map and its best.
#[inline]
pub(crate) fn overwrite(held: &mut Box<[u8]>, value: &[u8]) {
    if held.len() == value.len() {
        held.copy_from_slice(value);
    } else {
        *held = value.into();
    }
}

/// The sum after adding one to a counter's bytes.
#[inline]
pub(crate) fn sum_of(held: &[u8]) -> Result<i64> {
    let bytes = <[u8; 8]>::try_from(held)
        .map_err(|_| Fault::new(format!("a counter holds {} bytes, 8 were stored", held.len())))?;
    Ok(i64::from_le_bytes(bytes).wrapping_add(1))
}

#[inline]
pub(crate) fn add_one(held: &mut [u8]) -> Result<i64> {
    let sum = sum_of(held)?;
    held.copy_from_slice(&sum.to_le_bytes());
    Ok(sum)
}
