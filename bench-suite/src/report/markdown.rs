//! The tables of a record in Markdown, for documents.

use super::beyond;
use super::experiments::{self, Exhibit};
use super::files;
use super::format;
use super::losses;
use super::summary::{Duel, Setup, Summary};
use crate::engines::contract::Group;
use crate::fault::{Fault, Result};
use crate::workloads::Workload;

/// What a document may ask for of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Where, when and how it was measured.
    About,
    /// Ourselves against the best store in memory.
    Best,
    /// Every store in memory, and behind a socket.
    Speeds,
    /// The rates of stores in files, in process, on one thread.
    Files,
    /// Everything else about stores in files, and the experiments.
    More,
    /// Where we lose.
    Losses,
}

impl Part {
    pub(crate) const ALL: [Part; 6] =
        [Part::About, Part::Best, Part::Speeds, Part::Files, Part::More, Part::Losses];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::About => "about",
            Part::Best => "best",
            Part::Speeds => "speeds",
            Part::Files => "files",
            Part::More => "more",
            Part::Losses => "losses",
        }
    }

    /// The parts in a list of names with commas between.
    pub(crate) fn parse_list(names: &str) -> Result<Vec<Part>> {
        let parse = |name: &str| {
            Part::ALL.into_iter().find(|part| part.name() == name).ok_or_else(|| {
                let allowed = Part::ALL.map(Part::name).join(", ");
                Fault::new(format!("no part is named {name:?}; allowed are {allowed}"))
            })
        };
        names.split(',').map(parse).collect()
    }
}

pub(crate) fn render(summary: &Summary<'_>, parts: &[Part]) -> String {
    parts.iter().map(|part| render_part(summary, *part)).collect()
}

fn render_part(summary: &Summary<'_>, part: Part) -> String {
    let tables = |exhibits: Vec<Exhibit>| exhibits.into_iter().map(table_of).collect();
    match part {
        Part::About => head(summary),
        Part::Best => best(summary),
        Part::Speeds => {
            let mut out = String::new();
            for group in [Group::InProcess, Group::Socket] {
                for entries in summary.sizes(group) {
                    for threads in summary.thread_counts(group, entries) {
                        out.push_str(&speeds(summary, group, entries, threads));
                    }
                }
            }
            out
        }
        Part::Files => tables(files::rates(summary)),
        Part::More => {
            let [all, shown] = [files::exhibits(summary), files::rates(summary)];
            let known = |exhibit: &Exhibit| shown.iter().any(|other| other.title == exhibit.title);
            let rest = all.into_iter().filter(|exhibit| !known(exhibit));
            let in_files = rest.chain(beyond::exhibits(summary));
            tables(in_files.chain(experiments::exhibits(summary)).collect())
        }
        Part::Losses => lost(summary),
    }
}

fn head(summary: &Summary<'_>) -> String {
    let (run, here) = (&summary.record.run, &summary.record.run.environment);
    let mut out = format!(
        "{}, {} cores, {}; {}, Linux {}; {}; revision {}, {}. Medians of {} blocks and their 95 % intervals, each engine in a fresh process in \
         each block; keys of {} and values of {} bytes. The command:\n\n```sh\n{}\n```\n",
        here.cpu,
        here.cores,
        format::bytes(here.memory_bytes),
        here.system,
        here.kernel,
        here.rustc,
        &here.git_revision.get(..12).unwrap_or(&here.git_revision),
        format::date(run.started),
        run.blocks,
        run.key_bytes,
        run.value_bytes,
        run.command
    );
    for warning in summary.warnings() {
        out.push_str(&format!("\n**{warning}**\n"));
    }
    out
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|cell| cell.trim().replace('|', "/")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn headings(names: &[String]) -> String {
    format!("\n{}{}", row(names.iter().cloned()), row(names.iter().map(|_| "---".to_owned())))
}

/// Ourselves against the best peer in every setup, a column a number of threads.
fn best(summary: &Summary<'_>) -> String {
    let setups = summary.setups(Group::InProcess);
    let mut threads: Vec<usize> = setups.iter().map(|setup| setup.threads).collect();
    threads.sort_unstable();
    threads.dedup();
    let mut conditions: Vec<(u32, Workload)> =
        setups.iter().map(|setup| (setup.entries, setup.workload)).collect();
    conditions.sort_by_key(|(entries, workload)| (std::cmp::Reverse(*entries), *workload));
    conditions.dedup();
    let show = |duel: &Duel<'_>| {
        let [median, least, most] =
            [duel.ratio.median, duel.ratio.least, duel.ratio.most].map(format::three);
        format!("{median} ({least} to {most}), {}", duel.peer.name)
    };
    let rows: String = conditions
        .into_iter()
        .filter_map(|(entries, workload)| {
            let duels: Vec<Option<Duel<'_>>> = threads
                .iter()
                .map(|threads| summary.against_best(Setup { entries, threads: *threads, workload }))
                .collect();
            let name = format!("{}, {}", workload.title(), format::entries(entries));
            let cells = duels.iter().map(|duel| duel.as_ref().map_or_else(experiments::dash, show));
            duels.iter().any(Option::is_some).then(|| row(std::iter::once(name).chain(cells)))
        })
        .collect();
    if rows.is_empty() {
        return rows;
    }
    let names = std::iter::once("Operations a second: Nyala / best peer".to_owned());
    let names: Vec<String> =
        names.chain(threads.iter().map(|count| format::threads(*count))).collect();
    format!("{}{rows}", headings(&names))
}

