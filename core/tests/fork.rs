//! Use after `fork`: a child that goes on with its parent's store gets `Forked` from every operation, and may open a
//! store of its own. This program has no test harness, so that it has one thread when it forks.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use nyala::{Cursor, Error, ExpireCondition, Options, Pinned, Result, SetOptions, Store, Version};

/// Exit code of a child whose operations all answered as they must; others are the number of the first that did not.
const AS_IT_MUST: u8 = 0;
/// Seconds after which a child that hangs is killed.
const CHILD_SECONDS: u32 = 30;

/// What a parent has in its hands when it forks.
struct Inherited {
    store: Store,
    cursor: Cursor,
    pinned: Pinned,
}

type Operation = (&'static str, fn(&mut Inherited) -> Result<()>);

const FOREVER: ExpireCondition = ExpireCondition::Always;
const SECOND: Duration = Duration::from_secs(1);

/// Every operation that can fail.
const OPERATIONS: &[Operation] = &[
    ("get", |i| i.store.get("key").map(drop)),
    ("get, of no entry", |i| i.store.get("other").map(drop)),
    ("get_into", |i| i.store.get_into("key", &mut Vec::new()).map(drop)),
    ("get_with", |i| i.store.get_with("key", |_, _| ()).map(drop)),
    ("get_versioned", |i| i.store.get_versioned("key").map(drop)),
    ("get_many", |i| i.store.get_many(&["key"], |_, _| ())),
    ("pin", |i| i.store.pin("key").map(drop)),
    ("set", |i| i.store.set("key", "new")),
    ("set_with", |i| i.store.set_with("key", "new", SetOptions::new()).map(drop)),
    ("swap", |i| i.store.swap("key", "new").map(drop)),
    ("take", |i| i.store.take("key").map(drop)),
    ("delete", |i| i.store.delete("key").map(drop)),
    ("delete_if", |i| i.store.delete_if("key", Version::from_u64(1)).map(drop)),
    ("append", |i| i.store.append("key", "tail").map(drop)),
    ("increment", |i| i.store.increment("number", 1, None).map(drop)),
    ("contains", |i| i.store.contains("key").map(drop)),
    ("entry_info", |i| i.store.entry_info("key").map(drop)),
    ("expire", |i| i.store.expire("key", SECOND).map(drop)),
    ("expire_with", |i| i.store.expire_with("key", SECOND, FOREVER).map(drop)),
    ("expire_at", |i| i.store.expire_at("key", SystemTime::now() + SECOND, FOREVER).map(drop)),
    ("persist", |i| i.store.persist("key").map(drop)),
    ("ttl", |i| i.store.ttl("key").map(drop)),
    ("set_many", |i| i.store.set_many(&[("key", "new")])?.into_iter().collect()),
    ("delete_many", |i| i.store.delete_many(&["key"]).map(drop)),
    ("scan", |i| i.store.scan("")?.next().map_or(Ok(()), |item| item.map(drop))),
    ("scan_from", |i| i.store.scan_from("", 0)?.next().map_or(Ok(()), |item| item.map(drop))),
    ("Cursor::next", |i| i.cursor.next().map_or(Ok(()), |item| item.map(drop))),
    ("Cursor::next_batch", |i| i.cursor.next_batch(10).map(drop)),
    ("maintain", |i| i.store.maintain(Duration::ZERO).map(drop)),
    ("clear", |i| i.store.clear()),
];

fn inherited() -> Inherited {
    let store = Store::open(Options::memory(1 << 20)).expect("open");
    store.set("key", "value").expect("set");
    store.set("number", "1").expect("set");
    let cursor = store.scan("").expect("scan");
    let pinned = store.pin("key").expect("pin").expect("it is there");
    Inherited { store, cursor, pinned }
}

/// Runs `body` in a child process and returns its exit code, or 255 if it was killed.
fn in_child(body: impl FnOnce() -> u8) -> u8 {
    // SAFETY: this process has one thread, so that the child may do whatever the parent may.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        // SAFETY: alarm only arms a timer, whose signal ends this process.
        unsafe { libc::alarm(CHILD_SECONDS) };
        let body = std::panic::AssertUnwindSafe(body);
        let code = std::panic::catch_unwind(body).unwrap_or(254);
        // SAFETY: _exit ends the process at once and runs nothing of the parent's.
        unsafe { libc::_exit(code.into()) };
    }
    let mut status = 0;
    // SAFETY: the pointer is to a live integer.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child, "waitpid: {}", std::io::Error::last_os_error());
    if libc::WIFEXITED(status) {
        u8::try_from(libc::WEXITSTATUS(status)).expect("exit codes have 8 bits")
    } else {
        255
    }
}

fn operation_answers_forked(number: usize) -> std::result::Result<(), String> {
    let (name, operation) = OPERATIONS[number];
    let mut inherited = inherited();
    let code = in_child(|| match operation(&mut inherited) {
        Err(Error::Forked) => AS_IT_MUST,
        Err(_) => 1,
        Ok(()) => 2,
    });
    let store = &inherited.store;
    if store.get("key") != Ok(Some(b"value".to_vec())) {
        return Err(format!("{name} in the child changed what the parent has"));
    }
    match code {
        AS_IT_MUST => Ok(()),
        1 => Err(format!("{name} in the child answers another error than Forked")),
        2 => Err(format!("{name} in the child answers Ok")),
        254 => Err(format!("{name} in the child panics")),
        _ => Err(format!("{name} in the child: killed, or hung for {CHILD_SECONDS} seconds")),
    }
}

fn child_opens_its_own() -> std::result::Result<(), String> {
    let inherited = inherited();
    let code = in_child(|| {
        let own = Store::open(Options::memory(1 << 20)).expect("open");
        own.set("key", "own").expect("set");
        assert_eq!(own.get("key"), Ok(Some(b"own".to_vec())));
        AS_IT_MUST
    });
    if code != AS_IT_MUST {
        return Err(format!("a store opened in the child: exit code {code}"));
    }
    inherited.store.set("key", "parent").map_err(|error| format!("set in the parent: {error}"))
}

fn child_may_drop_what_it_inherited() -> std::result::Result<(), String> {
    let inherited = inherited();
    let copy = inherited.store.clone();
    let mut inherited = Some(inherited);
    let code = in_child(|| {
        drop(inherited.take());
        drop(copy);
        AS_IT_MUST
    });
    if code != AS_IT_MUST {
        return Err(format!("dropping handles in the child: exit code {code}"));
    }
    let Inherited { store, pinned, .. } = inherited.ok_or("the parent's handles are gone")?;
    if *pinned != *b"value" {
        return Err("the parent's pin shows other bytes".to_owned());
    }
    store.set("key", "parent").map_err(|error| format!("set in the parent: {error}"))
}

fn text_says_what_to_do() -> std::result::Result<(), String> {
    let text = Error::Forked.to_string();
    if text.contains("fork") && text.contains("open") {
        return Ok(());
    }
    Err(format!("text of Forked: {text}"))
}

fn main() -> ExitCode {
    let mut failures: Vec<String> =
        (0..OPERATIONS.len()).filter_map(|i| operation_answers_forked(i).err()).collect();
    failures.extend(child_opens_its_own().err());
    failures.extend(child_may_drop_what_it_inherited().err());
    failures.extend(text_says_what_to_do().err());
    for failure in &failures {
        eprintln!("{failure}");
    }
    eprintln!("fork: {} checks, {} failures", OPERATIONS.len() + 3, failures.len());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
