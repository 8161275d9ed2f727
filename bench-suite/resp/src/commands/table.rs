//! The commands: what they are called, what they take, and what runs them.

use super::{
    Call, Outcome, connection, counter, introspection, keyspace, lifetime, server, string,
};

/// Whether requests of a pipeline that follow one another may be answered together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    Never,
    /// Reads of one key each.
    Gets,
    /// Writes of one pair each, without options.
    Sets,
}

/// One command.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// Arguments, the name included; the least number, negated, where there may be more.
    pub(crate) arity: i64,
    /// As COMMAND tells them, between spaces.
    pub(crate) flags: &'static str,
    /// The first key's place, the last's (from the end, if negative) and the step between them; 0 without keys.
    pub(crate) keys: (i64, i64, i64),
    pub(crate) group: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) run: fn(&mut Call<'_>) -> Outcome,
    pub(crate) batch: Batch,
}

impl Spec {
    #[inline]
    pub(crate) fn is_called(&self, name: &[u8]) -> bool {
        self.name.as_bytes().eq_ignore_ascii_case(name)
    }

    pub(crate) fn admits(&self, args: usize) -> bool {
        let args = i64::try_from(args).unwrap_or(i64::MAX);
        if self.arity < 0 { args >= -self.arity } else { args == self.arity }
    }
}

const WIDTH: usize = 16;

/// The command of this name, in any case.
#[inline]
pub(crate) fn lookup(name: &[u8]) -> Option<&'static Spec> {
    let mut padded = [0; WIDTH];
    padded.get_mut(..name.len())?.copy_from_slice(name);
    padded.make_ascii_lowercase();
    let index = NAMES.binary_search(&u128::from_be_bytes(padded)).ok()?;
    // A name that ends in zeros looks like the one without them.
    Some(&TABLE[index]).filter(|spec| spec.name.len() == name.len())
}

/// The names as numbers whose order is that of the letters.
const NAMES: [u128; TABLE.len()] = {
    let mut names = [0; TABLE.len()];
    let mut index = 0;
    while index < names.len() {
        let name = TABLE[index].name.as_bytes();
        let mut at = 0;
        while at < WIDTH {
            names[index] = names[index] << 8 | if at < name.len() { name[at] as u128 } else { 0 };
            at += 1;
        }
        index += 1;
    }
    names
};

