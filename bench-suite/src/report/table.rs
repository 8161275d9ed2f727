//! A text table: a name on the left, numbers on the right of their columns.

/// Rows and headings; widths follow the content.
#[derive(Debug, Default)]
pub(crate) struct Table {
    headings: Vec<String>,
    rows: Vec<Option<(String, Vec<String>)>>,
}

impl Table {
    pub(crate) fn new(headings: impl IntoIterator<Item = String>) -> Table {
        Table { headings: headings.into_iter().collect(), rows: Vec::new() }
    }

    pub(crate) fn column(&mut self, heading: &str) {
        self.headings.push(heading.to_owned());
    }

    pub(crate) fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        self.rows.push(Some((name.to_owned(), cells.into_iter().collect())));
    }

    /// A line across.
    pub(crate) fn rule(&mut self) {
        self.rows.push(None);
    }

    pub(crate) fn render(&self) -> String {
        let rows = || self.rows.iter().flatten();
        let name_width = rows().map(|(name, _)| width(name)).max().unwrap_or(0);
        let widths: Vec<usize> = self
            .headings
            .iter()
            .enumerate()
            .map(|(column, heading)| {
                let cells =
                    rows().filter_map(|(_, cells)| cells.get(column)).map(|cell| width(cell));
                cells.chain([width(heading)]).max().unwrap_or(0)
            })
            .collect();
        let whole = name_width + widths.iter().map(|width| width + 2).sum::<usize>();
        let mut out = String::new();
        push_row(&mut out, "", &self.headings, name_width, &widths);
        out.push_str(&"-".repeat(whole));
        out.push('\n');
        for row in &self.rows {
            match row {
                Some((name, cells)) => push_row(&mut out, name, cells, name_width, &widths),
                None => {
                    out.push_str(&"-".repeat(whole));
                    out.push('\n');
                }
            }
        }
        out
    }
}

fn push_row(out: &mut String, name: &str, cells: &[String], name_width: usize, widths: &[usize]) {
    let mut line = format!("{name:name_width$}");
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(&format!("  {cell:>width$}"));
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["get".to_owned()]);
        table.column("load");
        table.row("a longer name", ["1.20 µs".to_owned(), "3".to_owned()]);
        table.rule();
        table.row("b", ["4".to_owned()]);
        assert_eq!(
            table.render(),
            "                   get  load\n----------------------------\na longer name  1.20 µs     3\n----------------------------\nb                    4\n"
        );
    }
}
