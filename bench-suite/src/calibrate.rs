//! Our client beside redis-benchmark, on the same server in turns. A client that is slower than the customary one would show
//! the servers slower than they are, and one that is faster would not be comparable with what others have measured.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::engines::contract::{Engine, KEY_LEN, Key, Session, Tally};
use crate::engines::redis_server;
use crate::engines::remote::Remote;
use crate::engines::server::Server;
use crate::engines::way::{FEW, Way};
use crate::fault::{Context, Fault, Result};
use crate::measure::process;
use crate::measure::statistics::Spread;
use crate::report::table::Table;
use crate::workloads::keys::Random;
use crate::workloads::stream::{self, Kind, Op, VALUE_LEN, Values};

/// Requests one by one that are taken where nothing else is said; pipelines of 32 get [`MORE_IN_PIPELINES`] times as many.
pub(crate) const REQUESTS: u32 = 50_000;
/// What `--requests` may ask for.
pub(crate) const ALLOWED: std::ops::RangeInclusive<u32> = 100..=10_000_000;
const MORE_IN_PIPELINES: u32 = 20;
const ROUNDS: u32 = 5;
/// Keys, named as redis-benchmark names them.
const KEYS: u32 = 100_000;
/// How far the median of the ratios may be from 1.
const TARGET: f64 = 0.1;
/// Operations that are prepared; more requests go through them again.
const STREAM_LEN: usize = 1 << 18;
const SEED: u64 = 1;

/// A command in a pipeline, and what was found: redis-benchmark's turn and ours, a pair a round.
struct Case {
    kind: Kind,
    way: Way,
    turns: Vec<(Turn, Turn)>,
}

/// What one client found.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// Requests a second.
    rate: f64,
    /// Processor time that the client took for a request, in microseconds: what it costs where nobody else uses the machine, too.
    client_us: f64,
}

impl Case {
    fn command(&self) -> &'static str {
        if self.kind == Kind::Get { "GET" } else { "SET" }
    }

    fn requests(&self, requests: u32) -> u32 {
        if self.way.is_single() { requests } else { requests.saturating_mul(MORE_IN_PIPELINES) }
    }
}

/// Measures both and prints the table.
pub(crate) fn run(requests: u32) -> Result<()> {
    redis_server::available()?;
    let version = benchmark_version()?;
    let server = std::sync::Arc::new(redis_server::start(None)?);
    let values = Values::new(SEED);
    fill(&Remote::on(&server, Way::LOADS), &values)?;
    let mut cases: Vec<Case> = FEW
        .iter()
        .flat_map(|way| [Kind::Set, Kind::Get].map(|kind| Case { kind, way: *way, turns: vec![] }))
        .collect();
    for round in 0..ROUNDS {
        eprintln!("Round {} of {ROUNDS}", round + 1);
        for case in &mut cases {
            let requests = case.requests(requests);
            let ours = |case: &Case| {
                our_turn(&Remote::on(&server, case.way), case.kind, requests, &values)
            };
            // Who begins changes, so that neither always meets what the other left.
            let (theirs, ours) = if round.is_multiple_of(2) {
                let theirs = their_turn(&server, case, requests)?;
                (theirs, ours(case)?)
            } else {
                let ours = ours(case)?;
                (their_turn(&server, case, requests)?, ours)
            };
            case.turns.push((theirs, ours));
        }
    }
    print!("{}", render(&cases, &version, requests));
    Ok(())
}

fn benchmark_version() -> Result<String> {
    let missing = "redis-benchmark is not installed; `apt-get install redis-tools` brings it";
    let output = Command::new("redis-benchmark")
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|_| Fault::new(missing))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(Fault::new(missing));
    }
    Ok(text.split_whitespace().nth(1).unwrap_or("of unknown version").to_owned())
}

/// As redis-benchmark names them: `key:` and twelve digits.
fn key(number: u32) -> Key {
    let mut key = [0; KEY_LEN];
    for (to, from) in key.iter_mut().zip(format!("key:{number:012}").bytes()) {
        *to = from;
    }
    key
}

fn fill(remote: &Remote, values: &Values) -> Result<()> {
    let ops: Vec<Op> =
        (0..KEYS).map(|entry| Op { key: key(entry), value: entry, kind: Kind::Set }).collect();
    let mut session = remote.session()?;
    let (mut out, mut tally) = (Vec::new(), Tally::default());
    let depth = session.depth();
    ops.chunks(depth).try_for_each(|ops| session.execute(ops, values, &mut out, &mut tally))
}

