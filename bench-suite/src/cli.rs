//! The command line.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::prelude::{Long, Short, Value};

use crate::engines::contract::Durability;
use crate::engines::{self, Listed};
use crate::experiments::{Experiment, Inputs};
use crate::fault::{Context, Fault, Result};
use crate::measure::blocks::{self, INTRODUCE, MEASURE, Order};
use crate::measure::unit::Unit;
use crate::profile::{self, Profile};
use crate::record;
use crate::report::{self, comparison::Comparison};

const DEFAULT_OUT: &str = "bench-report";
const VERIFY_OUT: &str = "bench-report/verify";
const DEFAULT_SEED: u64 = 20_260_501;
/// The record in that folder.
const RECORD: &str = "latest.jsonl";
/// Where traces may lie beside a checkout.
const DEFAULT_TRACES: &str = "../shared/traces";
/// Entries that `--entries` may ask for.
const ENTRIES: std::ops::RangeInclusive<u32> = 1000..=100_000_000;

/// Exit codes: something failed, the caller gave wrong arguments, or two records do not agree.
const FAILED: u8 = 1;
const WRONG_ARGUMENTS: u8 = 2;
const APART: u8 = 3;
/// Per cent of the ratios that have to overlap for two records to agree.
const LEAST: f64 = 90.0;

/// As messages name them.
const COMMANDS: &str = "run, cache, files, report, diff, verify, tables and cells";