fn speeds(summary: &Summary<'_>, group: Group, entries: u32, threads: usize) -> String {
    let workloads = summary.workloads(group, entries);
    let setup = |workload| Setup { entries, threads, workload };
    let place = match group {
        Group::InProcess => "",
        Group::Socket => ", behind a socket",
    };
    let title =
        format!("M ops/s, {}, {}{place}", format::entries(entries), format::threads(threads));
    let names: Vec<String> = std::iter::once(title)
        .chain(workloads.iter().map(|workload| workload.title().to_owned()))
        .chain(["bytes an entry".to_owned()])
        .collect();
    let mut out = headings(&names);
    for info in summary.engines(group, entries) {
        let rows: Vec<_> =
            workloads.iter().map(|workload| summary.row(&info.name, setup(*workload))).collect();
        if rows.iter().all(Option::is_none) {
            continue;
        }
        let speed = rows.iter().map(|row| {
            row.map_or_else(experiments::dash, |row| format::millions(row.throughput.median))
        });
        let bytes =
            rows.iter().flatten().find_map(|row| row.bytes_an_entry).filter(|_| !info.floor);
        let bytes = bytes.map_or_else(experiments::dash, |bytes| format!("{:.0}", bytes.median));
        out.push_str(&row(std::iter::once(info.title.clone()).chain(speed).chain([bytes])));
    }
    out
}

fn table_of(exhibit: Exhibit) -> String {
    let names: Vec<String> = std::iter::once(String::new()).chain(exhibit.headings).collect();
    let rows = exhibit.rows.into_iter().chain(exhibit.sums);
    let rows: String = rows.map(|(name, cells)| row(std::iter::once(name).chain(cells))).collect();
    format!("\n**{}.** {}\n{}{rows}", exhibit.title, exhibit.sentence, headings(&names))
}

fn lost(summary: &Summary<'_>) -> String {
    let clear: Vec<_> = losses::find(summary).into_iter().filter(|loss| !loss.undecided).collect();
    if clear.is_empty() {
        return "\nIn this run no in-process store was better in any comparison.\n".to_owned();
    }
    let names = ["Where we lose", "Measure", "Better", "Nyala has"].map(str::to_owned);
    let rows = clear.into_iter().map(|loss| row([loss.place, loss.measure, loss.peer, loss.how]));
    format!("{}{}", headings(&names), rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn tables_are_whole() {
        let record = sample();
        let text = render(&Summary::of(&record), &Part::ALL);
        for (before, line) in text.lines().zip(text.lines().skip(1)) {
            if line.starts_with('|') && before.starts_with('|') {
                let columns = |line: &str| line.matches('|').count();
                assert_eq!(columns(before), columns(line), "{before}\n{line}");
            }
        }
        assert!(text.contains("| Nyala |") && text.contains(&record.run.command), "{text}");
        assert!(text.contains("Where we lose"), "{text}");
    }

    #[test]
    fn parts_are_asked_for_by_name() {
        assert_eq!(Part::parse_list("best,about").unwrap(), [Part::Best, Part::About]);
        let message = Part::parse_list("best,worst").unwrap_err().to_string();
        assert!(message.contains("\"worst\"; allowed are about, best"), "{message}");
    }
}
