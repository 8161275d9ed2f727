//! Hit ratios on traces: per cent of each engine, and ourselves against the best.

use std::collections::BTreeMap;

use super::{Exhibit, Findings, dash, engines};
use crate::engines::contract::Info;
use crate::measure::statistics::Spread;
use crate::record::trial::{Budget, Finding, HitRatio, Trial};
use crate::report::losses::Loss;
use crate::report::summary::{SUBJECT, Summary};

/// Rows of smaller caches inform and do not count: with so few entries a policy's constants decide.
const COUNTS_FROM: u64 = 500;
/// Points by which hit ratios differ from run to run, since hashes are seeded.
const NOISE: f64 = 0.1;

/// One trace at one capacity.
struct Row<'a> {
    trace: &'a str,
    capacity: u64,
    percent: BTreeMap<&'a str, f64>,
}

impl Row<'_> {
    fn best<'b>(&self, engines: &[&'b Info]) -> Option<(&'b Info, f64)> {
        engines
            .iter()
            .filter(|info| info.name != SUBJECT)
            .filter_map(|info| Some((*info, *self.percent.get(info.name.as_str())?)))
            .max_by(|left, right| left.1.total_cmp(&right.1))
    }

    fn counts(&self) -> bool {
        self.capacity >= COUNTS_FROM
    }
}

pub(super) fn findings(summary: &Summary<'_>) -> Findings {
    let found: Vec<(&Trial, &HitRatio)> = summary
        .record
        .trials
        .iter()
        .filter_map(|trial| match &trial.finding {
            Finding::HitRatio(ratio) => Some((trial, ratio)),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Findings::default();
    }
    let trials: Vec<&Trial> = found.iter().map(|(trial, _)| *trial).collect();
    let engines = engines(summary, &trials);
    let mut rows: Vec<Row<'_>> = rows(&found);
    rows.extend(mean(&rows, &engines));
    let exhibits = [Some(exhibit(&rows, &engines)), budgets(&found)];
    Findings { exhibits: exhibits.into_iter().flatten().collect(), losses: losses(&rows, &engines) }
}

/// Medians over blocks: hashes are seeded, and some policies depend on what meets in a part of the cache.
fn rows<'a>(found: &[(&'a Trial, &'a HitRatio)]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for (trial, ratio) in found {
        let same = |row: &Row<'_>| row.trace == ratio.trace && row.capacity == ratio.capacity;
        let at = rows.iter().position(same).unwrap_or_else(|| {
            let percent = BTreeMap::new();
            rows.push(Row { trace: &ratio.trace, capacity: ratio.capacity, percent });
            rows.len() - 1
        });
        let blocks = found
            .iter()
            .filter(|(other, _)| other.engine == trial.engine)
            .filter(|(_, other)| other.trace == ratio.trace && other.capacity == ratio.capacity)
            .map(|(_, other)| other.percent());
        if let Some(spread) = Spread::of(blocks) {
            rows[at].percent.insert(&trial.engine, spread.median);
        }
    }
    rows
}

