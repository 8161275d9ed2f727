//! Numbers as people read them, each with its unit.

use std::time::Duration;

/// `4 min 50 s`, `12 s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    if seconds >= 60 {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

/// `5 M entries`, `100 k entries`.
pub(crate) fn entries(entries: u32) -> String {
    match entries {
        0 => "trace".to_owned(),
        count if count % 1_000_000 == 0 => format!("{} M entries", count / 1_000_000),
        count if count % 1000 == 0 => format!("{} k entries", count / 1000),
        count => format!("{count} entries"),
    }
}

/// `1 thread`, `2 threads`.
pub(crate) fn threads(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

/// Three significant digits, without an exponent.
pub(crate) fn three(value: f64) -> String {
    match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        size if size >= 0.0995 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// Millions of operations a second, without the unit, which stands in the heading.
pub(crate) fn millions(ops_a_second: f64) -> String {
    three(ops_a_second / 1e6)
}

/// `240 ns`, `1.2 µs`, `3.4 ms`.
pub(crate) fn nanoseconds(value: u64) -> String {
    let value = value as f64;
    match value {
        _ if value < 1e3 => format!("{value:.0} ns"),
        _ if value < 1e6 => format!("{} µs", three(value / 1e3)),
        _ if value < 1e9 => format!("{} ms", three(value / 1e6)),
        _ => format!("{} s", three(value / 1e9)),
    }
}

/// A power of ten of nanoseconds on an axis: `100 ns`, `1 µs`.
pub(crate) fn nanoseconds_tick(value: f64) -> String {
    let (unit, size) = match value {
        _ if value < 999.0 => ("ns", 1.0),
        _ if value < 999e3 => ("µs", 1e3),
        _ if value < 999e6 => ("ms", 1e6),
        _ => ("s", 1e9),
    };
    format!("{} {unit}", plain(value / size))
}

/// A round number without the zeros that rounding left: `0`, `0.5`, `20`.
pub(crate) fn plain(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `23.5 GiB`.
pub(crate) fn bytes(value: u64) -> String {
    let value = value as f64;
    const UNITS: [(&str, f64); 3] = [("GiB", 1073741824.0), ("MiB", 1048576.0), ("KiB", 1024.0)];
    UNITS.iter().find(|(_, size)| value >= *size).map_or_else(
        || format!("{value:.0} bytes"),
        |(unit, size)| format!("{} {unit}", three(value / size)),
    )
}

/// A size that is a power of two below a mebibyte: `8 B`, `4 KiB`.
pub(crate) fn value_size(bytes: u32) -> String {
    if bytes < 1024 { format!("{bytes} B") } else { format!("{} KiB", bytes / 1024) }
}

/// `2026-05-01` of a number of seconds since 1970, in UTC.
pub(crate) fn date(seconds: u64) -> String {
    let mut days = seconds / 86_400;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= if leap(year) { 366 } else { 365 } {
        days -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let mut month = 1;
    for length in [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_units_and_three_digits() {
        assert_eq!(millions(4_215_000.0), "4.21");
        assert_eq!(millions(42_150_000.0), "42.1");
        assert_eq!(millions(31_000.0), "0.0310");
        assert_eq!(nanoseconds(240), "240 ns");
        assert_eq!(nanoseconds(1234), "1.23 µs");
        assert_eq!(nanoseconds(3_400_000), "3.40 ms");
        assert_eq!(bytes(25_232_932_864), "23.5 GiB");
        assert_eq!(bytes(12), "12 bytes");
        assert_eq!(nanoseconds_tick(1000.0), "1 µs");
        assert_eq!([plain(0.0), plain(0.5), plain(20.0)], ["0", "0.5", "20"]);
        assert_eq!(duration(Duration::from_secs(290)), "4 min 50 s");
        assert_eq!(entries(5_000_000), "5 M entries");
        assert_eq!(entries(0), "trace");
        assert_eq!(threads(2), "2 threads");
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_777_593_600), "2026-05-01");
    }
}
