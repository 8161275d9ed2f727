//! One key for everybody.

use super::grid::{Better, Grid};
use super::{Exhibit, Findings, dash, engines};
use crate::record::trial::{Action, Finding, HotKey, Trial};
use crate::report::format;
use crate::report::summary::Summary;

pub(super) fn findings(summary: &Summary<'_>) -> Findings {
    let mut findings = Findings::default();
    for action in [Action::Read, Action::Increment] {
        findings_of(summary, action, &mut findings);
    }
    findings
}

fn findings_of(summary: &Summary<'_>, action: Action, findings: &mut Findings) {
    let found: Vec<(&Trial, &HotKey)> = summary
        .record
        .trials
        .iter()
        .filter_map(|trial| match &trial.finding {
            Finding::HotKey(hot) if hot.action == action => Some((trial, hot)),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return;
    }
    let mut speeds = Grid::new(Better::More);
    for (trial, hot) in &found {
        speeds.add(hot.threads, &trial.engine, trial.block, hot.speed.ops_a_second());
    }
    let cores = summary.record.run.environment.cores;
    let threads = speeds.conditions();
    let trials: Vec<&Trial> = found.iter().map(|(trial, _)| *trial).collect();
    let what = match action {
        Action::Read => "reads",
        Action::Increment => "increments",
    };
    let shown = |threads: usize| {
        let mark = if threads > cores { " *" } else { "" };
        format!("{}{mark}", format::threads(threads))
    };
    findings.exhibits.push(Exhibit {
        title: format!("One hot key, M {what}/s"),
        sentence: format!(
            "Every thread on the same key, all threads together. * oversubscribed: more threads than the {cores} cores."
        ),
        headings: threads.iter().map(|threads| shown(*threads)).collect(),
        rows: engines(summary, &trials)
            .into_iter()
            .map(|info| {
                let speed = |threads: &usize| {
                    speeds.median(*threads, &info.name).map_or_else(dash, format::millions)
                };
                (info.title.clone(), threads.iter().map(speed).collect())
            })
            .collect(),
        sums: speeds.sums(threads.iter().copied()),
    });
    let place = |threads: usize| {
        let mark = if threads > cores { ", oversubscribed" } else { "" };
        format!("{what} of one hot key, {}{mark}", format::threads(threads))
    };
    findings.losses.extend(speeds.losses(summary, "operations a second", place));
}
