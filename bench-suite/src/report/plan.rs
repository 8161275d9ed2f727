//! What a profile measures, as a Markdown table.

use std::time::Duration;

use super::format;
use crate::cells;
use crate::engines::{self, Class, Listed};
use crate::experiments::Inputs;
use crate::files::Step;
use crate::measure::unit::{Stage, Unit};
use crate::profile::{Profile, estimate_seconds};

/// One row: what every engine in it is measured in.
struct Row {
    place: String,
    cells: Vec<String>,
    engines: Vec<&'static str>,
    /// Of the engines that are no floors.
    count: usize,
}

fn place(unit: &Unit) -> String {
    let threads = format::threads(unit.threads);
    match &unit.stage {
        Stage::Store { entries, readers, .. } if *readers != [unit.threads] => {
            let readers: Vec<String> = readers.iter().map(usize::to_string).collect();
            let entries = format::entries(*entries);
            format!("D0, {entries}, loaded by {threads}, then asked by {}", readers.join(" and "))
        }
        Stage::Store { entries, .. } => format!("D0, {}, {threads}", format::entries(*entries)),
        Stage::Files { home, step: Step::Measure { entries, .. } } => {
            format!(
                "{}, in files, {}, {threads}",
                home.durability.name(),
                format::entries(*entries)
            )
        }
        Stage::Replay { .. } => format!("D0, replay of a trace, {threads}"),
        Stage::Experiment(_) | Stage::Files { .. } => cells::of_unit(unit).join("; "),
    }
}

fn workloads(unit: &Unit) -> Vec<String> {
    let names = |workloads: &[crate::workloads::Workload]| {
        let load = std::iter::once("load");
        load.chain(workloads.iter().map(|workload| workload.title())).map(str::to_owned).collect()
    };
    match &unit.stage {
        Stage::Store { workloads, .. }
        | Stage::Files { step: Step::Measure { workloads, .. }, .. } => names(workloads),
        Stage::Replay { .. } => vec!["cache-aside".to_owned()],
        Stage::Experiment(_) | Stage::Files { .. } => vec!["".to_owned()],
    }
}

fn is_floor(listed: &Listed) -> bool {
    matches!(listed.class, Class::Hardware | Class::Harness) || listed.name == "pwrite"
}

pub(crate) fn markdown(profile: &Profile) -> String {
    let all: Vec<&'static Listed> = engines::ALL.iter().collect();
    let inputs = Inputs::everything();
    let units = profile.block(&all, None, &inputs, 0, 0);
    let mut rows: Vec<Row> = Vec::new();
    // In the order of the list, which units are not in.
    for listed in &all {
        for unit in units.iter().filter(|unit| unit.engine == listed.name) {
            let (place, cells) = (place(unit), workloads(unit));
            let found = rows.iter().position(|row| row.place == place && row.cells == cells);
            let at = found.unwrap_or_else(|| {
                rows.push(Row { place, cells, engines: Vec::new(), count: 0 });
                rows.len() - 1
            });
            rows[at].engines.push(listed.name);
            rows[at].count += if is_floor(listed) { 0 } else { cells::of_unit(unit).len() };
        }
    }
    let mut out = String::from("| Where | Workloads | Engines | Cells |\n|---|---|---|---|\n");
    for row in &rows {
        let (cells, engines) = (row.cells.join(", "), row.engines.join(", "));
        out.push_str(&format!("| {} | {cells} | {engines} | {} |\n", row.place, row.count));
    }
    let count: usize = rows.iter().map(|row| row.count).sum();
    let blocks = (0..profile.blocks)
        .flat_map(|block| profile.block(&all, None, &inputs, 0, block))
        .map(|unit| estimate_seconds(&unit));
    out.push_str(&format!(
        "\nProfile `{}`: {count} cells without the floors, {} blocks, estimated at {} of measuring on the reference machine.\n",
        profile.name,
        profile.blocks,
        format::duration(Duration::from_secs_f64(blocks.sum()))
    ));
    out
}
