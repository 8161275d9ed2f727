//! Commands on values.

use std::time::Duration;

use nyala::{Condition, Error, SetOptions, SetOutcome, TimeToLive};

use super::lifetime::{self, Origin, Unit};
use super::{Args, Call, NOT_AN_INTEGER, Outcome, Refusal, SYNTAX, found, is, wrong_number};
use crate::clock;
use crate::reply::Replies;
use crate::shared::Shared;

pub(super) fn get(call: &mut Call<'_>) -> Outcome {
    get_one(call.shared, call.replies, call.args.at(1))
}

/// Answers one value, copied from the store into the replies at once.
fn get_one(shared: &Shared, replies: &mut Replies, key: &[u8]) -> Outcome {
    let begin = replies.len();
    let value = shared.store.get_with(key, |value, _| {
        // What an earlier look copied, and was disturbed in.
        replies.truncate(begin);
        replies.value(value);
    });
    if found(value)?.is_none() {
        replies.truncate(begin);
        replies.null();
    }
    Ok(())
}

/// Answers the GETs of a pipeline together: their cache misses overlap. The store must be able to hold the keys.
pub(crate) fn get_batch(shared: &Shared, replies: &mut Replies, keys: &[&[u8]]) {
    clock::begin_command();
    let mut answered = 0;
    let outcome = shared.store.get_many(keys, |_, value| {
        replies.bulk_or_null(value);
        answered += 1;
    });
    if let Err(error) = outcome {
        let refusal = Refusal::from(error);
        (answered..keys.len()).for_each(|_| replies.error(refusal.text()));
    }
}

/// Answers the plain SETs of a pipeline together, in their order.
pub(crate) fn set_batch(shared: &Shared, replies: &mut Replies, pairs: &[(&[u8], &[u8])]) {
    clock::begin_command();
    match shared.store.set_many(pairs) {
        Ok(outcomes) => {
            for outcome in outcomes {
                match outcome {
                    Ok(()) => replies.simple("OK"),
                    Err(error) => replies.error(Refusal::from(error).text()),
                }
            }
        }
        Err(error) => {
            let refusal = Refusal::from(error);
            pairs.iter().for_each(|_| replies.error(refusal.text()));
        }
    }
}

/// What becomes of the lifetime when a value is written.
enum Lifetime {
    Forever,
    Kept,
    /// Ends at this time, in milliseconds since 1970.
    Until(i64),
}

/// Writes a value as SET does; a time that has passed leaves nothing behind.
fn store_with(
    call: &Call<'_>,
    key: &[u8],
    value: &[u8],
    options: SetOptions<'_>,
    lifetime: &Lifetime,
) -> nyala::Result<SetOutcome> {
    match lifetime {
        Lifetime::Forever => call.store().set_with(key, value, options),
        Lifetime::Kept => call.store().set_with(key, value, options.keep_ttl()),
        Lifetime::Until(end_ms) => {
            // The clock stands still, so that the lifetime ends exactly then.
            let left_ms = u64::try_from(end_ms.saturating_sub(call.shared.now_ms())).unwrap_or(0);
            let ttl = Duration::from_millis(left_ms.max(1));
            let outcome = call.store().set_with(key, value, options.ttl(ttl))?;
            if let (true, 0, Some(version)) = (outcome.stored, left_ms, outcome.version) {
                call.store().delete_if(key, version)?;
            }
            Ok(outcome)
        }
    }
}

pub(super) fn set(call: &mut Call<'_>) -> Outcome {
    let (key, value) = (call.args.at(1), call.args.at(2));
    if call.args.len() == 3 {
        call.store().set(key, value)?;
        call.replies.simple("OK");
        return Ok(());
    }
    let wanted = SetWanted::parse(call)?;
    let mut options = SetOptions::new().condition(wanted.condition);
    if wanted.previous {
        options = options.return_previous();
    }
    let outcome = store_with(call, key, value, options, &wanted.lifetime)?;
    match (wanted.previous, outcome.stored) {
        (true, _) => call.replies.bulk_or_null(outcome.previous.as_deref()),
        (false, true) => call.replies.simple("OK"),
        (false, false) => call.replies.null(),
    }
    Ok(())
}

/// The options of SET.
struct SetWanted {
    condition: Condition<'static>,
    lifetime: Lifetime,
    previous: bool,
}

