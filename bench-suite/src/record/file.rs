//! Reading and writing the JSON lines.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Serialize;

use super::files::{FileCell, FileFacts, FileStore, Place};
use super::schema::{self, Objection, Why};
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

/// A line with the version of its schema before everything else.
#[derive(Serialize)]
struct Stamped<'a> {
    schema: u32,
    #[serde(flatten)]
    line: &'a Line,
}

impl Writer {
    pub(crate) fn create(path: &Path) -> Result<Writer> {
        let file = File::create(path).context(|| format!("cannot write {}", path.display()))?;
        Ok(Writer { path: path.to_owned(), out: BufWriter::new(file) })
    }

    /// Goes on behind the first `bytes` of a record, and drops what lies behind them.
    pub(crate) fn behind(path: &Path, bytes: u64) -> Result<Writer> {
        let doing = || format!("cannot write {}", path.display());
        let mut file = File::options().write(true).open(path).context(doing)?;
        file.set_len(bytes).context(doing)?;
        file.seek(SeekFrom::End(0)).context(doing)?;
        Ok(Writer { path: path.to_owned(), out: BufWriter::new(file) })
    }

    pub(crate) fn line(&mut self, line: &Line) -> Result<()> {
        let doing = || format!("cannot write {}", self.path.display());
        serde_json::to_writer(&mut self.out, &Stamped { schema: SCHEMA, line }).context(doing)?;
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
    /// Blocks before which the run had been interrupted.
    pub(crate) resumed: Vec<u32>,
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

/// Why a file is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    file: PathBuf,
    /// From 1.
    line: usize,
    objection: Objection,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal { file, line, objection } = self;
        write!(f, "{}, line {line}, is no line of a benchmark record: {objection}", file.display())
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Fault {
        Fault::new(refusal.to_string())
    }
}

/// The lines of a file, with what gzip packed in it unpacked.
fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let doing = || format!("cannot open {}", path.display());
    let mut file = BufReader::new(File::open(path).context(doing)?);
    let packed = file.fill_buf().context(doing)?.starts_with(&[0x1f, 0x8b]);
    let plain: Box<dyn Read> =
        if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(Box::new(BufReader::new(plain)))
}

/// One line of the file, held to the schema.
fn parse(path: &Path, number: usize, text: &str) -> std::result::Result<Line, Refusal> {
    let refusal = |objection| Refusal { file: path.to_owned(), line: number, objection };
    let value = schema::parse(text).map_err(refusal)?;
    // What the schema allows and this program cannot read: numbers beyond their types.
    serde_json::from_value(value).map_err(|error| {
        refusal(Objection { field: String::new(), why: Why::NotJson(error.to_string()) })
    })
}

pub(crate) fn read(path: &Path) -> Result<Record> {
    let shown = path.display();
    let mut lines = Vec::new();
    for (number, text) in (1..).zip(open(path)?.lines()) {
        let text = text.context(|| format!("cannot read {shown}"))?;
        if !text.trim().is_empty() {
            lines.push(parse(path, number, &text)?);
        }
    }
    sort(lines).ok_or_else(|| {
        Fault::new(format!("{shown} has no line of kind `run`: it is no benchmark record"))
    })
}

/// `None` without a line of kind `run`.
fn sort(lines: Vec<Line>) -> Option<Record> {
    let mut run = None;
    let (mut engines, mut skipped, mut resumed, mut seconds) =
        (Vec::new(), Vec::new(), Vec::new(), None);
    let (mut cells, mut trials, mut files) = (Vec::new(), Vec::new(), Files::default());
    for line in lines {
        match line {
            Line::Run(first) => run = Some(*first),
            Line::Resume(resume) => resumed.push(resume.block),
            Line::Engine(info) => engines.push(info),
            Line::Skip(skip) => skipped.push(skip),
            Line::Cell(cell) => cells.push(cell),
            Line::Trial(trial) => trials.push(trial),
            Line::Place(place) => files.place = Some(place),
            Line::FileStore(store) => files.stores.push(store),
            Line::FileCell(cell) => files.cells.push(cell),
            Line::FileFacts(facts) => files.facts.push(facts),
            Line::Block(_) => {}
            Line::End(end) => seconds = Some(end.seconds),
        }
    }
    Some(Record { run: run?, engines, skipped, cells, trials, files, resumed, seconds })
}

