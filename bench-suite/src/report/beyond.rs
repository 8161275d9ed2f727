//! Stores in files with more data than memory: a table a class and workload, and a picture of each.

use super::charts::{self, Bars, Tone};
use super::experiments::grid::{Better, Grid};
use super::experiments::{self, Exhibit, dash};
use super::format;
use super::losses::Loss;
use super::markup::{self, escape};
use super::summary::Summary;
use crate::engines::contract::{Durability, Info};
use crate::measure::statistics::Spread;
use crate::record::histogram::Buckets;
use crate::record::trial::{Beyond, Finding, Trial};
use crate::workloads::Workload;

/// Who comes next to whom: the same class, workload and number of threads.
type Condition = (Durability, Workload, usize);

fn found<'a>(summary: &Summary<'a>) -> Vec<(&'a Trial, &'a Beyond)> {
    let trials = summary.record.trials.iter();
    trials
        .filter_map(|trial| match &trial.finding {
            Finding::BeyondMemory(found) => Some((trial, found)),
            _ => None,
        })
        .collect()
}

fn condition(found: &Beyond) -> Condition {
    (found.durability, found.workload, found.threads)
}

fn conditions(summary: &Summary<'_>) -> Vec<Condition> {
    let found = found(summary);
    let mut conditions: Vec<Condition> = Vec::new();
    for (_, found) in found {
        if !conditions.contains(&condition(found)) {
            conditions.push(condition(found));
        }
    }
    conditions.sort_by_key(|(class, _, threads)| (*class, *threads));
    conditions
}

fn speeds(summary: &Summary<'_>) -> Grid<Condition> {
    let mut grid = Grid::new(Better::More);
    for (trial, found) in found(summary) {
        grid.add(condition(found), &trial.engine, trial.block, found.speed.ops_a_second());
    }
    grid
}

/// One engine under one condition, all blocks.
struct Row<'a> {
    info: &'a Info,
    all: Vec<&'a Beyond>,
}

impl Row<'_> {
    fn spread(&self, value: impl Fn(&Beyond) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.all.iter().filter_map(|found| value(found)))
    }

    fn speed(&self) -> Option<Spread> {
        self.spread(|found| Some(found.speed.ops_a_second() / 1e3))
    }
}

/// Engines of a condition, in the order of the record.
fn rows<'a>(summary: &Summary<'a>, of: Condition) -> Vec<Row<'a>> {
    let found = found(summary);
    let stores = summary.record.files.stores.iter();
    let row = |info: &'a Info| {
        let own = found
            .iter()
            .filter(|(trial, found)| trial.engine == info.name && condition(found) == of);
        Row { info, all: own.map(|(_, found)| *found).collect() }
    };
    let rows = stores.filter(|store| store.durability == of.0).map(|store| row(&store.info));
    rows.filter(|row| !row.all.is_empty()).collect()
}

/// What was larger than what, in words.
fn scale(found: &Beyond, key_bytes: u64) -> String {
    let data = u64::from(found.entries) * (key_bytes + found.value_bytes);
    format!(
        "{} of {key_bytes} + {} bytes ({}), memory limited to {}",
        format::entries(found.entries),
        found.value_bytes,
        format::bytes(data),
        format::bytes(found.limit_bytes)
    )
}

pub(super) fn exhibits(summary: &Summary<'_>) -> Vec<Exhibit> {
    let speeds = speeds(summary);
    let all = conditions(summary).into_iter();
    all.filter_map(|condition| exhibit(summary, &speeds, condition)).collect()
}

fn exhibit(
    summary: &Summary<'_>,
    speeds: &Grid<Condition>,
    condition: Condition,
) -> Option<Exhibit> {
    let (class, workload, threads) = condition;
    let rows = rows(summary, condition);
    let first = rows.first()?.all.first()?;
    let each = |bytes: u64, found: &Beyond| bytes as f64 / 1024.0 / found.speed.ops.max(1) as f64;
    let cells = |row: &Row<'_>| -> Vec<String> {
        let speed = row.speed();
        let latencies = Buckets::merged(row.all.iter().map(|found| &found.latencies));
        let quantile = |q: f64| latencies.quantile(q).map_or_else(dash, format::nanoseconds);
        let show = |spread: Option<Spread>| {
            spread.map_or_else(dash, |spread| format::three(spread.median))
        };
        vec![
            show(speed),
            speed.map_or_else(dash, |speed| {
                format!("{}-{}", format::three(speed.least), format::three(speed.most))
            }),
            quantile(0.5),
            quantile(0.99),
            show(row.spread(|found| Some(each(found.read_bytes?, found)))),
            show(row.spread(|found| Some(each(found.written_bytes, found)))),
            row.spread(|found| Some(found.disk_bytes as f64))
                .map_or_else(dash, |spread| format::bytes(spread.median.round() as u64)),
        ]
    };
    let headings = ["k ops/s", "interval", "p50", "p99", "read", "written", "files"];
    let rest = vec![String::new(); headings.len() - 2];
    let against = |row: &Row<'_>| {
        let ratio = speeds.against(condition, &row.info.name)?;
        let [median, least, most] = [ratio.median, ratio.least, ratio.most].map(format::three);
        let name = format!("Nyala / {}", row.info.title);
        (row.info.name != super::summary::SUBJECT)
            .then(|| (name, [vec![median, format!("{least}-{most}")], rest.clone()].concat()))
    };
    Some(Exhibit {
        title: format!(
            "Larger than memory, class {}, {}, {}: {}",
            class.name(),
            workload.title(),
            format::threads(threads),
            scale(first, summary.record.run.key_bytes)
        ),
        sentence: format!(
            "{} The limit is a control group's, and holds for the whole process and the pages of files that it uses. p50 and p99 of a call. Read: KiB \
             that came from the disk for an operation, background work and what the kernel read around it included. Written: KiB of pages that became \
             dirty for one. Files: their blocks at the end of this workload.",
            workload.explained()
        ),
        headings: headings.map(str::to_owned).into(),
        rows: rows.iter().map(|row| (row.info.title.clone(), cells(row))).collect(),
        sums: rows.iter().filter_map(against).collect(),
    })
}

