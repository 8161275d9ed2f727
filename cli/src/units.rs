//! Numbers as people read and write them.

use std::fmt;

const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/// A number of bytes in the largest unit of which it is at least one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let power = (self.0.checked_ilog2().unwrap_or(0) / 10).min(4);
        let text = match power {
            0 => format!("{} bytes", self.0),
            _ => {
                let (whole, rest) = (self.0 >> (10 * power), self.0 >> (10 * (power - 1)) & 1023);
                format!("{whole}.{} {}", rest * 10 / 1024, UNITS[power as usize])
            }
        };
        f.pad(&text)
    }
}

/// A number with a comma between thousands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count(pub(crate) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// `1 entry`, `2 entries`.
pub(crate) fn entries(number: u64) -> String {
    format!("{} {}", Count(number), if number == 1 { "entry" } else { "entries" })
}

/// Reads a size such as `4194304`, `4MiB`, `4 MiB`, `4M`.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let unit = text[digits.len()..].trim_start().to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kib" => 1,
        "m" | "mib" => 2,
        "g" | "gib" => 3,
        "t" | "tib" => 4,
        _ => {
            return Err(format!(
                "unknown unit {unit:?}: one of KiB, MiB, GiB, TiB, or none for bytes"
            ));
        }
    };
    let number: u64 =
        digits.parse().map_err(|_| "not a whole number with a unit, as in 64MiB".to_owned())?;
    number.checked_mul(1 << (10 * power)).ok_or_else(|| format!("more than {} bytes", u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_their_unit() {
        let shown = [0, 1023, 1024, 1536, 4 << 20, (1 << 40) + (1 << 39), u64::MAX]
            .map(|n| Size(n).to_string());
        let expected =
            ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "4.0 MiB", "1.5 TiB", "16777215.9 TiB"];
        assert_eq!(shown, expected);
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(|n| Count(n).to_string()),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn sizes_are_read() {
        for (text, size) in
            [("7", 7), ("4MiB", 4 << 20), ("4 mib", 4 << 20), ("64M", 64 << 20), ("1tib", 1 << 40)]
        {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for text in ["", "MiB", "4MB", "4.5GiB", "-1", "99999999TiB", "4é"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