/// What the arguments ask for.
enum Request {
    Help,
    Run { order: Order, out: PathBuf },
    Report { file: PathBuf },
    Tables { file: PathBuf, into: Option<PathBuf> },
    Cells { profile: &'static Profile, into: Option<PathBuf> },
    Diff { files: [PathBuf; 2], cells: Vec<String>, least: f64 },
    Verify { file: PathBuf, order: Box<Order>, out: PathBuf, cells: Vec<String>, least: f64 },
    Introduce(&'static Listed),
    Measure(Box<Unit>),
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
    format!(
        "Measures Nyala beside other key-value stores on the same work.\n\n\
         nyala-bench run [--profile NAME] [--engines A,B] [--trace FILE] [--traces DIR] [--cells TEXT].. [--out DIR] [--seed N]\n\
         nyala-bench cache [EXPERIMENT,..] [--profile NAME] [--engines A,B] [--traces DIR] [--entries N] [--cells TEXT].. [--out DIR] [--seed N]\n\
         nyala-bench files [CLASS,..] [--profile NAME] [--engines A,B] [--folder DIR] [--entries N] [--cells TEXT].. [--out DIR] [--seed N]\n\
         nyala-bench report FILE\n\
         nyala-bench tables FILE [--into DOCUMENT]\n\
         nyala-bench cells [--profile NAME] [--into DOCUMENT]\n\
         nyala-bench diff FILE FILE [--cells TEXT].. [--least PERCENT]\n\
         nyala-bench verify FILE [--cells TEXT].. [--engines A,B] [--out DIR] [--least PERCENT]\n\n\
         run measures, writes DIR/latest.jsonl and DIR/index.html and prints tables.\n\
         cache does the same for experiments on caches and full stores: {}.\n\
         files does the same for stores in files, in the durability classes D1 (survives kill -9), D2 (a power cut loses at most\n\
         the last second) and D3 (survives a power cut).\n\
         report makes the same tables, and index.html beside FILE, from a recorded FILE.\n\
         tables prints the tables of a recorded FILE in Markdown, cells what a profile measures (default standard); --into writes them\n\
         into a document, between the lines <!-- tables: FILE --> and <!-- /tables -->, or <!-- cells: NAME --> and <!-- /cells -->.\n\
         diff compares two records cell by cell: medians, their ratio, Nyala's ratio to each engine, and whether intervals overlap.\n\
         verify runs the command of a record again, or some cells of it, and compares the two.\n\
         Exit status: 0, and for diff and verify that enough of Nyala's ratios overlap; {FAILED} something failed; {WRONG_ARGUMENTS} wrong\n\
         arguments; {APART} too few overlap.\n\n\
         --profile NAME  how much is measured (default quick, for cache cache-full, for files files-full):\n{profiles}{cache_profiles}{file_profiles}\
         --engines A,B   only these: {} (default: all that are installed)\n\
         --trace FILE    requests for the cache-aside replay: gzip of little-endian 32-bit key numbers\n\
         \x20               (default: a generated trace)\n\
         --traces DIR    traces for hit ratios, files *.u32.gz of that form (default {DEFAULT_TRACES}, and without it\n\
         \x20               a generated trace)\n\
         --folder DIR    where stores in files are made, and removed (default: that of --out); a real disk\n\
         --entries N     entries that growth ends with, or that stores in files hold (default: by profile)\n\
         --cells TEXT    only what has a cell in whose name TEXT stands, as diff prints it: `get, 1 M entries`; may be repeated\n\
         --least PERCENT of Nyala's ratios that have to overlap (default {LEAST})\n\
         --resume        go on behind the last whole block of the record in --out, which an interrupted run of the same command left\n\
         --out DIR       where results go (default {DEFAULT_OUT}, of verify {VERIFY_OUT})\n\
         --seed N        seed of keys, streams and order, 0 to 2^64-1 (default {DEFAULT_SEED})\n",
        experiment_names(),
        engine_names()
    )
}

fn experiment_names() -> String {
    Experiment::ALL.map(Experiment::name).join(", ")
}

fn engine_names() -> String {
    engines::ALL.map(|listed| listed.name).join(", ")
}

fn parse(arguments: impl IntoIterator<Item = OsString> + 'static) -> Result<Request> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut parser = lexopt::Parser::from_args(arguments.clone());
    let Some(first) = parser.next().context(|| "arguments".to_owned())? else {
        return Err(Fault::new(format!("no command given; allowed are {COMMANDS}")));
    };
    match first {
        Long("help") | Short('h') => Ok(Request::Help),
        Value(command) => match command.to_string_lossy().as_ref() {
            "run" => parse_run(&mut parser, &arguments),
            "cache" => parse_cache(&mut parser, &arguments),
            "files" => parse_files(&mut parser, &arguments),
            "report" => parse_report(&mut parser),
            "tables" => parse_tables(&mut parser),
            "cells" => parse_cells(&mut parser),
            "diff" => parse_diff(&mut parser),
            "verify" => parse_verify(&mut parser),
            INTRODUCE => {
                let name: String = read_order(&mut parser)?;
                engine(&name).map(Request::Introduce)
            }
            MEASURE => Ok(Request::Measure(Box::new(read_order(&mut parser)?))),
            other => {
                Err(Fault::new(format!("no command is named {other:?}; allowed are {COMMANDS}")))
            }
        },
        other => Err(unexpected(other)),
    }
}

fn unexpected(argument: lexopt::Arg<'_>) -> Fault {
    Fault::new(argument.unexpected().to_string())
}

fn read_order<T: serde::de::DeserializeOwned>(parser: &mut lexopt::Parser) -> Result<T> {
    let text = text_of(parser, "an order")?;
    serde_json::from_str(&text).context(|| "the order is not readable".to_owned())
}

fn text_of(parser: &mut lexopt::Parser, what: &str) -> Result<String> {
    let value = parser.value().context(|| what.to_owned())?;
    value
        .into_string()
        .map_err(|value| Fault::new(format!("{what}: {} is not UTF-8", value.display())))
}

fn engine(name: &str) -> Result<&'static Listed> {
    engines::find(name).ok_or_else(|| {
        Fault::new(format!(
            "--engines: no engine is named {name:?}; allowed are {}",
            engine_names()
        ))
    })
}

fn profile(name: &str, offered: &'static [Profile]) -> Result<&'static Profile> {
    offered.iter().find(|profile| profile.name == name).ok_or_else(|| {
        let names: Vec<&str> = offered.iter().map(|profile| profile.name).collect();
        let names = names.join(", ");
        Fault::new(format!("--profile: no profile is named {name:?}; allowed are {names}"))
    })
}

/// What `run` and `cache` have in common.
struct Common {
    engines: Vec<&'static Listed>,
    traces: Option<PathBuf>,
    folder: Option<PathBuf>,
    out: PathBuf,
    seed: u64,
    cells: Vec<String>,
    resumes: bool,
}

impl Common {
    fn new() -> Common {
        let traces = Path::new(DEFAULT_TRACES);
        Common {
            engines: engines::ALL.iter().collect(),
            traces: traces.is_dir().then(|| traces.to_owned()),
            folder: None,
            out: PathBuf::from(DEFAULT_OUT),
            seed: DEFAULT_SEED,
            cells: Vec::new(),
            resumes: false,
        }
    }

    fn take(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<()> {
        match name {
            "engines" => self.engines = engine_list(&text_of(parser, "--engines")?)?,
            "traces" => self.traces = Some(existing_folder("--traces", parser)?),
            "folder" => self.folder = Some(existing_folder("--folder", parser)?),
            "cells" => self.cells.push(text_of(parser, "--cells")?),
            "resume" => self.resumes = true,
            "out" => self.out = PathBuf::from(parser.value().context(|| "--out".to_owned())?),
            "seed" => {
                let text = text_of(parser, "--seed")?;
                self.seed = text.parse().map_err(|_| {
                    Fault::new(format!("--seed: {text:?} is no whole number from 0 to 2^64-1"))
                })?;
            }
            other => return Err(Fault::new(format!("invalid option '--{other}'"))),
        }
        Ok(())
    }

    fn request(
        self,
        profile: &'static Profile,
        trace: Option<PathBuf>,
        inputs: Inputs,
        arguments: &[OsString],
    ) -> Request {
        let folder = self.folder.unwrap_or_else(|| self.out.clone());
        let inputs = Inputs { traces: self.traces, folder, ..inputs };
        let engines =
            self.engines.into_iter().filter(|listed| profile.needs(listed, &inputs)).collect();
        let arguments = seeded(arguments, self.seed);
        let resumes = self.resumes || profile.resumes;
        let command = spelled(&arguments);
        let (seed, cells) = (self.seed, self.cells);
        let order =
            Order { profile, engines, trace, inputs, seed, cells, resumes, command, arguments };
        Request::Run { order, out: self.out }
    }
}

fn parse_run(parser: &mut lexopt::Parser, arguments: &[OsString]) -> Result<Request> {
    let mut chosen = profile("quick", &profile::ALL)?;
    let mut trace = None;
    let mut common = Common::new();
    while let Some(argument) = parser.next().context(|| "run".to_owned())? {
        match argument {
            Long("profile") => chosen = profile(&text_of(parser, "--profile")?, &profile::ALL)?,
            Long("trace") => trace = Some(existing_file("--trace", parser)?),
            Long("help") | Short('h') => return Ok(Request::Help),
            Long(name) => {
                let name = name.to_owned();
                common.take(&name, parser)?;
            }
            other => return Err(unexpected(other)),
        }
    }
    Ok(common.request(chosen, trace, Inputs::everything(), arguments))
}

fn parse_cache(parser: &mut lexopt::Parser, arguments: &[OsString]) -> Result<Request> {
    let mut chosen = profile("cache-full", &profile::CACHE)?;
    let mut inputs = Inputs { experiments: Experiment::ALL.to_vec(), ..Inputs::default() };
    let mut common = Common::new();
    while let Some(argument) = parser.next().context(|| "cache".to_owned())? {
        match argument {
            Value(names) => inputs.experiments = experiment_list(&names.to_string_lossy())?,
            Long("profile") => chosen = profile(&text_of(parser, "--profile")?, &profile::CACHE)?,
            Long("entries") => {
                inputs.growth_entries = Some(entries(&text_of(parser, "--entries")?)?)
            }
            Long("help") | Short('h') => return Ok(Request::Help),
            Long(name) => {
                let name = name.to_owned();
                common.take(&name, parser)?;
            }
            other => return Err(unexpected(other)),
        }
    }
    Ok(common.request(chosen, None, inputs, arguments))
}

fn parse_files(parser: &mut lexopt::Parser, arguments: &[OsString]) -> Result<Request> {
    let mut chosen = profile("files-full", &profile::FILES)?;
    let mut inputs = Inputs { classes: Durability::OF_FILES.to_vec(), ..Inputs::default() };
    let mut common = Common::new();
    while let Some(argument) = parser.next().context(|| "files".to_owned())? {
        match argument {
            Value(names) => inputs.classes = class_list(&names.to_string_lossy())?,
            Long("profile") => chosen = profile(&text_of(parser, "--profile")?, &profile::FILES)?,
            Long("entries") => inputs.file_entries = Some(entries(&text_of(parser, "--entries")?)?),
            Long("help") | Short('h') => return Ok(Request::Help),
            Long(name) => {
                let name = name.to_owned();
                common.take(&name, parser)?;
            }
            other => return Err(unexpected(other)),
        }
    }
    Ok(common.request(chosen, None, inputs, arguments))
}

fn class_list(text: &str) -> Result<Vec<Durability>> {
    text.split(',')
        .map(|name| {
            Durability::find(name.trim()).ok_or_else(|| {
                Fault::new(format!("no class of files is named {name:?}; allowed are D1, D2, D3"))
            })
        })
        .collect()
}

fn experiment_list(text: &str) -> Result<Vec<Experiment>> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if let Some(name) = names.iter().find(|name| Experiment::find(name).is_none()) {
        return Err(Fault::new(format!(
            "no experiment is named {name:?}; allowed are {}",
            experiment_names()
        )));
    }
    // In the order of the report, each once.
    Ok(Experiment::ALL
        .into_iter()
        .filter(|experiment| names.contains(&experiment.name()))
        .collect())
}

fn entries(text: &str) -> Result<u32> {
    text.parse().ok().filter(|entries| ENTRIES.contains(entries)).ok_or_else(|| {
        Fault::new(format!(
            "--entries: {text:?} is no whole number from {} to {}",
            ENTRIES.start(),
            ENTRIES.end()
        ))
    })
}

fn engine_list(text: &str) -> Result<Vec<&'static Listed>> {
    let mut list: Vec<&'static Listed> = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let listed = engine(name)?;
        if !list.iter().any(|known| known.name == listed.name) {
            list.push(listed);
        }
    }
    if list.is_empty() {
        return Err(Fault::new(format!(
            "--engines: {text:?} names no engine; allowed are {}",
            engine_names()
        )));
    }
    Ok(list)
}

