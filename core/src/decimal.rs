//! Numbers as decimal text, which is what a counter holds.
//!
//! Most counters have at most eight digits: one word of text, whose digits are worked on all at once.

/// An `i64` in decimal has at most this many bytes.
pub(crate) const MAX_LEN: usize = 20;

/// The text of eight zeros.
const ZEROS: u64 = u64::from_le_bytes([b'0'; WORD]);
const WORD: usize = 8;

/// A number's decimal text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    text: [u8; MAX_LEN],
    first: usize,
    end: usize,
}

impl Decimal {
    #[inline(always)]
    pub(crate) fn new(number: i64) -> Decimal {
        match small(number) {
            Some(small) => Decimal::of_a_word(small),
            None => Decimal::of_any(number),
        }
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[self.first..self.end]
    }

    #[inline(always)]
    fn of_a_word(number: u32) -> Decimal {
        let (word, len) = text_word(number);
        let mut text = [0; MAX_LEN];
        *text.first_chunk_mut().expect("longer than a word") = word.to_le_bytes();
        Decimal { text, first: 0, end: len }
    }

    #[inline(never)]
    fn of_any(number: i64) -> Decimal {
        let mut text = [0; MAX_LEN];
        let mut first = MAX_LEN;
        let mut rest = number.unsigned_abs();
        loop {
            first -= 1;
            text[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            first -= 1;
            text[first] = b'-';
        }
        Decimal { text, first, end: MAX_LEN }
    }
}

/// The text of a number that has at most eight digits and no sign, in the low bytes of a word, and its length.
#[inline(always)]
pub(crate) fn to_word(number: i64) -> Option<(u64, usize)> {
    small(number).map(text_word)
}

#[inline(always)]
fn small(number: i64) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| *number < 100_000_000)
}

/// ```text
/// two numbers of four digits, in halves of a word      the upper digits in the lower half, as text is read
/// four numbers of two digits, in quarters: a number below 10,000 is divided by 100 as n * 10486 >> 20
/// eight digits, in bytes: one below 100 by 10 as n * 103 >> 10
/// ```
#[inline(always)]
fn text_word(number: u32) -> (u64, usize) {
    let fours = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    let upper = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = upper | (fours - 100 * upper) << 16;
    let upper = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let digits = upper | (twos - 10 * upper) << 8;
    // All but the last zero.
    let leading = (digits.trailing_zeros() as usize / 8).min(WORD - 1);
    ((digits | ZEROS) >> (8 * leading), WORD - leading)
}

/// The number that a text says in canonical decimal: no sign but a minus before a number that is not zero, no leading
/// zeros, no spaces.
#[inline(never)]
pub(crate) fn parse(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let negative = digits.len() != text.len();
    if digits.is_empty() || digits[0] == b'0' && text != b"0" {
        return None;
    }
    // Downwards, because there is one more negative number than positive ones.
    let mut number = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if negative { Some(number) } else { number.checked_neg() }
}

/// The number that the low `len` bytes of a word say, 1 to 8 digits without a sign; the other bytes are zero.
///
/// ```text
/// the text at the upper end of the word, zeros before it; are all of them digits?
/// neighbours together: eight digits to four numbers of two, those to two of four, those to one
/// ```
#[inline]
pub(crate) fn parse_word(word: u64, len: usize) -> Option<i64> {
    debug_assert!((1..=WORD).contains(&len));
    let text = word << (8 * (WORD - len)) | ZEROS >> (8 * (len - 1)) >> 8;
    // Digits are 0x30 to 0x39: six more does not carry into the upper half, which says 3.
    let upper_halves = 0xf0f0_f0f0_f0f0_f0f0;
    let all_digits = text & upper_halves == ZEROS
        && text.wrapping_add(0x0606_0606_0606_0606) & upper_halves == ZEROS;
    let leading_zero = word as u8 == b'0' && len > 1;
    if !all_digits || leading_zero {
        return None;
    }
    let ones = text & 0x0f0f_0f0f_0f0f_0f0f;
    let twos = ones.wrapping_mul(10 << 8 | 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = twos.wrapping_mul(100 << 16 | 1) >> 16 & 0x0000_ffff_0000_ffff;
    Some((fours.wrapping_mul(10_000 << 32 | 1) >> 32).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the store does: by the word where that is enough.
    fn read(text: &[u8]) -> Option<i64> {
        let number = parse(text);
        if (1..=WORD).contains(&text.len()) {
            let mut word = [0; WORD];
            word[..text.len()].copy_from_slice(text);
            let quick = parse_word(u64::from_le_bytes(word), text.len());
            assert_eq!(quick, number.filter(|number| *number >= 0), "{text:?}");
        }
        number
    }

    #[test]
    fn numbers_come_back() {
        let mut numbers = vec![i64::MAX, i64::MIN, 0];
        for power in (0..19).map(|exponent| 10_i64.pow(exponent)) {
            for factor in 1..=9 {
                if let Some(number) = power.checked_mul(factor) {
                    numbers.extend([number - 1, number, -number, number + 1]);
                }
            }
        }
        numbers.extend((0..100_000).map(|i| i * 1009 % 100_000_000));
        for number in numbers {
            let decimal = Decimal::new(number);
            assert_eq!(decimal.as_bytes(), number.to_string().as_bytes());
            assert_eq!(read(decimal.as_bytes()), Some(number));
        }
    }

    #[test]
    fn only_canonical_decimals_are_numbers() {
        for text in ["", "-", "-0", "+1", "01", "00", "-01", " 1", "1 ", "1e3", "x", "1234567:"] {
            assert_eq!(read(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(read(b"9223372036854775808"), None);
        for other in 0..=u8::MAX {
            for place in 0..8 {
                let mut text = *b"12345678";
                text[place] = other;
                let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                let canonical = !matches!((place, other), (0, b'0' | b'+'));
                assert_eq!(read(&text), number.filter(|_| canonical), "{text:?}");
            }
        }
    }
}
