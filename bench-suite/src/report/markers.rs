//! Parts of documents that this program writes: between `<!-- NAME: ARGUMENT -->` and `<!-- /NAME -->`, each on a line of its own.

use crate::fault::{Fault, Result};

/// Writes what `make` gives for the argument of each block of this name between its marks. A fault where there is no such block, or
/// one that does not end.
pub(crate) fn fill(
    text: &str,
    name: &str,
    make: impl Fn(&str) -> Result<String>,
) -> Result<String> {
    let (open, close) = (format!("<!-- {name}: "), format!("<!-- /{name} -->"));
    let (mut out, mut lines, mut found) = (String::new(), text.lines(), false);
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        let argument = line.trim().strip_prefix(&open).and_then(|rest| rest.strip_suffix(" -->"));
        let Some(argument) = argument else { continue };
        found = true;
        out.push_str(make(argument)?.trim());
        out.push('\n');
        let end = lines.by_ref().find(|line| line.trim() == close);
        let end = end.ok_or_else(|| Fault::new(format!("after {line} there is no {close}")))?;
        out.push_str(end);
        out.push('\n');
    }
    if found { Ok(out) } else { Err(Fault::new(format!("there is no line {open}… -->"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\n<!-- cells: quick -->\nold\nolder\n<!-- /cells -->\nb\n";

    #[test]
    fn what_lies_between_marks_is_replaced() {
        let make = |name: &str| Ok(format!("new {name}\n"));
        let filled = fill(TEXT, "cells", make).unwrap();
        assert_eq!(filled, "a\n<!-- cells: quick -->\nnew quick\n<!-- /cells -->\nb\n");
        assert_eq!(fill(&filled, "cells", make).unwrap(), filled);
    }

    #[test]
    fn marks_that_are_missing_are_told() {
        let make = |_: &str| Ok(String::new());
        let message = |text: &str| fill(text, "cells", make).unwrap_err().to_string();
        assert!(message("a\n").contains("no line <!-- cells: "));
        assert!(message("<!-- cells: x -->\n").contains("no <!-- /cells -->"));
    }

    /// Every document that names cells of a profile has them as they are.
    #[test]
    fn documents_list_the_cells_that_are_measured() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let text = std::fs::read_to_string(path).unwrap();
        let made = fill(&text, "cells", |name| {
            let profile = crate::profile::ALL.iter().find(|profile| profile.name == name);
            Ok(crate::report::plan::markdown(profile.unwrap()))
        });
        let hint = "`nyala-bench cells --into bench-suite/README.md` writes it";
        assert!(made.unwrap() == text, "README.md lists other cells: {hint}");
    }
}