fn existing_file(option: &str, parser: &mut lexopt::Parser) -> Result<PathBuf> {
    let path = PathBuf::from(parser.value().context(|| option.to_owned())?);
    if path.is_file() {
        return Ok(path);
    }
    Err(Fault::new(format!("{option}: there is no file {}", path.display())))
}

fn existing_folder(option: &str, parser: &mut lexopt::Parser) -> Result<PathBuf> {
    let path = PathBuf::from(parser.value().context(|| option.to_owned())?);
    if path.is_dir() {
        return Ok(path);
    }
    Err(Fault::new(format!("{option}: there is no folder {}", path.display())))
}

fn parse_report(parser: &mut lexopt::Parser) -> Result<Request> {
    let mut file = None;
    while let Some(argument) = parser.next().context(|| "report".to_owned())? {
        match argument {
            Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(unexpected(other)),
        }
    }
    let file = file
        .ok_or_else(|| Fault::new("report needs the FILE of JSON lines that a run has written"))?;
    if !file.is_file() {
        return Err(Fault::new(format!("report: there is no file {}", file.display())));
    }
    Ok(Request::Report { file })
}

/// A record that a command takes.
fn record_file(command: &str, path: OsString) -> Result<PathBuf> {
    let path = PathBuf::from(path);
    if path.is_file() {
        return Ok(path);
    }
    Err(Fault::new(format!("{command}: there is no file {}", path.display())))
}

