//! Two records beside each other, cell by cell: how far the medians are apart, and whether the intervals overlap. Machines drift, and so
//! do all engines on one; what has to hold again is Nyala's ratio to each other engine, from pairs within a block.

use std::collections::BTreeMap;

use super::format;
use super::summary::SUBJECT;
use super::table::Table;
use crate::cells;
use crate::engines::contract::Durability;
use crate::measure::statistics::{Spread, paired_ratios};
use crate::record::file::Record;
use crate::record::trial::Finding;
use crate::workloads::stream::Content;

/// The name of a cell, and its unit.
type Condition = (String, &'static str);
/// Values by block.
type Values = Vec<(u32, f64)>;
/// Everything that a record measured, by condition and engine.
type Readings = BTreeMap<Condition, BTreeMap<String, Values>>;

const OPS: &str = "M ops/s";

fn readings(record: &Record) -> Readings {
    let mut readings = Readings::new();
    let mut add = |name: String, unit, engine: &str, block, value: f64| {
        if value.is_finite() {
            let engines = readings.entry((name, unit)).or_default();
            engines.entry(engine.to_owned()).or_default().push((block, value));
        }
    };
    let volatile = record.cells.iter().map(|cell| (Durability::D0, Content::default(), cell));
    let lasting = record.files.cells.iter();
    let lasting = lasting.map(|cell| (cell.durability, cell.values, &cell.cell));
    for (class, values, cell) in volatile.chain(lasting) {
        let name = cells::workload(class, cell.workload, cell.entries, cell.threads);
        let name = cells::with_values(name, values);
        add(name.clone(), OPS, &cell.engine, cell.block, cell.ops_a_second() / 1e6);
        if let Some(bytes) = cell.bytes_an_entry() {
            add(name, "bytes an entry", &cell.engine, cell.block, bytes);
        }
    }
    for trial in &record.trials {
        let (unit, value) = match &trial.finding {
            Finding::HitRatio(found) => ("% hits", found.percent()),
            Finding::Eviction(found) => (OPS, found.speed.ops_a_second() / 1e6),
            Finding::Growth(found) => (OPS, f64::from(found.entries) / found.seconds / 1e6),
            Finding::HotKey(found) => (OPS, found.speed.ops_a_second() / 1e6),
            Finding::Overwrite(found) => (OPS, found.speed.ops_a_second() / 1e6),
            Finding::BeyondMemory(found) => (OPS, found.speed.ops_a_second() / 1e6),
            Finding::ValueSize(found) => (OPS, found.speed.ops_a_second() / 1e6),
            Finding::Latency(found) => match found.latencies.quantile(0.99) {
                Some(p99) => ("µs, p99", p99 as f64 / 1e3),
                None => continue,
            },
            Finding::Memory(found) => {
                ("bytes an entry", found.grown_bytes as f64 / f64::from(found.entries))
            }
        };
        add(cells::finding(&trial.finding), unit, &trial.engine, trial.block, value);
    }
    for facts in &record.files.facts {
        let class = cells::with_values(facts.durability.name().to_owned(), facts.values);
        let written = facts.written_bytes as f64 / facts.set_bytes.max(1) as f64;
        let (engine, block) = (facts.engine.as_str(), facts.block);
        add(format!("{class}, written"), "bytes a byte set", engine, block, written);
        add(format!("{class}, opening"), "ms", engine, block, 1e3 * facts.open_clean);
        add(format!("{class}, opening after a kill"), "ms", engine, block, 1e3 * facts.open_killed);
    }
    readings
}

/// One engine under one condition in both records.
#[derive(Debug, Clone, PartialEq)]
struct Pair {
    engine: String,
    medians: [Spread; 2],
    /// The second median over the first.
    ratio: Spread,
    /// Nyala's ratio to the engine in each record.
    against: Option<[Spread; 2]>,
}

impl Pair {
    fn of(engine: &str, values: [&Values; 2], ours: [Option<&Values>; 2]) -> Option<Pair> {
        let plain = |values: &Values| values.iter().map(|(_, value)| *value).collect::<Vec<_>>();
        let [first, second] = values.map(plain);
        let against = |record: usize| {
            let ours = ours[record].filter(|_| engine != SUBJECT)?;
            Spread::of(paired_ratios(ours, values[record]))
        };
        Some(Pair {
            engine: engine.to_owned(),
            medians: [Spread::of(first.iter().copied())?, Spread::of(second.iter().copied())?],
            ratio: Spread::of_ratio(second, first)?,
            against: against(0).zip(against(1)).map(|(first, second)| [first, second]),
        })
    }
}

/// How many of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    there: usize,
    all: usize,
}

impl Share {
    fn add(&mut self, there: bool) {
        self.there += usize::from(there);
        self.all += 1;
    }

    fn percent(self) -> f64 {
        if self.all == 0 { 100.0 } else { 100.0 * self.there as f64 / self.all as f64 }
    }
}

/// Two records beside each other.
#[derive(Debug)]
pub(crate) struct Comparison {
    pairs: BTreeMap<Condition, Vec<Pair>>,
    /// Cells that one record has and the other lacks.
    alone: [usize; 2],
    medians: Share,
    ratios: Share,
}

