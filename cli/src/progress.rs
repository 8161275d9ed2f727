//! How far a long command has come: on standard error, if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Gone from the terminal when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

const REDRAW: Duration = Duration::from_millis(200);

impl Progress {
    /// Of something whose end is not known beforehand.
    pub(crate) fn waiting(what: &'static str) -> Progress {
        Progress::new(None, "{spinner} {msg} {elapsed}", what)
    }

    pub(crate) fn of_entries(what: &'static str, total: u64) -> Progress {
        Progress::new(
            Some(total),
            "{msg} {wide_bar} {human_pos} of {human_len} entries, {eta} left",
            what,
        )
    }

    pub(crate) fn of_bytes(what: &'static str, total: u64) -> Progress {
        Progress::new(
            Some(total),
            "{msg} {wide_bar} {binary_bytes} of {binary_total_bytes}, {eta} left",
            what,
        )
    }

    fn new(total: Option<u64>, template: &str, what: &'static str) -> Progress {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(5));
        // A template that is wrong shows the usual one.
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        if !bar.is_hidden() {
            bar.enable_steady_tick(REDRAW);
        }
        Progress(bar)
    }

    /// Hidden where it would stand between lines of output.
    pub(crate) fn unless_output_is_shown(self) -> Progress {
        if Output::is_terminal() {
            self.0.disable_steady_tick();
            self.0.set_draw_target(ProgressDrawTarget::hidden());
        }
        self
    }

    /// What the library tells of a file.
    pub(crate) fn tell(&self, progress: nyala::Progress) {
        self.0.set_length(progress.total);
        self.0.set_position(progress.done);
    }

    pub(crate) fn set(&self, position: u64) {
        self.0.set_position(position);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