fn least(parser: &mut lexopt::Parser) -> Result<f64> {
    let text = text_of(parser, "--least")?;
    let percent = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| Fault::new(format!("--least: {text:?} is no number from 0 to 100")))
}

fn parse_tables(parser: &mut lexopt::Parser) -> Result<Request> {
    let (mut file, mut into) = (None, None);
    while let Some(argument) = parser.next().context(|| "tables".to_owned())? {
        match argument {
            Value(path) if file.is_none() => file = Some(record_file("tables", path)?),
            Long("into") => into = Some(existing_file("--into", parser)?),
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(unexpected(other)),
        }
    }
    let file = file.ok_or_else(|| Fault::new("tables needs the FILE that a run has written"))?;
    Ok(Request::Tables { file, into })
}

fn parse_cells(parser: &mut lexopt::Parser) -> Result<Request> {
    let (mut chosen, mut into) = (profile("standard", &profile::ALL)?, None);
    while let Some(argument) = parser.next().context(|| "cells".to_owned())? {
        match argument {
            Long("profile") => chosen = profile(&text_of(parser, "--profile")?, &profile::ALL)?,
            Long("into") => into = Some(existing_file("--into", parser)?),
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(unexpected(other)),
        }
    }
    Ok(Request::Cells { profile: chosen, into })
}

fn parse_diff(parser: &mut lexopt::Parser) -> Result<Request> {
    let (mut files, mut cells, mut least_percent) = (Vec::new(), Vec::new(), LEAST);
    while let Some(argument) = parser.next().context(|| "diff".to_owned())? {
        match argument {
            Value(path) if files.len() < 2 => files.push(record_file("diff", path)?),
            Long("cells") => cells.push(text_of(parser, "--cells")?),
            Long("least") => least_percent = least(parser)?,
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(unexpected(other)),
        }
    }
    let files = <[PathBuf; 2]>::try_from(files)
        .map_err(|files| Fault::new(format!("diff needs two FILEs, and not {}", files.len())))?;
    Ok(Request::Diff { files, cells, least: least_percent })
}

