//! The page: what was compared, the answer in a few numbers, every picture, where we lose, and how to check it all.

use super::beyond;
use super::experiments;
use super::files;
use super::format;
use super::markup::{Part, again, escape, table};
use super::sections;
use super::summary::Summary;
use super::terminal::verdict_word;
use super::{losses, losses::Loss};
use crate::engines::contract::{Durability, Group};
use crate::measure::statistics::Verdict;

const STYLE: &str = include_str!("page.css");

pub(crate) fn render(summary: &Summary<'_>) -> String {
    let title = escape(&summary.title());
    let command = &summary.record.run.command;
    let part = Part::new;
    let exhibits = experiments::tables(experiments::exhibits(summary));
    let again = if exhibits.is_empty() { String::new() } else { again(command, "") };
    let mut parts = vec![
        part("picture", "In one picture", "In one picture", sections::overview(summary)),
        part("losses", "Where we lose", "Where we lose", lost(&losses::find(summary))),
    ];
    let sizes = summary.sizes(Group::InProcess).into_iter();
    parts.extend(sizes.map(|entries| sections::in_process(summary, entries)));
    parts.push(sections::replay(summary));
    parts.extend(sections::socket(summary));
    parts.push(part("caches", "Caches", "Caches and full stores", format!("{exhibits}{again}")));
    parts.extend(files::parts(summary));
    parts.push(part("beyond", "Beyond memory", "More data than memory", beyond::body(summary)));
    let paced = [Durability::D0, Durability::D1].map(|class| {
        let charts = experiments::latency::charts(summary, class);
        if charts.is_empty() { charts } else { format!("<div class=\"charts\">{charts}</div>") }
    });
    let sizes = experiments::value_size::charts(summary);
    let sizes =
        if sizes.is_empty() { sizes } else { format!("<div class=\"charts\">{sizes}</div>") };
    parts.push(part("values", "Value sizes", "From small values to large", sizes));
    parts.push(part("latency", "Latency", "Latency in an open loop", paced.concat()));
    parts.push(part("method", "Method", "How it was measured", method(summary)));
    parts.push(part("settings", "Settings", "Settings of each engine", engines(summary)));
    parts.push(part("machine", "Machine", "Machine and command", environment(summary)));
    parts.retain(|part| !part.body.is_empty());
    let contents: String = parts
        .iter()
        .map(|part| format!("<a href=\"#{}\">{}</a>", part.id, escape(&part.label)))
        .collect();
    let body: String = parts.iter().map(Part::render).collect();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><nav aria-label=\"Contents\">{contents}</nav><main><h1>{title}</h1>{}{}{body}</main></body></html>\n",
        lead(summary),
        facts(summary)
    )
}

fn lead(summary: &Summary<'_>) -> String {
    let run = &summary.record.run;
    let here = &run.environment;
    let mut out = format!(
        "<p>{} Keys of {} bytes, values of {} incompressible bytes, \
         nobody told how many entries would come. Medians of {} blocks, measured {} on {}, {} cores, {}.</p>",
        if summary.record.engines.is_empty() {
            "Stores in files, a table for each durability class."
        } else {
            "Durability class D0, where nothing else is said: nothing survives the process, for any of them."
        },
        run.key_bytes,
        run.value_bytes,
        run.blocks,
        escape(&format::date(run.started)),
        escape(&here.cpu),
        here.cores,
        format::bytes(here.memory_bytes)
    );
    for warning in summary.warnings() {
        out.push_str(&format!("<p class=\"warning\">{}</p>", escape(&warning)));
    }
    out
}

/// The answer in a few numbers: the largest size, every workload, against the best peer of each.
fn facts(summary: &Summary<'_>) -> String {
    let mut out = String::from("<div class=\"facts\">");
    for setup in sections::headline_setups(summary) {
        let Some(duel) = summary.against_best(setup) else {
            continue;
        };
        let verdict = duel.ratio.verdict();
        out.push_str(&format!(
            "<div class=\"fact{}\"><strong>{} x</strong>{}<br><span>{}, against {}: {} to {}, {}</span></div>",
            if verdict == Verdict::Ahead { "" } else { " behind" },
            format::three(duel.ratio.median),
            escape(setup.workload.title()),
            escape(&format!("{}, {}", format::entries(setup.entries), format::threads(setup.threads))),
            escape(&duel.peer.title),
            format::three(duel.ratio.least),
            format::three(duel.ratio.most),
            verdict_word(verdict)
        ));
    }
    out.push_str("</div>");
    out
}

fn lost(losses: &[Loss]) -> String {
    let (undecided, clear): (Vec<&Loss>, Vec<&Loss>) =
        losses.iter().partition(|loss| loss.undecided);
    let rows = |losses: &[&Loss]| -> Vec<Vec<String>> {
        losses
            .iter()
            .map(|loss| {
                [loss.place.clone(), loss.measure.clone(), loss.peer.clone(), loss.how.clone()]
                    .map(|text| escape(&text))
                    .into()
            })
            .collect()
    };
    let headings = ["Where", "Measure", "Better", "Nyala has"].map(str::to_owned);
    let table = |headings: &[String], rows: &[Vec<String>]| {
        table(headings, rows).replacen("<table>", "<table class=\"words\">", 1)
    };
    // Latencies are many, and say less than the rest: they are folded away.
    let (slower, clear): (Vec<&Loss>, Vec<&Loss>) =
        clear.into_iter().partition(|loss| loss.measure.starts_with("latency"));
    let mut out = String::new();
    if clear.is_empty() {
        out.push_str("<p>In this run no in-process store was better in any comparison.</p>");
    } else {
        out.push_str(&format!(
            "<p>Every comparison with an in-process store in which Nyala was worse, the whole interval of the ratio on the wrong side of 1 \
             (throughput, bytes an entry), or held fewer of the requested keys: {}. The data fills this list; nobody chooses.</p>{}",
            clear.len(),
            table(&headings, &rows(&clear))
        ));
    }
    if !slower.is_empty() {
        out.push_str(&format!(
            "<details><summary>Longer latencies, by more than the histogram can blur: {}</summary>{}</details>",
            slower.len(),
            table(&headings, &rows(&slower))
        ));
    }
    if !undecided.is_empty() {
        out.push_str(&format!(
            "<details><summary>No difference: {} comparisons whose intervals contain 1</summary>{}</details>",
            undecided.len(),
            table(&headings, &rows(&undecided))
        ));
    }
    out
}

