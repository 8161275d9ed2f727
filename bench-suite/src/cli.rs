//! The command line.

mod arguments;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::calibrate;
use crate::engines::{self, Listed};
use crate::experiments::Experiment;
use crate::fault::{Context, Fault, Result};
use crate::measure::blocks::{self, Order};
use crate::measure::cage;
use crate::measure::unit::Unit;
use crate::profile::{self, Profile};
use crate::record;
use crate::report::{self, Part, comparison::Comparison};
use arguments::{engine, parse};

const DEFAULT_OUT: &str = "bench-report";
const VERIFY_OUT: &str = "bench-report/verify";
const DEFAULT_SEED: u64 = 20_260_501;
/// The record in that folder.
const RECORD: &str = "latest.jsonl";
/// Where traces may lie beside a checkout.
const DEFAULT_TRACES: &str = "../shared/traces";
/// Entries that `--entries` may ask for.
const ENTRIES: std::ops::RangeInclusive<u32> = 1000..=100_000_000;

/// MiB that `--limit-mib` may ask for.
const LIMIT_MIB: std::ops::RangeInclusive<u64> = 16..=1_048_576;

/// Exit codes: something failed, the caller gave wrong arguments, or two records do not agree.
const FAILED: u8 = 1;
const WRONG_ARGUMENTS: u8 = 2;
const APART: u8 = 3;
/// Per cent of the ratios that have to overlap for two records to agree.
const LEAST: f64 = 90.0;

/// As messages name them.
const COMMANDS: &str =
    "run, cache, files, beyond-memory, report, diff, verify, tables, cells, engines and calibrate";

