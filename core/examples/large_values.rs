//! What large values cost in a file: sets and gets of a store in a file beside one in memory, in turns, and the median of each.
//!
//! `cargo run --release -p nyala --example large_values`

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program that reports on its terminal")]

use std::time::Instant;

use nyala::{Durability, Options, Store};

const ROUNDS: usize = 15;
const KEYS: usize = 4;
const MIB: usize = 1 << 20;

fn main() -> nyala::Result<()> {
    let path = std::env::temp_dir().join(format!("nyala-large-{}", std::process::id()));
    let memory = Store::open(Options::memory(1 << 30))?;
    let file =
        Store::open(Options::file(&path).max_bytes(1 << 30).durability(Durability::Process))?;
    for len in [MIB, 64 * MIB] {
        let bytes = vec![7; len];
        let mut value = Vec::new();
        let (mut sets, mut gets) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
        for round in 0..ROUNDS {
            for (which, store) in [&memory, &file].into_iter().enumerate() {
                let key = (round % KEYS).to_le_bytes();
                sets[which].push(millis(|| store.set(key, &bytes))?);
                gets[which].push(millis(|| store.get_into(key, &mut value).map(drop))?);
            }
        }
        for (which, name) in ["memory", "file"].into_iter().enumerate() {
            println!(
                "{:3} MiB  {name:8} set {:8.3} ms   get {:8.3} ms",
                len / MIB,
                median(&mut sets[which]),
                median(&mut gets[which])
            );
        }
        memory.clear()?;
        file.clear()?;
    }
    drop(file);
    let _ = std::fs::remove_file(&path);
    Ok(())
}

fn millis(work: impl FnOnce() -> nyala::Result<()>) -> nyala::Result<f64> {
    let started = Instant::now();
    work()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
