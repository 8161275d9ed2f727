//! Runs the model, the stress test and the recorded histories for as long as you like.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program that reports on its terminal")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/kill/mod.rs"]
mod kill;
#[path = "../tests/linearizable/mod.rs"]
mod linearizable;
#[path = "../tests/model/mod.rs"]
mod model;
#[path = "../tests/stress/mod.rs"]
mod stress;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use model::SHAPES;
use stress::{Plan, STORES};

const USAGE: &str = "\
usage: torture model     [--ops N] [--seed S] [--shape K]
       torture stress    [--seconds N] [--threads T] [--store K] [--seed S] [--burst-ms N]
       torture histories [--count N] [--seed S] [--shape K]
       torture kills     [--count N] [--seed S] [--rounds N]

model   one thread, every answer compared with a plain map's
        --ops      operations in all, 1000000
        --seed     of the first trial; the next has one more, 1
        --shape    number of the store's shape; without it each takes its turn
stress  threads, and values that prove themselves
        --seconds  length in all, 60
        --threads  of every burst; without it 1, 2, 4 and 8 take turns
        --store    number of the store; without it each takes its turn
        --seed     of the first burst; the next has one more, 1
        --burst-ms length of a burst in milliseconds, 3000
histories
        four threads on a few keys, an order sought that explains what they were answered
        --count    histories in all, 10000
        --seed     of the first trial; the next has one more, 1
        --shape    number of the store's shape; without it each takes its turn
kills   processes that write to a file, each killed after some milliseconds, and what must be there then
        --count    processes in all, 10000
        --rounds   that write to one file, one after the other, 50
        --seed     of the first file; the next has one more, 1";

/// Operations of a model trial, which then begins with an empty store again.
const TRIAL_OPS: u64 = 100_000;

type Arguments = BTreeMap<String, u64>;

fn parse(mut words: impl Iterator<Item = String>, known: &[&str]) -> Result<Arguments, String> {
    let mut arguments = Arguments::new();
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").filter(|name| known.contains(name));
        let Some(name) = name else { return Err(format!("unknown argument: {word}")) };
        let value = words.next().ok_or_else(|| format!("{word} needs a number"))?;
        let value = value.parse().map_err(|_| format!("{word} {value}: not a number"))?;
        arguments.insert(name.to_owned(), value);
    }
    Ok(arguments)
}

/// A number below `bound`, if it was given.
fn choice(arguments: &Arguments, name: &str, bound: usize) -> Result<Option<usize>, String> {
    let Some(value) = arguments.get(name) else { return Ok(None) };
    match usize::try_from(*value) {
        Ok(value) if value < bound => Ok(Some(value)),
        _ => Err(format!("--{name} {value}: the greatest is {}", bound - 1)),
    }
}

fn number(arguments: &Arguments, name: &str, default: u64) -> u64 {
    arguments.get(name).copied().unwrap_or(default)
}

