//! The program as a user runs it: every command, its errors and exit codes.
#![forbid(unsafe_code)]

mod common;

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::Folder;
use nyala::{Options, SetOptions, Store};
use serde_json::Value;

#[test]
fn entries_are_set_read_and_deleted() {
    let folder = Folder::new("entries");
    assert_eq!(folder.run("set s greeting hello").told(), (0, "", ""));
    assert_eq!(folder.run("get s greeting").told(), (0, "hello", ""));
    assert_eq!(folder.run("get s missing").told(), (1, "", "nyala: no entry \"missing\"\n"));
    assert_eq!(folder.run("set s -1 -2").told(), (0, "", ""));
    assert_eq!(folder.run("get s -1").told(), (0, "-2", ""));
    assert_eq!(folder.run("set --durability sync s other 1").told(), (0, "", ""));
    let both = folder.run("delete s greeting missing other");
    assert_eq!(both.told(), (1, "", "nyala: no entry \"missing\"; 2 entries deleted\n"));
    assert_eq!(folder.run("delete s -1").told(), (0, "", ""));
    assert_eq!(folder.run("scan s").told(), (0, "", ""));
}

#[test]
fn values_come_from_standard_input_as_they_are() {
    let folder = Folder::new("stdin");
    let value: Vec<u8> = (0..=255).collect();
    assert_eq!(folder.run_with("set s key -", &value).code, 0);
    assert_eq!(folder.run("get s key").stdout, value);
}

#[test]
fn conditions_and_lifetimes() {
    let folder = Folder::new("conditions");
    assert_eq!(folder.run("set s lock me --if-absent --ttl 1000").code, 0);
    let taken = folder.run("set s lock you --if-absent");
    assert_eq!(taken.told(), (1, "", "nyala: \"lock\" has a value already\n"));
    let entry = folder.run("get s lock --json").json();
    assert_eq!((&entry["key"], &entry["value"]), (&"lock".into(), &"me".into()));
    assert!(entry["expires_at_ms"].as_u64().is_some());
    assert_eq!(folder.run("set s brief 1 --ttl 0.001").code, 0);
    assert_eq!(folder.run("get s brief").code, 1);
}

#[test]
fn bad_arguments_are_told_in_json_too() {
    let folder = Folder::new("usage");
    for (arguments, told) in [
        ("bogus", "unrecognized subcommand 'bogus'"),
        ("get s", "required arguments were not provided"),
        ("set s k v --ttl -1", "invalid value '-1' for '--ttl <SECONDS>': outside 0.001 to"),
        (
            "scan s --limit -1",
            "invalid value '-1' for '--limit <N>': not a whole number from 0 to 18446744073709551615",
        ),
        ("stats s --max-bytes 4MB", "unknown unit \"mb\""),
    ] {
        let plain = folder.run(arguments);
        assert!(plain.code == 2 && plain.error().contains(told), "{}", plain.error());
        let done = folder.run(&format!("{arguments} --json"));
        let error = &done.error_json()["error"];
        assert_eq!((done.code, done.stdout.len(), &error["exit_code"]), (2, 0, &2.into()));
        assert_eq!(error["kind"], "usage");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(told) && !message.contains("Usage:"), "{message}");
    }
    // A key of that name is no option.
    assert!(folder.run("get -- s --json extra").error().starts_with("error: "));
    assert_eq!(folder.run("--help --json").code, 0);
    assert!(folder.run("--version").text().starts_with("nyala "));
}

