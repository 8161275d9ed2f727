//! The examples of both README.md say what the program says.
#![forbid(unsafe_code)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Folder, PROGRAM};

#[test]
fn the_examples_were_run() {
    let folder = Folder::new("readme");
    let found = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{found}", Path::new(PROGRAM).parent().unwrap().display());
    let documents = concat!(include_str!("../README.md"), include_str!("../../README.md"));
    let mut seen = 0;
    for block in documents.split("```console\n").skip(1) {
        let block = block.split_once("```").unwrap().0;
        for example in block.split("$ ").skip(1) {
            let (line, expected) = example.split_once('\n').unwrap();
            let output = Command::new("sh")
                .args(["-c", &format!("exec 2>&1; {line}")])
                .current_dir(&folder.0)
                .env("PATH", &path)
                .output()
                .unwrap();
            let mut said = String::from_utf8(output.stdout).unwrap();
            if !said.is_empty() && !said.ends_with('\n') {
                said.push('\n');
            }
            match output.status.code() {
                Some(0) => {}
                code => said.push_str(&format!("[{}]\n", code.unwrap())),
            }
            assert_eq!(said, expected, "{line}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} examples");
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let help = Folder::new("exit-codes").run("--help").text().to_owned();
    let readme = include_str!("../README.md");
    let codes = [0, 1, 2, 3, 4, 5, 6, 130];
    for code in codes {
        assert!(readme.contains(&format!("| {code} | ")), "{code}");
        assert!(help.contains(&format!("\n{code:5}  ")), "{code}");
    }
}
