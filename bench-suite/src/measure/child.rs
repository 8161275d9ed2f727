//! Measuring processes: this program again, with an order on its command line and JSON lines on its output.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::{Context, Fault, Result};
use crate::record::environment::MALLOC_TUNABLE;

/// A child that takes longer has hung: no unit is planned for more than a fraction of it.
const LIMIT: Duration = Duration::from_secs(180);

/// Starts `program subcommand order` and passes every line it prints to `each`. A failed child's last words are the fault.
pub(crate) fn run<T: DeserializeOwned>(
    program: &Path,
    subcommand: &str,
    order: &impl Serialize,
    each: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let tunables = [MALLOC_TUNABLE];
    run_for(LIMIT, &tunables, program, subcommand, order, each)
}

/// The same with another limit of time and another environment.
pub(crate) fn run_for<T: DeserializeOwned>(
    limit: Duration,
    variables: &[(&str, &str)],
    program: &Path,
    subcommand: &str,
    order: &impl Serialize,
    mut each: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let order = serde_json::to_string(order).context(|| "cannot write an order".to_owned())?;
    let mut child = Command::new(program)
        .arg(subcommand)
        .arg(&order)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context(|| format!("cannot start {}", program.display()))?;
    let lines = read_lines(&mut child);
    let errors = child.stderr.take();
    let words = std::thread::spawn(move || {
        let mut text = String::new();
        // What cannot be read is left out of the message.
        let _ = errors.map(|mut errors| errors.read_to_string(&mut text));
        text
    });
    let started = Instant::now();
    let outcome = receive(&lines, limit, started, &mut each);
    if outcome.is_err() {
        // It may have ended already, which is no fault.
        let _ = child.kill();
    }
    let status = child.wait().context(|| "cannot wait for a measuring process".to_owned())?;
    let words = words.join().unwrap_or_default();
    outcome?;
    if status.success() {
        return Ok(());
    }
    let words = words.trim();
    Err(Fault::new(if words.is_empty() {
        format!("the measuring process ended with {status}")
    } else {
        words.to_owned()
    }))
}

fn read_lines(child: &mut Child) -> Receiver<std::io::Result<String>> {
    let (sender, receiver) = channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

fn receive<T: DeserializeOwned>(
    lines: &Receiver<std::io::Result<String>>,
    limit: Duration,
    started: Instant,
    each: &mut impl FnMut(T) -> Result<()>,
) -> Result<()> {
    loop {
        match lines.recv_timeout(limit.saturating_sub(started.elapsed())) {
            Ok(line) => {
                let line = line.context(|| "cannot read from a measuring process".to_owned())?;
                let value = serde_json::from_str(&line).context(|| {
                    format!("a measuring process printed what is no result: {line:.80}")
                })?;
                each(value)?;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                return Err(Fault::new(format!(
                    "gave no result within {} s and was ended",
                    limit.as_secs()
                )));
            }
        }
    }
}