#[test]
fn bytes_in_hexadecimal_and_base64() {
    let folder = Folder::new("coding");
    assert_eq!(folder.run("set s --hex ff00 C0ffee").code, 0);
    assert_eq!(folder.run("get s ff00 --hex").told(), (0, "c0ffee\n", ""));
    assert_eq!(folder.run("get s --base64 /wA=").told(), (0, "wP/u\n", ""));
    assert_eq!(folder.run("scan s --hex ff").told(), (0, "ff00\tc0ffee\n", ""));
    assert_eq!(folder.run("scan s --keys").told(), (0, "\\xff\\x00\n", ""));
    let json = folder.run("scan s --json").json();
    assert_eq!(json["key"]["base64"], "/wA=");
    let odd = folder.run("get s --hex abc");
    let told = "nyala: key \"abc\" is not hexadecimal: 3 digits, but two make a byte\n";
    assert_eq!(odd.told(), (2, "", told));
    assert_eq!(folder.run("get s --hex --base64 00").code, 2);
}

#[test]
fn scans_have_prefix_and_limit() {
    let folder = Folder::new("scan");
    for key in ["a:1", "a:2", "a:3", "b:1"] {
        assert_eq!(folder.run(&format!("set s {key} value")).code, 0);
    }
    let mut lines = folder.run("scan s a:").lines();
    lines.sort();
    assert_eq!(lines, ["a:1\tvalue", "a:2\tvalue", "a:3\tvalue"]);
    assert_eq!(folder.run("scan s a: --limit 2").lines().len(), 2);
    assert_eq!(folder.run("scan s --limit 0 --keys").lines().len(), 0);
    assert_eq!(folder.run("scan s --keys").lines().len(), 4);
    assert_eq!(folder.run("scan s nothing").told(), (0, "", ""));
}

/// Keys and values of all bytes, with and without lifetimes, in a store that the library made.
fn filled(folder: &Folder, entries: u32) {
    let store = Store::open(Options::file(folder.path("s"))).unwrap();
    for number in 0..entries {
        let key =
            [&number.to_be_bytes()[..], "é\n\"\\".as_bytes(), &[number.to_be_bytes()[3]]].concat();
        let value = vec![number.to_be_bytes()[3]; number as usize % 700];
        let options = match number % 3 {
            0 => SetOptions::new().ttl(Duration::from_millis(1_000_000 + u64::from(number))),
            _ => SetOptions::new(),
        };
        store.set_with(key, value, options).unwrap();
    }
}

#[test]
fn a_dump_is_loaded_as_it_was() {
    let folder = Folder::new("dump");
    filled(&folder, 10_000);
    let dump = folder.run("dump s");
    assert_eq!((dump.code, dump.lines().len()), (0, 10_000));
    for level in ["process", "sync"] {
        let load = folder.run_with(&format!("load {level} --durability {level}"), &dump.stdout);
        assert_eq!(load.told(), (0, "10,000 entries loaded, 0 entries expired\n", ""));
        let (mut before, mut after) = (dump.lines(), folder.run(&format!("dump {level}")).lines());
        before.sort();
        after.sort();
        assert!(before == after);
    }
}

#[test]
fn loads_keep_the_order_of_lines_and_leave_expired_entries_out() {
    let folder = Folder::new("order");
    let input = concat!(
        "{\"key\":\"a\",\"value\":\"1\"}\n",
        "\n",
        "{\"key\":\"a\",\"value\":\"2\",\"expires_at_ms\":99999999999999}\r\n",
        "{\"expires_at_ms\":null,\"value\":{\"base64\":\"Mw==\"},\"key\":\"a\"}\n",
        "{\"key\":\"past\",\"value\":\"1\",\"expires_at_ms\":1}",
    );
    let load = folder.run_with("load s --json", input.as_bytes());
    assert_eq!(load.told(), (0, "{\"expired\":1,\"loaded\":3}\n", ""));
    let dump = folder.run("dump s");
    assert_eq!(dump.told(), (0, "{\"key\":\"a\",\"value\":\"3\",\"expires_at_ms\":null}\n", ""));
}

