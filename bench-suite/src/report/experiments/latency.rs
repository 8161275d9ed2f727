//! Latency in an open loop: at half and at nine tenths of each engine's own rate in numbers, at all rates in pictures.

use super::{Exhibit, Findings, dash};
use crate::engines::contract::{Durability, Info};
use crate::record::histogram::Buckets;
use crate::record::trial::{Finding, Latency};
use crate::report::charts::{self, Axis, Curve, Tone};
use crate::report::format;
use crate::report::markup;
use crate::report::summary::Summary;

/// Rates whose numbers are given, in per cent of the closed loop's.
const SHOWN: [u32; 2] = [50, 90];
const QUANTILES: [(f64, &str); 4] =
    [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99")];

/// One engine at one rate, all blocks together.
struct Point {
    percent: u32,
    /// Mean over blocks.
    offered: f64,
    latencies: Buckets,
}

struct Row<'a> {
    info: &'a Info,
    entries: u32,
    points: Vec<Point>,
}

impl Row<'_> {
    fn at(&self, percent: u32) -> Option<&Point> {
        self.points.iter().find(|point| point.percent == percent)
    }
}

fn infos<'a>(summary: &Summary<'a>, class: Durability) -> Vec<&'a Info> {
    if class.is_volatile() {
        return summary.record.engines.iter().collect();
    }
    let stores = summary.record.files.stores.iter();
    stores.filter(|store| store.durability == class).map(|store| &store.info).collect()
}

fn rows<'a>(summary: &Summary<'a>, class: Durability) -> Vec<Row<'a>> {
    let row = |info: &'a Info| {
        let own: Vec<&Latency> = summary
            .record
            .trials
            .iter()
            .filter(|trial| trial.engine == info.name)
            .filter_map(|trial| match &trial.finding {
                Finding::Latency(found) if found.durability == class => Some(found),
                _ => None,
            })
            .collect();
        let mut percents: Vec<u32> = own.iter().map(|found| found.percent).collect();
        percents.sort_unstable();
        percents.dedup();
        let point = |percent: u32| {
            let at: Vec<_> = own.iter().filter(|found| found.percent == percent).collect();
            let offered = at.iter().map(|found| found.offered_ops_a_second).sum::<f64>();
            Point {
                percent,
                offered: offered / at.len() as f64,
                latencies: Buckets::merged(at.iter().map(|found| &found.latencies)),
            }
        };
        let entries = own.first()?.entries;
        Some(Row { info, entries, points: percents.into_iter().map(point).collect() })
    };
    infos(summary, class).into_iter().filter_map(row).collect()
}

const CLASSES: [Durability; 2] = [Durability::D0, Durability::D1];

pub(super) fn findings(summary: &Summary<'_>) -> Findings {
    let exhibits = CLASSES.into_iter().filter_map(|class| exhibit(&rows(summary, class), class));
    Findings { exhibits: exhibits.collect(), losses: Vec::new() }
}

fn exhibit(rows: &[Row<'_>], class: Durability) -> Option<Exhibit> {
    let entries = format::entries(rows.first()?.entries);
    let cells = |row: &Row<'_>| {
        SHOWN
            .into_iter()
            .flat_map(|percent| {
                let point = row.at(percent);
                let rate = point.map_or_else(dash, |point| format::three(point.offered / 1e3));
                let quantiles = QUANTILES.map(|(q, _)| {
                    let value = point.and_then(|point| point.latencies.quantile(q));
                    value.map_or_else(dash, format::nanoseconds)
                });
                std::iter::once(rate).chain(quantiles)
            })
            .collect()
    };
    let headings = SHOWN.iter().flat_map(|percent| {
        let names = QUANTILES.iter().map(|(_, name)| (*name).to_owned());
        std::iter::once(format!("{percent} %, k ops/s")).chain(names)
    });
    Some(Exhibit {
        title: format!("Latency in an open loop, class {}, {entries}", class.name()),
        sentence: "One thread, 95 % reads and 5 % overwrites, Zipf 0.99; operations come by a Poisson schedule at a part of the rate that the engine itself \
                   reaches in a closed loop, so the rates differ. From the intended moment to the end, waiting behind others included. A dash: too few samples."
            .to_owned(),
        headings: headings.collect(),
        rows: rows.iter().map(|row| (row.info.title.clone(), cells(row))).collect(),
        sums: Vec::new(),
    })
}

/// Latency against rate, and the spectrum of quantiles at half of the rate.
pub(in crate::report) fn charts(summary: &Summary<'_>, class: Durability) -> String {
    let rows = rows(summary, class);
    let Some(first) = rows.first() else { return String::new() };
    let command = &summary.record.run.command;
    let cells = format!("{}, latency", class.name());
    let place = format!("class {}, {}", class.name(), format::entries(first.entries));
    let curve = |row: &Row<'_>, points: Vec<(f64, f64)>| Curve {
        label: row.info.title.split(" (").next().unwrap_or_default().to_owned(),
        tone: Tone::of(row.info),
        points,
    };
    let up = Axis { name: "time", tick: &format::nanoseconds_tick };
    let mut out = String::new();
    for (q, name) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")] {
        let curves: Vec<Curve> = rows
            .iter()
            .map(|row| {
                let at = |point: &Point| Some((point.offered, point.latencies.quantile(q)? as f64));
                curve(row, row.points.iter().filter_map(at).collect())
            })
            .collect();
        let across = Axis { name: "operations a second offered, logarithmic", tick: &count };
        let title = format!("Latency {name} against rate, {place}");
        let svg = charts::curves(&curves, &across, &up, &title);
        let sentence = "Operations at random moments, at 10, 25, 50, 75 and 90 % of what each engine does in a closed loop on one thread; time from the intended \
                        moment. Lower and further right is better.";
        if !svg.is_empty() {
            out.push_str(&markup::figure(&title, sentence, &svg, command, &cells));
        }
    }
    let curves: Vec<Curve> = rows
        .iter()
        .filter_map(|row| {
            let latencies = &row.at(50)?.latencies;
            let at = |beyond: f64| Some((beyond, latencies.quantile(1.0 - 1.0 / beyond)? as f64));
            let points = [2.0, 4.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e5, 1e6];
            Some(curve(row, points.into_iter().filter_map(at).collect()))
        })
        .collect();
    let across = Axis { name: "one operation in so many takes longer, logarithmic", tick: &count };
    let title = format!("Spectrum of latencies at half of the rate, {place}");
    let svg = charts::curves(&curves, &across, &up, &title);
    let sentence = "100 is p99, 1 k is p99.9; a curve ends where a hundred samples beyond are missing. Lower is better.";
    if !svg.is_empty() {
        out.push_str(&markup::figure(&title, sentence, &svg, command, &cells));
    }
    out
}

/// `1 k`, `100 k`, `1 M`.
pub(super) fn count(value: f64) -> String {
    match value {
        _ if value < 999.0 => format::plain(value),
        _ if value < 999e3 => format!("{} k", format::plain(value / 1e3)),
        _ => format!("{} M", format::plain(value / 1e6)),
    }
}
