//! Shows how far a run is: a bar on a terminal, a line a round elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::unit::{Stage, Unit};
use crate::files::Step;
use crate::profile::estimate_seconds;
use crate::report::format;

pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    blocks: u32,
    started: Instant,
    /// Seconds of estimate for what is done, and for everything.
    done: f64,
    all: f64,
    last_line: String,
}

impl Progress {
    pub(crate) fn new(units: &[&Unit], blocks: u32) -> Progress {
        let all = units.iter().map(|unit| estimate_seconds(unit)).sum();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(units.len() as u64);
            let style = ProgressStyle::with_template("{bar:30} {pos:>3}/{len} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Progress { bar, blocks, started: Instant::now(), done: 0.0, all, last_line: String::new() }
    }

    pub(crate) fn start(&mut self, unit: &Unit) {
        let round = format!("block {}/{}, {}", unit.block + 1, self.blocks, describe(unit));
        match &self.bar {
            Some(bar) => bar.set_message(format!("{} left: {round}: {}", self.left(), unit.engine)),
            None if round != self.last_line => {
                eprintln!(
                    "{:>3.0} % {} left: {round}",
                    100.0 * self.done / self.all.max(0.1),
                    self.left()
                );
                self.last_line = round;
            }
            None => {}
        }
    }

    pub(crate) fn finish(&mut self, unit: &Unit) {
        self.done += estimate_seconds(unit);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The rest of the estimate, stretched as the part that is done was.
    fn left(&self) -> String {
        let stretch =
            if self.done > 2.0 { self.started.elapsed().as_secs_f64() / self.done } else { 1.0 };
        format::duration(Duration::from_secs_f64((self.all - self.done).max(0.0) * stretch))
    }
}

pub(crate) fn describe(unit: &Unit) -> String {
    let threads = format::threads(unit.threads);
    match &unit.stage {
        Stage::Store { entries, .. } => format!("{}, {threads}", format::entries(*entries)),
        Stage::Replay { .. } => format!("cache-aside replay, {threads}"),
        Stage::Experiment(task) => format!("{}, {threads}", task.describe()),
        Stage::Files { home, step: Step::Measure { entries, .. } } => {
            format!(
                "files, class {}, {}, {threads}",
                home.durability.name(),
                format::entries(*entries)
            )
        }
        Stage::Files { home, step: Step::Latency { entries } } => {
            format!("latency, class {}, {}", home.durability.name(), format::entries(*entries))
        }
        Stage::Files { home, step: Step::Beyond(excess) } => {
            let limit = format::bytes(excess.limit_bytes);
            format!(
                "larger than memory, class {}, {}, limit {limit}",
                home.durability.name(),
                format::entries(excess.entries)
            )
        }
        Stage::Files { home, .. } => format!("files, class {}", home.durability.name()),
    }
}