/// The mean over the rows that count, for those who have all of them; it has no capacity of its own.
fn mean<'a>(rows: &[Row<'a>], engines: &[&'a Info]) -> Option<Row<'a>> {
    let counting: Vec<&Row<'_>> = rows.iter().filter(|row| row.counts()).collect();
    let mut percent = BTreeMap::new();
    for info in engines {
        let name = info.name.as_str();
        let values: Option<Vec<f64>> =
            counting.iter().map(|row| row.percent.get(name).copied()).collect();
        if let Some(values) = values.filter(|values| !values.is_empty()) {
            percent.insert(name, values.iter().sum::<f64>() / values.len() as f64);
        }
    }
    let trace = "mean of the rows that count";
    (!percent.is_empty()).then_some(Row { trace, capacity: u64::MAX, percent })
}

fn exhibit(rows: &[Row<'_>], engines: &[&Info]) -> Exhibit {
    let ours = engines.iter().any(|info| info.name == SUBJECT);
    let mut headings: Vec<String> = ["entries".to_owned()]
        .into_iter()
        .chain(engines.iter().map(|info| info.title.clone()))
        .chain(["best peer".to_owned()])
        .collect();
    if ours {
        headings.push("Nyala - it".to_owned());
    }
    let line = |row: &Row<'_>| {
        let percent = |name: &str| row.percent.get(name).copied();
        let best = row.best(engines);
        let capacity = match row.capacity {
            u64::MAX => String::new(),
            few if few < COUNTS_FROM => format!("({few})"),
            many => many.to_string(),
        };
        let mut cells = vec![capacity];
        let show = |value: Option<f64>| value.map_or_else(dash, |value| format!("{value:.2}"));
        cells.extend(engines.iter().map(|info| show(percent(&info.name))));
        cells.push(best.map_or_else(dash, |(info, _)| info.title.clone()));
        if ours {
            let difference = percent(SUBJECT).zip(best).map(|(ours, (_, best))| ours - best);
            cells.push(difference.map_or_else(dash, |points| format!("{points:+.2}")));
        }
        (row.trace.to_owned(), cells)
    };
    let (sums, rows): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
        rows.iter().partition(|row| row.capacity == u64::MAX);
    Exhibit {
        title: "Hit ratio in per cent".to_owned(),
        sentence: format!(
            "Traces replayed on one thread from empty, median of the blocks; a set after each miss, room for so many entries of equal size; \
             fewer than {COUNTS_FROM} (in parentheses) inform and do not count."
        ),
        headings,
        rows: rows.into_iter().map(line).collect(),
        sums: sums.into_iter().map(line).collect(),
    }
}

/// What the cache that counts bytes was given, so that it holds as many entries as the others.
fn budgets(found: &[(&Trial, &HitRatio)]) -> Option<Exhibit> {
    let row = |(_, ratio): &(&Trial, &HitRatio)| {
        let Budget { max_bytes, key_bytes, value_bytes, entries } = ratio.budget?;
        let off = 100.0 * (entries / ratio.capacity as f64 - 1.0);
        let cells = vec![
            ratio.capacity.to_string(),
            max_bytes.to_string(),
            format!("{key_bytes} + {value_bytes}"),
            format!("{entries:.1}"),
            format!("{off:+.2} %"),
        ];
        Some((ratio.trace.clone(), cells))
    };
    let rows: Vec<_> = found.iter().filter(|(trial, _)| trial.block == 0).filter_map(row).collect();
    let headings = ["entries", "max_bytes", "key + value", "holds", "difference"];
    (!rows.is_empty()).then(|| Exhibit {
        title: "Hit ratio: what Nyala was given".to_owned(),
        sentence: "Its budget counts bytes, so it was searched for, at a fixed size of record: the one at which Nyala, full of distinct keys, \
                   holds as many entries as the others on average. A capacity below what 1 MiB, its least, holds has no row."
            .to_owned(),
        headings: headings.map(str::to_owned).into(),
        rows,
        sums: Vec::new(),
    })
}

fn losses(rows: &[Row<'_>], engines: &[&Info]) -> Vec<Loss> {
    let loss = |row: &Row<'_>| {
        let ours = row.percent.get(SUBJECT)?;
        let (info, best) = row.best(engines)?;
        (row.counts() && *ours < best + NOISE).then(|| Loss {
            place: match row.capacity {
                u64::MAX => format!("traces, {}", row.trace),
                entries => format!("trace {}, {entries} entries", row.trace),
            },
            measure: "hit ratio".to_owned(),
            peer: info.title.clone(),
            how: format!("{ours:.2} % against {best:.2} %"),
            undecided: *ours > best - NOISE,
        })
    };
    rows.iter().filter_map(loss).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(capacity: u64, ours: f64, theirs: f64) -> Row<'static> {
        Row { trace: "t", capacity, percent: [(SUBJECT, ours), ("hashbrown", theirs)].into() }
    }

    #[test]
    fn small_caches_do_not_count() {
        let record = crate::report::tests::sample();
        let engines: Vec<&Info> = record
            .engines
            .iter()
            .filter(|info| [SUBJECT, "hashbrown"].contains(&info.name.as_str()))
            .collect();
        let rows = [row(50, 0.0, 90.0), row(500, 40.0, 50.0), row(600, 60.0, 50.0)];
        let mean = mean(&rows, &engines).unwrap();
        assert_eq!(mean.percent, [(SUBJECT, 50.0), ("hashbrown", 50.0)].into());
        let losses = losses(&rows, &engines);
        assert_eq!(losses.len(), 1);
        assert!(losses[0].place.contains("500") && !losses[0].undecided);
    }
}
