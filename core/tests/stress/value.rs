//! Values that prove whose they are: `generation | seal | pattern`, where the seal depends on key, generation and
//! length, and every word of the pattern on the seal and its place.

use crate::common::{Check, ensure, mix};

/// Least length of such a value.
pub(crate) const LEAST_LEN: usize = 16;

pub(crate) fn key_hash(key: &[u8]) -> u64 {
    key.iter().fold(key.len() as u64, |hash, byte| mix(hash ^ u64::from(*byte)))
}

fn seal(key_hash: u64, generation: u64, len: usize) -> u64 {
    mix(key_hash ^ mix(generation ^ mix(len as u64)))
}

fn pattern(seal: u64, place: u64) -> u64 {
    (seal ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

pub(crate) fn encode(out: &mut Vec<u8>, key_hash: u64, generation: u64, len: usize) {
    assert!(len >= LEAST_LEN, "a value of {len} bytes cannot prove itself");
    let seal = seal(key_hash, generation, len);
    out.clear();
    out.reserve(len + 8);
    out.extend_from_slice(&generation.to_le_bytes());
    out.extend_from_slice(&seal.to_le_bytes());
    let mut place = 0;
    while out.len() < len {
        out.extend_from_slice(&pattern(seal, place).to_le_bytes());
        place += 1;
    }
    out.truncate(len);
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// The generation of a value that is whole and this key's.
pub(crate) fn verify(key_hash: u64, value: &[u8]) -> Result<u64, String> {
    ensure!(value.len() >= LEAST_LEN, "a value of {} bytes: none was written", value.len());
    let generation = word(&value[..8]);
    let expected = seal(key_hash, generation, value.len());
    ensure!(
        word(&value[8..16]) == expected,
        "the seal does not fit key, generation {generation} and length {}",
        value.len()
    );
    check_pattern(expected, &value[16..])
        .map_err(|what| format!("generation {generation}, {} bytes: {what}", value.len()))?;
    Ok(generation)
}

fn check_pattern(seal: u64, body: &[u8]) -> Check {
    for (place, bytes) in (0..).zip(body.chunks(8)) {
        let expected = pattern(seal, place).to_le_bytes();
        ensure!(
            bytes == &expected[..bytes.len()],
            "mixed with something else from byte {}",
            16 + place * 8
        );
    }
    Ok(())
}