#[test]
fn a_bad_line_is_named_and_what_stands_before_it_is_loaded() {
    let folder = Folder::new("bad-line");
    let long = format!("{{\"key\":\"a\",\"value\":\"{}\"}}", "x".repeat(9 << 20));
    let large = format!("{{\"key\":\"a\",\"value\":\"{}\"}}", "x".repeat(1_200_000));
    for (bad, told) in [
        ("nonsense", "line 3: not JSON at byte 2: expected ident"),
        ("{\"key\":\"a\"}", "line 3: \"value\" is missing"),
        ("{\"key\":\"\",\"value\":\"\"}", "line 3: invalid argument: key of 0 bytes is empty"),
        (&large, "line 3: value of 1200000 bytes is too large: the limit is 1048576 bytes"),
        (&long, "line 3: longer than 6684922 bytes"),
    ] {
        let input = format!("{{\"key\":\"first\",\"value\":\"1\"}}\n\n{bad}\n");
        let load = folder.run_with("load s --max-bytes 4MiB", input.as_bytes());
        assert_eq!(load.code, 2);
        assert!(load.error().contains(told), "{}", load.error());
        assert!(load.error().contains("1 entry loaded"), "{}", load.error());
        assert_eq!(folder.run("get s first").told(), (0, "1", ""));
        assert_eq!(folder.run("delete s first").code, 0);
    }
}

#[test]
fn files_are_counted_checked_and_copied() {
    let folder = Folder::new("files");
    filled(&folder, 3_000);
    let stats = folder.run("stats s --json").json();
    assert_eq!(
        (&stats["entries"], &stats["max_value_bytes"]),
        (&3_000.into(), &1_073_741_823.into())
    );
    assert!(folder.run("stats s").lines()[0].ends_with(" 3,000"));
    assert_eq!(folder.run("verify s --json").json()["entries"], 3_000);
    assert!(folder.run("verify s").lines()[0].starts_with("sound: 3,000 entries, "));
    assert_eq!(folder.run("backup s copy --json").json()["entries"], 3_000);
    assert_eq!(folder.run("dump copy").lines().len(), 3_000);
    let again = folder.run("backup s copy");
    assert_eq!(again.code, 6);
    assert_eq!(again.error(), "nyala: cannot create copy: File exists (os error 17)\n");
}

#[test]
fn a_damaged_file_is_named_and_salvaged() {
    let folder = Folder::new("damaged");
    filled(&folder, 1_000);
    let mut bytes = fs::read(folder.path("s")).unwrap();
    let value = bytes.windows(200).position(|window| window == [7; 200]).unwrap();
    bytes[value + 100] ^= 1;
    fs::write(folder.path("s"), &bytes).unwrap();
    for command in ["verify s", "scan s", "dump s"] {
        let damaged = folder.run(command);
        assert_eq!(damaged.code, 3, "{command}");
        assert!(
            damaged.error().starts_with("nyala: file s is corrupt at byte "),
            "{}",
            damaged.error()
        );
    }
    let error = folder.run("verify s --json").error_json();
    assert_eq!(
        (&error["error"]["kind"], &error["error"]["exit_code"]),
        (&"damaged".into(), &3.into())
    );
    assert_eq!(folder.run("salvage s saved --json").json()["entries"], 999);
    assert_eq!(folder.run("verify saved").code, 0);
    assert!(fs::read(folder.path("s")).unwrap() == bytes, "the damaged file stays as it is");
    // It is opened to be written to, and stays what it is.
    assert_eq!(folder.run("compact s").code, 3);
    assert_eq!(folder.run("verify s").code, 3);
    fs::write(folder.path("other"), "something else").unwrap();
    assert_eq!(folder.run("verify other").code, 3);
}

#[test]
fn a_locked_file_is_left_alone() {
    let folder = Folder::new("locked");
    let store = Store::open(Options::file(folder.path("s"))).unwrap();
    for command in [
        "get s k",
        "set s k v",
        "delete s k",
        "scan s",
        "stats s",
        "verify s",
        "salvage s t",
        "compact s",
        "backup s t",
        "dump s",
        "load s",
    ] {
        let locked = folder.run(command);
        assert_eq!(locked.code, 4, "{command}: {}", locked.error());
        assert!(locked.error().starts_with("nyala: file s is locked: "), "{}", locked.error());
    }
    drop(store);
    let _reader = Store::open(Options::file(folder.path("s")).read_only()).unwrap();
    assert_eq!(folder.run("scan s").code, 0);
    assert_eq!(folder.run("set s k v").code, 4);
}