impl Comparison {
    /// Of the cells whose names contain any of `texts`.
    pub(crate) fn of(records: [&Record; 2], texts: &[String]) -> Comparison {
        let readings = records.map(readings);
        let mut comparison = Comparison {
            pairs: BTreeMap::new(),
            alone: [0; 2],
            medians: Share::default(),
            ratios: Share::default(),
        };
        let chosen = |condition: &Condition| cells::chosen(&condition.0, texts);
        for (number, other) in [(0, 1), (1, 0)] {
            for (condition, engines) in &readings[number] {
                let there = |engine| {
                    readings[other].get(condition).is_some_and(|all| all.contains_key(engine))
                };
                let lonely = engines.keys().filter(|engine| !there(*engine)).count();
                comparison.alone[number] += if chosen(condition) { lonely } else { 0 };
            }
        }
        let [first, second] = &readings;
        for (condition, engines) in first.iter().filter(|(condition, _)| chosen(condition)) {
            let Some(others) = second.get(condition) else { continue };
            let ours = [engines.get(SUBJECT), others.get(SUBJECT)];
            let pairs: Vec<Pair> = engines
                .iter()
                .filter_map(|(engine, values)| {
                    Pair::of(engine, [values, others.get(engine)?], ours)
                })
                .collect();
            for pair in &pairs {
                comparison.medians.add(pair.medians[0].overlaps(&pair.medians[1]));
                if let Some([first, second]) = &pair.against {
                    comparison.ratios.add(first.overlaps(second));
                }
            }
            if !pairs.is_empty() {
                comparison.pairs.insert(condition.clone(), pairs);
            }
        }
        comparison
    }

    /// Whether there is anything to compare.
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Of Nyala's ratios, or where there is none of the medians, the part that overlaps, in per cent.
    pub(crate) fn percent(&self) -> f64 {
        if self.ratios.all > 0 { self.ratios.percent() } else { self.medians.percent() }
    }

    pub(crate) fn render(&self, records: [&Record; 2]) -> String {
        let headings = ["A", "B", "B / A", "", "Nyala / it in A", "in B", ""].map(str::to_owned);
        let mut table = Table::new(headings);
        for ((name, unit), pairs) in &self.pairs {
            table.row(&format!("{name}: {unit}"), []);
            for pair in pairs {
                table.row(&format!("  {}", pair.engine), cells_of(pair));
            }
        }
        let mut out = differences(records);
        out.push_str(&table.render());
        let share =
            |share: Share| format!("{} of {} ({:.0} %)", share.there, share.all, share.percent());
        out.push_str(&format!(
            "\nCells whose intervals of the median overlap: {}\nCells whose intervals of Nyala's ratio to the engine overlap: {}\n",
            share(self.medians),
            share(self.ratios)
        ));
        for (name, count) in ["A", "B"].iter().zip(self.alone).filter(|(_, count)| *count > 0) {
            out.push_str(&format!("Cells in {name} alone: {count}\n"));
        }
        out
    }
}

fn cells_of(pair: &Pair) -> Vec<String> {
    let shown = |spread: &Spread| {
        let [median, least, most] = [spread.median, spread.least, spread.most].map(format::three);
        format!("{median} ({least}-{most})")
    };
    let word = |[first, second]: &[Spread; 2]| {
        if first.overlaps(second) { "overlap" } else { "apart" }.to_owned()
    };
    let mut cells = vec![
        format::three(pair.medians[0].median),
        format::three(pair.medians[1].median),
        shown(&pair.ratio),
        word(&pair.medians),
    ];
    if let Some(against) = &pair.against {
        cells.extend(against.iter().map(shown));
        cells.push(word(against));
    }
    cells
}

/// What is another in the second record, before the numbers: a reader has to know.
fn differences(records: [&Record; 2]) -> String {
    let facts = records.map(|record| {
        let (run, here) = (&record.run, &record.run.environment);
        [
            ("command", run.command.clone()),
            ("revision", here.git_revision.clone()),
            ("processor", format!("{}, {} cores", here.cpu, here.cores)),
            ("system", format!("{}, kernel {}", here.system, here.kernel)),
            ("compiler", format!("{}, {}", here.rustc, here.build)),
        ]
    });
    let [first, second] = &facts;
    let other = first.iter().zip(second).filter(|(first, second)| first != second);
    other
        .map(|((what, first), (_, second))| format!("Another {what}: A {first}\n  B {second}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn a_record_agrees_with_itself() {
        let record = sample();
        let comparison = Comparison::of([&record, &record], &[]);
        assert!((comparison.percent() - 100.0).abs() < 1e-9);
        assert_eq!(comparison.alone, [0, 0]);
        assert!(comparison.ratios.all > 50, "{comparison:?}");
        let text = comparison.render([&record, &record]);
        assert!(text.contains("D0, get, 5 k entries, 1 thread: M ops/s"), "{text}");
        assert!(!text.contains("apart") && !text.contains("Another"), "{text}");
    }

    #[test]
    fn what_became_slower_stands_apart() {
        let (record, mut other) = (sample(), sample());
        for cell in other.cells.iter_mut().filter(|cell| cell.engine == "nyala") {
            cell.seconds *= 100.0;
        }
        other.run.environment.cpu = "another".to_owned();
        other.trials.clear();
        let texts = ["D0, get".to_owned()];
        let comparison = Comparison::of([&record, &other], &texts);
        assert!(comparison.percent() < 1e-9, "{comparison:?}");
        let text = comparison.render([&record, &other]);
        assert!(text.contains("0 of") && text.contains("Another processor"), "{text}");
        assert!(Comparison::of([&record, &other], &[]).alone[0] > 0);
        assert!(Comparison::of([&record, &other], &["no such cell".to_owned()]).is_empty());
    }
}
