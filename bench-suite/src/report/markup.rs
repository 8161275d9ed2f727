//! Small pieces of HTML.

/// Text as it may stand in an element or an attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A table with headings; cells are markup already, the first of a row heads it.
pub(crate) fn table(headings: &[String], rows: &[Vec<String>]) -> String {
    let mut out = String::from("<div class=\"wide\"><table><thead><tr>");
    for heading in headings {
        out.push_str(&format!("<th scope=\"col\">{heading}</th>"));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            if column == 0 {
                out.push_str(&format!("<th scope=\"row\">{cell}</th>"));
            } else {
                out.push_str(&format!("<td>{cell}</td>"));
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}

/// A chart with its sentence and the command that measures its cells again.
pub(crate) fn figure(title: &str, sentence: &str, svg: &str, command: &str, cells: &str) -> String {
    format!(
        "<figure><h3>{}</h3>{svg}<figcaption>{}{}</figcaption></figure>",
        escape(title),
        escape(sentence),
        again(command, cells)
    )
}

/// The command of the run, restricted to the cells in whose names a text stands; without a text, the whole of it.
pub(crate) fn again(command: &str, cells: &str) -> String {
    let chosen = if cells.is_empty() { String::new() } else { format!(" --cells '{cells}'") };
    let command = escape(&format!("{command}{chosen}"));
    format!(
        "<details class=\"again\"><summary>Measure it again</summary><code>{command}</code></details>"
    )
}

/// A part of the page that its contents lead to.
pub(crate) struct Part {
    pub(crate) id: String,
    /// In the contents.
    pub(crate) label: String,
    pub(crate) heading: String,
    /// Markup; a part without any is left out.
    pub(crate) body: String,
}

impl Part {
    pub(crate) fn new(id: &str, label: &str, heading: &str, body: String) -> Part {
        let [id, label, heading] = [id, label, heading].map(str::to_owned);
        Part { id, label, heading, body }
    }

    pub(crate) fn render(&self) -> String {
        let Part { id, heading, body, .. } = self;
        format!("<section id=\"{id}\"><h2>{}</h2>{body}</section>", escape(heading))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_has_a_meaning() {
        assert_eq!(
            escape("<a href='x'>&\"</a>"),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;"
        );
        assert_eq!(escape("größer 2 µs"), "größer 2 µs");
    }
}
