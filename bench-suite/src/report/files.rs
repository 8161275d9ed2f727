//! Stores in files: a set of tables for each durability class, which never share one, and what the audits saw.

use super::charts::{self, Bars, Tone};
use super::experiments::grid::{Better, Grid};
use super::experiments::{self, Exhibit, dash};
use super::format;
use super::losses::Loss;
use super::markup::{self, Part};
use super::summary::{QUANTILES, SUBJECT, Summary};
use crate::engines::contract::{Durability, Group};
use crate::measure::statistics::Spread;
use crate::record::files::{FileCell, FileFacts, FileStore, Syncs};
use crate::record::histogram::Buckets;
use crate::workloads::Workload;
use crate::workloads::stream::Content;

/// What was measured, apart from the engine.
type Condition = (Durability, usize, Workload);

/// Workloads whose latencies are shown: those that a class makes slow.
const WRITES: [Workload; 2] = [Workload::Insert, Workload::Overwrite];

fn classes(summary: &Summary<'_>) -> Vec<Durability> {
    let stores = &summary.record.files.stores;
    let there = |class: &Durability| stores.iter().any(|store| store.durability == *class);
    Durability::OF_FILES.into_iter().filter(there).collect()
}

/// Engines of a class, in the order of the record.
fn stores<'a>(
    summary: &Summary<'a>,
    durability: Durability,
    group: Group,
) -> impl Iterator<Item = &'a FileStore> {
    let stores = summary.record.files.stores.iter();
    stores.filter(move |store| store.durability == durability && store.info.group == group)
}

/// Of what runs in this process: with the floors each is compared by itself, without them the best is looked for.
fn speeds(summary: &Summary<'_>, floors: bool) -> Grid<Condition> {
    let mut grid = Grid::new(Better::More);
    for FileCell { durability, values, cell } in &summary.record.files.cells {
        if !values.is_incompressible() {
            continue;
        }
        let compared = stores(summary, *durability, Group::InProcess)
            .any(|store| store.info.name == cell.engine && (floors || !store.info.floor));
        if compared {
            let condition = (*durability, cell.threads, cell.workload);
            grid.add(condition, &cell.engine, cell.block, cell.ops_a_second());
        }
    }
    grid
}

pub(super) fn exhibits(summary: &Summary<'_>) -> Vec<Exhibit> {
    classes(summary).into_iter().flat_map(|class| of_class(summary, class)).collect()
}

/// The rates of each class in process, on one thread.
pub(super) fn rates(summary: &Summary<'_>) -> Vec<Exhibit> {
    let speeds = speeds(summary, true);
    let of = |class| throughput(summary, &speeds, class, 1, Group::InProcess);
    classes(summary).into_iter().filter_map(of).collect()
}

fn thread_counts(summary: &Summary<'_>, class: Durability) -> Vec<usize> {
    let mut threads: Vec<usize> = cells_of(summary, class).map(|cell| cell.threads).collect();
    threads.sort_unstable();
    threads.dedup();
    threads
}

fn of_class(summary: &Summary<'_>, class: Durability) -> Vec<Exhibit> {
    let speeds = speeds(summary, true);
    let mut exhibits = Vec::new();
    for threads in thread_counts(summary, class) {
        for group in [Group::InProcess, Group::Socket] {
            exhibits.extend(throughput(summary, &speeds, class, threads, group));
        }
    }
    exhibits.extend(latencies(summary, class));
    exhibits.extend(disk(summary, class));
    exhibits.extend(compressible(summary, class));
    exhibits.extend(audits(summary, class));
    exhibits
}

