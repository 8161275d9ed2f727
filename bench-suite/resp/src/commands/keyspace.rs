//! Commands on keys, whatever their values.

use super::string::integer;
use super::{Call, Outcome, Refusal, SYNTAX, found, is};
use crate::glob;

/// Entries that a SCAN looks at if it is not told.
const SCAN_COUNT: usize = 10;

pub(super) fn del(call: &mut Call<'_>) -> Outcome {
    let removed = if call.args.len() == 2 {
        found(call.store().delete(call.args.at(1)))?.into()
    } else {
        let keys: Vec<&[u8]> = call.args.from(1).filter(|key| call.shared.can_hold(key)).collect();
        call.store().delete_many(&keys)?.iter().filter(|removed| **removed).count()
    };
    call.replies.count(removed as u64);
    Ok(())
}

pub(super) fn exists(call: &mut Call<'_>) -> Outcome {
    let mut count = 0;
    for key in call.args.from(1) {
        count += u64::from(found(call.store().contains(key))?);
    }
    call.replies.count(count);
    Ok(())
}

pub(super) fn kind(call: &mut Call<'_>) -> Outcome {
    let there = found(call.store().contains(call.args.at(1)))?;
    call.replies.simple(if there { "string" } else { "none" });
    Ok(())
}

pub(super) fn dbsize(call: &mut Call<'_>) -> Outcome {
    call.replies.count(call.store().len());
    Ok(())
}

pub(super) fn flush(call: &mut Call<'_>) -> Outcome {
    match call.args.len() {
        1 => {}
        2 if is(call.args.at(1), "async") || is(call.args.at(1), "sync") => {}
        _ => return Err(SYNTAX),
    }
    call.store().clear()?;
    call.replies.simple("OK");
    Ok(())
}

/// The cursor is a position of the store's scan: the server keeps nothing between two calls.
pub(super) fn scan(call: &mut Call<'_>) -> Outcome {
    let cursor = str::from_utf8(call.args.at(1)).ok().and_then(|text| text.parse::<u64>().ok());
    let position = cursor.ok_or(Refusal::from("ERR invalid cursor"))?;
    let (mut pattern, mut count, mut strings) = (&b"*"[..], SCAN_COUNT, true);
    let mut args = call.args.from(2);
    while let Some(option) = args.next() {
        let value = args.next().ok_or(SYNTAX)?;
        if is(option, "match") {
            pattern = value;
        } else if is(option, "count") {
            let wanted = usize::try_from(integer(value)?).unwrap_or(0);
            count = if wanted == 0 { return Err(SYNTAX) } else { wanted };
        } else if is(option, "type") {
            strings = is(value, "string");
        } else {
            return Err(SYNTAX);
        }
    }
    let mut cursor = call.store().scan_from(glob::literal_prefix(pattern), position)?;
    let entries = cursor.next_batch(count)?.unwrap_or_default();
    let keys: Vec<Vec<u8>> = entries
        .into_iter()
        .map(|(key, _)| key)
        .filter(|key| strings && glob::matches(pattern, key))
        .collect();
    call.replies.array(2);
    call.replies.text(cursor.position().unwrap_or(0));
    call.replies.array(keys.len());
    keys.iter().for_each(|key| call.replies.bulk(key));
    Ok(())
}

pub(super) fn keys(call: &mut Call<'_>) -> Outcome {
    let pattern = call.args.at(1);
    let (mut elements, mut count) = (call.replies.aside(), 0);
    for entry in call.store().scan(glob::literal_prefix(pattern))? {
        let (key, _) = entry?;
        if glob::matches(pattern, &key) {
            elements.bulk(&key);
            count += 1;
        }
        if elements.overflown() {
            break;
        }
    }
    call.replies.array(count);
    call.replies.append(&elements);
    Ok(())
}
