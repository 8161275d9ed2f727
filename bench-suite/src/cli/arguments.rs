//! From arguments to what they ask for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use lexopt::prelude::{Long, Short, Value};

use super::{
    COMMANDS, DEFAULT_OUT, DEFAULT_SEED, DEFAULT_TRACES, ENTRIES, LEAST, LIMIT_MIB, RECORD,
    Request, VERIFY_OUT, engine_names, experiment_names,
};
use crate::calibrate;
use crate::engines::contract::Durability;
use crate::engines::{self, Listed};
use crate::experiments::{Experiment, Inputs};
use crate::fault::{Context, Fault, Result};
use crate::measure::blocks::{INTRODUCE, MEASURE, Order};
use crate::measure::cage::GUARD;
use crate::profile::{self, Profile};
use crate::record;
use crate::report::Part;

pub(super) fn parse(arguments: impl IntoIterator<Item = OsString> + 'static) -> Result<Request> {
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
            "beyond-memory" => parse_beyond(&mut parser, &arguments),
            "report" => parse_report(&mut parser),
            "tables" => parse_tables(&mut parser),
            "cells" => parse_cells(&mut parser),
            "engines" => parse_engines(&mut parser),
            "diff" => parse_diff(&mut parser),
            "verify" => parse_verify(&mut parser),
            "calibrate" => parse_calibrate(&mut parser),
            INTRODUCE => {
                let name: String = read_order(&mut parser)?;
                engine(&name).map(Request::Introduce)
            }
            GUARD => {
                let folder = parser.value().context(|| "a folder".to_owned())?;
                Ok(Request::Guard(PathBuf::from(folder)))
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

pub(super) fn engine(name: &str) -> Result<&'static Listed> {
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
        Request::Run { order: Box::new(order), out: self.out }
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

fn parse_beyond(parser: &mut lexopt::Parser, arguments: &[OsString]) -> Result<Request> {
    let mut chosen = profile("beyond-full", &profile::BEYOND)?;
    let mut inputs = Inputs { classes: vec![Durability::D1], ..Inputs::default() };
    let mut common = Common::new();
    while let Some(argument) = parser.next().context(|| "beyond-memory".to_owned())? {
        match argument {
            Value(names) => inputs.classes = class_list(&names.to_string_lossy())?,
            Long("profile") => chosen = profile(&text_of(parser, "--profile")?, &profile::BEYOND)?,
            Long("entries") => inputs.file_entries = Some(entries(&text_of(parser, "--entries")?)?),
            Long("limit-mib") => {
                inputs.limit_bytes = Some(limit_mib(&text_of(parser, "--limit-mib")?)? << 20)
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

fn limit_mib(text: &str) -> Result<u64> {
    text.parse().ok().filter(|mib| LIMIT_MIB.contains(mib)).ok_or_else(|| {
        Fault::new(format!(
            "--limit-mib: {text:?} is no whole number from {} to {}",
            LIMIT_MIB.start(),
            LIMIT_MIB.end()
        ))
    })
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

fn parse_calibrate(parser: &mut lexopt::Parser) -> Result<Request> {
    let mut requests = calibrate::REQUESTS;
    while let Some(argument) = parser.next().context(|| "calibrate".to_owned())? {
        match argument {
            Long("requests") => {
                let (text, allowed) = (text_of(parser, "--requests")?, calibrate::ALLOWED);
                let number = text.parse().ok().filter(|number| allowed.contains(number));
                requests = number.ok_or_else(|| {
                    Fault::new(format!(
                        "--requests: {text:?} is no whole number from {} to {}",
                        allowed.start(),
                        allowed.end()
                    ))
                })?;
            }
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(unexpected(other)),
        }
    }
    Ok(Request::Calibrate { requests })
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
    let (mut file, mut parts, mut into) = (None, Part::ALL.to_vec(), None);
    while let Some(argument) = parser.next().context(|| "tables".to_owned())? {
        match argument {
            Value(path) if file.is_none() => file = Some(record_file("tables", path)?),
            Long("parts") => {
                let names = text_of(parser, "--parts")?;
                parts = Part::parse_list(&names).context(|| "--parts".to_owned())?;
            }
            Long("into") => into = Some(existing_file("--into", parser)?),
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(unexpected(other)),
        }
    }
    let file = file.ok_or_else(|| Fault::new("tables needs the FILE that a run has written"))?;
    Ok(Request::Tables { file, parts, into })
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

fn parse_engines(parser: &mut lexopt::Parser) -> Result<Request> {
    let mut chosen: Vec<&'static Listed> = engines::ALL.iter().collect();
    while let Some(argument) = parser.next().context(|| "engines".to_owned())? {
        match argument {
            Long("engines") => chosen = engine_list(&text_of(parser, "--engines")?)?,
            Long("help") | Short('h') => return Ok(Request::Help),
            other => return Err(unexpected(other)),
        }
    }
    Ok(Request::Engines(chosen))
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
