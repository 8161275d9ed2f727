//! What the black-box tests and the torture program share.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each program uses its part of this module"
)]

mod clock;
mod folder;
mod random;
mod validate;

pub(crate) use clock::{FAKE_EPOCH_MS, FakeClock};
pub(crate) use folder::Folder;
pub(crate) use random::{Random, index, mix};
pub(crate) use validate::validate;

/// Whether a check held; the text says what did not.
pub(crate) type Check = Result<(), String>;

/// Bytes that an entry is charged in the promise that a store below 80 % of `max_bytes` is never full.
pub(crate) const ENTRY_CHARGE: u64 = 32;

/// How long after its end an entry may still count in that promise: a store looks for what has expired in steps.
pub(crate) const EXPIRY_LAG_MS: u64 = 1000;

/// What an entry counts in that promise.
pub(crate) fn charge(key_len: usize, value_len: usize) -> u64 {
    (key_len + value_len) as u64 + ENTRY_CHARGE
}

/// The same for an entry of any length, in a store of such segments. One of more than an eighth of a segment may get
/// pages of its own, or leave up to half of a segment unused.
pub(crate) fn charge_any(segment_bytes: u64, key_len: usize, value_len: usize) -> u64 {
    let charge = charge(key_len, value_len);
    if charge > segment_bytes / 8 { 2 * charge + 8192 } else { charge }
}

/// The sum of charges up to which a store is never full.
pub(crate) fn never_full_below(max_bytes: u64) -> u64 {
    max_bytes / 5 * 4
}

/// The number that a value is, if it is the canonical text of one.
pub(crate) fn canonical_number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Returns an error text unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err(format!($($text)+));
        }
    };
}
pub(crate) use ensure;
