//! The tables that a run prints.

use std::fmt::Write;

use super::beyond;
use super::experiments;
use super::files;
use super::format;
use super::losses::{self, Loss};
use super::summary::{HARDWARE, QUANTILES, Setup, Summary};
use super::table::Table;
use crate::engines::contract::{Group, Info};
use crate::measure::statistics::Verdict;
use crate::workloads::Workload;

/// Losses that are printed one by one; the page has them all.
const LOSSES_SHOWN: usize = 12;

pub(crate) fn render(summary: &Summary<'_>) -> String {
    let mut out = String::new();
    head(summary, &mut out);
    for entries in summary.sizes(Group::InProcess) {
        for threads in summary.thread_counts(Group::InProcess, entries) {
            throughput(summary, Group::InProcess, entries, threads, &mut out);
        }
        latencies(summary, entries, &mut out);
    }
    for entries in summary.sizes(Group::Socket) {
        for threads in summary.thread_counts(Group::Socket, entries) {
            throughput(summary, Group::Socket, entries, threads, &mut out);
        }
    }
    replay(summary, &mut out);
    out.push_str(&experiments::terminal(experiments::exhibits(summary)));
    out.push_str(&experiments::terminal(files::exhibits(summary)));
    out.push_str(&experiments::terminal(beyond::exhibits(summary)));
    notes(summary, &mut out);
    lost(&losses::find(summary), &mut out);
    out
}

/// `write!` into a string cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
    out.push('\n');
}

fn head(summary: &Summary<'_>, out: &mut String) {
    let run = &summary.record.run;
    let here = &run.environment;
    line(out, format_args!("\n{}", summary.title()));
    let class = if summary.record.engines.is_empty() {
        "Stores in files, a table for each durability class"
    } else {
        "Durability class D0, where nothing else is said: nothing survives the process"
    };
    line(
        out,
        format_args!(
            "{class}. Keys of {} bytes, values of {} bytes, nobody presized.",
            run.key_bytes, run.value_bytes
        ),
    );
    line(
        out,
        format_args!(
            "{}, {} cores, {}; {}; profile {}, medians of {} blocks.",
            here.cpu,
            here.cores,
            format::bytes(here.memory_bytes),
            here.system,
            run.profile,
            run.blocks
        ),
    );
    for warning in summary.warnings() {
        line(out, format_args!("! {warning}"));
    }
}

fn throughput(summary: &Summary<'_>, group: Group, entries: u32, threads: usize, out: &mut String) {
    let workloads = summary.workloads(group, entries);
    let place = match group {
        Group::InProcess => "in process",
        Group::Socket => {
            "over a socket, another experiment: servers in processes of their own, ours too"
        }
    };
    line(
        out,
        format_args!(
            "\nThroughput in M ops/s, {}, {}, {place}",
            format::entries(entries),
            format::threads(threads)
        ),
    );
    let mut table = Table::new(workloads.iter().map(|workload| workload.title().to_owned()));
    table.column("bytes/entry");
    for info in summary.engines(group, entries) {
        let setup = |workload| Setup { entries, threads, workload };
        let mut cells: Vec<String> = workloads
            .iter()
            .map(|workload| {
                summary
                    .row(&info.name, setup(*workload))
                    .map_or_else(dash, |row| format::millions(row.throughput.median))
            })
            .collect();
        let load =
            summary.row(&info.name, setup(Workload::Load)).and_then(|row| row.bytes_an_entry);
        // A floor's memory is no store's.
        cells.push(
            load.filter(|_| !info.floor).map_or_else(dash, |bytes| format!("{:.0}", bytes.median)),
        );
        table.row(&label(info), cells);
    }
    match group {
        Group::InProcess => ratios(summary, entries, threads, &workloads, &mut table),
        Group::Socket => like_for_like(summary, entries, threads, &workloads, &mut table),
    }
    out.push_str(&table.render());
}