/// Values that compress, and what of that each engine makes.
fn compressible(summary: &Summary<'_>, class: Durability) -> Option<Exhibit> {
    let both = [Content::Incompressible, Content::Compressible];
    let workloads = [Workload::Load, Workload::Overwrite, Workload::Get];
    let rows: Vec<(String, Vec<String>)> = stores(summary, class, Group::InProcess)
        .filter_map(|store| {
            let name = &store.info.name;
            let own = |cell: &&crate::record::Cell| cell.engine == *name && cell.threads == 1;
            of_content(summary, class, Content::Compressible).find(own)?;
            let speed = |workload: Workload| {
                let cells = of_content(summary, class, Content::Compressible).filter(own);
                let cells = cells.filter(|cell| cell.workload == workload);
                Spread::of(cells.map(|cell| cell.ops_a_second() / 1e3))
                    .map_or_else(dash, |spread| format::three(spread.median))
            };
            let disk = |values: Content| {
                let facts = summary.record.files.facts.iter().filter(|facts| {
                    facts.durability == class && facts.engine == *name && facts.values == values
                });
                Spread::of(facts.map(|facts| facts.loaded_bytes as f64 / f64::from(facts.entries)))
                    .map_or_else(dash, |spread| format!("{:.0}", spread.median))
            };
            Some((label(store), workloads.map(speed).into_iter().chain(both.map(disk)).collect()))
        })
        .collect();
    (!rows.is_empty()).then(|| Exhibit {
        title: format!("Class {}, values that compress 2:1: k ops/s, and bytes an entry on disk", class.name()),
        sentence: "One thread. Disk: blocks of all files after the load for each entry, key and value included, with values that do not compress and with \
                   those that do."
            .to_owned(),
        headings: ["load", "overwrite", "get", "disk, random", "disk, 2:1"].map(str::to_owned).into(),
        rows,
        sums: Vec::new(),
    })
}

/// A part of the page for each class, which never share one.
pub(super) fn parts(summary: &Summary<'_>) -> Vec<Part> {
    let command = &summary.record.run.command;
    let part = |class: Durability| {
        let name = class.name();
        let body = format!(
            "<p>An acknowledged write {}. Rates of other classes have no place beside these.</p><div class=\"charts\">{}</div>{}{}",
            class.promise(),
            charts(summary, class),
            experiments::tables(of_class(summary, class)),
            markup::again(command, name)
        );
        Part::new(name, &format!("{name}, files"), &format!("Class {name}, in files"), body)
    };
    classes(summary).into_iter().map(part).collect()
}

/// One chart a workload, with a bar for each number of threads.
fn charts(summary: &Summary<'_>, class: Durability) -> String {
    let threads = thread_counts(summary, class);
    let there =
        |workload: &Workload| cells_of(summary, class).any(|cell| cell.workload == *workload);
    let chart = |workload: Workload| {
        let rows: Vec<Bars> = stores(summary, class, Group::InProcess)
            .map(|store| Bars {
                // The version would not fit; the tables have it.
                label: label(store).replace(&format!(" {}", store.info.version), ""),
                tone: Tone::of(&store.info),
                values: threads
                    .iter()
                    .map(|threads| {
                        let own = cells_of(summary, class).filter(|cell| {
                            cell.engine == store.info.name
                                && cell.workload == workload
                                && cell.threads == *threads
                        });
                        Spread::of(own.map(|cell| cell.ops_a_second() / 1e3))
                    })
                    .collect(),
            })
            .filter(|row| row.values.iter().any(Option::is_some))
            .collect();
        let title = format!("{}, class {}", workload.title(), class.name());
        let counts: Vec<String> = threads.iter().map(|threads| format::threads(*threads)).collect();
        let counts = if threads.len() > 1 {
            format!("light {}, dark {}", counts[0], counts[1..].join(", "))
        } else {
            counts.concat()
        };
        let sentence =
            format!("{} Bars: median, {counts}; whisker: 95 % interval.", workload.explained());
        let svg = charts::bars(&rows, "k ops/s", &title, format::three);
        let cells = format!("{}, {},", class.name(), workload.title());
        markup::figure(&title, &sentence, &svg, &summary.record.run.command, &cells)
    };
    Workload::ALL.into_iter().filter(there).map(chart).collect()
}

