//! Charts as inline SVG. Colours come from the page's classes, so that one picture serves light and dark.

use std::fmt::Write;

use super::format;
use super::markup::escape;
use super::summary::SUBJECT;
use crate::engines::contract::Info;
use crate::measure::statistics::Spread;

/// Units of the view box; a phone shows them about one to one.
const WIDTH: f64 = 420.0;
const LABELS: f64 = 140.0;
const RIGHT: f64 = 54.0;
const PLOT: f64 = WIDTH - LABELS - RIGHT;
const LINE: f64 = 15.0;

/// How a mark is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Ours,
    Peer,
    Floor,
}

impl Tone {
    pub(crate) fn of(info: &Info) -> Tone {
        match info {
            _ if info.floor => Tone::Floor,
            _ if info.name == SUBJECT => Tone::Ours,
            _ => Tone::Peer,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Tone::Ours => "ours",
            Tone::Peer => "peer",
            Tone::Floor => "floor",
        }
    }
}

/// A labelled row of bars.
#[derive(Debug, Clone)]
pub(crate) struct Bars {
    pub(crate) label: String,
    pub(crate) tone: Tone,
    /// One a series, in their order; a missing one leaves its place free.
    pub(crate) values: Vec<Option<Spread>>,
}

/// A labelled row of points on a logarithmic axis.
#[derive(Debug, Clone)]
pub(crate) struct Points {
    pub(crate) label: String,
    pub(crate) tone: Tone,
    pub(crate) values: Vec<Option<f64>>,
}

/// A curve with its name at the end.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    pub(crate) label: String,
    pub(crate) tone: Tone,
    /// Rising in the first coordinate, both positive.
    pub(crate) points: Vec<(f64, f64)>,
}

/// An axis: what it shows with its unit, and how a tick is written.
pub(crate) struct Axis<'a> {
    pub(crate) name: &'a str,
    pub(crate) tick: &'a dyn Fn(f64) -> String,
}

/// Room of a plane's vertical ticks, of its names on the right, and its height.
const TICKS: f64 = 58.0;
const NAMES: f64 = 108.0;
const HEIGHT: f64 = 200.0;

/// Powers of ten around some values, as exponents.
fn decades(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (least, most) = values
        .filter(|value| *value > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
    let first = least.log10().floor();
    least.is_finite().then(|| (first, most.log10().ceil().max(first + 1.0)))
}

/// Curves over two logarithmic axes; dashes tell the curves of one tone apart, names stand at their ends.
pub(crate) fn curves(curves: &[Curve], across: &Axis<'_>, up: &Axis<'_>, describe: &str) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let (Some((left, right)), Some((low, high))) =
        (decades(points().map(|(x, _)| *x)), decades(points().map(|(_, y)| *y)))
    else {
        return String::new();
    };
    let width = WIDTH - TICKS - NAMES;
    let x = |value: f64| TICKS + (value.log10() - left) / (right - left) * width;
    let y = |value: f64| HEIGHT - (value.log10() - low) / (high - low) * HEIGHT;
    let mut out = open(HEIGHT + 16.0, describe);
    for exponent in whole(left, right) {
        let value = 10_f64.powf(exponent);
        grid(&mut out, x(value), HEIGHT, &(across.tick)(value));
    }
    for exponent in whole(low, high) {
        let value = 10_f64.powf(exponent);
        let _ = write!(
            out,
            "<line class=\"grid\" x1=\"{TICKS}\" x2=\"{:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/><text class=\"tick left\" x=\"{2:.1}\" y=\"{3:.1}\">{4}</text>",
            TICKS + width,
            y(value),
            TICKS - 5.0,
            y(value) + 4.0,
            escape(&(up.tick)(value))
        );
    }
    let mut names: Vec<(f64, &Curve)> = Vec::new();
    for (number, curve) in curves.iter().enumerate() {
        let path: Vec<String> = curve
            .points
            .iter()
            .map(|(at, value)| format!("{:.1} {:.1}", x(*at), y(*value)))
            .collect();
        let Some((_, last)) = curve.points.last() else { continue };
        let class = curve.tone.class();
        let dashes = if curve.tone == Tone::Ours { 0 } else { number % 4 };
        let _ = write!(out, "<path class=\"curve {class} d{dashes}\" d=\"M{}\"/>", path.join("L"));
        for (at, value) in &curve.points {
            let _ = write!(
                out,
                "<circle class=\"{class} s1\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.2\"/>",
                x(*at),
                y(*value)
            );
        }
        names.push((y(*last), curve));
    }
    names.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut free = 0.0_f64;
    for (wanted, curve) in names {
        let at = wanted.max(free);
        free = at + 13.0;
        let _ = write!(
            out,
            "<text class=\"end {}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            curve.tone.class(),
            TICKS + width + 5.0,
            at + 4.0,
            escape(&curve.label)
        );
    }
    let _ = write!(
        out,
        "<text class=\"tick left\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        TICKS - 5.0,
        -9.0,
        escape(up.name)
    );
    close(&mut out, HEIGHT, across.name);
    out.replacen("viewBox=\"0 -4", "viewBox=\"0 -18", 1)
}

