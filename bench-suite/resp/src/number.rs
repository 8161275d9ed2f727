//! Numbers in requests, as strictly as Redis takes them.

/// The longest `i64` in decimal: a sign and 19 digits.
pub(crate) const MAX_INTEGER_LEN: usize = 20;

/// A canonical decimal integer: no plus sign, no leading zero, no space, no minus zero.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => text == digits,
        [first, ..] => (b'1'..=b'9').contains(first) && text.len() <= MAX_INTEGER_LEN,
        [] => false,
    };
    str::from_utf8(text).ok().filter(|_| canonical)?.parse().ok()
}

/// A finite or infinite number in decimal; not a NaN.
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    let text = str::from_utf8(text).ok()?;
    text.parse().ok().filter(|number: &f64| !number.is_nan())
}

/// A number of bytes with an optional suffix k, m or g, powers of 1,024.
pub(crate) fn size(text: &str) -> Option<u64> {
    let shift = match text.bytes().last()?.to_ascii_lowercase() {
        b'k' => 10,
        b'm' => 20,
        b'g' => 30,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_canonical() {
        for number in [0, 1, -1, 10, 1_234_567_890, i64::MAX, i64::MIN] {
            assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }
        for text in ["", "-", "+1", "01", "-0", " 1", "1 ", "1a", "9223372036854775808"] {
            assert_eq!(integer(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(integer(b"-9223372036854775809"), None);
        assert_eq!(integer(&[b'1'; 100]), None);
    }

    #[test]
    fn floats_have_no_spaces() {
        assert_eq!(float(b"10.5"), Some(10.5));
        assert_eq!(float(b"5.0e3"), Some(5000.0));
        for text in [&b""[..], b" 1", b"1 ", b"nan", b"\xff", b"1,5"] {
            assert_eq!(float(text), None, "{text:?}");
        }
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(size("64m"), Some(64 << 20));
        assert_eq!(size("1G"), Some(1 << 30));
        assert_eq!(size("17"), Some(17));
        for text in ["", "m", "-1", "1t", "1mm", "18446744073709551615k"] {
            assert_eq!(size(text), None, "{text:?}");
        }
    }
}
