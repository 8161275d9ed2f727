//! What it costs to write pairs as one: `set_many_atomic` beside `set_many`, in memory and in a file at each level, in turns.
//!
//! `cargo run --release -p nyala --example frame_cost -- [PAIRS]`

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program that reports on its terminal")]

use std::time::{Duration, Instant};

use nyala::{Durability, Options, Store};

const ROUNDS: usize = 5;
const ENTRIES: u64 = 100_000;
/// For how long each form runs in each round.
const TURN: Duration = Duration::from_millis(400);

fn main() -> nyala::Result<()> {
    let pairs = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(32_u64);
    let path = |level: &str| {
        std::env::temp_dir().join(format!("nyala-frame-cost-{}-{level}", std::process::id()))
    };
    let files = [
        ("process", Durability::Process),
        ("interval", Durability::Interval(Duration::from_millis(100))),
        ("sync", Durability::Sync),
    ];
    let mut stores = vec![("memory", Store::open(Options::memory(256 << 20))?)];
    for (name, level) in files {
        stores.push((name, Store::open(Options::file(path(name)).durability(level))?));
    }
    for (name, store) in &stores {
        let all: Vec<_> = (0..ENTRIES).map(|number| (key(number), [7; 64])).collect();
        store.set_many(&all)?;
        let mut times = [Vec::new(), Vec::new()];
        let mut step = 0;
        for _ in 0..ROUNDS {
            for (atomic, times) in times.iter_mut().enumerate() {
                let (started, mut batches) = (Instant::now(), 0_u32);
                while started.elapsed() < TURN {
                    let batch: Vec<_> =
                        (step..step + pairs).map(|step| (key(scattered(step)), [8; 64])).collect();
                    step += pairs;
                    if atomic == 1 {
                        store.set_many_atomic(&batch)?;
                    } else {
                        store.set_many(&batch)?;
                    }
                    batches += 1;
                }
                times.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(batches));
            }
        }
        let [one_by_one, atomic] = times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2] / pairs as f64
        });
        println!(
            "{name:8} {pairs} pairs of 16 + 64 bytes: set_many {one_by_one:7.0} ns a pair, set_many_atomic {atomic:7.0} ns, {:.2} times",
            atomic / one_by_one
        );
    }
    drop(stores);
    for (name, _) in files {
        let _ = std::fs::remove_file(path(name));
    }
    Ok(())
}

fn key(number: u64) -> [u8; 16] {
    let mut key = [b'k'; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

fn scattered(step: u64) -> u64 {
    step.wrapping_mul(0x9E37_79B9_7F4A_7C15) % ENTRIES
}