/// Whole numbers of a range.
fn whole(first: f64, last: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(first), |exponent| Some(exponent + 1.0))
        .take_while(move |exponent| *exponent <= last)
}

/// Horizontal bars from zero: length the median, whisker the range over blocks.
pub(crate) fn bars(
    rows: &[Bars],
    unit: &str,
    describe: &str,
    show: impl Fn(f64) -> String,
) -> String {
    let most = rows
        .iter()
        .flat_map(|row| row.values.iter().flatten())
        .map(|spread| spread.most)
        .fold(0.0, f64::max);
    let step = tick_step(most);
    let end = (most / step).ceil().max(1.0) * step;
    let x = |value: f64| LABELS + value / end * PLOT;
    let height: f64 = rows.iter().map(|row| row_height(row.values.len())).sum();
    let mut out = open(height, describe);
    let mut tick = 0.0;
    while tick <= end * 1.0001 {
        grid(&mut out, x(tick), height, &format::plain(tick));
        tick += step;
    }
    let mut y = 0.0;
    for row in rows {
        let own = row_height(row.values.len());
        name(&mut out, &row.label, row.tone, y + own / 2.0);
        for (series, spread) in row.values.iter().enumerate() {
            let top = y + 4.0 + series as f64 * LINE;
            let Some(spread) = spread else { continue };
            bar(&mut out, row.tone, series, x(0.0), x(spread.median), top);
            whisker(&mut out, x(spread.least), x(spread.most), top + (LINE - 3.0) / 2.0);
            let _ = write!(
                out,
                "<text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x(spread.most) + 4.0,
                top + 10.0,
                escape(&show(spread.median))
            );
        }
        y += own;
    }
    close(&mut out, height, unit);
    out
}

/// Points on a logarithmic axis, one mark a series: circle, diamond, square.
pub(crate) fn points(
    rows: &[Points],
    unit: &str,
    describe: &str,
    show: impl Fn(f64) -> String,
    tick: impl Fn(f64) -> String,
) -> String {
    let values = || {
        rows.iter()
            .flat_map(|row| row.values.iter().flatten())
            .copied()
            .filter(|value| *value > 0.0)
    };
    let least = values().fold(f64::INFINITY, f64::min);
    let most = values().fold(0.0, f64::max);
    if !least.is_finite() {
        return String::new();
    }
    let (first, last) =
        (least.log10().floor(), most.log10().ceil().max(least.log10().floor() + 1.0));
    let x = |value: f64| LABELS + (value.log10() - first) / (last - first) * (PLOT + RIGHT - 28.0);
    let height = rows.len() as f64 * row_height(1);
    let mut out = open(height, describe);
    let mut exponent = first;
    while exponent <= last {
        let value = 10_f64.powf(exponent);
        grid(&mut out, x(value), height, &tick(value));
        exponent += 1.0;
    }
    for (place, row) in rows.iter().enumerate() {
        let middle = (place as f64 + 0.5) * row_height(1);
        name(&mut out, &row.label, row.tone, middle);
        let present: Vec<f64> =
            row.values.iter().flatten().copied().filter(|value| *value > 0.0).collect();
        if let (Some(low), Some(high)) = (present.first(), present.last()) {
            whisker(&mut out, x(*low), x(*high), middle);
        }
        for (series, value) in row.values.iter().enumerate() {
            let Some(value) = value.filter(|value| *value > 0.0) else {
                continue;
            };
            mark(&mut out, row.tone, series, x(value), middle);
            let _ =
                write!(out, "<title>{}: {}</title></g>", escape(&row.label), escape(&show(value)));
        }
    }
    close(&mut out, height, unit);
    out
}

