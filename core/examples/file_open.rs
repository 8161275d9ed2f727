//! What it costs to close a file of many entries and to open it: by its index checkpoint, and by its records as after a crash.
//!
//! `cargo run --release -p nyala --example file_open -- [ENTRIES]`; on one core, as by `taskset -c 0`, the processor time is that
//! of everything.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program that reports on its terminal")]

use std::path::Path;
use std::time::Instant;

use nyala::{Options, Store};

const ROUNDS: usize = 5;
/// Gets after each opening.
const GETS: u64 = 100_000;

fn main() -> nyala::Result<()> {
    let entries =
        std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10_000_000_u64);
    let path = std::env::temp_dir().join(format!("nyala-file-open-{}", std::process::id()));
    let left = path.with_extension("left");
    let store = Store::open(Options::file(&path))?;
    for number in 0..entries {
        store.set(key(number), [7; 64])?;
    }
    let stats = store.stats();
    println!("{entries} entries, {} bytes of records", stats.live_bytes + stats.dead_bytes);
    // What a process that is killed now would leave.
    let copied = std::fs::copy(&path, &left).unwrap_or(0);
    let started = Instant::now();
    drop(store);
    let len = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    println!("closed in {:.0} ms: {len} bytes, {copied} before", millis(started));
    for _ in 0..ROUNDS {
        open("closed, to read", Options::file(&path).read_only(), entries)?;
    }
    for _ in 0..ROUNDS {
        open("closed, to write", Options::file(&path), entries)?;
    }
    for _ in 0..ROUNDS {
        open("killed, to read", Options::file(&left).read_only(), entries)?;
    }
    remove(&path);
    remove(&left);
    Ok(())
}

fn open(how: &str, options: Options, entries: u64) -> nyala::Result<()> {
    let (started, before) = (Instant::now(), processor_millis());
    let store = Store::open(options)?;
    let (opened, worked) = (millis(started), processor_millis() - before);
    let mut value = Vec::new();
    let started = Instant::now();
    let mut slowest = 0.0_f64;
    for step in 0..GETS {
        let before = Instant::now();
        store.get_into(key(step.wrapping_mul(0x9E37_79B9_7F4A_7C15) % entries), &mut value)?;
        slowest = slowest.max(millis(before));
    }
    let got = millis(started) * 1e6 / GETS as f64;
    let started = Instant::now();
    drop(store);
    println!(
        "{how:16} opened in {opened:6.1} ms, {worked:.1} ms of the processor; first {GETS} gets {got:5.0} ns each, {slowest:.2} ms at most; closed in {:.0} ms",
        millis(started)
    );
    Ok(())
}

fn key(number: u64) -> [u8; 16] {
    let mut key = [b'k'; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

fn millis(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

/// What this thread has had of the processor, on Linux.
fn processor_millis() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}
