//! What the experiments found, as tables that the terminal and the page show alike, one file an experiment.

mod eviction;
pub(in crate::report) mod grid;
mod growth;
mod hit_ratio;
mod hot_key;
pub(in crate::report) mod latency;
mod memory;
mod overwrite;
pub(in crate::report) mod value_size;

use super::losses::Loss;
use super::markup::{self, escape};
use super::summary::Summary;
use super::table::Table;
use crate::engines::contract::Info;
use crate::record::trial::Trial;

/// A table with a sentence for its reader.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exhibit {
    pub(super) title: String,
    pub(super) sentence: String,
    pub(super) headings: Vec<String>,
    pub(super) rows: Vec<(String, Vec<String>)>,
    /// Rows from here on sum up the others.
    pub(super) sums: Vec<(String, Vec<String>)>,
}

/// What an experiment says: tables, and where we lose.
#[derive(Debug, Default)]
struct Findings {
    exhibits: Vec<Exhibit>,
    losses: Vec<Loss>,
}

fn all(summary: &Summary<'_>) -> Vec<Findings> {
    vec![
        hit_ratio::findings(summary),
        eviction::findings(summary),
        growth::findings(summary),
        hot_key::findings(summary),
        overwrite::findings(summary),
        memory::findings(summary),
        latency::findings(summary),
        value_size::findings(summary),
    ]
}

pub(crate) fn losses(summary: &Summary<'_>) -> Vec<Loss> {
    all(summary).into_iter().flat_map(|findings| findings.losses).collect()
}

pub(crate) fn exhibits(summary: &Summary<'_>) -> Vec<Exhibit> {
    all(summary).into_iter().flat_map(|findings| findings.exhibits).collect()
}

pub(super) fn terminal(exhibits: Vec<Exhibit>) -> String {
    let mut out = String::new();
    for exhibit in exhibits {
        let mut table = Table::new(exhibit.headings);
        for (name, cells) in exhibit.rows {
            table.row(&name, cells);
        }
        if !exhibit.sums.is_empty() {
            table.rule();
        }
        for (name, cells) in exhibit.sums {
            table.row(&name, cells);
        }
        out.push_str(&format!("\n{}. {}\n{}", exhibit.title, exhibit.sentence, table.render()));
    }
    out
}

/// Tables for the page, each with its sentence.
pub(super) fn tables(exhibits: Vec<Exhibit>) -> String {
    exhibits
        .into_iter()
        .map(|exhibit| {
            let headings: Vec<String> = [String::new()]
                .into_iter()
                .chain(exhibit.headings)
                .map(|text| escape(&text))
                .collect();
            let rows: Vec<Vec<String>> = exhibit
                .rows
                .into_iter()
                .chain(exhibit.sums)
                .map(|(name, cells)| {
                    [name].into_iter().chain(cells).map(|text| escape(&text)).collect()
                })
                .collect();
            format!(
                "<h3>{}</h3><p>{}</p>{}",
                escape(&exhibit.title),
                escape(&exhibit.sentence),
                markup::table(&headings, &rows)
            )
        })
        .collect()
}

/// The engines of some trials, in the order of the record.
fn engines<'a>(summary: &Summary<'a>, trials: &[&Trial]) -> Vec<&'a Info> {
    let measured = |info: &&Info| trials.iter().any(|trial| trial.engine == info.name);
    summary.record.engines.iter().filter(measured).collect()
}

pub(super) fn dash() -> String {
    "-".to_owned()
}
