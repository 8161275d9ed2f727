//! The page's pictures and tables, one function a section.

use super::charts::{self, Bars, Points, Tone};
use super::format;
use super::losses::place;
use super::markup::{Part, escape, figure, table};
use super::summary::{HARNESS, QUANTILES, Row, SUBJECT, Setup, Summary};
use crate::engines::contract::{Group, Info};
use crate::measure::statistics::Spread;
use crate::workloads::Workload;

const MILLION: f64 = 1e6;

/// Name on an axis: what is in parentheses is said elsewhere.
fn short(info: &Info) -> String {
    let plain = info.title.split(" (").next().unwrap_or(&info.title);
    if info.note.is_some() { format!("{plain} *") } else { plain.to_owned() }
}

fn scaled(spread: Spread, unit: f64) -> Spread {
    Spread { median: spread.median / unit, least: spread.least / unit, most: spread.most / unit }
}

/// The setups that stand at the top: the largest size, one thread for what one thread shows best.
pub(crate) fn headline_setups(summary: &Summary<'_>) -> Vec<Setup> {
    let Some(entries) = summary.sizes(Group::InProcess).last().copied() else {
        return Vec::new();
    };
    let all = summary.setups(Group::InProcess);
    let wanted = |setup: &&Setup| {
        setup.entries == entries
            && match setup.workload {
                Workload::BatchGet => setup.threads == 1,
                Workload::Zipf95 | Workload::Zipf50 | Workload::Counters => setup.threads == 2,
                Workload::Load | Workload::Get => true,
                Workload::CacheAside | Workload::Insert | Workload::Overwrite => false,
            }
    };
    all.iter().filter(wanted).copied().collect()
}

