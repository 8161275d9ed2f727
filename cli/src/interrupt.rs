//! Ctrl-C and SIGTERM.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, Result};

pub(crate) const EXIT_CODE: i32 = 130;

/// Whether the command is to end.
#[derive(Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on a signal is noted; a second one ends the process at once.
    pub(crate) fn watch() -> Result<Interrupt> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let registered = signal_hook::flag::register_conditional_shutdown(
                signal,
                EXIT_CODE,
                Arc::clone(&asked),
            )
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&asked)));
            registered.map_err(|error| failed(&error))?;
        }
        Ok(Interrupt(asked))
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// From now on a signal ends the process, and the half copy beside `to` goes with it.
pub(crate) fn remove_partial(to: &Path, json: bool) -> Result<()> {
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|error| failed(&error))?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            let _ = std::fs::remove_file(&partial);
            Failure::Interrupted("interrupted: nothing was copied".into()).tell(json);
            std::process::exit(EXIT_CODE);
        }
    });
    Ok(())
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::Io(format!("cannot watch for Ctrl-C: {error}"))
}