fn parse_verify(parser: &mut lexopt::Parser) -> Result<Request> {
    let (mut file, mut cells, mut least_percent) = (None, Vec::new(), LEAST);
    let (mut engines, mut out) = (None, VERIFY_OUT.to_owned());
    while let Some(argument) = parser.next().context(|| "verify".to_owned())? {
        match argument {
            Value(path) if file.is_none() => file = Some(record_file("verify", path)?),
            Long("cells") => cells.push(text_of(parser, "--cells")?),
            Long("engines") => engines = Some(text_of(parser, "--engines")?),
            Long("out") => out = text_of(parser, "--out")?,
            Long("least") => least_percent = least(parser)?,
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(unexpected(other)),
        }
    }
    let file = file.ok_or_else(|| Fault::new("verify needs the FILE that a run has written"))?;
    let mut arguments = without("--out", &record::file::read(&file)?.run.arguments);
    if let Some(engines) = engines {
        arguments = without("--engines", &arguments);
        arguments.extend(["--engines".to_owned(), engines]);
    }
    arguments.extend(["--out".to_owned(), out]);
    if !cells.is_empty() {
        arguments = without("--cells", &arguments);
    }
    arguments.extend(cells.iter().flat_map(|text| ["--cells".to_owned(), text.clone()]));
    let shown = spelled(&arguments);
    let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
    match parse(arguments).context(|| format!("{}: {shown}", file.display()))? {
        Request::Run { order, out } if out.join(RECORD) != file => {
            let order = Box::new(order);
            Ok(Request::Verify { file, order, out, cells, least: least_percent })
        }
        Request::Run { .. } => {
            Err(Fault::new("verify would write over the record; give another --out"))
        }
        _ => Err(Fault::new(format!("{} records no measurement: {shown}", file.display()))),
    }
}

/// The arguments without an option and its value.
fn without(option: &str, arguments: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == option {
            arguments.next();
        } else if !argument.starts_with(&format!("{option}=")) {
            kept.push(argument.clone());
        }
    }
    kept
}

/// The arguments with the seed, even if it was the default, and without what only says how to begin.
fn seeded(arguments: &[OsString], seed: u64) -> Vec<String> {
    let mut all: Vec<String> =
        arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    all.retain(|argument| argument != "--resume");
    if !all.iter().any(|argument| argument.starts_with("--seed")) {
        all.extend(["--seed".to_owned(), seed.to_string()]);
    }
    all
}

/// The command as a person can repeat it.
fn spelled(arguments: &[String]) -> String {
    let mut command = "cargo run --release -p nyala-bench --".to_owned();
    for argument in arguments {
        let plain =
            argument.chars().all(|letter| letter.is_alphanumeric() || "-_=./,".contains(letter));
        command.push(' ');
        if plain { command.push_str(argument) } else { command.push_str(&format!("'{argument}'")) }
    }
    command
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
        Request::Tables { file, into } => {
            let tables = report::markdown(&record::file::read(&file)?);
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            publish("tables", &name, &tables, into.as_deref())?;
        }
        Request::Cells { profile, into } => {
            publish("cells", profile.name, &report::plan::markdown(profile), into.as_deref())?;
        }
        Request::Help => print!("{}", help()),
        Request::Run { order, out } => show(&measure(&order, &out)?)?,
        Request::Report { file } => show(&file)?,
        Request::Introduce(listed) => {
            for info in (listed.introduce)()? {
                print_line(&info)?;
            }
        }
        Request::Measure(unit) => {
            (engine(&unit.engine)?.measure)(&unit, &mut |cell| print_line(&cell))?;
        }
    }
    Ok(true)
}

/// Prints a text, or writes it into a document between the marks that name it.
fn publish(kind: &str, name: &str, text: &str, into: Option<&Path>) -> Result<()> {
    let Some(document) = into else {
        print!("{text}");
        return Ok(());
    };
    let shown = document.display();
    let old = std::fs::read_to_string(document).context(|| format!("cannot read {shown}"))?;
    let own = |argument: &str| {
        let here = Path::new(argument).file_name().is_some_and(|file| file == name);
        if here {
            Ok(text.to_owned())
        } else {
            Err(Fault::new(format!("its mark names {argument}")))
        }
    };
    let new = report::markers::fill(&old, kind, own).context(|| shown.to_string())?;
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
