//! Standard output.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;

use crate::failure::{Failure, Result};

/// Standard output, buffered; whoever stops reading it ends the command quietly.
pub(crate) struct Output {
    pub(crate) json: bool,
    stream: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Output {
        Output { json, stream: BufWriter::with_capacity(1 << 16, io::stdout().lock()) }
    }

    pub(crate) fn is_terminal() -> bool {
        io::stdout().is_terminal()
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).map_err(|error| Failure::of_output(&error))
    }

    pub(crate) fn line(&mut self, text: &str) -> Result<()> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.stream, value)
            .map_err(|error| Failure::of_output(&error.into()))?;
        self.bytes(b"\n")
    }

    /// What a command did: as JSON, or in words.
    pub(crate) fn report(&mut self, value: &serde_json::Value, text: &str) -> Result<()> {
        if self.json { self.json(value) } else { self.line(text) }
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stream.flush().map_err(|error| Failure::of_output(&error))
    }
}
