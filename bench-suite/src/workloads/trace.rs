//! Request traces: gzip of little-endian 32-bit key numbers, one a request. Without a file, a small one is generated.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::keys::Random;
use super::zipf::Zipf;
use crate::fault::{Context, Fault, Result};

/// Longest trace that is read: 64 Mi requests.
const LONGEST: usize = 64 << 20;

/// Requests of the generated trace.
const GENERATED_REQUESTS: u32 = 400_000;
/// Popular keys at any moment of the generated trace.
const WINDOW: u32 = 40_000;
/// Requests after which the window has moved on by one key.
const DRIFT: u32 = 8;

pub(crate) fn read(path: &Path) -> Result<Vec<u32>> {
    let shown = path.display();
    let file = std::fs::File::open(path).context(|| format!("cannot open the trace {shown}"))?;
    let mut bytes = Vec::new();
    let limit = LONGEST as u64 * 4 + 1;
    MultiGzDecoder::new(file)
        .take(limit)
        .read_to_end(&mut bytes)
        .context(|| format!("the trace {shown} is no gzip file"))?;
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || words.is_empty() || words.len() > LONGEST {
        return Err(Fault::new(format!(
            "the trace {shown} holds {} bytes: expected little-endian 32-bit key numbers, 1 to {LONGEST} of them",
            bytes.len()
        )));
    }
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

/// Popularity by Zipf's law over a window of keys that slowly moves: old favourites fade, new keys come up.
pub(crate) fn generate(seed: u64) -> Vec<u32> {
    let law = Zipf::new(WINDOW, 0.9);
    let mut random = Random::new(seed, 0x0074_7261_6365);
    (0..GENERATED_REQUESTS).map(|request| request / DRIFT + law.rank(&mut random)).collect()
}

/// Number of different keys.
pub(crate) fn distinct(trace: &[u32]) -> usize {
    let mut sorted = trace.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file_with(name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path =
            std::env::temp_dir().join(format!("nyala-bench-trace-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn reads_what_was_written() {
        let path = file_with("good", &gzip(&[1, 0, 0, 0, 0, 1, 0, 0]));
        assert_eq!(read(&path).unwrap(), [1, 256]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn refuses_what_is_no_trace() {
        let bad =
            [("plain", b"not gzip".to_vec()), ("odd", gzip(&[1, 2, 3])), ("empty", gzip(&[]))];
        for (name, bytes) in bad {
            let path = file_with(name, &bytes);
            let message = read(&path).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
            std::fs::remove_file(path).unwrap();
        }
        assert!(read(Path::new("/no/such/trace")).is_err());
    }

    #[test]
    fn the_generated_trace_repeats_and_misses() {
        let trace = generate(1);
        assert_eq!(trace, generate(1));
        let share = distinct(&trace) as f64 / trace.len() as f64;
        assert!((0.05..0.5).contains(&share), "{share}");
    }
}