fn our_turn(remote: &Remote, kind: Kind, requests: u32, values: &Values) -> Result<Turn> {
    let mut random = Random::new(SEED, u64::from(requests));
    let length = STREAM_LEN.min(requests as usize);
    let ops: Vec<Op> = stream::uniform(KEYS, length, &mut random)
        .map(|entry| Op { key: key(entry), value: entry, kind })
        .collect();
    let mut session = remote.session()?;
    let (mut out, mut tally) = (Vec::with_capacity(VALUE_LEN), Tally::default());
    let depth = session.depth();
    let (mut done, cpu_seconds, started) = (0, process::cpu_seconds(), Instant::now());
    'all: loop {
        for ops in ops.chunks(depth) {
            if done >= requests as usize {
                break 'all;
            }
            session.execute(ops, values, &mut out, &mut tally)?;
            done += ops.len();
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    if tally.misses > 0 || kind == Kind::Get && tally.hits != done as u64 {
        return Err(Fault::new(format!("{} of {done} reads found nothing", tally.misses)));
    }
    let client_us = (process::cpu_seconds() - cpu_seconds) * 1e6 / done as f64;
    Ok(Turn { rate: done as f64 / seconds, client_us })
}

/// The rate is by redis-benchmark's own account.
fn their_turn(server: &Server, case: &Case, requests: u32) -> Result<Turn> {
    let settings = [
        ("-h", "127.0.0.1".to_owned()),
        ("-p", server.port().to_string()),
        ("-t", case.command().to_lowercase()),
        ("-n", requests.to_string()),
        ("-P", case.way.pipeline.to_string()),
        ("-c", case.way.connections.to_string()),
        ("-r", KEYS.to_string()),
        ("-d", VALUE_LEN.to_string()),
    ];
    let cpu_seconds = process::cpu_seconds_of_ended();
    let output = Command::new("redis-benchmark")
        .args(settings.iter().flat_map(|(option, value)| [option, value.as_str()]))
        .arg("--csv")
        .stdin(Stdio::null())
        .output()
        .context(|| "cannot start redis-benchmark".to_owned())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let client_us = (process::cpu_seconds_of_ended() - cpu_seconds) * 1e6 / f64::from(requests);
    rate(&text, case.command()).map(|rate| Turn { rate, client_us }).ok_or_else(|| {
        let words = String::from_utf8_lossy(&output.stderr);
        Fault::new(format!(
            "redis-benchmark ended with {} and no rate: {words}{text}",
            output.status
        ))
    })
}

/// The rate in a line of the form `"GET","12345.67",…`.
fn rate(text: &str, command: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(&format!("\"{command}\",\""))?.split('"').next())
        .and_then(|rate| rate.parse().ok())
        .filter(|rate| *rate > 0.0)
}

fn render(cases: &[Case], version: &str, requests: u32) -> String {
    let columns = [
        "redis-benchmark",
        "our client",
        "ratio",
        "of the rounds",
        "within 10 %",
        "its processor time",
        "ours",
    ];
    let mut table = Table::new(columns.map(str::to_owned));
    let mut apart = 0;
    for case in cases {
        let of = |each: fn(&(Turn, Turn)) -> f64| Spread::of(case.turns.iter().map(each));
        let rates =
            (of(|turn| turn.0.rate), of(|turn| turn.1.rate), of(|turn| turn.1.rate / turn.0.rate));
        let (Some(theirs), Some(ours), Some(ratio)) = rates else { continue };
        let costs = [of(|turn| turn.0.client_us), of(|turn| turn.1.client_us)]
            .map(|cost| cost.map_or_else(String::new, |cost| format!("{:.2} us", cost.median)));
        let [their_cost, our_cost] = costs;
        let near = (ratio.median - 1.0).abs() <= TARGET;
        apart += usize::from(!near);
        table.row(
            &format!("{}, pipeline {}", case.command(), case.way.pipeline),
            vec![
                format!("{:.0}", theirs.median),
                format!("{:.0}", ours.median),
                format!("{:.2}", ratio.median),
                format!("{:.2} to {:.2}", ratio.least, ratio.most),
                if near { "yes" } else { "no" }.to_owned(),
                their_cost,
                our_cost,
            ],
        );
    }
    let verdict = if apart == 0 {
        "Our client measures what redis-benchmark measures.".to_owned()
    } else {
        format!(
            "In {apart} of {} rows our client is farther from redis-benchmark than 10 %.",
            cases.len()
        )
    };
    format!(
        "Our client and redis-benchmark {version} on one redis-server, in turns: requests a second, medians of {ROUNDS} rounds.\n\
         One connection, {KEYS} keys, values of {VALUE_LEN} bytes, {requests} requests a turn, in pipelines {MORE_IN_PIPELINES} times as many.\n\n\
         {}\n{verdict}\n",
        table.render()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_redis_benchmark_prints() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET\",\"588235.25\",\"0.049\"\n";
        assert_eq!(rate(text, "SET"), Some(588_235.25));
        assert_eq!(rate(text, "GET"), None);
        assert_eq!(rate("\"GET\",\"nan\"\n", "GET"), None);
        assert_eq!(rate("", "GET"), None);
    }

    #[test]
    fn keys_are_those_of_redis_benchmark() {
        assert_eq!(&key(93_906), b"key:000000093906");
    }
}