/// What the arguments ask for.
enum Request {
    Help,
    Run { order: Box<Order>, out: PathBuf },
    Report { file: PathBuf },
    Tables { file: PathBuf, parts: Vec<Part>, into: Option<PathBuf> },
    Cells { profile: &'static Profile, into: Option<PathBuf> },
    Engines(Vec<&'static Listed>),
    Calibrate { requests: u32 },
    Diff { files: [PathBuf; 2], cells: Vec<String>, least: f64 },
    Verify { file: PathBuf, order: Box<Order>, out: PathBuf, cells: Vec<String>, least: f64 },
    Introduce(&'static Listed),
    Measure(Box<Unit>),
    Guard(PathBuf),
}

pub(crate) fn main() -> ExitCode {
    let request = match parse(std::env::args_os().skip(1)) {
        Ok(request) => request,
        Err(fault) => {
            eprintln!("nyala-bench: {fault}\nTry `nyala-bench --help`.");
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    };
    match execute(request) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(APART),
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(FAILED)
        }
    }
}

fn help() -> String {
    let describe = |profiles: &[Profile]| -> String {
        profiles
            .iter()
            .map(|profile| format!("  {:12} {}\n", profile.name, profile.about))
            .collect()
    };
    let profiles = describe(&profile::ALL);
    let cache_profiles = describe(&profile::CACHE);
    let file_profiles = describe(&profile::FILES);
    let parts = Part::ALL.map(Part::name).join(", ");
    let beyond_profiles = describe(&profile::BEYOND);
    format!(
        "Measures Nyala beside other key-value stores on the same work.\n\n\
         nyala-bench run [--profile NAME] [--engines A,B] [--trace FILE] [--traces DIR] [--cells TEXT].. [--out DIR] [--seed N]\n\
         nyala-bench cache [EXPERIMENT,..] [--profile NAME] [--engines A,B] [--traces DIR] [--entries N] [--cells TEXT].. [--out DIR] [--seed N]\n\
         nyala-bench files [CLASS,..] [--profile NAME] [--engines A,B] [--folder DIR] [--entries N] [--cells TEXT].. [--out DIR] [--seed N]\n\
         nyala-bench beyond-memory [CLASS,..] [--profile NAME] [--engines A,B] [--folder DIR] [--limit-mib N] [--entries N] [--out DIR] [--seed N]\n\
         nyala-bench report FILE\n\
         nyala-bench tables FILE [--parts A,B] [--into DOCUMENT]\n\
         nyala-bench cells [--profile NAME] [--into DOCUMENT]\n\
         nyala-bench engines [--engines A,B]\n\
         nyala-bench diff FILE FILE [--cells TEXT].. [--least PERCENT]\n\
         nyala-bench verify FILE [--cells TEXT].. [--engines A,B] [--out DIR] [--least PERCENT]\n\
         nyala-bench calibrate [--requests N]\n\n\
         run measures, writes DIR/latest.jsonl and DIR/index.html and prints tables.\n\
         cache does the same for experiments on caches and full stores: {}.\n\
         files does the same for stores in files, in the durability classes D1 (survives kill -9), D2 (a power cut loses at most\n\
         the last second) and D3 (survives a power cut).\n\
         beyond-memory does it for stores in files with more data than their process may take of memory (class D1, or those named),\n\
         in a control group of the system, which takes permission to make one.\n\
         report makes the same tables, and index.html beside FILE, from a recorded FILE.\n\
         tables prints the tables of a recorded FILE in Markdown, cells what a profile measures (default standard); --into writes them\n\
         into a document, between the lines <!-- tables: FILE --> and <!-- /tables -->, or <!-- cells: NAME --> and <!-- /cells -->.\n\
         A mark <!-- tables: FILE A,B --> takes these parts alone.\n\
         engines opens every engine in every class and prints how it is set, in Markdown.\n\
         diff compares two records cell by cell: medians, their ratio, Nyala's ratio to each engine, and whether intervals overlap.\n\
         verify runs the command of a record again, or some cells of it, and compares the two.\n\
         calibrate measures redis-server with redis-benchmark and with the client that asks servers here, in turns, and prints both.\n\
         Exit status: 0, and for diff and verify that enough of Nyala's ratios overlap; {FAILED} something failed; {WRONG_ARGUMENTS} wrong\n\
         arguments; {APART} too few overlap.\n\n\
         --profile NAME  how much is measured (default quick, for cache cache-full, for files files-full, for\n\
         \x20               beyond-memory beyond-full):\n{profiles}{cache_profiles}{file_profiles}{beyond_profiles}\
         --engines A,B   only these: {} (default: all that are installed)\n\
         --trace FILE    requests for the cache-aside replay: gzip of little-endian 32-bit key numbers\n\
         \x20               (default: a generated trace)\n\
         --traces DIR    traces for hit ratios, files *.u32.gz of that form (default {DEFAULT_TRACES}, and without it\n\
         \x20               a generated trace)\n\
         --folder DIR    where stores in files are made, and removed (default: that of --out); a real disk\n\
         --entries N     entries that growth ends with, or that stores in files hold (default: by profile)\n\
         --limit-mib N   memory of a process of beyond-memory, pages of files included, in MiB, {} to {} (default: by profile)\n\
         --cells TEXT    only what has a cell in whose name TEXT stands, as diff prints it: `get, 1 M entries`; may be repeated\n\
         --parts A,B     of the tables only these parts: {parts} (default: all)\n\
         --least PERCENT of Nyala's ratios that have to overlap (default {LEAST})\n\
         --resume        go on behind the last whole block of the record in --out, which an interrupted run of the same command left\n\
         --requests N    requests one by one of a turn of calibrate, {} to {} (default {})\n\
         --out DIR       where results go (default {DEFAULT_OUT}, of verify {VERIFY_OUT})\n\
         --seed N        seed of keys, streams and order, 0 to 2^64-1 (default {DEFAULT_SEED})\n",
        experiment_names(),
        engine_names(),
        LIMIT_MIB.start(),
        LIMIT_MIB.end(),
        calibrate::ALLOWED.start(),
        calibrate::ALLOWED.end(),
        calibrate::REQUESTS
    )
}

fn experiment_names() -> String {
    Experiment::ALL.map(Experiment::name).join(", ")
}

fn engine_names() -> String {
    engines::ALL.map(|listed| listed.name).join(", ")
}

/// Whether what was to agree agrees.
fn execute(request: Request) -> Result<bool> {
    match request {
        Request::Diff { files: [first, second], cells, least } => {
            return compare([&first, &second], &cells, least);
        }
        Request::Verify { file, order, out, cells, least } => {
            let again = measure(&order, &out)?;
            return compare([&file, &again], &cells, least);
        }
        Request::Tables { file, parts, into } => {
            let record = record::file::read(&file)?;
            let Some(document) = into else {
                print!("{}", report::markdown(&record, &parts));
                return Ok(true);
            };
            fill(&document, "tables", |mark| {
                let (name, parts) = match mark.split_once(' ') {
                    Some((name, parts)) => (name, Part::parse_list(parts)?),
                    None => (mark, parts.clone()),
                };
                let here = Path::new(name).file_name() == file.file_name();
                here.then(|| report::markdown(&record, &parts))
                    .ok_or_else(|| Fault::new(format!("its mark names {name}")))
            })?;
        }
        Request::Cells { profile, into } => {
            let cells = report::plan::markdown(profile);
            let Some(document) = into else {
                print!("{cells}");
                return Ok(true);
            };
            fill(&document, "cells", |mark| {
                let here = mark == profile.name;
                here.then(|| cells.clone())
                    .ok_or_else(|| Fault::new(format!("its mark names {mark}")))
            })?;
        }
        Request::Engines(list) => print!("{}", engines::settings::markdown(&list)?),
        Request::Calibrate { requests } => calibrate::run(requests)?,
        Request::Help => print!("{}", help()),
        Request::Run { order, out } => show(&measure(&order, &out)?)?,
        Request::Report { file } => show(&file)?,
        Request::Introduce(listed) => {
            for info in (listed.introduce)()? {
                print_line(&info)?;
            }
        }
        Request::Guard(folder) => cage::guard(&folder)?,
        Request::Measure(unit) => {
            (engine(&unit.engine)?.measure)(&unit, &mut |cell| print_line(&cell))?;
        }
    }
    Ok(true)
}

/// Writes what `make` answers for each mark of this kind into a document.
fn fill(document: &Path, kind: &str, make: impl Fn(&str) -> Result<String>) -> Result<()> {
    let shown = document.display();
    let old = std::fs::read_to_string(document).context(|| format!("cannot read {shown}"))?;
    let new = report::markers::fill(&old, kind, make).context(|| shown.to_string())?;
    std::fs::write(document, new).context(|| format!("cannot write {shown}"))
}

/// Prints how two records compare; whether enough of Nyala's ratios overlap.
fn compare(files: [&Path; 2], cells: &[String], least: f64) -> Result<bool> {
    let (first, second) = (record::file::read(files[0])?, record::file::read(files[1])?);
    let comparison = Comparison::of([&first, &second], cells);
    if comparison.is_empty() {
        let [first, second] = files.map(Path::display);
        return Err(Fault::new(format!("{first} and {second} have no such cell in common")));
    }
    println!("A: {}\nB: {}", files[0].display(), files[1].display());
    print!("{}", comparison.render([&first, &second]));
    let enough = comparison.percent() >= least;
    println!(
        "{}: {least} % were asked for.",
        if enough { "The records agree" } else { "The records do not agree" }
    );
    Ok(enough)
}

fn print_line(value: &impl serde::Serialize) -> Result<()> {
    let mut line = serde_json::to_string(value).context(|| "cannot write a result".to_owned())?;
    line.push('\n');
    std::io::stdout()
        .lock()
        .write_all(line.as_bytes())
        .context(|| "cannot print a result".to_owned())
}

/// Measures what was ordered; where the record lies.
fn measure(order: &Order, out: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(out)
        .context(|| format!("--out: cannot make the folder {}", out.display()))?;
    let program =
        std::env::current_exe().context(|| "cannot find this program's own file".to_owned())?;
    let file = out.join(RECORD);
    blocks::run(order, &program, &file)?;
    Ok(file)
}

/// Prints the tables and writes the page beside the file.
fn show(file: &Path) -> Result<()> {
    let record = record::file::read(file)?;
    let page = file.with_file_name("index.html");
    std::fs::write(&page, report::html(&record))
        .context(|| format!("cannot write {}", page.display()))?;
    print!("{}", report::terminal(&record));
    println!("\nRecord: {}\nReport: {}", file.display(), page.display());
    Ok(())
}
