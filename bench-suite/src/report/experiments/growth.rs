//! Growth stalls: the spectrum of all sets, and which stalls return in every block.

use super::grid::{Better, Grid};
use super::{Exhibit, Findings, dash, engines};
use crate::measure::statistics::Spread;
use crate::record::histogram::Buckets;
use crate::record::trial::{Finding, Growth, Stall, Trial};
use crate::report::format;
use crate::report::summary::Summary;

const QUANTILES: [(f64, &str); 4] =
    [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];
/// Stalls are the same if they come at most so far apart, as a part of all sets: 200 sets of 2 M.
const WINDOW: f64 = 1e-4;
/// Recurring stalls that are told one by one.
const TOLD: usize = 3;

pub(super) fn findings(summary: &Summary<'_>) -> Findings {
    let found: Vec<(&Trial, &Growth)> = summary
        .record
        .trials
        .iter()
        .filter_map(|trial| match &trial.finding {
            Finding::Growth(growth) => Some((trial, growth)),
            _ => None,
        })
        .collect();
    let Some((_, first)) = found.first() else {
        return Findings::default();
    };
    let mut longest = Grid::new(Better::Less);
    for (trial, growth) in &found {
        if let Some(stall) = growth.stalls.first() {
            longest.add((), &trial.engine, trial.block, f64::from(stall.ns));
        }
    }
    let trials: Vec<&Trial> = found.iter().map(|(trial, _)| *trial).collect();
    let rows = engines(summary, &trials)
        .into_iter()
        .map(|info| {
            let own: Vec<&Growth> = found
                .iter()
                .filter(|(trial, _)| trial.engine == info.name)
                .map(|(_, growth)| *growth)
                .collect();
            (info.title.clone(), row(&own, longest.median((), &info.name)))
        })
        .collect();
    let headings = ["M sets/s"].into_iter().chain(QUANTILES.map(|(_, name)| name)).chain([
        "longest",
        "recurring",
        "the longest of these, after so many sets",
    ]);
    let exhibit = Exhibit {
        title: format!("Growth from nothing to {}", format::entries(first.entries)),
        sentence: format!(
            "Every set timed, one thread, other keys in each of {} blocks, nobody presized. Recurring: among the longest of every block, \
             within {:.0} sets of the same place, so the structure's doing and not the machine's.",
            summary.record.run.blocks,
            f64::from(first.entries) * WINDOW
        ),
        headings: headings.map(str::to_owned).collect(),
        rows,
        sums: Vec::new(),
    };
    let place = |()| format!("growth to {}", format::entries(first.entries));
    let losses = longest.losses(summary, "longest set", place);
    Findings { exhibits: vec![exhibit], losses }
}

fn row(own: &[&Growth], longest: Option<f64>) -> Vec<String> {
    let speed = Spread::of(own.iter().map(|growth| f64::from(growth.entries) / growth.seconds));
    let latencies = Buckets::merged(own.iter().map(|growth| &growth.latencies));
    let recurring = recurring(own);
    let told: Vec<String> = recurring
        .iter()
        .take(TOLD)
        .map(|stall| format!("{} at {}", format::nanoseconds(u64::from(stall.ns)), stall.at))
        .collect();
    let mut cells = vec![speed.map_or_else(dash, |speed| format::millions(speed.median))];
    cells.extend(
        QUANTILES.map(|(q, _)| latencies.quantile(q).map_or_else(dash, format::nanoseconds)),
    );
    cells.push(longest.map_or_else(dash, |ns| format::nanoseconds(ns.round() as u64)));
    cells.push(recurring.len().to_string());
    cells.push(if told.is_empty() { dash() } else { told.join(", ") });
    cells
}

/// Stalls of the first block that every other block has in about the same place, each as the shortest of its kind, longest first.
/// Needs two blocks at least.
fn recurring(blocks: &[&Growth]) -> Vec<Stall> {
    let [first, others @ ..] = blocks else {
        return Vec::new();
    };
    if others.is_empty() {
        return Vec::new();
    }
    let window = (f64::from(first.entries) * WINDOW).max(1.0) as u32;
    let near = |stall: &Stall, block: &Growth| {
        block
            .stalls
            .iter()
            .filter(|other| other.at.abs_diff(stall.at) <= window)
            .map(|other| other.ns)
            .max()
    };
    let mut recurring: Vec<Stall> = first
        .stalls
        .iter()
        .filter_map(|stall| {
            let shortest = others.iter().map(|block| near(stall, block)).min().flatten()?;
            Some(Stall { at: stall.at, ns: shortest.min(stall.ns) })
        })
        .collect();
    recurring.sort_by_key(|stall| std::cmp::Reverse(stall.ns));
    recurring
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(stalls: &[(u32, u32)]) -> Growth {
        Growth {
            entries: 100_000,
            seconds: 1.0,
            latencies: Buckets::default(),
            stalls: stalls.iter().map(|(at, ns)| Stall { at: *at, ns: *ns }).collect(),
        }
    }

    #[test]
    fn a_stall_recurs_if_every_block_has_it() {
        let blocks = [
            growth(&[(500, 90), (9000, 80), (70, 5)]),
            growth(&[(505, 95), (20_000, 70), (71, 9)]),
            growth(&[(495, 60), (9000, 50), (72, 7)]),
        ];
        let blocks: Vec<&Growth> = blocks.iter().collect();
        let expected = [Stall { at: 500, ns: 60 }, Stall { at: 70, ns: 5 }];
        assert_eq!(recurring(&blocks), expected);
        assert!(recurring(&blocks[..1]).is_empty());
    }
}
