//! Requests as a person types them into a terminal: words between spaces, quotes around what holds spaces.

use crate::parser::Place;

/// A quote has no end, or something other than a space follows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unbalanced;

/// Writes the words of a line one after another into `words` and says where each lies.
///
/// Between double quotes `\n \r \t \a \b`, `\xHH` and escaped characters are resolved, between single quotes only `\'`.
pub(crate) fn split(
    line: &[u8],
    words: &mut Vec<u8>,
    places: &mut Vec<Place>,
) -> Result<(), Unbalanced> {
    words.clear();
    places.clear();
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|byte| is_space(*byte)) {
            at += 1;
        }
        if at == line.len() {
            return Ok(());
        }
        let begin = words.len();
        at = word(line, at, words)?;
        places.push((begin, words.len()));
    }
}

/// Takes one word and answers where it ends.
fn word(line: &[u8], mut at: usize, words: &mut Vec<u8>) -> Result<usize, Unbalanced> {
    while let Some(byte) = line.get(at).copied() {
        match byte {
            b'"' | b'\'' => {
                at = quoted(line, at + 1, byte, words)?;
                // A closing quote ends the word.
                return match line.get(at) {
                    Some(next) if !is_space(*next) => Err(Unbalanced),
                    _ => Ok(at),
                };
            }
            byte if is_space(byte) => return Ok(at),
            byte => words.push(byte),
        }
        at += 1;
    }
    Ok(at)
}

/// Takes what stands up to the closing quote and answers where the line goes on behind it.
fn quoted(line: &[u8], mut at: usize, quote: u8, words: &mut Vec<u8>) -> Result<usize, Unbalanced> {
    loop {
        match &line[at..] {
            [] => return Err(Unbalanced),
            [b'\\', b'x', high, low, ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                words.push(hex(*high) << 4 | hex(*low));
                at += 4;
            }
            [b'\\', escaped, ..] if quote == b'"' => {
                words.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    other => *other,
                });
                at += 2;
            }
            [b'\\', b'\'', ..] if quote == b'\'' => {
                words.push(b'\'');
                at += 2;
            }
            [byte, ..] if *byte == quote => return Ok(at + 1),
            [byte, ..] => {
                words.push(*byte);
                at += 1;
            }
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0 | 0x0b | 0x0c)
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
        let (mut words, mut places) = (Vec::new(), Vec::new());
        split(line, &mut words, &mut places)?;
        Ok(places.iter().map(|(begin, end)| words[*begin..*end].to_vec()).collect())
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(words(b"  set a\tb "), Ok(vec![b"set".to_vec(), b"a".to_vec(), b"b".to_vec()]));
        assert_eq!(words(b""), Ok(vec![]));
        assert_eq!(
            words(br#""a b" '' 'c\'d'"#),
            Ok(vec![b"a b".into(), b"".into(), b"c'd".into()])
        );
        assert_eq!(words(br#""\x41\n\"\xzz""#), Ok(vec![b"A\n\"xzz".to_vec()]));
        assert_eq!(words(br"a'b c'"), Ok(vec![b"ab c".to_vec()]));
    }

    #[test]
    fn what_does_not_close() {
        for line in [&b"\"a"[..], b"'a", b"\"a\"b", b"\"\\", b"'a\\'", b"\""] {
            assert_eq!(words(line), Err(Unbalanced), "{line:?}");
        }
    }
}