fn print_counts(counts: impl IntoIterator<Item = (&'static str, u64)>) {
    for (name, count) in counts {
        println!("  {name:<24} {count:>14}");
    }
}

/// What the trials of one shape did.
#[derive(Debug, Clone, Copy, Default)]
struct ByShape {
    operations: u64,
    full: u64,
    evicted: u64,
    resized: u64,
    took: Duration,
}

fn torture_model(arguments: &Arguments) -> Result<(), String> {
    let ops = number(arguments, "ops", 1_000_000);
    let first_seed = number(arguments, "seed", 1);
    let fixed_shape = choice(arguments, "shape", SHAPES.len())?;
    let begun = Instant::now();
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut by_shape = [ByShape::default(); SHAPES.len()];
    let (mut done, mut trials) = (0, 0);
    while done < ops {
        let seed = first_seed.wrapping_add(trials);
        let turn = usize::try_from(seed % SHAPES.len() as u64).expect("few shapes");
        let at = fixed_shape.unwrap_or(turn);
        let shape = &SHAPES[at];
        let count = TRIAL_OPS.min(ops - done);
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| model::run_seeded(shape, seed, count)));
        let trial = outcome.unwrap_or_else(|_| Err("it panicked".to_owned())).map_err(|what| {
            format!(
                "{what}\nin: {}, seed {seed}\nagain: cargo run --release -p nyala \
                     --example torture -- model --ops {count} --shape {at} --seed {seed}",
                shape.name
            )
        })?;
        by_shape[at].operations += count;
        by_shape[at].full += trial.full_answers;
        by_shape[at].evicted += trial.evictions_seen;
        by_shape[at].resized += trial.resized;
        by_shape[at].took += started.elapsed();
        for (name, count) in trial.counts {
            *counts.entry(name).or_default() += count;
        }
        done += count;
        trials += 1;
        if trials % 20 == 0 {
            println!("{done} operations, {trials} trials, {:.0?}", begun.elapsed());
        }
    }
    println!("operations by kind:");
    print_counts(counts);
    println!("operations by shape of the store, answers Full, evictions seen, caps set, time:");
    for (shape, ByShape { operations, full, evicted, resized, took }) in SHAPES.iter().zip(by_shape)
    {
        println!(
            "  {:<32} {operations:>10} {full:>8} {evicted:>8} {resized:>5} {took:>9.1?}",
            shape.name
        );
    }
    println!(
        "model: {done} operations in {trials} trials, seeds {first_seed} to {}, {:.1} s, no failure",
        first_seed.wrapping_add(trials.saturating_sub(1)),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn torture_stress(arguments: &Arguments) -> Result<(), String> {
    let length = Duration::from_secs(number(arguments, "seconds", 60));
    let each = Duration::from_millis(number(arguments, "burst-ms", 3000).max(1));
    let seed = number(arguments, "seed", 1);
    let threads = choice(arguments, "threads", 257)?.map(|threads| threads.max(1));
    let plan = Plan { seed, threads, store: choice(arguments, "store", STORES.len())? };
    let begun = Instant::now();
    let mut bursts = 0;
    let totals = plan
        .run(length, each, |burst, totals| {
            bursts += 1;
            println!(
                "seed {:<8} {} threads, {:<36} {:>11} operations, {:>8} Full, {:>6} MiB moved",
                burst.seed,
                burst.threads,
                burst.name,
                totals.operations(),
                totals.full,
                totals.moved_bytes >> 20
            );
        })
        .map_err(|failure| failure.to_string())?;
    println!("operations by kind:");
    print_counts(totals.named());
    println!(
        "stress: {} operations in {bursts} bursts, seeds {seed} to {}, {:.1} s, no failure",
        totals.operations(),
        seed.wrapping_add(u64::saturating_sub(bursts, 1)),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn torture_histories(arguments: &Arguments) -> Result<(), String> {
    let histories = number(arguments, "count", 10_000);
    let seed = number(arguments, "seed", 1);
    let shape = choice(arguments, "shape", linearizable::SHAPES.len())?;
    let begun = Instant::now();
    let mut by_shape: BTreeMap<&'static str, linearizable::Totals> = BTreeMap::new();
    let mut trials = 0;
    let plan = linearizable::Plan { seed, histories, shape };
    let totals = plan
        .run(|shape, totals| {
            trials += 1;
            by_shape.entry(shape.name).or_default().add(totals);
        })
        .map_err(|failure| failure.to_string())?;
    println!(
        "histories by shape of the store; calls, of them overlapped, answered Full; moved; evicted, seen:"
    );
    for (name, found) in by_shape {
        println!(
            "  {name:<28} {:>8} {:>11} {:>10} {:>9} {:>7} MiB {:>9} {:>6}",
            found.histories,
            found.calls,
            found.contended,
            found.full,
            found.moved_bytes >> 20,
            found.evicted,
            found.lost
        );
    }
    println!(
        "histories: {} of {} calls, {} overlapped, seeds {seed} to {}, {:.1} s, all linearizable",
        totals.histories,
        totals.calls,
        totals.contended,
        seed.wrapping_add(u64::saturating_sub(trials, 1)),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn torture_kills(arguments: &Arguments) -> Result<(), String> {
    let count = number(arguments, "count", 10_000);
    let rounds = number(arguments, "rounds", 50).max(1);
    let seed = number(arguments, "seed", 1);
    let folder = std::env::temp_dir().join(format!("nyala-kills-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let mut files = 0;
    let mut all = kill::parent::Totals::default();
    println!("killed, acknowledged, refused for want of room, under way when killed, in all:");
    let totals = kill::parent::run(&folder, count, rounds, seed, |shape, level, totals| {
        files += 1;
        all.add(totals);
        println!(
            "  {shape:<18} {level:<10} {:>4} {:>8} {:>6} {:>5} {:>8}",
            totals.kills, totals.acknowledged, totals.full, totals.under_way, all.kills
        );
    })?;
    let _ = std::fs::remove_dir_all(&folder);
    println!(
        "kills: {} processes killed, {} of them while opening, {} operations acknowledged, {} under way, {} looks at \
         {} entries, seeds {seed} to {}, {:.1} s, nothing lost",
        totals.kills,
        totals.while_opening,
        totals.acknowledged,
        totals.under_way,
        totals.looks,
        totals.entries,
        seed.wrapping_add(u64::saturating_sub(files, 1)),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn run() -> Result<(), String> {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("model") => torture_model(&parse(words, &["ops", "seed", "shape"])?),
        Some("stress") => {
            let known = ["seconds", "threads", "store", "seed", "burst-ms"];
            torture_stress(&parse(words, &known)?)
        }
        Some("histories") => torture_histories(&parse(words, &["count", "seed", "shape"])?),
        Some("kills") => torture_kills(&parse(words, &["count", "seed", "rounds"])?),
        Some(kill::CHILD) => kill::child::run(words),
        Some("--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}
