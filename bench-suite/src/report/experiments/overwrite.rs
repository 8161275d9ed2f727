//! Steady overwrites of full stores: speed, and what making room costs.

use super::grid::{Better, Grid};
use super::{Exhibit, Findings, dash, engines};
use crate::engines::contract::Info;
use crate::measure::statistics::Spread;
use crate::record::trial::{Finding, Overwrite, Sizes, Trial};
use crate::report::format;
use crate::report::summary::Summary;

const SIZES: [Sizes; 2] = [Sizes::Equal, Sizes::Mixed];

/// Sizes, and how full the budget is: 0 where there is none.
type Condition = (Sizes, u32);

pub(super) fn findings(summary: &Summary<'_>) -> Findings {
    let found: Vec<(&Trial, &Overwrite)> = summary
        .record
        .trials
        .iter()
        .filter_map(|trial| match &trial.finding {
            Finding::Overwrite(overwrite) => Some((trial, overwrite)),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Findings::default();
    }
    let mut fills: Vec<u32> =
        found.iter().filter_map(|(_, overwrite)| overwrite.fill_percent).collect();
    fills.sort_unstable();
    fills.dedup();
    let mut speeds: Grid<Condition> = Grid::new(Better::More);
    for (trial, overwrite) in &found {
        let rate = overwrite.speed.ops_a_second();
        // A store without a budget is the same at every fill.
        let conditions = overwrite.fill_percent.map_or_else(|| fills.clone(), |fill| vec![fill]);
        for fill in conditions.into_iter().chain(overwrite.fill_percent.is_none().then_some(0)) {
            speeds.add((overwrite.sizes, fill), &trial.engine, trial.block, rate);
        }
    }
    let trials: Vec<&Trial> = found.iter().map(|(trial, _)| *trial).collect();
    let mut rows = Vec::new();
    for info in engines(summary, &trials) {
        let own: Vec<&Overwrite> = found
            .iter()
            .filter(|(trial, _)| trial.engine == info.name)
            .map(|(_, overwrite)| *overwrite)
            .collect();
        let mut own_fills: Vec<Option<u32>> =
            own.iter().map(|overwrite| overwrite.fill_percent).collect();
        own_fills.sort_unstable();
        own_fills.dedup();
        for fill in own_fills {
            rows.push((label(info, fill), row(&own, fill, &speeds, info)));
        }
    }
    let headings = ["equal, M/s", "copied", "refused", "mixed, M/s", "copied", "refused"];
    let exhibit = Exhibit {
        title: "Steady overwrites of a full store, M sets/s".to_owned(),
        sentence: "One thread, uniformly drawn entries; values of 64 bytes, and mixed ones of 16 to 1,024. Full: live records and their index \
                   as a share of the budget, which the maps do not have. Copied: bytes that were moved to make room, for each byte written."
            .to_owned(),
        headings: headings.map(str::to_owned).into(),
        rows,
        sums: Vec::new(),
    };
    let place = |(sizes, fill): Condition| {
        let sizes = if sizes == Sizes::Equal { "equal" } else { "mixed" };
        format!("overwrites, {fill} % full, {sizes} sizes")
    };
    let losses = speeds.losses(summary, "operations a second", place);
    Findings { exhibits: vec![exhibit], losses }
}

fn label(info: &Info, fill: Option<u32>) -> String {
    fill.map_or_else(|| info.title.clone(), |fill| format!("{}, {fill} % full", info.title))
}

fn row(
    own: &[&Overwrite],
    fill: Option<u32>,
    speeds: &Grid<Condition>,
    info: &Info,
) -> Vec<String> {
    SIZES
        .iter()
        .flat_map(|sizes| {
            let median = |value: &dyn Fn(&Overwrite) -> Option<f64>| {
                let values = own
                    .iter()
                    .filter(|overwrite| overwrite.sizes == *sizes && overwrite.fill_percent == fill)
                    .filter_map(|overwrite| value(overwrite));
                Spread::of(values).map(|spread| spread.median)
            };
            let copied = median(&|overwrite| {
                Some(overwrite.bytes_moved? as f64 / overwrite.bytes_written.max(1) as f64)
            });
            let refused = median(&|overwrite| {
                overwrite.fill_percent?;
                Some(100.0 * overwrite.refused as f64 / overwrite.speed.ops.max(1) as f64)
            });
            [
                speeds
                    .median((*sizes, fill.unwrap_or(0)), &info.name)
                    .map_or_else(dash, format::millions),
                copied.map_or_else(dash, |bytes| format!("{bytes:.2}")),
                refused.map_or_else(dash, |percent| format!("{percent:.1} %")),
            ]
        })
        .collect()
}
