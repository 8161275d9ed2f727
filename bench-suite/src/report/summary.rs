//! From single measurements to rows: medians over blocks, pairs within a block, latencies of all blocks together.

use std::collections::BTreeMap;

use crate::engines::contract::{Durability, Group, Info};
use crate::measure::statistics::{Spread, paired_ratios};
use crate::record::Cell;
use crate::record::file::Record;
use crate::record::histogram::Buckets;
use crate::workloads::Workload;

/// The engine whose report this is.
pub(crate) const SUBJECT: &str = "nyala";
/// The hardware's floor among the engines.
pub(crate) const HARDWARE: &str = "roofline";
/// The harness's floor among the engines.
pub(crate) const HARNESS: &str = "noop";

/// The profiles that are long enough to be quoted.
const QUOTABLE: [&str; 6] =
    ["quick", "standard", "full", "cache-full", "files-full", "beyond-full"];
/// Measuring threads that run less than this share of their time are disturbed.
const BUSY: f64 = 0.9;

/// Quantiles that are shown.
pub(crate) const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")];

/// What was measured, apart from the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Setup {
    /// 0 in a replay.
    pub(crate) entries: u32,
    pub(crate) threads: usize,
    pub(crate) workload: Workload,
}

/// One engine's measurements of one setup, all blocks.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Operations a second.
    pub(crate) throughput: Spread,
    /// Operations a second of processor time, where it was long enough to be seen.
    pub(crate) cpu_throughput: Option<Spread>,
    /// Nanoseconds a call.
    pub(crate) latencies: Buckets,
    /// Growth of memory for each entry, in bytes.
    pub(crate) bytes_an_entry: Option<Spread>,
    /// Share of reads that found their key.
    pub(crate) hit_ratio: f64,
    by_block: Vec<(u32, f64)>,
    bytes_by_block: Vec<(u32, f64)>,
}

/// Everything that tables and pages show.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    pub(crate) record: &'a Record,
    rows: BTreeMap<Setup, BTreeMap<&'a str, Row>>,
}

/// Our measurement against another's, as ratios of pairs.
#[derive(Debug, Clone)]
pub(crate) struct Duel<'a> {
    pub(crate) peer: &'a Info,
    pub(crate) ratio: Spread,
}

impl Row {
    fn of(cells: &[&Cell]) -> Option<Row> {
        let by_block: Vec<(u32, f64)> =
            cells.iter().map(|cell| (cell.block, cell.ops_a_second())).collect();
        let bytes_by_block: Vec<(u32, f64)> =
            cells.iter().filter_map(|cell| Some((cell.block, cell.bytes_an_entry()?))).collect();
        let hits: u64 = cells.iter().map(|cell| cell.hits).sum();
        let reads = hits + cells.iter().map(|cell| cell.misses).sum::<u64>();
        Some(Row {
            throughput: Spread::of(by_block.iter().map(|(_, value)| *value))?,
            cpu_throughput: Spread::of(cells.iter().filter_map(|cell| cell.ops_a_cpu_second())),
            latencies: Buckets::merged(cells.iter().map(|cell| &cell.latencies)),
            bytes_an_entry: Spread::of(bytes_by_block.iter().map(|(_, value)| *value)),
            hit_ratio: if reads == 0 { 0.0 } else { hits as f64 / reads as f64 },
            by_block,
            bytes_by_block,
        })
    }
}

/// Our row that does the same work as a peer's: beside a server our store is a server too, asked in the same way.
fn subject_beside(peer: &Info) -> Option<String> {
    match peer.group {
        Group::InProcess => Some(SUBJECT.to_owned()),
        Group::Socket => peer.name.strip_prefix("redis").map(|way| format!("nyala-resp{way}")),
    }
}

impl<'a> Summary<'a> {
    pub(crate) fn of(record: &'a Record) -> Summary<'a> {
        let mut cells: BTreeMap<Setup, BTreeMap<&str, Vec<&Cell>>> = BTreeMap::new();
        for cell in &record.cells {
            let setup =
                Setup { entries: cell.entries, threads: cell.threads, workload: cell.workload };
            cells.entry(setup).or_default().entry(&cell.engine).or_default().push(cell);
        }
        let rows_of = |engines: BTreeMap<&'a str, Vec<&Cell>>| {
            engines.into_iter().filter_map(|(name, cells)| Some((name, Row::of(&cells)?))).collect()
        };
        let rows = cells.into_iter().map(|(setup, engines)| (setup, rows_of(engines))).collect();
        Summary { record, rows }
    }

