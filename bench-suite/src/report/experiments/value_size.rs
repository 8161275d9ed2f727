//! Operations a second by the size of values, and the picture of it.

use super::grid::{Better, Grid};
use super::latency::count;
use super::{Exhibit, Findings, dash, engines};
use crate::measure::statistics::Spread;
use crate::record::trial::{Access, Finding, Trial, ValueSize};
use crate::report::charts::{self, Axis, Curve, Tone};
use crate::report::format;
use crate::report::markup;
use crate::report::summary::Summary;

const ACCESSES: [Access; 2] = [Access::Get, Access::Set];

fn found<'a>(summary: &Summary<'a>, access: Access) -> Vec<(&'a Trial, &'a ValueSize)> {
    let trials = summary.record.trials.iter();
    trials
        .filter_map(|trial| match &trial.finding {
            Finding::ValueSize(found) if found.access == access => Some((trial, found)),
            _ => None,
        })
        .collect()
}

fn speeds(found: &[(&Trial, &ValueSize)]) -> Grid<u32> {
    let mut speeds = Grid::new(Better::More);
    for (trial, found) in found {
        speeds.add(found.value_bytes, &trial.engine, trial.block, found.speed.ops_a_second());
    }
    speeds
}

pub(super) fn findings(summary: &Summary<'_>) -> Findings {
    let mut findings = Findings::default();
    for access in ACCESSES {
        let found = found(summary, access);
        let Some((_, first)) = found.first() else { continue };
        let data = u64::from(first.entries)
            * (summary.record.run.key_bytes + u64::from(first.value_bytes));
        let (speeds, what) = (speeds(&found), access.title());
        let (sizes, trials) = (speeds.conditions(), found.iter().map(|(trial, _)| *trial));
        let trials: Vec<&Trial> = trials.collect();
        findings.exhibits.push(Exhibit {
            title: format!("Size of values: M {what}s/s"),
            sentence: format!(
                "One thread, uniformly drawn entries, keys of {} bytes; {} of keys and values at each size, in as many entries as that makes. {}",
                summary.record.run.key_bytes,
                format::bytes(data),
                match access {
                    Access::Get => "Each value is copied into the caller's buffer and added up.",
                    Access::Set => "Overwrites of equal size.",
                }
            ),
            headings: sizes.iter().map(|size| format::value_size(*size)).collect(),
            rows: engines(summary, &trials)
                .into_iter()
                .map(|info| {
                    let speed = |size: &u32| {
                        speeds.median(*size, &info.name).map_or_else(dash, format::millions)
                    };
                    (info.title.clone(), sizes.iter().map(speed).collect())
                })
                .collect(),
            sums: speeds.sums(sizes.iter().copied()),
        });
        let place = |size: u32| format!("{what} of values of {}", format::value_size(size));
        findings.losses.extend(speeds.losses(summary, "operations a second", place));
    }
    findings
}

/// Operations a second against the size, a picture for reads and one for writes.
pub(in crate::report) fn charts(summary: &Summary<'_>) -> String {
    let command = &summary.record.run.command;
    let chart = |access: Access| {
        let found = found(summary, access);
        let trials: Vec<&Trial> = found.iter().map(|(trial, _)| *trial).collect();
        let curve = |info: &crate::engines::contract::Info| {
            let own = |size: u32| {
                let own = found.iter().filter(|(trial, found)| {
                    trial.engine == info.name && found.value_bytes == size
                });
                let speed = Spread::of(own.map(|(_, found)| found.speed.ops_a_second()))?;
                Some((f64::from(size), speed.median))
            };
            Curve {
                label: info.title.split(" (").next().unwrap_or_default().to_owned(),
                tone: Tone::of(info),
                points: speeds(&found).conditions().into_iter().filter_map(own).collect(),
            }
        };
        let curves: Vec<Curve> = engines(summary, &trials).into_iter().map(curve).collect();
        let across = Axis { name: "bytes of a value, logarithmic", tick: &size_tick };
        let up = Axis { name: "ops/s", tick: &count };
        let title = format!("{} by the size of values", access.title());
        let svg = charts::curves(&curves, &across, &up, &title);
        let sentence = "One thread, as many bytes of keys and values at each size, from 8 bytes to 256 KiB; medians over blocks. Higher is better.";
        if svg.is_empty() {
            svg
        } else {
            markup::figure(&title, sentence, &svg, command, "value size")
        }
    };
    ACCESSES.map(chart).concat()
}

/// `10 B`, `1 kB`, `1 MB`.
fn size_tick(value: f64) -> String {
    match value {
        _ if value < 999.0 => format!("{} B", format::plain(value)),
        _ if value < 999e3 => format!("{} kB", format::plain(value / 1e3)),
        _ => format!("{} MB", format::plain(value / 1e6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::trial::Speed;

    #[test]
    fn sizes_stand_in_their_order_with_units() {
        let mut record = crate::report::tests::sample();
        record.trials.clear();
        for (engine, rate) in [("nyala", 3000), ("hashbrown", 2000)] {
            for (block, value_bytes) in [(0, 4096), (1, 4096), (0, 8), (1, 8)] {
                let speed = Speed { ops: rate * 100_000 / u64::from(value_bytes), seconds: 1.0 };
                let (entries, checksum) = (1000, String::new());
                let found =
                    ValueSize { access: Access::Get, value_bytes, entries, checksum, speed };
                record.trials.push(Trial {
                    engine: engine.to_owned(),
                    block,
                    position: 0,
                    steal_percent: 0.0,
                    load_average: 0.0,
                    finding: Finding::ValueSize(found),
                });
            }
        }
        let summary = Summary::of(&record);
        let findings = findings(&summary);
        assert_eq!(findings.exhibits.len(), 1);
        assert_eq!(findings.exhibits[0].headings, ["8 B", "4 KiB"]);
        assert_eq!(findings.exhibits[0].sums[0].1, ["1.50 x", "1.50 x"]);
        assert!(findings.losses.is_empty());
        let page = charts(&summary);
        assert!(
            page.contains("1 kB") && page.contains("10 M") && page.contains("value size"),
            "{page}"
        );
    }
}
