//! Names of what is measured apart from the engine: the same in plans, on the command line and in comparisons of records.

use crate::engines::contract::Durability;
use crate::experiments::Task;
use crate::files::Step;
use crate::files::beyond::WORKLOADS;
use crate::measure::unit::{Stage, Unit};
use crate::record::trial::{Action, Finding, Sizes};
use crate::report::format;
use crate::workloads::Workload;
use crate::workloads::stream::Content;

/// A workload on a store: `D0, get, 1 M entries, 1 thread`.
pub(crate) fn workload(
    class: Durability,
    workload: Workload,
    entries: u32,
    threads: usize,
) -> String {
    let (class, title, threads) = (class.name(), workload.title(), format::threads(threads));
    match workload {
        Workload::CacheAside => format!("{class}, {title}, {threads}"),
        _ => format!("{class}, {title}, {}, {threads}", format::entries(entries)),
    }
}

/// The name of a cell with such values.
pub(crate) fn with_values(name: String, values: Content) -> String {
    match values {
        Content::Incompressible => name,
        Content::Compressible => format!("{name}, values 2:1"),
    }
}

fn sizes(sizes: Sizes) -> &'static str {
    match sizes {
        Sizes::Equal => "equal sizes",
        Sizes::Mixed => "mixed sizes",
    }
}

/// An experiment: `eviction, 200 k entries, 2 threads`.
pub(crate) fn finding(finding: &Finding) -> String {
    match finding {
        Finding::HitRatio(found) => {
            format!("hit ratio, {}, room for {}", found.trace, found.capacity)
        }
        Finding::Eviction(found) => {
            format!("eviction, {}, {}", format::entries(found.keys), format::threads(found.threads))
        }
        Finding::Growth(found) => format!("growth, {}", format::entries(found.entries)),
        Finding::HotKey(found) => {
            let action = match found.action {
                Action::Read => "read",
                Action::Increment => "increment",
            };
            format!("hot key, {action}, {}", format::threads(found.threads))
        }
        // A store without a budget has no share of it: its one row stands beside each of those that have.
        Finding::Overwrite(found) => match found.fill_percent {
            Some(percent) => format!("full store, {}, {percent} %", sizes(found.sizes)),
            None => format!("full store, {}, no budget", sizes(found.sizes)),
        },
        Finding::Memory(found) => format!("memory, {}", format::entries(found.entries)),
        Finding::BeyondMemory(found) => {
            beyond(found.durability, found.workload, found.entries, found.limit_bytes)
        }
        Finding::ValueSize(found) => {
            format!("{}, {}", value_size(found.value_bytes), found.access.title())
        }
        Finding::Latency(found) => {
            format!("{}, at {} %", latency(found.durability, found.entries), found.percent)
        }
    }
}

/// `D0, latency, 100 k entries`; what a record has ends with the rate.
fn latency(class: Durability, entries: u32) -> String {
    format!("{}, latency, {}", class.name(), format::entries(entries))
}

/// `value size 4 KiB`; what a record has ends with what was done.
fn value_size(bytes: u32) -> String {
    format!("value size {}", format::value_size(bytes))
}

/// `D1, larger than memory, get, 250 k entries, limit 64.0 MiB`.
fn beyond(class: Durability, workload: Workload, entries: u32, limit_bytes: u64) -> String {
    let (class, title, limit) = (class.name(), workload.title(), format::bytes(limit_bytes));
    format!("{class}, larger than memory, {title}, {}, limit {limit}", format::entries(entries))
}

/// What a task will find, as far as that is known before: the beginning of the names of its findings.
fn task(task: &Task, threads: usize) -> String {
    match task {
        Task::HitRatio { .. } => "hit ratio".to_owned(),
        Task::Eviction { keys } => {
            format!("eviction, {}, {}", format::entries(*keys), format::threads(threads))
        }
        Task::Growth { entries } => format!("growth, {}", format::entries(*entries)),
        Task::HotKey => "hot key".to_owned(),
        Task::Overwrite { fill_percent, sizes: of, .. } => {
            format!("full store, {}, {fill_percent} %", sizes(*of))
        }
        Task::Memory { entries } => format!("memory, {}", format::entries(*entries)),
        Task::Latency { entries } => latency(Durability::D0, *entries),
        Task::ValueSize { value_bytes, .. } => value_size(*value_bytes),
    }
}

/// The cells of a unit.
pub(crate) fn of_unit(unit: &Unit) -> Vec<String> {
    let with_load =
        |class, entries: &u32, workloads: &[Workload], readers: &[usize]| -> Vec<String> {
            let load = workload(class, Workload::Load, *entries, unit.threads);
            let asked = readers.iter().flat_map(|threads| {
                workloads.iter().map(move |kind| workload(class, *kind, *entries, *threads))
            });
            std::iter::once(load).chain(asked).collect()
        };
    match &unit.stage {
        Stage::Store { entries, workloads, readers } => {
            with_load(Durability::D0, entries, workloads, readers)
        }
        Stage::Replay { .. } => {
            vec![workload(Durability::D0, Workload::CacheAside, 0, unit.threads)]
        }
        Stage::Experiment(found) => vec![task(found, unit.threads)],
        Stage::Files { home, step: Step::Measure { entries, workloads, values } } => {
            let all: Vec<String> = with_load(home.durability, entries, workloads, &[unit.threads]);
            all.into_iter().map(|name| with_values(name, *values)).collect()
        }
        Stage::Files { home, step: Step::Latency { entries } } => {
            vec![latency(home.durability, *entries)]
        }
        Stage::Files { home, step: Step::Beyond(excess) } => {
            let name =
                |workload| beyond(home.durability, workload, excess.entries, excess.limit_bytes);
            WORKLOADS.map(name).into()
        }
        Stage::Files { .. } => Vec::new(),
    }
}

/// Whether any of the texts stands in the name of a cell; without texts every cell is chosen.
pub(crate) fn chosen(name: &str, texts: &[String]) -> bool {
    texts.is_empty() || texts.iter().any(|text| name.contains(text.as_str()))
}

/// The same of a unit, some of whose cells have longer names than is known before.
pub(crate) fn unit_chosen(unit: &Unit, texts: &[String]) -> bool {
    let prefix = |name: &String| texts.iter().any(|text| text.starts_with(name.as_str()));
    of_unit(unit).iter().any(|name| chosen(name, texts) || prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_chooses_the_cells_that_it_stands_in() {
        let name = workload(Durability::D0, Workload::Get, 1_000_000, 2);
        assert_eq!(name, "D0, get, 1 M entries, 2 threads");
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        for (list, there) in [
            (&[][..], true),
            (&["get, 1 M"], true),
            (&["load", "2 threads"], true),
            (&["get, 5 M"], false),
        ] {
            assert_eq!(chosen(&name, &texts(list)), there, "{list:?}");
        }
        let unit = Unit {
            engine: "nyala".to_owned(),
            stage: Stage::Experiment(Task::HotKey),
            threads: 1,
            block: 0,
            position: 0,
            seed: 0,
            span_ms: 1,
            stream_len: 1,
        };
        assert!(unit_chosen(&unit, &texts(&["hot key, read, 4 threads"])));
        assert!(!unit_chosen(&unit, &texts(&["hit ratio"])));
    }
}