/// Our store as a server over Redis, asked in the same way: medians of pairs, and their range.
fn like_for_like(
    summary: &Summary<'_>,
    entries: u32,
    threads: usize,
    workloads: &[Workload],
    table: &mut Table,
) {
    let mut first = true;
    for peer in summary.engines(Group::Socket, entries) {
        let duels: Vec<_> = workloads
            .iter()
            .map(|workload| summary.against(peer, Setup { entries, threads, workload: *workload }))
            .collect();
        if duels.iter().all(Option::is_none) {
            continue;
        }
        if std::mem::take(&mut first) {
            table.rule();
        }
        table.row(
            &format!("Nyala / {}", peer.title),
            duels.iter().map(|duel| {
                duel.as_ref().map_or_else(dash, |duel| {
                    let [median, least, most] =
                        [duel.ratio.median, duel.ratio.least, duel.ratio.most].map(format::three);
                    format!("{median} x ({least}-{most})")
                })
            }),
        );
    }
}

/// Ourselves over the best peer and over the hardware, as medians of pairs.
fn ratios(
    summary: &Summary<'_>,
    entries: u32,
    threads: usize,
    workloads: &[Workload],
    table: &mut Table,
) {
    let setups: Vec<Setup> =
        workloads.iter().map(|workload| Setup { entries, threads, workload: *workload }).collect();
    let best: Vec<_> = setups.iter().map(|setup| summary.against_best(*setup)).collect();
    if best.iter().any(Option::is_some) {
        table.rule();
        table.row(
            "Nyala / best peer",
            best.iter().map(|duel| {
                duel.as_ref()
                    .map_or_else(dash, |duel| format!("{} x", format::three(duel.ratio.median)))
            }),
        );
        table.row(
            "  its 95 % interval",
            best.iter().map(|duel| {
                duel.as_ref().map_or_else(dash, |duel| {
                    format!(
                        "{}-{}",
                        format::three(duel.ratio.least),
                        format::three(duel.ratio.most)
                    )
                })
            }),
        );
        table.row(
            "  which is",
            best.iter().map(|duel| duel.as_ref().map_or_else(dash, |duel| duel.peer.name.clone())),
        );
    }
    let hardware = summary
        .info(HARDWARE)
        .map(|info| setups.iter().map(|setup| summary.against(info, *setup)).collect());
    let hardware: Vec<_> = hardware.unwrap_or_default();
    if hardware.iter().any(Option::is_some) {
        table.row(
            "Nyala / hardware floor",
            hardware.iter().map(|duel| {
                duel.as_ref()
                    .map_or_else(dash, |duel| format!("{} x", format::three(duel.ratio.median)))
            }),
        );
    }
}

fn latencies(summary: &Summary<'_>, entries: u32, out: &mut String) {
    let shown: Vec<Setup> = summary
        .setups(Group::InProcess)
        .into_iter()
        .filter(|setup| {
            setup.entries == entries && matches!(setup.workload, Workload::Get | Workload::Zipf50)
        })
        .filter(|setup| (setup.workload == Workload::Get) == (setup.threads == 1))
        .collect();
    if shown.is_empty() {
        return;
    }
    let timer = summary.record.run.environment.timer_ns;
    let what: Vec<String> = shown
        .iter()
        .map(|setup| format!("{} ({})", setup.workload.title(), format::threads(setup.threads)))
        .collect();
    line(
        out,
        format_args!(
            "\nLatency, {}: {}; sampled in the closed loop, about {timer} ns of each is the clock",
            format::entries(entries),
            what.join(", then ")
        ),
    );
    let mut table =
        Table::new(shown.iter().flat_map(|_| QUANTILES.map(|(_, name)| name.to_owned())));
    for info in summary.engines(Group::InProcess, entries) {
        let cells = shown.iter().flat_map(|setup| {
            let row = summary.row(&info.name, *setup);
            QUANTILES.map(|(q, _)| {
                row.and_then(|row| row.latencies.quantile(q)).map_or_else(dash, format::nanoseconds)
            })
        });
        table.row(&label(info), cells);
    }
    out.push_str(&table.render());
}

