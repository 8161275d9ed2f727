//! What a file costs: sets and gets of a store in a file beside one in memory, in turns.
//!
//! `cargo run --release -p nyala --example file_cost -- [ENTRIES]`

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program that reports on its terminal")]

use std::time::Instant;

use nyala::{Durability, Options, Store};

const ROUNDS: usize = 5;

fn main() -> nyala::Result<()> {
    let entries =
        std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000_u64);
    let path = std::env::temp_dir().join(format!("nyala-file-cost-{}", std::process::id()));
    let memory = Store::open(Options::memory(2 << 30))?;
    let file = Store::open(Options::file(&path).durability(Durability::Process))?;
    for (name, store) in [("memory", &memory), ("file", &file)] {
        let started = Instant::now();
        for number in 0..entries {
            store.set(key(number), [7; 64])?;
        }
        println!("{name:8} load      {:7.0} ns", nanos(started, entries));
    }
    let mut value = Vec::new();
    for _ in 0..ROUNDS {
        for (name, store) in [("memory", &memory), ("file", &file)] {
            let started = Instant::now();
            for step in 0..entries {
                store.get_into(key(scattered(step, entries)), &mut value)?;
            }
            let get = nanos(started, entries);
            let started = Instant::now();
            for step in 0..entries / 4 {
                store.set(key(scattered(step, entries)), [8; 64])?;
            }
            println!(
                "{name:8} get {get:7.0} ns   overwrite {:7.0} ns",
                nanos(started, entries / 4)
            );
        }
    }
    let stats = file.stats();
    let len = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    println!("file of {len} bytes, {} live, {} moved", stats.live_bytes, stats.bytes_moved);
    drop(file);
    let started = Instant::now();
    let file = Store::open(Options::file(&path))?;
    println!("opened {} entries in {:.0} ms", file.len(), started.elapsed().as_secs_f64() * 1e3);
    drop(file);
    let _ = std::fs::remove_file(&path);
    Ok(())
}

fn key(number: u64) -> [u8; 16] {
    let mut key = [b'k'; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

fn scattered(step: u64, entries: u64) -> u64 {
    step.wrapping_mul(0x9E37_79B9_7F4A_7C15) % entries
}

fn nanos(started: Instant, operations: u64) -> f64 {
    started.elapsed().as_secs_f64() * 1e9 / operations as f64
}