pub(super) fn losses(summary: &Summary<'_>) -> Vec<Loss> {
    let place = |(class, threads, workload): Condition| {
        format!(
            "{} in files, class {}, {}",
            workload.title(),
            class.name(),
            format::threads(threads)
        )
    };
    speeds(summary, false).losses(summary, "operations a second", place)
}

fn cells_of<'a>(
    summary: &Summary<'a>,
    class: Durability,
) -> impl Iterator<Item = &'a crate::record::Cell> {
    of_content(summary, class, Content::Incompressible)
}

fn of_content<'a>(
    summary: &Summary<'a>,
    class: Durability,
    values: Content,
) -> impl Iterator<Item = &'a crate::record::Cell> {
    let cells = summary.record.files.cells.iter();
    let cells = cells.filter(move |cell| cell.durability == class && cell.values == values);
    cells.map(|cell| &cell.cell)
}

fn throughput(
    summary: &Summary<'_>,
    speeds: &Grid<Condition>,
    class: Durability,
    threads: usize,
    group: Group,
) -> Option<Exhibit> {
    let cells: Vec<_> = cells_of(summary, class).filter(|cell| cell.threads == threads).collect();
    let there = |workload: &Workload| cells.iter().any(|cell| cell.workload == *workload);
    let workloads: Vec<Workload> = Workload::ALL.into_iter().filter(there).collect();
    let rows: Vec<(String, Vec<String>)> = stores(summary, class, group)
        .map(|store| {
            let speed = |workload: &Workload| {
                let own = cells
                    .iter()
                    .filter(|cell| cell.engine == store.info.name && cell.workload == *workload);
                Spread::of(own.map(|cell| cell.ops_a_second() / 1e3))
                    .map_or_else(dash, |spread| format::three(spread.median))
            };
            (label(store), workloads.iter().map(speed).collect())
        })
        .collect();
    let entries = cells.iter().map(|cell| cell.entries).max()?;
    if rows.is_empty() {
        return None;
    }
    let mut sums = Vec::new();
    for peer in stores(summary, class, group)
        .filter(|store| group == Group::InProcess && store.info.name != SUBJECT)
    {
        let ratio = |workload: &Workload| {
            speeds.against((class, threads, *workload), &peer.info.name).map_or_else(
                dash,
                |ratio| {
                    format!(
                        "{} ({}-{})",
                        format::three(ratio.median),
                        format::three(ratio.least),
                        format::three(ratio.most)
                    )
                },
            )
        };
        sums.push((format!("Nyala / {}", peer.info.title), workloads.iter().map(ratio).collect()));
    }
    let place = match group {
        Group::InProcess => "in process",
        Group::Socket => "over loopback TCP, another experiment: a socket lies between",
    };
    let entries = format::entries(entries);
    let in_short = format::threads(threads);
    Some(Exhibit {
        title: format!("Class {}, in files: k ops/s, {entries}, {in_short}, {place}", class.name()),
        sentence: format!(
            "An acknowledged write {}. Load: groups of {}; everything else one operation, or one batch of reads, a transaction. \
             Ratios are medians of pairs within a block, with their 95 % interval.",
            class.promise(),
            crate::engines::contract::GROUP
        ),
        headings: workloads.iter().map(|workload| workload.title().to_owned()).collect(),
        rows,
        sums,
    })
}

fn label(store: &FileStore) -> String {
    if store.info.note.is_some() {
        format!("{} *", store.info.title)
    } else {
        store.info.title.clone()
    }
}

