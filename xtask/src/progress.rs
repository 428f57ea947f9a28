//! A progress bar for bytes that arrive: one line that is drawn over on a terminal, a line every
//! few seconds elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

const WIDTH: usize = 28;
const BETWEEN_LINES: Duration = Duration::from_secs(5);

pub(crate) struct Progress {
    label: String,
    total: u64,
    /// What was here before, when the first line was drawn.
    before: Option<u64>,
    begun: Instant,
    terminal: bool,
    /// When the last line was printed, where there is no terminal.
    said: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(label: &str, total: u64) -> Self {
        Self {
            label: label.to_owned(),
            total,
            before: None,
            begun: Instant::now(),
            terminal: stderr().is_terminal(),
            said: None,
        }
    }

    /// Shows that `done` bytes are here.
    pub(crate) fn show(&mut self, done: u64) {
        let before = *self.before.get_or_insert(done);
        let fetched = done.saturating_sub(before);
        let pace = pace(
            fetched,
            self.total.saturating_sub(done),
            self.begun.elapsed(),
        );
        if self.terminal {
            write!(stderr(), "\r\x1b[2K{}", self.line(done, &pace)).ok();
        } else if self.said.is_none_or(|said| said.elapsed() >= BETWEEN_LINES) {
            self.said = Some(Instant::now());
            writeln!(stderr(), "{}", self.line(done, &pace)).ok();
        }
    }

    /// Says how long it took, or takes the line away if what it told did not come to pass.
    pub(crate) fn finish(self, complete: bool) {
        if self.terminal {
            write!(stderr(), "\r\x1b[2K").ok();
        }
        if complete {
            let pace = format!("in {} s", self.begun.elapsed().as_secs());
            writeln!(stderr(), "{}", self.line(self.total, &pace)).ok();
        }
    }

    fn line(&self, done: u64, pace: &str) -> String {
        // pip's own temporary files may make it a little more than the wheels.
        let done = done.min(self.total);
        let full = (done as f64 / self.total as f64 * WIDTH as f64) as usize;
        format!(
            "  {} [{}{}] {}/{} MB, {pace}",
            self.label,
            "#".repeat(full),
            "-".repeat(WIDTH - full),
            done / 1_000_000,
            self.total / 1_000_000
        )
    }
}

/// How fast `fetched` bytes arrived in the time that went by, and how long `missing` ones take.
fn pace(fetched: u64, missing: u64, elapsed: Duration) -> String {
    if missing == 0 {
        "checking".to_owned()
    } else if fetched == 0 {
        "waiting for the first bytes".to_owned()
    } else {
        let rate = fetched as f64 / elapsed.as_secs_f64().max(0.001);
        let left = missing as f64 / rate;
        format!("{:.1} MB/s, {left:.0} s left", rate / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_is_here() {
        let progress = Progress::new("torch", 500_000_000);
        assert_eq!(
            progress.line(250_000_000, "soon"),
            "  torch [##############--------------] 250/500 MB, soon"
        );
        assert!(
            progress
                .line(500_000_001, "")
                .contains("[############################] 500/500")
        );
    }

    #[test]
    fn the_pace_is_of_what_arrives_now() {
        let secs = Duration::from_secs;
        assert_eq!(
            pace(50_000_000, 100_000_000, secs(5)),
            "10.0 MB/s, 10 s left"
        );
        assert_eq!(pace(0, 100_000_000, secs(5)), "waiting for the first bytes");
        assert_eq!(pace(0, 0, secs(0)), "checking");
    }
}