/// Pictures, tables and settings, for the page.
pub(super) fn body(summary: &Summary<'_>) -> String {
    let exhibits = exhibits(summary);
    if exhibits.is_empty() {
        return String::new();
    }
    let command = &summary.record.run.command;
    let chart = |condition: Condition| {
        let (class, workload, threads) = condition;
        let rows = rows(summary, condition);
        let bars: Vec<Bars> = rows
            .iter()
            .map(|row| Bars {
                // The version would not fit; the tables have it.
                label: row.info.title.replace(&format!(" {}", row.info.version), ""),
                tone: Tone::of(row.info),
                values: vec![row.speed()],
            })
            .collect();
        let title = format!(
            "{}, larger than memory, class {}, {}",
            workload.title(),
            class.name(),
            format::threads(threads)
        );
        let first = rows.iter().find_map(|row| row.all.first());
        let scale = first.map(|found| scale(found, summary.record.run.key_bytes));
        let sentence =
            format!("{}. Bars: median; whisker: 95 % interval.", scale.unwrap_or_default());
        let svg = charts::bars(&bars, "k ops/s", &title, format::three);
        let cells = format!("{}, larger than memory, {}", class.name(), workload.title());
        markup::figure(&title, &sentence, &svg, command, &cells)
    };
    let charts: String = conditions(summary).into_iter().map(chart).collect();
    format!(
        "<p>Stores in files whose process may take a quarter of their data as memory, the pages of files that it uses included. Loaded in the order \
         of the keys, synced, and each workload warmed for half its time. Each call is timed, with the clock's cost in it; operations are drawn on the \
         way, so that none is repeated.</p><div class=\"charts\">{charts}</div>{}{}{}",
        experiments::tables(exhibits),
        settings(summary),
        markup::again(command, "larger than memory")
    )
}

/// How each engine was kept below the limit.
fn settings(summary: &Summary<'_>) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (trial, found) in found(summary) {
        let class = found.durability.name().to_owned();
        let title = summary.title_of(&trial.engine).to_owned();
        let row = [title, class, found.settings.clone()].map(|text| escape(&text)).to_vec();
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let headings = ["Engine", "Class", "Under the limit"].map(str::to_owned);
    let table = markup::table(&headings, &rows);
    table.replacen("<table>", "<table class=\"words\">", 1)
}

pub(super) fn losses(summary: &Summary<'_>) -> Vec<Loss> {
    let place = |(class, workload, threads): Condition| {
        format!(
            "{} larger than memory, class {}, {}",
            workload.title(),
            class.name(),
            format::threads(threads)
        )
    };
    speeds(summary).losses(summary, "operations a second", place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::file::Record;
    use crate::record::files::FileStore;
    use crate::record::trial::Speed;
    use crate::report::tests::sample;

    /// A record of two engines, of which the other is twice as fast.
    fn record() -> Record {
        let mut record = sample();
        let info = record.engines[0].clone();
        for (name, ops) in [("nyala", 1000), ("lmdb", 2000)] {
            let info = Info { name: name.to_owned(), title: name.to_uppercase(), ..info.clone() };
            let durability = Durability::D1;
            record.files.stores.push(FileStore { durability, info, audit: None });
            for block in 0..3 {
                let found = Beyond {
                    durability,
                    workload: Workload::Get,
                    limit_bytes: 64 << 20,
                    entries: 250_000,
                    value_bytes: 1024,
                    threads: 1,
                    read_bytes: Some(4096 * ops),
                    written_bytes: 0,
                    disk_bytes: 300 << 20,
                    settings: format!("<{name}>"),
                    timer_ns: 30,
                    latencies: Buckets::default(),
                    speed: Speed { ops, seconds: 1.0 + f64::from(block) / 100.0 },
                };
                record.trials.push(Trial {
                    engine: name.to_owned(),
                    block,
                    position: 0,
                    steal_percent: 0.0,
                    load_average: 0.0,
                    finding: Finding::BeyondMemory(found),
                });
            }
        }
        record
    }

    #[test]
    fn limit_and_data_stand_with_the_numbers() {
        let record = record();
        let summary = Summary::of(&record);
        let exhibits = exhibits(&summary);
        assert_eq!(exhibits.len(), 1);
        for part in ["class D1", "64.0 MiB", "250 k entries of 16 + 1024 bytes (248 MiB)"] {
            assert!(exhibits[0].title.contains(part), "{}", exhibits[0].title);
        }
        let (name, cells) = &exhibits[0].rows[0];
        assert_eq!(
            (name.as_str(), cells[0].as_str(), cells[4].as_str()),
            ("NYALA", "0.990", "4.00")
        );
        assert!(
            exhibits[0].sums.iter().all(|(_, cells)| cells.len() == exhibits[0].headings.len())
        );
        assert_eq!(exhibits[0].sums[0].1[0], "0.500");
        let page = body(&summary);
        assert!(page.contains("<svg") && page.contains("&lt;lmdb&gt;"), "{page}");
        assert_eq!(losses(&summary).len(), 1);
    }

    #[test]
    fn nothing_is_said_where_nothing_was_measured() {
        let record = sample();
        let summary = Summary::of(&record);
        assert!(exhibits(&summary).is_empty() && body(&summary).is_empty());
    }
}