fn replay(summary: &Summary<'_>, out: &mut String) {
    let trace = &summary.record.run.trace;
    let groups = [Group::InProcess, Group::Socket];
    let engines: Vec<&Info> = groups.iter().flat_map(|group| summary.engines(*group, 0)).collect();
    if engines.is_empty() {
        return;
    }
    line(
        out,
        format_args!(
            "\nCache-aside replay in M requests/s: {} ({} requests, {} keys), values of {} bytes, nothing evicted",
            trace.name, trace.requests, trace.distinct_keys, trace.value_bytes
        ),
    );
    let threads = summary.thread_counts(Group::InProcess, 0);
    let threads =
        if threads.is_empty() { summary.thread_counts(Group::Socket, 0) } else { threads };
    let headings =
        threads.iter().flat_map(|threads| [format::threads(*threads), "hits".to_owned()]);
    let mut table = Table::new(headings);
    for info in engines {
        let cells = threads.iter().flat_map(|threads| {
            let row = summary.row(
                &info.name,
                Setup { entries: 0, threads: *threads, workload: Workload::CacheAside },
            );
            [
                row.map_or_else(dash, |row| format::millions(row.throughput.median)),
                row.map_or_else(dash, |row| format!("{:.1} %", 100.0 * row.hit_ratio)),
            ]
        });
        table.row(&label(info), cells);
    }
    out.push_str(&table.render());
}

fn dash() -> String {
    "-".to_owned()
}

/// Rows with a note carry a mark that the notes explain.
fn label(info: &Info) -> String {
    if info.note.is_some() { format!("{} *", info.title) } else { info.title.clone() }
}

fn notes(summary: &Summary<'_>, out: &mut String) {
    if !summary.record.engines.is_empty() {
        line(
            out,
            format_args!(
                "\nBytes an entry: growth of resident memory from before opening to after the load; {:.0} of them are key and value.",
                summary.payload_bytes()
            ),
        );
    }
    let mut notes: Vec<String> = summary
        .infos()
        .filter_map(|info| Some(format!("* {}: {}.", info.title, info.note.as_ref()?)))
        .collect();
    // An engine has a row in each class.
    notes.dedup();
    for note in notes {
        line(out, format_args!("{note}"));
    }
}

fn lost(losses: &[Loss], out: &mut String) {
    let (undecided, clear): (Vec<&Loss>, Vec<&Loss>) =
        losses.iter().partition(|loss| loss.undecided);
    line(
        out,
        format_args!("\nWhere we lose: {} of the comparisons with in-process stores", clear.len()),
    );
    for loss in clear.iter().take(LOSSES_SHOWN) {
        line(out, format_args!("  {}: {} {}, {}", loss.peer, loss.place, loss.measure, loss.how));
    }
    if clear.len() > LOSSES_SHOWN {
        line(out, format_args!("  and {} more, all in the page", clear.len() - LOSSES_SHOWN));
    }
    if !undecided.is_empty() {
        line(
            out,
            format_args!(
                "No difference (the interval contains 1): {} comparisons",
                undecided.len()
            ),
        );
    }
}

/// For the page's headline: ahead, behind or neither, in words.
pub(crate) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ahead => "ahead",
        Verdict::Behind => "behind",
        Verdict::NoDifference => "no difference",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::sample;

    #[test]
    fn shows_every_engine_of_the_record_with_units() {
        let record = sample();
        let text = render(&Summary::of(&record));
        for info in &record.engines {
            assert!(text.contains(&info.title), "{} is missing in\n{text}", info.title);
        }
        assert!(text.contains("M ops/s") && text.contains(" ns"), "{text}");
        assert!(text.contains("Nyala / best peer"), "{text}");
    }
}
