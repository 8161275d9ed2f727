//! COMMAND: what the server's commands are.

use super::table::{Spec, TABLE, lookup};
use super::{Call, Outcome, is, unknown_subcommand};
use crate::reply::Replies;

pub(super) fn command(call: &mut Call<'_>) -> Outcome {
    let count = call.args.len();
    if count == 1 {
        call.replies.array(TABLE.len());
        TABLE.iter().for_each(|spec| describe(spec, call.replies));
        return Ok(());
    }
    let subcommand = call.args.at(1);
    if is(subcommand, "count") && count == 2 {
        call.replies.count(TABLE.len() as u64);
    } else if is(subcommand, "list") && count == 2 {
        call.replies.array(TABLE.len());
        TABLE.iter().for_each(|spec| call.replies.bulk(spec.name.as_bytes()));
    } else if is(subcommand, "info") && count == 2 {
        call.replies.array(TABLE.len());
        TABLE.iter().for_each(|spec| describe(spec, call.replies));
    } else if is(subcommand, "info") {
        call.replies.array(count - 2);
        for name in call.args.from(2) {
            match lookup(name) {
                Some(spec) => describe(spec, call.replies),
                None => call.replies.null(),
            }
        }
    } else if is(subcommand, "docs") {
        let named = call.args.from(2).filter_map(lookup);
        let specs: Vec<&Spec> = if count == 2 { TABLE.iter().collect() } else { named.collect() };
        call.replies.map(specs.len());
        specs.iter().for_each(|spec| document(spec, call.replies));
    } else {
        return Err(unknown_subcommand(call.args));
    }
    Ok(())
}

/// The ten elements that Redis 7 gives for a command.
fn describe(spec: &Spec, replies: &mut Replies) {
    replies.array(10);
    replies.bulk(spec.name.as_bytes());
    replies.integer(spec.arity);
    let flags = spec.flags.split(' ');
    replies.set(flags.clone().count());
    flags.for_each(|flag| replies.simple(flag));
    let (first, last, step) = spec.keys;
    [first, last, step].iter().for_each(|place| replies.integer(*place));
    // Access categories, hints, places of keys once more, subcommands.
    replies.set(0);
    (0..3).for_each(|_| replies.array(0));
}

fn document(spec: &Spec, replies: &mut Replies) {
    replies.bulk(spec.name.as_bytes());
    replies.map(2);
    for (key, value) in [("summary", spec.summary), ("group", spec.group)] {
        replies.bulk(key.as_bytes());
        replies.bulk(value.as_bytes());
    }
}
