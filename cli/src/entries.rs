//! Single entries: get, set, delete, scan.

use std::io::Read;

use nyala::{SetOptions, Store};
use serde_json::json;

use crate::arguments::{Delete, Get, Scan, Set};
use crate::bytes::Coding;
use crate::entry::{Bytes, Entry};
use crate::failure::{Failure, Result};
use crate::moment::Moment;
use crate::opening;
use crate::output::Output;
use crate::units;

/// Standard input is read no further for one value: more than any store takes.
const VALUE_MAX: u64 = 1 << 30;

pub(crate) fn get(arguments: &Get, output: &mut Output) -> Result<()> {
    let coding = arguments.coding.coding();
    let key = coding.decode("key", &arguments.key)?;
    let moment = Moment::now();
    let options = opening::for_reading(&arguments.file, arguments.cap).clock(moment.clock());
    let store = Store::open(options)?;
    let (Some(value), Some(ttl)) = (store.get(&key)?, store.ttl(&key)?) else {
        return Err(Failure::NotFound(format!("no entry {:?}", arguments.key)));
    };
    if output.json {
        return output.json(&Entry { key, value, expires_at_ms: moment.end_of(ttl) }.line());
    }
    match coding {
        Coding::Text => {
            output.bytes(&value)?;
            if Output::is_terminal() { output.bytes(b"\n") } else { Ok(()) }
        }
        _ => output.line(&coding.encode(&value)),
    }
}

pub(crate) fn set(arguments: &Set, output: &mut Output) -> Result<()> {
    let coding = arguments.coding.coding();
    let key = coding.decode("key", &arguments.key)?;
    // Before the file is locked: what is read may come from a command that has it open.
    let value = match arguments.value.as_str() {
        "-" => from_input()?,
        value => coding.decode("value", value)?,
    };
    let store = Store::open(opening::for_writing(&arguments.file, arguments.writing))?;
    let mut options = SetOptions::new();
    if let Some(ttl) = arguments.ttl {
        options = options.ttl(ttl);
    }
    if arguments.if_absent {
        options = options.if_absent();
    }
    let outcome = store.set_with(&key, &value, options)?;
    if !outcome.stored {
        return Err(Failure::Exists(format!("{:?} has a value already", arguments.key)));
    }
    if output.json { output.json(&json!({ "stored": true })) } else { Ok(()) }
}

fn from_input() -> Result<Vec<u8>> {
    let mut value = Vec::new();
    let read = std::io::stdin().lock().take(VALUE_MAX).read_to_end(&mut value);
    read.map_err(|error| Failure::of_input(&error))?;
    Ok(value)
}

pub(crate) fn delete(arguments: &Delete, output: &mut Output) -> Result<()> {
    let coding = arguments.coding.coding();
    let keys =
        arguments.keys.iter().map(|key| coding.decode("key", key)).collect::<Result<Vec<_>>>()?;
    let store = Store::open(opening::for_changing(&arguments.file, arguments.writing)?)?;
    let outcomes = store.delete_many(&keys)?;
    let deleted = outcomes.iter().filter(|deleted| **deleted).count();
    if output.json {
        output.json(&json!({ "deleted": deleted, "not_found": keys.len() - deleted }))?;
        output.flush()?;
    }
    let missing = arguments.keys.iter().zip(&outcomes).filter(|(_, deleted)| !**deleted);
    let missing: Vec<String> = missing.map(|(key, _)| format!("{key:?}")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let others = units::entries(deleted as u64);
    Err(Failure::NotFound(format!("no entry {}; {others} deleted", missing.join(", "))))
}

pub(crate) fn scan(arguments: &Scan, output: &mut Output) -> Result<()> {
    let coding = arguments.coding.coding();
    let prefix = coding.decode("prefix", &arguments.prefix)?;
    let moment = Moment::now();
    let options = opening::for_reading(&arguments.file, arguments.cap).clock(moment.clock());
    let store = Store::open(options)?;
    let most = usize::try_from(arguments.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    for entry in store.scan(prefix)?.take(most) {
        let (key, value) = entry?;
        match (output.json, arguments.keys) {
            (true, true) => output.json(&json!({ "key": Bytes::from(key.as_slice()) }))?,
            (true, false) => {
                let expires_at_ms = store.ttl(&key)?.and_then(|ttl| moment.end_of(ttl));
                output.json(&Entry { key, value, expires_at_ms }.line())?;
            }
            (false, true) => output.line(&coding.encode(&key))?,
            (false, false) => {
                output.line(&format!("{}\t{}", coding.encode(&key), coding.encode(&value)))?;
            }
        }
    }
    Ok(())
}