/// Ratios around 1 on a logarithmic axis: point the median, whisker the range over blocks.
pub(crate) fn ratios(rows: &[(String, Spread)], unit: &str, describe: &str) -> String {
    let least = rows.iter().map(|(_, spread)| spread.least).fold(0.5, f64::min).max(0.01);
    let most = rows.iter().map(|(_, spread)| spread.most).fold(2.0, f64::max).min(1000.0);
    let (low, high) = (least.ln(), most.ln());
    let x = |value: f64| LABELS + (value.clamp(least, most).ln() - low) / (high - low) * PLOT;
    let height = rows.len() as f64 * row_height(1);
    let mut out = open(height, describe);
    for tick in [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0] {
        if (least..=most).contains(&tick) {
            grid(&mut out, x(tick), height, &format!("{tick}"));
        }
    }
    let _ = write!(
        out,
        "<line class=\"one\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{height:.1}\"/>",
        x(1.0)
    );
    for (place, (label, spread)) in rows.iter().enumerate() {
        let middle = (place as f64 + 0.5) * row_height(1);
        name(&mut out, label, Tone::Ours, middle);
        whisker(&mut out, x(spread.least), x(spread.most), middle);
        mark(&mut out, Tone::Ours, 0, x(spread.median), middle);
        out.push_str("</g>");
        let _ = write!(
            out,
            "<text class=\"value\" x=\"{:.1}\" y=\"{:.1}\">{} x</text>",
            x(spread.most) + 7.0,
            middle + 4.0,
            format::three(spread.median)
        );
    }
    close(&mut out, height, unit);
    out
}

fn row_height(series: usize) -> f64 {
    series.max(1) as f64 * LINE + 8.0
}

fn open(height: f64, describe: &str) -> String {
    let describe = escape(describe);
    format!(
        "<svg viewBox=\"0 -4 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{describe}\">",
        height + 40.0
    )
}

fn close(out: &mut String, height: f64, unit: &str) {
    let _ = write!(
        out,
        "<text class=\"unit\" x=\"{:.1}\" y=\"{:.1}\">{}</text></svg>",
        LABELS + PLOT / 2.0,
        height + 31.0,
        escape(unit)
    );
}

fn grid(out: &mut String, x: f64, height: f64, label: &str) {
    let _ = write!(
        out,
        "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{height:.1}\"/><text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
        height + 14.0,
        escape(label)
    );
}

fn name(out: &mut String, label: &str, tone: Tone, middle: f64) {
    let _ = write!(
        out,
        "<text class=\"name {}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        tone.class(),
        LABELS - 6.0,
        middle + 4.0,
        escape(label)
    );
}

fn bar(out: &mut String, tone: Tone, series: usize, from: f64, to: f64, top: f64) {
    let _ = write!(
        out,
        "<rect class=\"{} s{series}\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"1.5\"/>",
        tone.class(),
        (to - from).max(0.8),
        LINE - 3.0
    );
}

fn whisker(out: &mut String, from: f64, to: f64, y: f64) {
    let _ = write!(
        out,
        "<line class=\"whisker\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
    );
}

/// An open group: the caller may add a title, and closes it.
fn mark(out: &mut String, tone: Tone, series: usize, x: f64, y: f64) {
    let class = tone.class();
    let _ = match series {
        0 => write!(out, "<g><circle class=\"{class} s1\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>"),
        1 => write!(
            out,
            "<g><path class=\"{class} s1\" d=\"M{x:.1} {:.1}l5 5l-5 5l-5 -5z\"/>",
            y - 5.0
        ),
        _ => write!(
            out,
            "<g><rect class=\"{class} s1\" x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\"/>",
            x - 3.5,
            y - 3.5
        ),
    };
}

/// 1, 2 or 5 times a power of ten, for three to six ticks.
fn tick_step(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let rough = most / 4.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
    step.unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        for (most, step) in [(0.9, 0.5), (4.0, 1.0), (9.0, 5.0), (35.0, 10.0), (0.0, 1.0)] {
            assert!((tick_step(most) - step).abs() < 1e-9, "{most}: {}", tick_step(most));
        }
    }

    #[test]
    fn an_empty_chart_is_harmless() {
        assert!(bars(&[], "M ops/s", "nothing", |value| value.to_string()).ends_with("</svg>"));
        assert_eq!(
            points(&[], "ns", "nothing", |value| value.to_string(), |value| value.to_string()),
            ""
        );
        assert!(ratios(&[], "x", "nothing").ends_with("</svg>"));
        let axis = || Axis { name: "x", tick: &|value| value.to_string() };
        let curve = |points| Curve { label: "<x>".to_owned(), tone: Tone::Ours, points };
        assert_eq!(curves(&[curve(Vec::new())], &axis(), &axis(), "nothing"), "");
        let one = curves(&[curve(vec![(5.0, 7.0)])], &axis(), &axis(), "one point");
        assert!(one.contains("&lt;x&gt;") && one.ends_with("</svg>"), "{one}");
    }

    #[test]
    fn labels_are_escaped() {
        let spread = Spread { median: 1.0, least: 0.5, most: 2.0 };
        let row = Bars { label: "<x>".to_owned(), tone: Tone::Ours, values: vec![Some(spread)] };
        assert!(bars(&[row], "u", "d", |value| value.to_string()).contains("&lt;x&gt;"));
    }
}
