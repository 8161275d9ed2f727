//! Commands on lifetimes. Times are milliseconds since 1970 inside.

use std::time::{Duration, UNIX_EPOCH};

use nyala::{ExpireCondition, TimeToLive};

use super::string::integer;
use super::{Call, Outcome, Refusal, found, is, quoted};

#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

/// What a time is counted from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    Now,
    Epoch,
}

/// What an option of SET or GETEX says about the number behind it.
pub(super) fn option(arg: &[u8]) -> Option<(Unit, Origin)> {
    let options = [
        ("ex", Unit::Seconds, Origin::Now),
        ("px", Unit::Milliseconds, Origin::Now),
        ("exat", Unit::Seconds, Origin::Epoch),
        ("pxat", Unit::Milliseconds, Origin::Epoch),
    ];
    options.iter().find(|(name, ..)| is(arg, name)).map(|(_, unit, origin)| (*unit, *origin))
}

/// When the lifetime of a new value ends; it must be a positive time.
pub(super) fn end_of_new(
    call: &Call<'_>,
    text: &[u8],
    unit: Unit,
    origin: Origin,
    command: &str,
) -> Result<i64, Refusal> {
    let time = integer(text)?;
    if time <= 0 {
        return Err(invalid(command));
    }
    end(call, time, unit, origin).ok_or_else(|| invalid(command))
}

fn end(call: &Call<'_>, time: i64, unit: Unit, origin: Origin) -> Option<i64> {
    let time_ms = match unit {
        Unit::Seconds => time.checked_mul(1000)?,
        Unit::Milliseconds => time,
    };
    match origin {
        Origin::Now => time_ms.checked_add(call.shared.now_ms()),
        Origin::Epoch => Some(time_ms),
    }
}

fn invalid(command: &str) -> Refusal {
    Refusal::from(format!("ERR invalid expire time in '{command}' command"))
}

pub(super) fn expire(call: &mut Call<'_>) -> Outcome {
    change(call, Unit::Seconds, Origin::Now, "expire")
}

pub(super) fn pexpire(call: &mut Call<'_>) -> Outcome {
    change(call, Unit::Milliseconds, Origin::Now, "pexpire")
}

pub(super) fn expireat(call: &mut Call<'_>) -> Outcome {
    change(call, Unit::Seconds, Origin::Epoch, "expireat")
}

pub(super) fn pexpireat(call: &mut Call<'_>) -> Outcome {
    change(call, Unit::Milliseconds, Origin::Epoch, "pexpireat")
}

fn change(call: &mut Call<'_>, unit: Unit, origin: Origin, command: &str) -> Outcome {
    let wanted = Wanted::parse(call)?;
    let (key, time) = (call.args.at(1), integer(call.args.at(2))?);
    let end_ms = end(call, time, unit, origin).ok_or_else(|| invalid(command))?;
    // A time before 1970 has passed as the epoch has.
    let after_epoch = Duration::from_millis(u64::try_from(end_ms).unwrap_or(0));
    let at = UNIX_EPOCH.checked_add(after_epoch).ok_or_else(|| invalid(command))?;
    // The store has no condition that is both: between the two looks another thread's PERSIST may come.
    let excluded = wanted.limited_and_sooner
        && !matches!(found(call.store().ttl(key))?, Some(TimeToLive::Remaining(_)));
    let changed = !excluded && found(call.store().expire_at(key, at, wanted.condition))?;
    call.replies.flag(changed);
    Ok(())
}

/// The options of EXPIRE and its kin.
struct Wanted {
    condition: ExpireCondition,
    /// XX and LT together.
    limited_and_sooner: bool,
}

impl Wanted {
    fn parse(call: &Call<'_>) -> Result<Wanted, Refusal> {
        let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
        for arg in call.args.from(3) {
            let flags = [("nx", &mut nx), ("xx", &mut xx), ("gt", &mut gt), ("lt", &mut lt)];
            match flags.into_iter().find(|(name, _)| is(arg, name)) {
                Some((_, flag)) => *flag = true,
                None => {
                    return Err(Refusal::from(format!("ERR Unsupported option {}", quoted(arg))));
                }
            }
        }
        if nx && (xx || gt || lt) {
            let text = "ERR NX and XX, GT or LT options at the same time are not compatible";
            return Err(Refusal::from(text));
        }
        if gt && lt {
            let text = "ERR GT and LT options at the same time are not compatible";
            return Err(Refusal::from(text));
        }
        let condition = match (nx, xx, gt, lt) {
            (true, ..) => ExpireCondition::IfNone,
            // What has no lifetime has the latest: GT never changes it, with or without XX.
            (_, _, true, _) => ExpireCondition::IfLater,
            (_, _, _, true) => ExpireCondition::IfSooner,
            (_, true, ..) => ExpireCondition::IfAny,
            _ => ExpireCondition::Always,
        };
        Ok(Wanted { condition, limited_and_sooner: xx && lt })
    }
}

pub(super) fn persist(call: &mut Call<'_>) -> Outcome {
    let changed = found(call.store().persist(call.args.at(1)))?;
    call.replies.flag(changed);
    Ok(())
}

pub(super) fn ttl(call: &mut Call<'_>) -> Outcome {
    tell(call, |left_ms, _| to_seconds(left_ms))
}

pub(super) fn pttl(call: &mut Call<'_>) -> Outcome {
    tell(call, |left_ms, _| left_ms)
}

pub(super) fn expiretime(call: &mut Call<'_>) -> Outcome {
    tell(call, |left_ms, now_ms| to_seconds(now_ms.saturating_add(left_ms)))
}

pub(super) fn pexpiretime(call: &mut Call<'_>) -> Outcome {
    tell(call, |left_ms, now_ms| now_ms.saturating_add(left_ms))
}

/// Answers -2 without a key and -1 without a lifetime, as Redis does.
fn tell(call: &mut Call<'_>, answer: impl FnOnce(i64, i64) -> i64) -> Outcome {
    let number = match found(call.store().ttl(call.args.at(1)))? {
        None => -2,
        Some(TimeToLive::Forever) => -1,
        Some(TimeToLive::Remaining(left)) => {
            let left_ms = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
            answer(left_ms, call.shared.now_ms())
        }
    };
    call.replies.integer(number);
    Ok(())
}

/// To the nearest second.
fn to_seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}