impl SetWanted {
    fn parse(call: &Call<'_>) -> Result<SetWanted, Refusal> {
        let mut wanted = SetWanted {
            condition: Condition::Always,
            lifetime: Lifetime::Forever,
            previous: false,
        };
        let mut args = call.args.from(3);
        while let Some(arg) = args.next() {
            let unconditional = wanted.condition == Condition::Always;
            let unlimited = matches!(wanted.lifetime, Lifetime::Forever);
            if is(arg, "nx") && unconditional {
                wanted.condition = Condition::IfAbsent;
            } else if is(arg, "xx") && unconditional {
                wanted.condition = Condition::IfPresent;
            } else if is(arg, "get") {
                wanted.previous = true;
            } else if is(arg, "keepttl") && unlimited {
                wanted.lifetime = Lifetime::Kept;
            } else if let (Some((unit, origin)), true) = (lifetime::option(arg), unlimited) {
                let text = args.next().ok_or(SYNTAX)?;
                let end_ms = lifetime::end_of_new(call, text, unit, origin, "set")?;
                wanted.lifetime = Lifetime::Until(end_ms);
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(wanted)
    }
}

pub(super) fn setex(call: &mut Call<'_>) -> Outcome {
    set_for(call, Unit::Seconds, "setex")
}

pub(super) fn psetex(call: &mut Call<'_>) -> Outcome {
    set_for(call, Unit::Milliseconds, "psetex")
}

fn set_for(call: &mut Call<'_>, unit: Unit, command: &str) -> Outcome {
    let (key, text, value) = (call.args.at(1), call.args.at(2), call.args.at(3));
    let end_ms = lifetime::end_of_new(call, text, unit, Origin::Now, command)?;
    store_with(call, key, value, SetOptions::new(), &Lifetime::Until(end_ms))?;
    call.replies.simple("OK");
    Ok(())
}

pub(super) fn setnx(call: &mut Call<'_>) -> Outcome {
    let options = SetOptions::new().if_absent();
    let outcome = call.store().set_with(call.args.at(1), call.args.at(2), options)?;
    call.replies.flag(outcome.stored);
    Ok(())
}

pub(super) fn getset(call: &mut Call<'_>) -> Outcome {
    let previous = call.store().swap(call.args.at(1), call.args.at(2))?;
    call.replies.bulk_or_null(previous.as_deref());
    Ok(())
}

pub(super) fn getdel(call: &mut Call<'_>) -> Outcome {
    let value = found(call.store().take(call.args.at(1)))?;
    call.replies.bulk_or_null(value.as_deref());
    Ok(())
}

pub(super) fn getex(call: &mut Call<'_>) -> Outcome {
    let lifetime = match (call.args.len(), call.args.from(2).next()) {
        (2, _) => return get(call),
        (3, Some(option)) if is(option, "persist") => Lifetime::Forever,
        (4, Some(option)) => {
            let (unit, origin) = lifetime::option(option).ok_or(SYNTAX)?;
            let text = call.args.at(3);
            Lifetime::Until(lifetime::end_of_new(call, text, unit, origin, "getex")?)
        }
        _ => return Err(SYNTAX),
    };
    let key = call.args.at(1);
    // The store has no read that changes a lifetime: the value is written again if it is still the same, else read again.
    loop {
        let Some((value, version)) = found(call.store().get_versioned(key))? else {
            call.replies.null();
            return Ok(());
        };
        let forever = matches!(lifetime, Lifetime::Forever);
        if forever && call.store().ttl(key)? == Some(TimeToLive::Forever) {
            call.replies.bulk(&value);
            return Ok(());
        }
        let options = SetOptions::new().if_version(version);
        if store_with(call, key, &value, options, &lifetime)?.stored {
            call.replies.bulk(&value);
            return Ok(());
        }
    }
}

pub(super) fn mget(call: &mut Call<'_>) -> Outcome {
    let keys: Vec<&[u8]> = call.args.from(1).collect();
    call.replies.array(keys.len());
    if keys.iter().all(|key| call.shared.can_hold(key)) {
        let replies = &mut *call.replies;
        call.shared.store.get_many(&keys, |_, value| replies.bulk_or_null(value))?;
    } else {
        for key in keys {
            get_one(call.shared, call.replies, key)?;
        }
    }
    Ok(())
}

pub(super) fn mset(call: &mut Call<'_>) -> Outcome {
    if call.args.len().is_multiple_of(2) {
        return Err(wrong_number("mset"));
    }
    let pairs = pairs(call.args);
    // What cannot be written in any case is refused before anything is.
    for (key, value) in &pairs {
        admit(call.shared, key, value)?;
    }
    for outcome in call.store().set_many(&pairs)? {
        outcome?;
    }
    call.replies.simple("OK");
    Ok(())
}

fn pairs<'a>(args: Args<'a>) -> Vec<(&'a [u8], &'a [u8])> {
    (1..args.len() - 1).step_by(2).map(|key| (args.at(key), args.at(key + 1))).collect()
}

fn admit(shared: &Shared, key: &[u8], value: &[u8]) -> nyala::Result<()> {
    let (len, max) = (value.len(), shared.store.max_value_len());
    if len > max {
        return Err(Error::ValueTooLarge { len, max });
    }
    if shared.can_hold(key) {
        return Ok(());
    }
    // The store says best what it cannot hold.
    shared.store.contains(key).map(drop)
}

pub(super) fn append(call: &mut Call<'_>) -> Outcome {
    let len = call.store().append(call.args.at(1), call.args.at(2))?;
    call.replies.count(len as u64);
    Ok(())
}

pub(super) fn strlen(call: &mut Call<'_>) -> Outcome {
    let info = found(call.store().entry_info(call.args.at(1)))?;
    call.replies.count(info.map_or(0, |info| info.value_len as u64));
    Ok(())
}

/// An integer argument.
pub(super) fn integer(text: &[u8]) -> Result<i64, Refusal> {
    crate::number::integer(text).ok_or(NOT_AN_INTEGER)
}
