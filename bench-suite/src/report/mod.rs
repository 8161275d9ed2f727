//! Tables and pages, made from the record and from nothing else.

mod beyond;
mod charts;
pub(crate) mod comparison;
mod experiments;
mod files;
pub(crate) mod format;
mod losses;
mod markdown;
pub(crate) mod markers;
mod markup;
mod page;
pub(crate) mod plan;
mod sections;
mod summary;
pub(crate) mod table;
mod terminal;

use crate::record::file::Record;
pub(crate) use markdown::Part;
use summary::Summary;

/// One self-contained page.
pub(crate) fn html(record: &Record) -> String {
    page::render(&Summary::of(record))
}

/// The tables of a document.
pub(crate) fn markdown(record: &Record, parts: &[Part]) -> String {
    markdown::render(&Summary::of(record), parts)
}

/// The tables of a terminal.
pub(crate) fn terminal(record: &Record) -> String {
    terminal::render(&Summary::of(record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A small run that is kept with the tests.
    pub(crate) fn sample() -> Record {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sample.jsonl");
        crate::record::file::read(&path).unwrap()
    }

    #[test]
    fn the_page_stands_alone() {
        let page = html(&sample());
        for outside in ["http://", "https://", "<script", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "the page refers to the outside: {outside}");
        }
        assert!(page.contains("prefers-color-scheme: dark") && page.contains("name=\"viewport\""));
    }

    #[test]
    fn the_page_shows_what_was_measured() {
        let record = sample();
        let page = html(&record);
        for info in &record.engines {
            assert!(page.contains(&markup::escape(&info.title)), "{} is missing", info.title);
            for setting in &info.settings {
                assert!(page.contains(&markup::escape(setting)), "{setting} is missing");
            }
        }
        assert!(page.contains(&markup::escape(&record.run.command)));
        assert!(page.contains("Where we lose"));
        assert!(page.contains(&record.run.environment.git_revision[..12]));
    }

    #[test]
    fn tags_are_balanced() {
        let page = html(&sample());
        for tag in
            ["svg", "table", "section", "figure", "details", "nav", "a", "tr", "td", "p", "ul", "g"]
        {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "<{tag}>");
        }
    }

    #[test]
    fn an_interrupted_run_still_makes_a_report() {
        let mut record = sample();
        record.seconds = None;
        record.cells.truncate(3);
        assert!(html(&record).contains("interrupted"));
        record.cells.clear();
        record.engines.clear();
        assert!(!html(&record).is_empty() && !terminal(&record).is_empty());
    }

    #[test]
    fn what_others_named_is_escaped() {
        let mut record = sample();
        record.run.trace.name = "<b>&\"".to_owned();
        let page = html(&record);
        assert!(!page.contains("<b>&") && page.contains("&lt;b&gt;&amp;&quot;"));
    }
}