fn method(summary: &Summary<'_>) -> String {
    let run = &summary.record.run;
    let items = [
        "Same work: one seeded stream of operations, made before the clock starts; every value read is copied into the caller's buffer and added up, and every read must find its key.".to_owned(),
        "Each engine is first held to a contract (what it stores is what it returns, misses miss, overwrites, counters, batches); one that fails gets no row.".to_owned(),
        format!("{} blocks; in each, every engine runs in a process of its own, one after the other in random order. Numbers are medians over blocks; ratios are of pairs within a block. Intervals are 95 % bootstrap intervals of the median, of up to six blocks their range. If a ratio's interval spans 1, the page says no difference.", run.blocks),
        "Closed loop for a fixed time; slow engines do fewer operations, never other ones. A load runs to its end.".to_owned(),
        format!("Latencies of throughput cells are sampled inside the closed loop (one call in so many, as recorded), with the clock's {} ns included. A closed loop hides waiting; the part on latency has an open one. A quantile needs 100/(1-q) samples; with fewer there is a dash. A batch or pipeline is one call.", run.environment.timer_ns),
        "Bytes an entry: growth of resident memory from before opening to after the load, over the entries; of the server's process for Redis; for RocksDB including its files where they lie in memory.".to_owned(),
        "Engines with a budget get twice the live data. Maps take what they need. Huge pages are asked for by all: Nyala by itself, the others through glibc's allocator; Redis runs as packaged.".to_owned(),
    ];
    let list: String = items.iter().map(|item| format!("<li>{}</li>", escape(item))).collect();
    format!("<ul>{list}</ul>")
}

fn engines(summary: &Summary<'_>) -> String {
    let mut out = String::from("<div class=\"wide\"><table class=\"words\"><tbody>");
    let volatile = summary.record.engines.iter().map(|info| (Durability::D0, info));
    let lasting = summary.record.files.stores.iter().map(|store| (store.durability, &store.info));
    for (class, info) in volatile.chain(lasting) {
        let settings: String =
            info.settings.iter().map(|setting| format!("<li>{}</li>", escape(setting))).collect();
        let build = info.build.as_ref().map(|build| format!("<li>{}</li>", escape(build)));
        let build = build.unwrap_or_default();
        let note = info.note.as_ref().map(|note| format!(", {note}")).unwrap_or_default();
        out.push_str(&format!(
            "<tr><th scope=\"row\">{}<br><small class=\"dim\">class {}, version {}{}</small></th><td><ul>{settings}{build}</ul></td></tr>",
            escape(&info.title),
            class.name(),
            escape(&info.version),
            escape(&note)
        ));
    }
    out.push_str("</tbody></table></div>");
    out
}

fn environment(summary: &Summary<'_>) -> String {
    let run = &summary.record.run;
    let here = &run.environment;
    let dirty = match here.git_dirty {
        Some(true) => " with uncommitted changes",
        Some(false) => "",
        None => " (state unknown)",
    };
    let trace = &run.trace;
    let facts = [
        ("Command", run.command.clone()),
        ("Revision", format!("{}{dirty}", here.git_revision)),
        ("Seed", run.seed.to_string()),
        ("Processor", format!("{}, {} cores", here.cpu, here.cores)),
        ("Memory", format::bytes(here.memory_bytes)),
        ("System", format!("{}, kernel {}", here.system, here.kernel)),
        ("Compiler", format!("{} for {}, {}", here.rustc, here.target, here.build)),
        (
            "File system of the results",
            summary.record.files.place.as_ref().map_or_else(
                || "unknown".to_owned(),
                |place| {
                    format!(
                        "{} {}; a page and its fdatasync take {}, nine in ten {} at most",
                        place.device,
                        place.file_system,
                        format::nanoseconds(place.fdatasync_ns),
                        format::nanoseconds(place.fdatasync_p90_ns)
                    )
                },
            ),
        ),
        ("Transparent huge pages", here.huge_pages.clone()),
        ("Allocator", here.allocator.clone()),
        ("Load average at the start", format!("{:.2}", here.load_average)),
        ("Stolen processor time, worst block", format!("{:.1} %", summary.worst_steal_percent())),
        ("Clock", format!("{}, {} ns for two readings", here.clock_source, here.timer_ns)),
        (
            "Trace",
            format!(
                "{}: {} requests, {} keys, values of {} bytes",
                trace.name, trace.requests, trace.distinct_keys, trace.value_bytes
            ),
        ),
        (
            "Whole run",
            summary.record.seconds.map_or_else(
                || "interrupted".to_owned(),
                |seconds| format::duration(std::time::Duration::from_secs_f64(seconds)),
            ),
        ),
    ];
    let rows: String = facts
        .iter()
        .map(|(name, value)| {
            format!("<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escape(value))
        })
        .collect();
    format!("<div class=\"wide\"><table class=\"words\"><tbody>{rows}</tbody></table></div>")
}