fn latencies(summary: &Summary<'_>, class: Durability) -> Option<Exhibit> {
    let stores = stores(summary, class, Group::InProcess);
    let rows: Vec<(String, Vec<String>)> = stores
        .filter_map(|store| {
            let merged = WRITES.map(|workload| {
                let own = cells_of(summary, class).filter(|cell| {
                    cell.engine == store.info.name && cell.workload == workload && cell.threads == 1
                });
                Buckets::merged(own.map(|cell| &cell.latencies))
            });
            let known = merged.iter().any(|buckets| buckets.samples() > 0);
            let show = |buckets: &Buckets| {
                QUANTILES.map(|(q, _)| buckets.quantile(q).map_or_else(dash, format::nanoseconds))
            };
            known.then(|| (label(store), merged.iter().flat_map(show).collect()))
        })
        .collect();
    (!rows.is_empty()).then(|| Exhibit {
        title: format!("Class {}, latency of insert, then of overwrite", class.name()),
        sentence: "One thread, sampled in the closed loop.".to_owned(),
        headings: WRITES.iter().flat_map(|_| QUANTILES.map(|(_, name)| name.to_owned())).collect(),
        rows,
        sums: Vec::new(),
    })
}

fn disk(summary: &Summary<'_>, class: Durability) -> Option<Exhibit> {
    let all = &summary.record.files.facts;
    let rows: Vec<(String, Vec<String>)> = [Group::InProcess, Group::Socket]
        .into_iter()
        .flat_map(|group| stores(summary, class, group))
        .filter_map(|store| {
            let own: Vec<&FileFacts> = all
                .iter()
                .filter(|facts| facts.durability == class && facts.engine == store.info.name)
                .filter(|facts| facts.values.is_incompressible())
                .collect();
            let median = |value: &dyn Fn(&FileFacts) -> f64| {
                Spread::of(own.iter().map(|facts| value(facts))).map(|spread| spread.median)
            };
            let payload = summary.payload_bytes();
            let each = |bytes: u64, facts: &FileFacts| bytes as f64 / f64::from(facts.entries);
            let cells = [
                median(&|facts| each(facts.loaded_bytes, facts) - payload)
                    .map(|bytes| format!("{bytes:.0}")),
                median(&|facts| each(facts.memory_bytes, facts)).map(|bytes| format!("{bytes:.0}")),
                median(&|facts| facts.ended_bytes as f64 / 1e6)
                    .map(|bytes| format!("{bytes:.0} MB")),
                median(&|facts| facts.written_bytes as f64 / facts.set_bytes.max(1) as f64)
                    .map(format::three),
                median(&|facts| 1e3 * facts.open_clean).map(format::three),
                median(&|facts| 1e3 * facts.open_killed).map(format::three),
            ];
            let cells = cells.map(|cell| cell.unwrap_or_else(dash)).into();
            (!own.is_empty()).then(|| (label(store), cells))
        })
        .collect();
    let place = summary.record.files.place.as_ref()?;
    (!rows.is_empty()).then(|| Exhibit {
        title: format!("Class {}, disk and opening", class.name()),
        sentence: format!(
            "Disk: blocks of all files after the load, beyond key and value, an entry; at the end: all of them. Memory: growth of anonymous \
             memory to the end of the load, an entry. Written: bytes of pages that the process made dirty, for each byte of key and value that \
             it set, load included; the kernel counts a page as it turns dirty, through a map too, so several changes before it is written back \
             count once; the file system's journal is not in it. Opening: to the first value read, files in the page cache; after SIGKILL with a \
             tenth of the entries set again since the clean close, or 0.3 s of them. {}, {}; a page and its fdatasync: {}, nine in ten within {}.",
            place.device,
            place.file_system,
            format::nanoseconds(place.fdatasync_ns),
            format::nanoseconds(place.fdatasync_p90_ns)
        ),
        headings: ["disk/entry", "memory/entry", "at the end", "written", "open, ms", "after kill, ms"]
            .map(str::to_owned)
            .into(),
        rows,
        sums: Vec::new(),
    })
}

