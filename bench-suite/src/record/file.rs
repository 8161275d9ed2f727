//! Reading and writing the JSON lines.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::files::{FileCell, FileFacts, FileStore, Place};
use super::trial::Trial;
use super::{Cell, Line, Run, SCHEMA, Skip};
use crate::engines::contract::Info;
use crate::fault::{Context, Fault, Result};

/// Writes lines as they come, so that an interrupted run leaves what it had.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Writer {
    pub(crate) fn create(path: &Path) -> Result<Writer> {
        let file = File::create(path).context(|| format!("cannot write {}", path.display()))?;
        Ok(Writer { path: path.to_owned(), out: BufWriter::new(file) })
    }

    pub(crate) fn line(&mut self, line: &Line) -> Result<()> {
        let doing = || format!("cannot write {}", self.path.display());
        serde_json::to_writer(&mut self.out, line).context(doing)?;
        self.out.write_all(b"\n").context(doing)?;
        self.out.flush().context(doing)
    }
}

/// A whole file, sorted into its parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) run: Run,
    pub(crate) engines: Vec<Info>,
    pub(crate) skipped: Vec<Skip>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) trials: Vec<Trial>,
    pub(crate) files: Files,
    /// `None`: the run did not come to its end.
    pub(crate) seconds: Option<f64>,
}

/// The part of a record that is about stores in files.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Files {
    pub(crate) place: Option<Place>,
    pub(crate) stores: Vec<FileStore>,
    pub(crate) cells: Vec<FileCell>,
    pub(crate) facts: Vec<FileFacts>,
}

pub(crate) fn read(path: &Path) -> Result<Record> {
    let shown = path.display();
    let file = File::open(path).context(|| format!("cannot open {shown}"))?;
    let mut run = None;
    let (mut engines, mut skipped, mut seconds) = (Vec::new(), Vec::new(), None);
    let (mut cells, mut trials, mut files) = (Vec::new(), Vec::new(), Files::default());
    for (number, text) in (1..).zip(BufReader::new(file).lines()) {
        let text = text.context(|| format!("cannot read {shown}"))?;
        if text.trim().is_empty() {
            continue;
        }
        let line = serde_json::from_str(&text)
            .context(|| format!("{shown}, line {number} is no line of a benchmark record"))?;
        match line {
            Line::Run(first) if first.schema == SCHEMA => run = Some(first),
            Line::Run(first) => {
                return Err(Fault::new(format!(
                    "{shown} has schema {}; this program reads schema {SCHEMA}",
                    first.schema
                )));
            }
            Line::Engine(info) => engines.push(info),
            Line::Skip(skip) => skipped.push(skip),
            Line::Cell(cell) => cells.push(cell),
            Line::Trial(trial) => trials.push(trial),
            Line::Place(place) => files.place = Some(place),
            Line::FileStore(store) => files.stores.push(store),
            Line::FileCell(cell) => files.cells.push(cell),
            Line::FileFacts(facts) => files.facts.push(facts),
            Line::End(end) => seconds = Some(end.seconds),
        }
    }
    let run = run.ok_or_else(|| {
        Fault::new(format!("{shown} has no line of kind `run`: it is no benchmark record"))
    })?;
    Ok(Record { run, engines, skipped, cells, trials, files, seconds })
}