/// The part of an interrupted record that a run can go on behind.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) record: Record,
    /// Blocks that are whole.
    pub(crate) blocks: u32,
    /// What their measurement took.
    pub(crate) seconds: f64,
    /// Where their last line ends.
    pub(crate) bytes: u64,
}

/// Reads a record to the end of its last whole block; `None` where there is no such block. A line that was cut short by the end of the
/// process that wrote it lies behind that.
pub(crate) fn begun(path: &Path) -> Result<Option<Begun>> {
    let text = std::fs::read(path).context(|| format!("cannot read {}", path.display()))?;
    let mut lines = Vec::new();
    let (mut whole, mut blocks, mut seconds, mut bytes, mut at) = (0, 0, 0.0, 0, 0);
    for (number, line) in (1..).zip(text.split_inclusive(|byte| *byte == b'\n')) {
        at += line.len();
        if !line.ends_with(b"\n") {
            break;
        }
        let line = parse(path, number, &String::from_utf8_lossy(line))?;
        if let Line::Block(block) = &line {
            (whole, blocks, bytes) = (lines.len() + 1, block.block.saturating_add(1), at as u64);
            seconds += block.seconds;
        }
        if matches!(line, Line::End(_)) {
            whole = lines.len() + 1;
        }
        lines.push(line);
    }
    lines.truncate(whole);
    Ok(sort(lines).filter(|_| blocks > 0).map(|record| Begun { record, blocks, seconds, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sample.jsonl");
        std::fs::read_to_string(path).unwrap()
    }

    struct Temporary(PathBuf);

    impl Temporary {
        fn with(name: &str, bytes: &[u8]) -> Temporary {
            let name = format!("nyala-bench-record-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, bytes).unwrap();
            Temporary(path)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let file = Temporary::with("copy", b"");
        let mut writer = Writer::create(&file.0).unwrap();
        for (number, text) in (1..).zip(sample().lines()) {
            writer.line(&parse(&file.0, number, text).unwrap()).unwrap();
        }
        let written = std::fs::read_to_string(&file.0).unwrap();
        assert_eq!(written.lines().count(), sample().lines().count());
        for (written, read) in written.lines().zip(sample().lines()) {
            assert_eq!(written, read);
        }
    }

    #[test]
    fn a_packed_record_is_the_same() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(sample().as_bytes()).unwrap();
        let packed = Temporary::with("packed", &encoder.finish().unwrap());
        let plain = Temporary::with("plain", sample().as_bytes());
        assert_eq!(read(&packed.0).unwrap(), read(&plain.0).unwrap());
    }

    #[test]
    fn a_broken_line_is_refused_by_its_number_and_field() {
        let broken = sample().replacen("\"steal_percent\":", "\"stolen\":", 1);
        let number = broken.lines().position(|line| line.contains("\"stolen\"")).unwrap() + 1;
        let file = Temporary::with("broken", broken.as_bytes());
        let message = read(&file.0).unwrap_err().to_string();
        assert!(message.contains(&format!("line {number}, is no line")), "{message}");
        assert!(message.contains("field `steal_percent`: it is missing"), "{message}");
        let old =
            Temporary::with("old", sample().replace("\"schema\":3", "\"schema\":2").as_bytes());
        let message = read(&old.0).unwrap_err().to_string();
        assert!(message.contains("line 1,") && message.contains("schema 2"), "{message}");
    }

    #[test]
    fn an_interrupted_record_goes_on_behind_its_last_whole_block() {
        let text = sample();
        let block = text.find("\"kind\":\"block\",\"block\":1").unwrap();
        let end = block + text[block..].find('\n').unwrap() + 1;
        // In the next block, in the middle of a line.
        let file = Temporary::with("begun", &text.as_bytes()[..end + 1000]);
        let begun = begun(&file.0).unwrap().unwrap();
        assert_eq!((begun.blocks, begun.bytes), (2, end as u64));
        assert!((begun.seconds - 8.0).abs() < 1e-9);
        assert!(begun.record.seconds.is_none());
        assert!(begun.record.cells.iter().all(|cell| cell.block < 2));
        drop(Writer::behind(&file.0, begun.bytes).unwrap());
        assert_eq!(std::fs::read_to_string(&file.0).unwrap(), text[..end]);

        let start = Temporary::with("start", &text.as_bytes()[..end / 4]);
        assert!(super::begun(&start.0).unwrap().is_none());
        let whole = Temporary::with("whole", text.as_bytes());
        assert!(super::begun(&whole.0).unwrap().unwrap().record.seconds.is_some());
    }
}