    pub(crate) fn row(&self, engine: &str, setup: Setup) -> Option<&Row> {
        self.rows.get(&setup)?.get(engine)
    }

    /// Setups that anybody of `group` was measured in, in order.
    pub(crate) fn setups(&self, group: Group) -> Vec<Setup> {
        let there = |name: &&str| self.info(name).is_some_and(|info| info.group == group);
        self.rows
            .iter()
            .filter(|(_, engines)| engines.keys().any(there))
            .map(|(setup, _)| *setup)
            .collect()
    }

    /// Sizes of stores, replays apart.
    pub(crate) fn sizes(&self, group: Group) -> Vec<u32> {
        let mut sizes: Vec<u32> = self
            .setups(group)
            .iter()
            .map(|setup| setup.entries)
            .filter(|entries| *entries > 0)
            .collect();
        sizes.dedup();
        sizes
    }

    pub(crate) fn thread_counts(&self, group: Group, entries: u32) -> Vec<usize> {
        let setups = self.setups(group);
        let mut counts: Vec<usize> = setups
            .iter()
            .filter(|setup| setup.entries == entries)
            .map(|setup| setup.threads)
            .collect();
        counts.dedup();
        counts
    }

    pub(crate) fn workloads(&self, group: Group, entries: u32) -> Vec<Workload> {
        let setups = self.setups(group);
        let there = |workload| {
            setups.iter().any(|setup| setup.entries == entries && setup.workload == workload)
        };
        Workload::ALL.into_iter().filter(|workload| there(*workload)).collect()
    }