/// Ourselves against the best peer of each setup, in one picture.
pub(crate) fn overview(summary: &Summary<'_>) -> String {
    let command = &summary.record.run.command;
    let mut figures = String::new();
    let mut sizes = summary.sizes(Group::InProcess);
    sizes.push(0);
    for entries in sizes {
        let rows: Vec<(String, Spread)> = summary
            .setups(Group::InProcess)
            .into_iter()
            .filter(|setup| setup.entries == entries)
            .filter_map(|setup| {
                let duel = summary.against_best(setup)?;
                Some((format!("{}, {} t", setup.workload.title(), setup.threads), duel.ratio))
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let title = format!("Nyala / best in-process peer, {}", format::entries(entries));
        let sentence = "Right of the line Nyala does more operations a second than whichever other in-process store was best at it; \
                        point: median of pairs, line: 95 % interval, t: threads.";
        let cells = if entries == 0 {
            Workload::CacheAside.title().to_owned()
        } else {
            format!(", {}", format::entries(entries))
        };
        let svg = charts::ratios(&rows, "ratio of throughputs, logarithmic", &title);
        figures.push_str(&figure(&title, sentence, &svg, command, &cells));
    }
    if figures.is_empty() {
        return figures;
    }
    format!("<div class=\"charts\">{figures}</div>")
}

const LEGEND: &str = "<p class=\"dim\">Bars: median, whisker: 95 % interval, which of up to six blocks is their range.<span class=\"key a\"></span><span class=\"key c\"></span><span class=\"key e\"></span> 1 thread\
    <span class=\"key b\"></span><span class=\"key d\"></span><span class=\"key f\"></span> 2 threads. Grey: the hardware's floor, which is no store.</p>";

/// Everything about one size of the in-process group.
pub(crate) fn in_process(summary: &Summary<'_>, entries: u32) -> Part {
    let command = &summary.record.run.command;
    let mut figures = String::new();
    for workload in summary.workloads(Group::InProcess, entries) {
        figures.push_str(&throughput_figure(summary, Group::InProcess, entries, workload));
    }
    figures.push_str(&memory_figure(summary, Group::InProcess, entries));
    let mut latency_figures = String::new();
    for setup in summary.setups(Group::InProcess) {
        let shown = match setup.workload {
            Workload::Get | Workload::BatchGet | Workload::Load => setup.threads == 1,
            Workload::Zipf95 | Workload::Zipf50 | Workload::Counters => setup.threads == 2,
            Workload::CacheAside | Workload::Insert | Workload::Overwrite => false,
        };
        if setup.entries == entries && shown {
            latency_figures.push_str(&latency_figure(summary, setup, command));
        }
    }
    let size = format::entries(entries);
    let body = format!(
        "{}{LEGEND}<div class=\"charts\">{figures}</div>\
         <h3>Latency of a call</h3><p class=\"dim\">Circle p50, diamond p99, square p99.9 where there are samples enough.</p>\
         <div class=\"charts\">{latency_figures}</div>{}",
        starred(summary, Group::InProcess, entries),
        numbers(summary, Group::InProcess, entries)
    );
    let heading = format!("Class D0, in process, {size}");
    Part::new(&format!("D0-{entries}"), &format!("D0, {size}"), &heading, body)
}

/// What the stars on names stand for.
fn starred(summary: &Summary<'_>, group: Group, entries: u32) -> String {
    let notes: Vec<String> = summary
        .engines(group, entries)
        .iter()
        .filter_map(|info| Some(format!("* {}: {}.", info.title, info.note.as_ref()?)))
        .collect();
    if notes.is_empty() {
        String::new()
    } else {
        format!("<p class=\"warning\">{}</p>", escape(&notes.join(" ")))
    }
}

fn throughput_figure(
    summary: &Summary<'_>,
    group: Group,
    entries: u32,
    workload: Workload,
) -> String {
    let threads = summary.thread_counts(group, entries);
    let rows: Vec<Bars> = summary
        .engines(group, entries)
        .into_iter()
        // The harness's floor would squeeze everyone else into a corner; the table has it.
        .filter(|info| info.name != HARNESS)
        .map(|info| Bars {
            label: short(info),
            tone: Tone::of(info),
            values: threads
                .iter()
                .map(|threads| Setup { entries, threads: *threads, workload })
                .map(|setup| {
                    summary.row(&info.name, setup).map(|row| scaled(row.throughput, MILLION))
                })
                .collect(),
        })
        .filter(|row| row.values.iter().any(Option::is_some))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let title = format!("{}, {}", workload.title(), format::entries(entries));
    let unit = match workload {
        Workload::BatchGet => "M keys/s",
        Workload::CacheAside => "M requests/s",
        _ => "M ops/s",
    };
    let svg = charts::bars(&rows, unit, &title, format::three);
    let cells = match workload {
        Workload::CacheAside => workload.title().to_owned(),
        _ => format!("D0, {title}"),
    };
    figure(&title, workload.explained(), &svg, &summary.record.run.command, &cells)
}

fn memory_figure(summary: &Summary<'_>, group: Group, entries: u32) -> String {
    let threads = summary.thread_counts(group, entries);
    let rows: Vec<Bars> = summary
        .engines(group, entries)
        .into_iter()
        .filter(|info| !info.floor)
        .map(|info| Bars {
            label: short(info),
            tone: Tone::of(info),
            values: threads
                .iter()
                .map(|threads| Setup { entries, threads: *threads, workload: Workload::Load })
                .map(|setup| summary.row(&info.name, setup).and_then(|row| row.bytes_an_entry))
                .collect(),
        })
        .filter(|row| row.values.iter().any(Option::is_some))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let title = format!("Memory, {}", format::entries(entries));
    let sentence = format!(
        "Growth of resident memory for each entry, from before opening to after the load; {:.0} bytes of it are key and value. Shorter is better.",
        summary.payload_bytes()
    );
    let svg = charts::bars(&rows, "bytes an entry", &title, |value| format!("{value:.0}"));
    let cells = format!("load, {}", format::entries(entries));
    figure(&title, &sentence, &svg, &summary.record.run.command, &cells)
}

fn latency_figure(summary: &Summary<'_>, setup: Setup, command: &str) -> String {
    let rows: Vec<Points> = summary
        .engines(Group::InProcess, setup.entries)
        .into_iter()
        .filter_map(|info| {
            let row = summary.row(&info.name, setup)?;
            let values = QUANTILES
                .map(|(q, _)| row.latencies.quantile(q).map(|value| value as f64))
                .to_vec();
            Some(Points { label: short(info), tone: Tone::of(info), values })
        })
        .collect();
    let title = format!("Latency: {}", place(setup));
    let sentence = match setup.workload {
        Workload::BatchGet => {
            "Time of a whole batch of 32 keys, sampled in the closed loop. Left is better."
        }
        _ => {
            "Time of one call, sampled in the closed loop, the clock's own time included. Left is better."
        }
    };
    let show = |value: f64| format::nanoseconds(value.round() as u64);
    let svg = charts::points(
        &rows,
        "time of a call, logarithmic",
        &title,
        show,
        format::nanoseconds_tick,
    );
    if svg.is_empty() { svg } else { figure(&title, sentence, &svg, command, &place(setup)) }
}

/// Redis and its floor.
pub(crate) fn socket(summary: &Summary<'_>) -> Vec<Part> {
    let part = |entries: u32| {
        let figures: String = summary
            .workloads(Group::Socket, entries)
            .into_iter()
            .map(|workload| throughput_figure(summary, Group::Socket, entries, workload))
            .chain([memory_figure(summary, Group::Socket, entries)])
            .collect();
        let body = format!(
            "<p>Redis is a server: a request crosses a socket, loopback TCP where nothing else is said, to another process and back, which costs more than any \
             store's own work. So this is another experiment, on axes of its own; do not divide these numbers by those above. The PING floor makes the same round trips \
             for a command that touches no data: the distance to it is what Redis itself costs. \
             Nyala behind RESP is our store in a server of its own that speaks Redis's protocol, asked by the same client in the same ways: the one row that is like for like. \
             Several connections are of one thread, which sends a request to each before it waits for the first reply. Server and client share the machine's cores.</p>\
             {LEGEND}<div class=\"charts\">{figures}</div>{}",
            numbers(summary, Group::Socket, entries)
        );
        let size = format::entries(entries);
        let heading = format!("Class D0, over a socket, {size}");
        Part::new(&format!("socket-{entries}"), &format!("Redis, {size}"), &heading, body)
    };
    summary.sizes(Group::Socket).into_iter().map(part).collect()
}

/// The trace.
pub(crate) fn replay(summary: &Summary<'_>) -> Part {
    let figures: String = [Group::InProcess, Group::Socket]
        .map(|group| throughput_figure(summary, group, 0, Workload::CacheAside))
        .concat();
    let trace = &summary.record.run.trace;
    let body = if figures.is_empty() {
        figures
    } else {
        format!(
            "<p>{}: {} requests for {} keys, values of {} bytes. Engines that are over before the time \
             is replay it again under new keys; slow ones come through a part of it, and the hit ratio says how far.</p>{LEGEND}\
             <div class=\"charts\">{figures}</div>{}{}",
            escape(&trace.name),
            trace.requests,
            trace.distinct_keys,
            trace.value_bytes,
            numbers(summary, Group::InProcess, 0),
            numbers(summary, Group::Socket, 0)
        )
    };
    Part::new("trace", "Trace", "Class D0, cache-aside replay of a trace", body)
}

/// All numbers behind the pictures of a section.
fn numbers(summary: &Summary<'_>, group: Group, entries: u32) -> String {
    let mut rows = Vec::new();
    for setup in summary.setups(group).into_iter().filter(|setup| setup.entries == entries) {
        for info in summary.engines(group, entries) {
            if let Some(row) = summary.row(&info.name, setup) {
                rows.push(number_row(summary, info, setup, row));
            }
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let headings = [
        "Engine",
        "Workload",
        "Threads",
        "M ops/s (interval)",
        "Nyala / it (interval)",
        "M ops/CPU-s",
        "p50",
        "p99",
        "p99.9",
        "Samples",
        "Bytes an entry",
        "beyond key and value",
        "Hits",
    ]
    .map(str::to_owned);
    format!("<details><summary>All numbers</summary>{}</details>", table(&headings, &rows))
}

fn number_row(summary: &Summary<'_>, info: &Info, setup: Setup, row: &Row) -> Vec<String> {
    let dash = || "–".to_owned();
    let range = |spread: Spread| {
        format!(
            "{} <small>({}–{})</small>",
            format::three(spread.median),
            format::three(spread.least),
            format::three(spread.most)
        )
    };
    let duel = summary
        .info(&info.name)
        .filter(|info| info.name != SUBJECT)
        .and_then(|info| summary.against(info, setup))
        .map_or_else(dash, |duel| range(duel.ratio));
    let bytes = row.bytes_an_entry.filter(|_| !info.floor);
    let mut cells = vec![
        escape(&info.title),
        escape(setup.workload.title()),
        setup.threads.to_string(),
        range(scaled(row.throughput, MILLION)),
        duel,
        row.cpu_throughput.map_or_else(dash, |spread| format::three(spread.median / MILLION)),
    ];
    cells.extend(
        QUANTILES.map(|(q, _)| row.latencies.quantile(q).map_or_else(dash, format::nanoseconds)),
    );
    cells.push(row.latencies.samples().to_string());
    cells.push(bytes.map_or_else(dash, |bytes| format!("{:.1}", bytes.median)));
    cells.push(
        bytes.map_or_else(dash, |bytes| format!("{:.1}", bytes.median - summary.payload_bytes())),
    );
    cells.push(format!("{:.1} %", 100.0 * row.hit_ratio));
    cells
}