type Run = fn(&mut Call<'_>) -> Outcome;

const fn spec(
    name: &'static str,
    arity: i64,
    flags: &'static str,
    keys: (i64, i64, i64),
    group: &'static str,
    summary: &'static str,
    run: Run,
) -> Spec {
    Spec { name, arity, flags, keys, group, summary, run, batch: Batch::Never }
}

const NONE: (i64, i64, i64) = (0, 0, 0);
const ONE: (i64, i64, i64) = (1, 1, 1);
const ALL: (i64, i64, i64) = (1, -1, 1);
const PAIRS: (i64, i64, i64) = (1, -1, 2);

const READ: &str = "readonly fast";
const WRITE: &str = "write fast";
const GROWS: &str = "write denyoom fast";
const PLAIN: &str = "loading stale fast";

/// In the order of their names, which `lookup` relies on.
#[rustfmt::skip]
pub(crate) static TABLE: [Spec; 47] = [
    spec("append", 3, GROWS, ONE, "string", "Puts bytes behind a value", string::append),
    spec("auth", -2, PLAIN, NONE, "connection", "Refuses: there are no passwords", connection::auth),
    spec("client", -2, PLAIN, NONE, "connection", "Names and lists connections", connection::client),
    spec("command", -1, PLAIN, NONE, "server", "Describes the commands", introspection::command),
    spec("config", -2, PLAIN, NONE, "server", "Answers settings", server::config),
    spec("dbsize", 1, READ, NONE, "server", "Counts the keys", keyspace::dbsize),
    spec("decr", 2, GROWS, ONE, "string", "Subtracts one from a number", counter::decr),
    spec("decrby", 3, GROWS, ONE, "string", "Subtracts from a number", counter::decrby),
    spec("del", -2, WRITE, ALL, "generic", "Removes keys", keyspace::del),
    spec("echo", 2, PLAIN, NONE, "connection", "Answers its argument", connection::echo),
    spec("exists", -2, READ, ALL, "generic", "Counts which of the keys are there", keyspace::exists),
    spec("expire", -3, WRITE, ONE, "generic", "Sets a lifetime in seconds", lifetime::expire),
    spec("expireat", -3, WRITE, ONE, "generic", "Sets an end in seconds since 1970", lifetime::expireat),
    spec("expiretime", 2, READ, ONE, "generic", "Answers the end in seconds since 1970", lifetime::expiretime),
    spec("flushall", -1, WRITE, NONE, "server", "Removes all keys", keyspace::flush),
    spec("flushdb", -1, WRITE, NONE, "server", "Removes all keys", keyspace::flush),
    Spec { batch: Batch::Gets, ..spec("get", 2, READ, ONE, "string", "Answers a value", string::get) },
    spec("getdel", 2, WRITE, ONE, "string", "Answers a value and removes it", string::getdel),
    spec("getex", -2, WRITE, ONE, "string", "Answers a value and changes its lifetime", string::getex),
    spec("getset", 3, GROWS, ONE, "string", "Writes a value and answers the one before", string::getset),
    spec("hello", -1, PLAIN, NONE, "connection", "Chooses the version of the protocol", connection::hello),
    spec("incr", 2, GROWS, ONE, "string", "Adds one to a number", counter::incr),
    spec("incrby", 3, GROWS, ONE, "string", "Adds to a number", counter::incrby),
    spec("incrbyfloat", 3, GROWS, ONE, "string", "Adds to a number with a fraction", counter::incrbyfloat),
    spec("info", -1, PLAIN, NONE, "server", "Answers numbers about the server", server::info),
    spec("keys", 2, "readonly", NONE, "generic", "Lists the keys that match a pattern", keyspace::keys),
    spec("mget", -2, READ, ALL, "string", "Answers several values", string::mget),
    spec("mset", -3, "write denyoom", PAIRS, "string", "Writes several values, one by one", string::mset),
    spec("persist", 2, WRITE, ONE, "generic", "Takes a lifetime away", lifetime::persist),
    spec("pexpire", -3, WRITE, ONE, "generic", "Sets a lifetime in milliseconds", lifetime::pexpire),
    spec("pexpireat", -3, WRITE, ONE, "generic", "Sets an end in milliseconds since 1970", lifetime::pexpireat),
    spec("pexpiretime", 2, READ, ONE, "generic", "Answers the end in milliseconds since 1970", lifetime::pexpiretime),
    spec("ping", -1, PLAIN, NONE, "connection", "Answers PONG or its argument", connection::ping),
    spec("psetex", 4, GROWS, ONE, "string", "Writes a value with a lifetime in milliseconds", string::psetex),
    spec("pttl", 2, READ, ONE, "generic", "Answers the lifetime in milliseconds", lifetime::pttl),
    spec("quit", -1, PLAIN, NONE, "connection", "Ends the connection", connection::quit),
    spec("reset", 1, PLAIN, NONE, "connection", "Makes the connection as new", connection::reset),
    spec("scan", -2, "readonly", NONE, "generic", "Lists keys step by step", keyspace::scan),
    spec("select", 2, PLAIN, NONE, "connection", "Takes database 0, the only one", connection::select),
    Spec { batch: Batch::Sets, ..spec("set", -3, GROWS, ONE, "string", "Writes a value", string::set) },
    spec("setex", 4, GROWS, ONE, "string", "Writes a value with a lifetime in seconds", string::setex),
    spec("setnx", 3, GROWS, ONE, "string", "Writes a value if there is none", string::setnx),
    spec("strlen", 2, READ, ONE, "string", "Answers the length of a value", string::strlen),
    spec("touch", -2, READ, ALL, "generic", "Counts which of the keys are there", keyspace::exists),
    spec("ttl", 2, READ, ONE, "generic", "Answers the lifetime in seconds", lifetime::ttl),
    spec("type", 2, READ, ONE, "generic", "Answers string or none", keyspace::kind),
    spec("unlink", -2, WRITE, ALL, "generic", "Removes keys", keyspace::del),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(NAMES.is_sorted_by(|a, b| a < b));
        for spec in &TABLE {
            assert!(spec.name.len() <= WIDTH && spec.arity != 0);
            let found = lookup(spec.name.to_uppercase().as_bytes()).expect("it is there");
            assert_eq!(found.name, spec.name);
        }
    }

    #[test]
    fn what_is_no_command() {
        for name in [&b""[..], b"get\0", b"ge", b"gets", b"a name of many letters", b"\xff"] {
            assert!(lookup(name).is_none(), "{name:?}");
        }
    }
}
