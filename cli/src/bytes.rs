//! Keys and values on the command line and in lines of text.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::failure::{Failure, Result};

/// How bytes stand on the command line and in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// UTF-8; in lists with escapes, so that a line is an entry and no byte commands the terminal.
    Text,
    Hex,
    Base64,
}

impl Coding {
    /// The bytes that an argument says; `what` names the argument.
    pub(crate) fn decode(self, what: &str, text: &str) -> Result<Vec<u8>> {
        let decoded = match self {
            Coding::Text => Ok(text.as_bytes().to_vec()),
            Coding::Hex => from_hex(text),
            Coding::Base64 => STANDARD.decode(text).map_err(|error| format!("not base64: {error}")),
        };
        decoded.map_err(|error| Failure::Usage(format!("{what} {text:?} is {error}")))
    }

    /// The bytes in a line of text.
    pub(crate) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Coding::Text => escape(bytes),
            Coding::Hex => bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            }),
            Coding::Base64 => STANDARD.encode(bytes),
        }
    }
}

fn from_hex(text: &str) -> std::result::Result<Vec<u8>, String> {
    if let Some((place, digit)) = text.char_indices().find(|(_, digit)| !digit.is_ascii_hexdigit())
    {
        return Err(format!("not hexadecimal: {digit:?} at byte {place} is no digit"));
    }
    if !text.len().is_multiple_of(2) {
        return Err(format!("not hexadecimal: {} digits, but two make a byte", text.len()));
    }
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    };
    Ok(text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect())
}

/// UTF-8 as it is; backslashes, control characters and everything else with an escape.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\t' => text.push_str("\\t"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                // Also those of C1, which are two bytes and command some terminals.
                control if control.is_control() => {
                    for byte in control.to_string().bytes() {
                        let _ = write!(text, "\\x{byte:02x}");
                    }
                }
                character => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        for coding in [Coding::Hex, Coding::Base64] {
            assert_eq!(coding.decode("key", &coding.encode(&bytes)).ok(), Some(bytes.clone()));
        }
        assert_eq!(Coding::Hex.decode("key", "00fFA0").ok(), Some(vec![0, 255, 160]));
    }

    #[test]
    fn bad_arguments_are_told() {
        for (coding, text, told) in [
            (Coding::Hex, "abc", "key \"abc\" is not hexadecimal: 3 digits, but two make a byte"),
            (Coding::Hex, "0x", "key \"0x\" is not hexadecimal: 'x' at byte 1 is no digit"),
            (Coding::Hex, "é", "key \"é\" is not hexadecimal: 'é' at byte 0 is no digit"),
        ] {
            assert_eq!(coding.decode("key", text).unwrap_err().to_string(), told);
        }
        let told = Coding::Base64.decode("key", "a*==").unwrap_err().to_string();
        assert!(told.contains("\"a*==\" is not base64"), "{told}");
    }

    #[test]
    fn lines_are_safe_to_show() {
        let bytes =
            "tab\tline\n\\ \u{1b}[31m é \u{9b}".bytes().chain([0xff, b'!']).collect::<Vec<_>>();
        assert_eq!(Coding::Text.encode(&bytes), "tab\\tline\\n\\\\ \\x1b[31m é \\xc2\\x9b\\xff!");
    }
}
