//! Memory beyond key and value at several sizes: their mean, and the slope between them, which leaves out what a store takes once.

use std::collections::BTreeMap;

use super::grid::{Better, Grid};
use super::{Exhibit, Findings, dash, engines};
use crate::record::trial::{Finding, MemoryAt, Trial};
use crate::report::format;
use crate::report::summary::Summary;

pub(super) fn findings(summary: &Summary<'_>) -> Findings {
    let found: Vec<(&Trial, &MemoryAt)> = summary
        .record
        .trials
        .iter()
        .filter_map(|trial| match &trial.finding {
            Finding::Memory(memory) => Some((trial, memory)),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Findings::default();
    }
    let trials: Vec<&Trial> = found.iter().map(|(trial, _)| *trial).collect();
    let mut sizes: Vec<u32> = found.iter().map(|(_, memory)| memory.entries).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut means = Grid::new(Better::Less);
    let mut rows = Vec::new();
    for info in engines(summary, &trials) {
        let grown: BTreeMap<u32, u64> = found
            .iter()
            .filter(|(trial, _)| trial.engine == info.name)
            .map(|(_, memory)| (memory.entries, memory.grown_bytes))
            .collect();
        let beyond =
            |entries: u32, bytes: u64| bytes as f64 / f64::from(entries) - summary.payload_bytes();
        let mean = grown.iter().map(|(entries, bytes)| beyond(*entries, *bytes)).sum::<f64>()
            / grown.len() as f64;
        means.add((), &info.name, 0, mean);
        let mut cells: Vec<String> = sizes
            .iter()
            .map(|entries| {
                grown
                    .get(entries)
                    .map_or_else(dash, |bytes| format!("{:.1}", beyond(*entries, *bytes)))
            })
            .collect();
        cells.push(format!("{mean:.1}"));
        cells.push(
            slope(&grown)
                .map_or_else(dash, |slope| format!("{:.1}", slope - summary.payload_bytes())),
        );
        rows.push((info.title.clone(), cells));
    }
    let exhibit = Exhibit {
        title: "Memory: bytes an entry beyond key and value".to_owned(),
        sentence: format!(
            "Growth of resident memory from before opening to after the load, less the {:.0} bytes of key and value. The slope is that of a line \
             through the sizes.",
            summary.payload_bytes()
        ),
        headings: sizes
            .iter()
            .map(|entries| format::entries(*entries))
            .chain(["mean", "slope"].map(str::to_owned))
            .collect(),
        rows,
        sums: Vec::new(),
    };
    let place = |()| "mean over the sizes".to_owned();
    let losses = means.losses(summary, "memory beyond key and value", place);
    Findings { exhibits: vec![exhibit], losses }
}

/// Bytes for each further entry: least squares. `None` for a single size.
fn slope(grown: &BTreeMap<u32, u64>) -> Option<f64> {
    let count = grown.len() as f64;
    let mean_entries = grown.keys().map(|entries| f64::from(*entries)).sum::<f64>() / count;
    let mean_bytes = grown.values().map(|bytes| *bytes as f64).sum::<f64>() / count;
    let (mut product, mut square) = (0.0, 0.0);
    for (entries, bytes) in grown {
        let distance = f64::from(*entries) - mean_entries;
        product += distance * (*bytes as f64 - mean_bytes);
        square += distance * distance;
    }
    (square > 0.0).then(|| product / square)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_leaves_out_what_is_taken_once() {
        let grown = [(10, 5100), (20, 6100), (40, 8100)].into();
        assert!((slope(&grown).unwrap() - 100.0).abs() < 1e-9);
        assert_eq!(slope(&[(10, 5)].into()), None);
    }
}