    /// Engines of a group that were measured at this size, in the order of the record.
    pub(crate) fn engines(&self, group: Group, entries: u32) -> Vec<&'a Info> {
        let measured = |info: &&Info| {
            self.rows.iter().any(|(setup, engines)| {
                setup.entries == entries && engines.contains_key(info.name.as_str())
            })
        };
        self.record.engines.iter().filter(|info| info.group == group).filter(measured).collect()
    }

    pub(crate) fn info(&self, name: &str) -> Option<&'a Info> {
        self.record.engines.iter().find(|info| info.name == name)
    }

    /// Rows of every class; an engine has one in each.
    pub(crate) fn infos(&self) -> impl Iterator<Item = &'a Info> {
        let lasting = self.record.files.stores.iter().map(|store| &store.info);
        self.record.engines.iter().chain(lasting)
    }

    /// The title of an engine in any class.
    pub(crate) fn title_of<'b>(&self, name: &'b str) -> &'b str
    where
        'a: 'b,
    {
        self.infos().find(|info| info.name == name).map_or(name, |info| &info.title)
    }

    /// Measurements of all classes that did not wait for a disk.
    fn unhindered(&self) -> impl Iterator<Item = &'a Cell> {
        let in_files = self.record.files.cells.iter();
        let in_files =
            in_files.filter(|cell| cell.durability == Durability::D1).map(|cell| &cell.cell);
        self.record.cells.iter().chain(in_files)
    }

    /// Our throughput over another engine's, from pairs within a block.
    pub(crate) fn against(&self, peer: &'a Info, setup: Setup) -> Option<Duel<'a>> {
        let ours = self.row(&subject_beside(peer)?, setup)?;
        let theirs = self.row(&peer.name, setup)?;
        Some(Duel { peer, ratio: Spread::of(paired_ratios(&ours.by_block, &theirs.by_block))? })
    }

    /// The same for bytes an entry: below 1 is better.
    pub(crate) fn bytes_against(&self, peer: &'a Info, setup: Setup) -> Option<Duel<'a>> {
        let ours = self.row(SUBJECT, setup)?;
        let theirs = self.row(&peer.name, setup)?;
        Some(Duel {
            peer,
            ratio: Spread::of(paired_ratios(&ours.bytes_by_block, &theirs.bytes_by_block))?,
        })
    }

    /// Stores of our own group, without ourselves and the floors.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &'a Info> {
        let peer =
            |info: &&Info| info.group == Group::InProcess && !info.floor && info.name != SUBJECT;
        self.record.engines.iter().filter(peer)
    }

    /// Ourselves against the in-process store with the highest median.
    pub(crate) fn against_best(&self, setup: Setup) -> Option<Duel<'a>> {
        let speed = |info: &Info| self.row(&info.name, setup).map(|row| row.throughput.median);
        let best = self
            .peers()
            .filter_map(|info| Some((info, speed(info)?)))
            .max_by(|left, right| left.1.total_cmp(&right.1))?;
        self.against(best.0, setup)
    }

    /// Bytes of key and value of an entry.
    pub(crate) fn payload_bytes(&self) -> f64 {
        (self.record.run.key_bytes + self.record.run.value_bytes) as f64
    }

    /// Share of the processors that the hypervisor gave to others, in per cent, in the block where it was worst. Weighed by
    /// time: the kernel counts in ticks of 10 milliseconds, which a single short measurement cannot resolve.
    pub(crate) fn worst_steal_percent(&self) -> f64 {
        let mut blocks: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for cell in self.unhindered() {
            let (stolen, seconds) = blocks.entry(cell.block).or_default();
            *stolen += cell.steal_percent * cell.seconds;
            *seconds += cell.seconds;
        }
        let shares = blocks
            .values()
            .filter(|(_, seconds)| *seconds > 0.0)
            .map(|(stolen, seconds)| stolen / seconds);
        shares.fold(0.0, f64::max)
    }

    /// Share of their time that the measuring threads of in-process engines really ran, in the block where it was least: well
    /// below 1, something else was running on the machine.
    pub(crate) fn processor_share(&self) -> Option<f64> {
        let mut blocks: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for cell in self.unhindered() {
            let mut infos = self.infos();
            let inside = infos.find(|info| info.name == cell.engine);
            let inside = inside.is_some_and(|info| info.group == Group::InProcess);
            let time = cell.seconds * cell.threads as f64;
            if inside && time > 0.0 {
                blocks.entry(cell.block).or_default().push(cell.cpu_seconds / time);
            }
        }
        let medians = blocks.into_values().filter_map(|shares| Some(Spread::of(shares)?.median));
        medians.reduce(f64::min)
    }

    /// Sentences that a reader needs before the numbers.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.record.seconds.is_none() {
            warnings.push("The run was interrupted: what follows is what it had.".to_owned());
        }
        for block in &self.record.resumed {
            warnings
                .push(format!("The run was interrupted, and went on with block {}.", block + 1));
        }
        if !QUOTABLE.contains(&self.record.run.profile.as_str()) {
            let profile = &self.record.run.profile;
            warnings.push(format!(
                "Profile {profile}: shows that everything works, and is too short to be quoted."
            ));
        }
        warnings.extend(self.record.skipped.iter().map(|skip| {
            let place = match (skip.durability, &skip.experiment) {
                (Durability::D0, _) => String::new(),
                (class, None) => format!(" in class {}", class.name()),
                (class, Some(experiment)) => format!(" of {experiment}, class {}", class.name()),
            };
            format!("{} is left out{place}: {}.", skip.engine, skip.reason)
        }));
        for class in Durability::OF_FILES {
            let of_class =
                self.record.files.stores.iter().filter(|store| store.durability == class);
            let unwatched: Vec<(&str, &str)> = of_class
                .filter_map(|store| {
                    let why = store.audit.as_ref()?.unwatched.as_deref()?;
                    Some((store.info.name.as_str(), why))
                })
                .collect();
            if let Some((_, why)) = unwatched.first() {
                let names: Vec<&str> = unwatched.iter().map(|(name, _)| *name).collect();
                warnings.push(format!(
                    "Not audited in full, class {}: the syncs of {} were not counted, they were only killed: {why}.",
                    class.name(),
                    names.join(", ")
                ));
            }
        }
        let steal = self.worst_steal_percent();
        if steal > 1.0 {
            warnings.push(format!(
                "The hypervisor gave {steal:.1} % of the processors to others during the worst block."
            ));
        }
        if let Some(share) = self.processor_share().filter(|share| *share < BUSY) {
            warnings.push(format!(
                "Other work was running: in the worst block the measuring threads had {:.0} % of a processor each. Do not quote these numbers.",
                100.0 * share
            ));
        }
        warnings
    }

    /// What the title says was compared.
    pub(crate) fn title(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for info in self.infos().filter(|info| !info.floor && info.name != SUBJECT) {
            let name = info.title.split(',').next().unwrap_or(&info.title);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let what = match (self.record.engines.is_empty(), self.record.files.stores.is_empty()) {
            (true, false) => "stores in files",
            (false, false) => "volatile stores and stores in files",
            _ => "volatile stores",
        };
        match names.split_last() {
            None => format!("Nyala alone: {what}"),
            Some((only, [])) => format!("Nyala beside {only}: {what}"),
            Some((last, rest)) => {
                format!("Nyala beside {} and {last}: {what}", rest.join(", "))
            }
        }
    }
}
