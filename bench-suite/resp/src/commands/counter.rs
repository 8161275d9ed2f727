//! Commands that count.

use nyala::SetOptions;

use super::string::integer;
use super::{Call, Outcome, Refusal};
use crate::number;

/// Longest text that is taken for a number with a fraction.
const MAX_FLOAT_LEN: usize = 255;

pub(super) fn incr(call: &mut Call<'_>) -> Outcome {
    add(call, 1)
}

pub(super) fn decr(call: &mut Call<'_>) -> Outcome {
    add(call, -1)
}

pub(super) fn incrby(call: &mut Call<'_>) -> Outcome {
    let delta = integer(call.args.at(2))?;
    add(call, delta)
}

pub(super) fn decrby(call: &mut Call<'_>) -> Outcome {
    let delta = integer(call.args.at(2))?;
    let delta = delta.checked_neg().ok_or(Refusal::from("ERR decrement would overflow"))?;
    add(call, delta)
}

fn add(call: &mut Call<'_>, delta: i64) -> Outcome {
    let sum = call.store().increment(call.args.at(1), delta, None)?;
    call.replies.integer(sum);
    Ok(())
}

/// Atomic, since the sum is written only if the value is still the one that was added to; else it adds again.
pub(super) fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    let (key, delta) = (call.args.at(1), float(call.args.at(2))?);
    loop {
        let current = call.store().get_versioned(key)?;
        let (value, options) = match &current {
            None => (0.0, SetOptions::new().if_absent()),
            Some((text, version)) => {
                (float(text)?, SetOptions::new().if_version(*version).keep_ttl())
            }
        };
        let sum = value + delta;
        if !sum.is_finite() {
            return Err(Refusal::from("ERR increment would produce NaN or Infinity"));
        }
        // Without an exponent, as Redis writes it, and never minus zero.
        let text = (sum + 0.0).to_string();
        if call.store().set_with(key, &text, options)?.stored {
            call.replies.bulk(text.as_bytes());
            return Ok(());
        }
    }
}

fn float(text: &[u8]) -> Result<f64, Refusal> {
    let short = Some(text).filter(|text| text.len() <= MAX_FLOAT_LEN);
    short.and_then(number::float).ok_or(Refusal::from("ERR value is not a valid float"))
}
