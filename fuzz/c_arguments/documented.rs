//! What a function may answer, as include/nyala.h says.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;

use c_face::status::{nyala_status, nyala_status_name};

const HEADER: &str = include_str!("../../include/nyala.h");

/// Statuses by function.
#[derive(Debug)]
pub(crate) struct Documented {
    names: BTreeMap<String, nyala_status>,
    functions: BTreeMap<&'static str, BTreeSet<nyala_status>>,
}

/// The words of a function's comment, up to what it says of costs.
struct Comment {
    function: &'static str,
    words: Vec<&'static str>,
}

impl Documented {
    pub(crate) fn read() -> Documented {
        let names: BTreeMap<String, nyala_status> = (-128..128)
            .map(|status| (name(status), status))
            .filter(|(name, _)| name.starts_with("NYALA_"))
            .collect();
        let comments = comments();
        let mut functions = BTreeMap::new();
        for Comment { function, .. } in &comments {
            let mut statuses = told(&names, &comments, function, &mut BTreeSet::new());
            statuses.insert(names["NYALA_OK"]);
            functions.insert(*function, statuses);
        }
        assert!(functions.len() > 30, "{} functions in the header", functions.len());
        Documented { names, functions }
    }

    /// Panics unless the function may answer this in a process that did not fork, with a library that has no defect.
    pub(crate) fn check(&self, function: &str, status: nyala_status) {
        let allowed = &self.functions[function];
        assert!(allowed.contains(&status), "{function} answers {}", name(status));
        for never in ["NYALA_ERR_PANIC", "NYALA_ERR_FORKED", "NYALA_ERR_CORRUPT"] {
            assert!(status != self.names[never], "{function} answers {never}");
        }
    }
}

fn name(status: nyala_status) -> String {
    // SAFETY: the answer is static text.
    unsafe { CStr::from_ptr(nyala_status_name(status)) }.to_string_lossy().into_owned()
}

/// The comments that stand before functions.
fn comments() -> Vec<Comment> {
    let mut comments = Vec::new();
    for block in HEADER.split("/**").skip(1) {
        let Some((text, declaration)) = block.split_once("*/") else { continue };
        let Some((before, _)) = declaration.split_once('(') else { continue };
        let Some(function) = before.rsplit(|c: char| !is_word(c)).next() else { continue };
        let text = text.split_once("Cost:").map_or(text, |(text, _)| text);
        if function.starts_with("nyala_") && !before.contains(['#', ';']) {
            let words = text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
            comments.push(Comment { function, words });
        }
    }
    comments
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The statuses that a comment names, and those of the functions that it refers to, "as nyala_get" or "those of
/// nyala_set"; not what it says is never answered.
fn told(
    names: &BTreeMap<String, nyala_status>,
    comments: &[Comment],
    function: &str,
    asked: &mut BTreeSet<String>,
) -> BTreeSet<nyala_status> {
    let mut statuses = BTreeSet::new();
    if !asked.insert(function.to_owned()) {
        return statuses;
    }
    let Some(comment) = comments.iter().find(|comment| comment.function == function) else {
        return statuses;
    };
    let mut never = BTreeSet::new();
    for pair in comment.words.windows(2) {
        match (pair[0], pair[1]) {
            ("as" | "of", other) if other.starts_with("nyala_") => {
                statuses.append(&mut told(names, comments, other, asked));
            }
            (before, word) => {
                if let Some(status) = names.get(word) {
                    let set = if before == "never" { &mut never } else { &mut statuses };
                    set.insert(*status);
                }
            }
        }
    }
    &statuses - &never
}