fn audits(summary: &Summary<'_>, class: Durability) -> Option<Exhibit> {
    let mut unwatched: Option<&str> = None;
    let rows: Vec<(String, Vec<String>)> = [Group::InProcess, Group::Socket]
        .into_iter()
        .flat_map(|group| stores(summary, class, group))
        .filter_map(|store| {
            let audit = store.audit.as_ref()?;
            unwatched = unwatched.or(audit.unwatched.as_deref());
            let syncs =
                |show: &dyn Fn(&Syncs) -> String| audit.syncs.as_ref().map_or_else(dash, show);
            let killed = &audit.killed;
            let cells = vec![
                syncs(&|syncs| syncs.sets.to_string()),
                syncs(&|syncs| {
                    let calls: Vec<String> =
                        syncs.calls.iter().map(|(name, count)| format!("{count} {name}")).collect();
                    if calls.is_empty() { "none".to_owned() } else { calls.join(", ") }
                }),
                syncs(&|syncs| format!("{:.2} s", syncs.longest_gap)),
                killed.acknowledged.to_string(),
                killed.lost.to_string(),
                if killed.lost == 0 { dash() } else { format!("{:.2} s", killed.oldest_lost) },
            ];
            Some((label(store), cells))
        })
        .collect();
    let mut sentence = "Syncs that ended well during single sets on one thread, as strace saw them, and the longest time without one; then, another \
                        process being killed in the middle of its sets: those that it had acknowledged, those of them that were gone, and how old \
                        the oldest of these was. An engine that contradicts its class is left out."
        .to_owned();
    if let Some(why) = unwatched {
        sentence.push_str(&format!(" Where there is a dash, syncs were not counted: {why}."));
    }
    (!rows.is_empty()).then(|| Exhibit {
        title: format!("Class {}, audit", class.name()),
        sentence,
        headings: [
            "sets",
            "syncs",
            "longest gap",
            "acknowledged",
            "gone after kill",
            "oldest gone",
        ]
        .map(str::to_owned)
        .into(),
        rows,
        sums: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Line;
    use crate::record::file::Record;
    use crate::report::tests::sample;

    const LINES: &str = r#"
{"kind":"place","file_system":"ext4 (rw)","device":"/dev/x","fdatasync_ns":2800000,"fdatasync_p90_ns":4700000,"samples":40}
{"kind":"file-store","durability":"D1","name":"nyala","title":"Nyala","version":"1","group":"in-process","floor":false,"settings":["Process"],"audit":{"syncs":{"sets":500,"seconds":0.2,"calls":{},"longest_gap":0.2},"killed":{"acknowledged":9000,"lost":0,"oldest_lost":0.0}}}
{"kind":"file-store","durability":"D1","name":"peer","title":"Peer","version":"2","group":"in-process","floor":false,"settings":["<log>"],"audit":{"syncs":null,"unwatched":"strace is not installed","killed":{"acknowledged":70,"lost":0,"oldest_lost":0.0}}}
{"kind":"file-store","durability":"D3","name":"nyala","title":"Nyala","version":"1","group":"in-process","floor":false,"settings":["Sync"],"audit":{"syncs":{"sets":60,"seconds":0.2,"calls":{"fdatasync":60},"longest_gap":0.1},"killed":{"acknowledged":90,"lost":0,"oldest_lost":0.0}}}
{"kind":"file-store","durability":"D3","name":"floor","title":"Floor","version":"1","group":"in-process","floor":true,"settings":[],"audit":null}
{"kind":"file-facts","engine":"nyala","durability":"D1","block":0,"entries":1000,"loaded_bytes":124000,"ended_bytes":200000,"memory_bytes":20000,"written_bytes":130000,"set_bytes":100000,"open_clean":0.01,"open_killed":0.02,"killed":{"acknowledged":100,"lost":0,"oldest_lost":0.0}}
"#;

    fn cell(engine: &str, class: &str, block: u32, ops: u64) -> String {
        format!(
            "{{\"kind\":\"file-cell\",\"durability\":\"{class}\",\"engine\":\"{engine}\",\"workload\":\"insert\",\"entries\":1000,\"threads\":1,\
             \"block\":{block},\"position\":0,\"ops\":{ops},\"seconds\":1.0,\"cpu_seconds\":1.0,\"hits\":0,\"misses\":0,\"checksum\":\"0\",\
             \"sample_every\":1,\"timer_ns\":20,\"latencies\":[[100,5]],\"memory\":null,\"steal_percent\":0.0,\"load_average\":0.0}}"
        )
    }

    fn with_files() -> Record {
        let mut record = sample();
        let cells = (0..3).flat_map(|block| {
            let ops = 1_000_000 + u64::from(block);
            [
                cell("nyala", "D1", block, ops),
                cell("peer", "D1", block, ops / 4),
                cell("nyala", "D3", block, 350),
                cell("floor", "D3", block, 500),
            ]
        });
        for line in LINES.trim().lines().map(str::to_owned).chain(cells) {
            match serde_json::from_str(&line).unwrap() {
                Line::Place(place) => record.files.place = Some(place),
                Line::FileStore(store) => record.files.stores.push(store),
                Line::FileCell(cell) => record.files.cells.push(cell),
                Line::FileFacts(facts) => record.files.facts.push(facts),
                other => panic!("{other:?}"),
            }
        }
        record
    }

    #[test]
    fn classes_never_share_a_table() {
        let record = with_files();
        let exhibits = exhibits(&Summary::of(&record));
        for class in ["D1", "D3"] {
            let own = exhibits.iter().filter(|exhibit| exhibit.title.contains(class));
            assert!(own.count() >= 3, "{class}");
        }
        assert!(
            exhibits
                .iter()
                .all(|exhibit| !(exhibit.title.contains("D1") && exhibit.title.contains("D3")))
        );
        let throughput =
            exhibits.iter().find(|exhibit| exhibit.title.contains("D1, in files")).unwrap();
        assert_eq!(throughput.headings, ["insert"]);
        assert_eq!(throughput.rows[1], ("Peer".to_owned(), vec!["250".to_owned()]));
        assert_eq!(throughput.sums[0].0, "Nyala / Peer");
        assert!(throughput.sums[0].1[0].starts_with("4.00 (4.00"), "{:?}", throughput.sums);
        let third = exhibits.iter().find(|exhibit| exhibit.title.contains("D3, in files")).unwrap();
        assert_eq!(third.rows[0], ("Nyala".to_owned(), vec!["0.350".to_owned()]));
        assert!(third.sums[0].1[0].starts_with("0.700 (0.700"), "{:?}", third.sums);
    }

    #[test]
    fn a_floor_is_compared_and_nobody_loses_to_it() {
        let record = with_files();
        let summary = Summary::of(&record);
        assert!(exhibits(&summary).iter().any(|exhibit| {
            exhibit.title.contains("D3")
                && exhibit.sums.iter().any(|(name, _)| name == "Nyala / Floor")
        }));
        assert_eq!(losses(&summary).len(), 0);
    }

    #[test]
    fn who_was_not_watched_is_named_before_the_numbers() {
        let record = with_files();
        let warnings = Summary::of(&record).warnings();
        assert!(
            warnings
                .iter()
                .any(|line| line.contains("D1") && line.contains("strace is not installed")),
            "{warnings:?}"
        );
        assert!(!warnings.iter().any(|line| line.contains("D3")), "{warnings:?}");
    }

    #[test]
    fn terminal_and_page_show_audits_and_settings() {
        let record = with_files();
        let (text, page) = (crate::report::terminal(&record), crate::report::html(&record));
        for shown in ["60 fdatasync", "strace is not installed", "44", "ext4 (rw)", "2.80 ms"] {
            assert!(text.contains(shown), "{shown} is missing in\n{text}");
            assert!(page.contains(shown), "{shown} is missing in the page");
        }
        assert!(page.contains("&lt;log&gt;") && page.contains("class D3"));
        assert!(text.contains("volatile stores and stores in files"));
    }
}
