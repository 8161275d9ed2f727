//! What the documents name must exist.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENTS: [&str; 6] =
    ["README.md", "ARCHITECTURE.md", "FORMAT.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md"];
const ENDINGS: [&str; 10] = ["rs", "md", "toml", "h", "c", "cpp", "sh", "py", "pyi", "txt"];
/// What appears when something is built or run.
const GENERATED: [&str; 2] = ["target/", "bench-suite/report/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Everything between single backticks outside of code blocks.
fn quoted(document: &str) -> Vec<String> {
    let mut quotes = Vec::new();
    for outside in text(document).split("```").step_by(2) {
        quotes.extend(outside.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    quotes
}

fn code_blocks(document: &str, language: &str) -> Vec<String> {
    let (document, fence) = (text(document), format!("```{language}\n"));
    let blocks = document.split(&fence).skip(1);
    blocks.map(|rest| rest.split_once("```").expect("the block ends").0.to_owned()).collect()
}

/// All Rust files below a folder, with their text.
fn sources(folder: PathBuf) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            found.push((path, text));
        }
    }
    found
}

fn looks_like_a_path(quote: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let ending = quote.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending));
    quote.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
        && quote.chars().all(plain)
        && (ending || quote.contains('/'))
}

#[test]
fn paths_exist() {
    let bases = ["", "core/src", "include"].map(|base| root().join(base));
    let mut seen = 0;
    for document in DOCUMENTS {
        for quote in quoted(document) {
            if looks_like_a_path(&quote) && !GENERATED.iter().any(|g| quote.starts_with(g)) {
                let exists = bases.iter().any(|base| base.join(&quote).exists());
                assert!(exists, "{document} names `{quote}`");
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "{seen} paths");
}

/// `file::function`, the file relative to core/src.
#[test]
fn functions_exist() {
    let mut seen = 0;
    for document in DOCUMENTS {
        for quote in quoted(document) {
            let Some((file, function)) = quote.split_once(".rs::") else { continue };
            let source = text(format!("core/src/{file}.rs"));
            let declared = [format!("fn {function}("), format!("fn {function}<")];
            assert!(
                declared.iter().any(|declaration| source.contains(declaration)),
                "{document} names `{quote}`"
            );
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen} functions");
}

/// Words such as I1 or C9.
fn citations(text: &str, letter: char) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter_map(|word| Some((word, word.strip_prefix(letter)?)))
        .filter(|(_, digits)| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
        .map(|(word, _)| word.to_owned())
        .collect()
}

#[test]
fn what_is_cited_is_defined_once() {
    let document = text("ARCHITECTURE.md");
    for letter in ['I', 'C'] {
        let defined: Vec<&str> = document
            .lines()
            .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
            .filter(|cell| citations(cell, letter).contains(*cell))
            .collect();
        let once: BTreeSet<String> = defined.iter().map(|cell| (*cell).to_owned()).collect();
        assert_eq!(once.len(), defined.len(), "{defined:?}");
        let mut cited = BTreeSet::new();
        for (_, source) in sources(root().join("core/src")) {
            cited.extend(citations(&source, letter));
        }
        assert!(cited.is_subset(&once), "{cited:?} are cited, {once:?} are defined");
        assert!(letter != 'I' || cited == once, "{cited:?} are cited, {once:?} are defined");
    }
}

#[test]
fn every_file_of_the_core_is_on_the_map() {
    let quotes: BTreeSet<String> = quoted("ARCHITECTURE.md").into_iter().collect();
    let folder = root().join("core/src");
    for (path, _) in sources(folder.clone()) {
        let path = path.strip_prefix(&folder).expect("below the folder").display().to_string();
        let minor = path.ends_with("format.rs") || path == "log/mod.rs";
        assert!(minor || quotes.contains(&path), "{path} is not on the map");
    }
}

#[test]
fn the_c_examples_are_the_programs() {
    let programs = ["hello", "cache", "file"].map(|name| text(format!("ffi/examples/{name}.c")));
    assert_eq!(code_blocks("README.md", "c"), programs);
}