#[test]
fn a_full_file_refuses() {
    let folder = Folder::new("full");
    let value = "x".repeat(10_000);
    let lines =
        (0..1_000).map(|number| format!("{{\"key\":\"{number}\",\"value\":\"{value}\"}}\n"));
    let load = folder.run_with("load s --max-bytes 4MiB", lines.collect::<String>().as_bytes());
    assert_eq!(load.code, 5, "{}", load.error());
    for part in ["nyala: s: ", " loaded, ", "; line ", "max_bytes = 4194304 bytes"] {
        assert!(load.error().contains(part), "{}", load.error());
    }
    assert_eq!(folder.run("get s 0").stdout.len(), 10_000);
    // There is work left that nothing can do; it ends all the same.
    assert_eq!(folder.run("compact s --max-bytes 4MiB").code, 0);
}

#[test]
fn what_the_system_refuses() {
    let folder = Folder::new("system");
    for command in ["get s k", "delete s k", "scan s", "stats s", "verify s", "compact s", "dump s"]
    {
        let missing = folder.run(command);
        assert_eq!(missing.code, 6, "{command}: {}", missing.error());
        assert!(missing.error().contains("s: No such file"), "{}", missing.error());
        assert!(!folder.path("s").exists());
    }
    assert_eq!(folder.run("set s k v").code, 0);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let refused = folder.command("dump s").stdout(full).output().unwrap();
    assert_eq!(refused.status.code(), Some(6));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.starts_with("nyala: cannot write to standard output: No space left"), "{told}");
}

