//! Tables in documents are those of the records that they name.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_nyala-bench")).args(arguments).output().unwrap()
}

/// What lies between `<!-- tables: FILE PARTS -->` and `<!-- /tables -->`, and the file with its parts.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("\n<!-- tables: ").skip(1);
    parts
        .map(|part| {
            let (file, rest) = part.split_once(" -->\n").expect("a mark ends with its line");
            let (tables, _) = rest.split_once("<!-- /tables -->").expect("a block ends");
            (file, tables)
        })
        .collect()
}

#[test]
fn tables_of_documents_are_those_of_their_records() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for document in
        ["README.md", "bench-suite/record/README.md", "bench-suite/record/beyond-memory.md"]
    {
        let text = std::fs::read_to_string(root.join(document)).unwrap();
        let blocks = blocks(&text);
        assert!(!blocks.is_empty(), "{document} has no tables of a record");
        for (mark, tables) in blocks {
            let (file, parts) = mark.split_once(' ').map_or((mark, None), |(a, b)| (a, Some(b)));
            let path = root.join(file);
            let chosen = parts.map_or(Vec::new(), |parts| vec!["--parts", parts]);
            let output = bench(&[&["tables", path.to_str().unwrap()], &chosen[..]].concat());
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{file}: {errors}");
            let made = String::from_utf8_lossy(&output.stdout);
            let hint = format!("`nyala-bench tables {file} --into {document}` writes them");
            assert!(
                made.trim() == tables.trim(),
                "{document} has other tables than {mark}: {hint}"
            );
        }
    }
}

#[test]
fn tables_are_written_between_their_marks() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let document = folder.join(format!("nyala-bench-document-{}.md", std::process::id()));
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sample.jsonl");
    std::fs::write(&document, "a\n<!-- tables: x/sample.jsonl -->\n<!-- /tables -->\nb\n").unwrap();
    let shown = document.to_str().unwrap();
    let write = || bench(&["tables", record.to_str().unwrap(), "--into", shown]);
    let output = write();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first = std::fs::read_to_string(&document).unwrap();
    let made = bench(&["tables", record.to_str().unwrap()]).stdout;
    assert_eq!(blocks(&first)[0].1.trim(), String::from_utf8_lossy(&made).trim());
    assert!(first.ends_with("<!-- /tables -->\nb\n"), "{first}");
    assert!(write().status.success());
    assert_eq!(std::fs::read_to_string(&document).unwrap(), first);

    // Marks of another record are not overwritten.
    std::fs::write(&document, "<!-- tables: other.jsonl -->\n<!-- /tables -->\n").unwrap();
    let output = write();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("names other.jsonl"));
    std::fs::remove_file(&document).unwrap();
}
