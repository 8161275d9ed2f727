//! Patterns of keys, as KEYS and SCAN take them: `*`, `?`, `[a-z]`, `[^a]`, and `\` in front of what means itself.

/// Whether all of `text` matches.
///
/// Only the last star is ever tried again, which is enough, since an earlier one could only take what the later one can:
/// the cost is at most the product of the lengths.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut rest, mut at) = (pattern, 0);
    // What follows the last star, and where the text that it takes ends.
    let mut star: Option<(&[u8], usize)> = None;
    loop {
        if let [b'*', behind @ ..] = rest {
            (rest, star) = (behind, Some((behind, at)));
            continue;
        }
        if at == text.len() && rest.is_empty() {
            return true;
        }
        match text.get(at).and_then(|byte| one(rest, *byte)) {
            Some(behind) => (rest, at) = (behind, at + 1),
            None => match star {
                Some((behind, taken)) if taken < text.len() => {
                    (rest, at, star) = (behind, taken + 1, Some((behind, taken + 1)));
                }
                _ => return false,
            },
        }
    }
}

/// The bytes with which every match begins.
pub(crate) fn literal_prefix(pattern: &[u8]) -> &[u8] {
    let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b'\\');
    &pattern[..pattern.iter().position(special).unwrap_or(pattern.len())]
}

/// What is left of the pattern if its first element matches the byte.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => {
            let (matched, rest) = class(rest, byte);
            matched.then_some(rest)
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// Whether the byte is in a class whose bracket is open, and what follows the class. One that is never closed ends with
/// the pattern.
fn class(mut pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let negated = pattern.first() == Some(&b'^');
    if negated {
        pattern = &pattern[1..];
    }
    let mut matched = false;
    loop {
        match pattern {
            [] => return (matched != negated, pattern),
            [b']', rest @ ..] => return (matched != negated, rest),
            [b'\\', literal, rest @ ..] => {
                matched |= *literal == byte;
                pattern = rest;
            }
            [low, b'-', high, rest @ ..] => {
                matched |= (low.min(high)..=low.max(high)).contains(&&byte);
                pattern = rest;
            }
            [literal, rest @ ..] => {
                matched |= *literal == byte;
                pattern = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[a-c]llo", "hdllo", false),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hello", false),
            ("[\\]]", "]", true),
            ("[a", "a", true),
            ("a\\", "a\\", true),
            ("*a*b*c", "xxaxxbxxcxc", true),
            ("*a*b*c", "xxaxxbxxcxd", false),
            ("user:*:name", "user:1:name", true),
            ("**", "a", true),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("?", "", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_ages() {
        let (pattern, text) = (b"a*".repeat(1000), vec![b'a'; 20_000]);
        assert!(!matches(&[&pattern[..], b"b"].concat(), &text));
    }

    #[test]
    fn prefixes() {
        for (pattern, prefix) in [("user:*", "user:"), ("*", ""), ("key", "key"), ("a\\*", "a")] {
            assert_eq!(literal_prefix(pattern.as_bytes()), prefix.as_bytes());
        }
    }
}
