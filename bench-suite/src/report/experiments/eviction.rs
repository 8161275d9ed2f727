//! Caches at work: operations a second and hit ratios with room for a tenth of the keys.

use std::collections::BTreeSet;

use super::grid::{Better, Grid};
use super::{Exhibit, Findings, dash, engines};
use crate::measure::statistics::Spread;
use crate::record::trial::{Eviction, Finding, Trial};
use crate::report::format;
use crate::report::summary::Summary;

pub(super) fn findings(summary: &Summary<'_>) -> Findings {
    let found: Vec<(&Trial, &Eviction)> = summary
        .record
        .trials
        .iter()
        .filter_map(|trial| match &trial.finding {
            Finding::Eviction(eviction) => Some((trial, eviction)),
            _ => None,
        })
        .collect();
    let Some((_, first)) = found.first() else {
        return Findings::default();
    };
    let mut speeds = Grid::new(Better::More);
    for (trial, eviction) in &found {
        let rate = eviction.speed.ops_a_second();
        speeds.add(eviction.threads, &trial.engine, trial.block, rate);
    }
    let threads: BTreeSet<usize> = speeds.conditions();
    let trials: Vec<&Trial> = found.iter().map(|(trial, _)| *trial).collect();
    let median = |engine: &str, threads: usize, value: &dyn Fn(&Eviction) -> Option<f64>| {
        let values = found
            .iter()
            .filter(|(trial, eviction)| trial.engine == engine && eviction.threads == threads)
            .filter_map(|(_, eviction)| value(eviction));
        Spread::of(values).map(|spread| spread.median)
    };
    let hits = |eviction: &Eviction| {
        Some(100.0 * eviction.hits as f64 / (eviction.hits + eviction.misses).max(1) as f64)
    };
    let held = |eviction: &Eviction| Some(eviction.held? as f64);
    let row = |engine: &str| -> Vec<String> {
        threads
            .iter()
            .flat_map(|threads| {
                [
                    speeds.median(*threads, engine).map_or_else(dash, format::millions),
                    median(engine, *threads, &hits)
                        .map_or_else(dash, |percent| format!("{percent:.2} %")),
                    median(engine, *threads, &held)
                        .map_or_else(dash, |entries| format!("{entries:.0}")),
                ]
            })
            .collect()
    };
    let sums = speeds
        .sums(threads.iter().copied())
        .into_iter()
        .map(|(name, cells)| {
            (
                name,
                cells.into_iter().flat_map(|cell| [cell, String::new(), String::new()]).collect(),
            )
        })
        .collect();
    let exhibit = Exhibit {
        title: "Cache with eviction, M requests/s".to_owned(),
        sentence: format!(
            "Reads of {} keys by an exact Zipf law of exponent 0.99, a set after each miss, room for {} entries; measured once the cache has settled.",
            first.keys, first.capacity
        ),
        headings: threads
            .iter()
            .flat_map(|threads| [format::threads(*threads), "hits".to_owned(), "holds".to_owned()])
            .collect(),
        rows: engines(summary, &trials)
            .into_iter()
            .map(|info| (info.title.clone(), row(&info.name)))
            .collect(),
        sums,
    };
    let place = |threads| format!("cache with eviction, {}", format::threads(threads));
    let losses = speeds.losses(summary, "operations a second", place);
    Findings { exhibits: vec![exhibit], losses }
}