#[test]
fn wrong_arguments() {
    let folder = Folder::new("usage");
    for (command, told) in [
        ("", "Usage: nyala"),
        ("get s", "<KEY>"),
        ("frobnicate s", "unrecognized subcommand"),
        ("set s k v --ttl 0", "invalid value '0' for '--ttl <SECONDS>': outside 0.001 to"),
        ("set s k v --ttl soon", "invalid value 'soon' for '--ttl <SECONDS>': not a number"),
        ("set s k v --max-bytes 5XB", "unknown unit \"xb\""),
        ("set s k v --max-bytes 1MiB", "max_bytes = 1048576 bytes lies outside 4194304 to"),
        ("set s k v --durability never", "[possible values: process, sync]"),
        ("get s k --durability sync", "unexpected argument '--durability'"),
    ] {
        let wrong = folder.run(command);
        assert_eq!((wrong.code, wrong.stdout.len()), (2, 0), "{command}");
        assert!(wrong.error().contains(told), "{command}: {}", wrong.error());
        assert!(!folder.path("s").exists(), "{command}");
    }
    assert_eq!(folder.run("set s k v").code, 0);
    let long = folder.run(&format!("get s {}", "k".repeat(65_536)));
    let told = "nyala: key of 65536 bytes is too large: the limit is 65535 bytes\n";
    assert_eq!(long.told(), (2, "", told));
    assert_eq!(folder.run("get .. k").code, 2);
    let help = folder.run("--help");
    assert_eq!(help.code, 0);
    assert!(help.text().contains("    4  the file is locked"), "{}", help.text());
    assert_eq!(folder.run("--version").text(), format!("nyala {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn whoever_stops_reading_is_left_in_peace() {
    let folder = Folder::new("closed");
    filled(&folder, 2_000);
    for command in ["dump s", "scan s", "scan s --json", "get s k --help", "verify s"] {
        let mut child =
            folder.command(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let done = child.wait_with_output().unwrap();
        assert_eq!((done.status.code(), done.stderr), (Some(0), vec![]), "{command}");
    }
}

#[test]
fn compact_gives_room_back() {
    let folder = Folder::new("compact");
    {
        let options = Options::file(folder.path("s")).max_bytes(64 << 20);
        let store = Store::open(options).unwrap();
        for key in 0..40_000_u32 {
            store.set(key.to_le_bytes(), [7; 1_000]).unwrap();
        }
        for key in (0..40_000_u32).filter(|key| key % 10 > 0) {
            store.delete(key.to_le_bytes()).unwrap();
        }
    }
    let report = folder.run("compact s --json --max-bytes 64MiB").json();
    let number = |name: &str| report[name].as_u64().unwrap();
    assert!(number("disk_bytes") * 2 < number("disk_bytes_before"), "{report}");
    assert_eq!((number("bytes_left"), &report["interrupted"]), (0, &Value::Bool(false)));
    assert_eq!(folder.run("verify s --json").json()["entries"], 4_000);
    assert!(folder.run("compact s --max-bytes 64MiB").text().starts_with("compacted: "));
}

#[test]
fn an_interrupted_load_keeps_what_it_read() {
    let folder = Folder::new("interrupted");
    let mut child = folder
        .command("load s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A batch, of which the last entry is in the file when all are.
    let lines =
        (1..=4096).map(|line| format!("{{\"key\":\"{line}\",\"value\":\"value {line}.\"}}\n"));
    input.write_all(lines.collect::<String>().as_bytes()).unwrap();
    let written = || {
        let file = fs::read(folder.path("s")).unwrap_or_default();
        file.windows(11).any(|window| window == b"value 4096.")
    };
    let start = Instant::now();
    while !written() {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    // Nothing more comes, nor the end of it.
    interrupt(&child);
    let done = child.wait_with_output().unwrap();
    drop(input);
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!(told, "nyala: interrupted at line 4097; 4,096 entries loaded, 0 entries expired\n");
    assert_eq!(done.status.code(), Some(130));
    assert_eq!(folder.run("get s 4096").told(), (0, "value 4096.", ""));
}

/// Whether the signal comes in time is a matter of luck; what it leaves is not.
#[test]
fn an_interrupted_backup_leaves_nothing_and_an_interrupted_compact_a_sound_file() {
    let folder = Folder::new("signals");
    let store = Store::open(Options::file(folder.path("s"))).unwrap();
    for round in [1, 2_u8] {
        for key in (0..200_000_u32).step_by(round.into()) {
            store.set(key.to_le_bytes(), [round; 100]).unwrap();
        }
    }
    drop(store);
    for command in ["backup s copy", "compact s"] {
        let mut child =
            folder.command(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let copies = command.starts_with("backup");
        let begun = |child: &Child| catches_signals(child) && (!copies || partial(&folder));
        while child.try_wait().unwrap().is_none() && !begun(&child) {
            std::thread::sleep(Duration::from_millis(1));
        }
        interrupt(&child);
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 130)), "{command}: {code:?}");
        assert!(!partial(&folder));
        assert_eq!(folder.path("copy").exists(), copies && code == Some(0));
        let _ = fs::remove_file(folder.path("copy"));
        assert_eq!(folder.run("verify s --json").json()["entries"], 200_000);
    }
}

/// Whether there is a copy in part.
fn partial(folder: &Folder) -> bool {
    let mut entries = fs::read_dir(&folder.0).unwrap();
    entries.any(|entry| entry.unwrap().file_name().to_string_lossy().contains(".partial"))
}

fn catches_signals(child: &Child) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    // SIGINT is 2, and SIGTERM, which comes last, 15.
    caught >> 1 & caught >> 14 & 1 == 1
}

/// As Ctrl-C does. Of a child that was not waited for: its number is nobody else's.
fn interrupt(child: &Child) {
    let mut kill = Command::new("kill");
    kill.args(["-INT", &child.id().to_string()]).stderr(Stdio::null());
    assert!(kill.status().is_ok());
}
