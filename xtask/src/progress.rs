//! A progress bar for downloads. On a terminal it redraws one line; elsewhere it prints a new line every
//! few seconds.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Width of the bar, characters.
const BAR_WIDTH: usize = 28;
/// Time between two lines when standard error is not a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The progress of one download.
pub(crate) struct Progress {
    label: String,
    /// Size of the complete download, bytes.
    total: u64,
    /// Bytes present at the first call of [`Progress::show`], from an earlier download.
    initial: Option<u64>,
    started: Instant,
    terminal: bool,
    /// When the last line was printed. `None` on a terminal.
    last_line: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(label: &str, total: u64) -> Self {
        Self {
            label: label.to_owned(),
            total,
            initial: None,
            started: Instant::now(),
            terminal: stderr().is_terminal(),
            last_line: None,
        }
    }

    /// Shows that `done` bytes of the total are present.
    pub(crate) fn show(&mut self, done: u64) {
        let initial = *self.initial.get_or_insert(done);
        let downloaded = done.saturating_sub(initial);
        let rate = describe_rate(
            downloaded,
            self.total.saturating_sub(done),
            self.started.elapsed(),
        );
        if self.terminal {
            write!(stderr(), "\r\x1b[2K{}", self.line(done, &rate)).ok();
        } else if self
            .last_line
            .is_none_or(|time| time.elapsed() >= LINE_INTERVAL)
        {
            self.last_line = Some(Instant::now());
            writeln!(stderr(), "{}", self.line(done, &rate)).ok();
        }
    }

    /// Shows how long the download took if it is `complete`; otherwise only clears the line.
    pub(crate) fn finish(self, complete: bool) {
        if self.terminal {
            write!(stderr(), "\r\x1b[2K").ok();
        }
        if complete {
            let duration = format!("in {} s", self.started.elapsed().as_secs());
            writeln!(stderr(), "{}", self.line(self.total, &duration)).ok();
        }
    }

    /// Returns the label, the bar, the size and then `suffix`.
    fn line(&self, done: u64, suffix: &str) -> String {
        // pip's temporary files may bring `done` slightly above the total.
        let done = done.min(self.total);
        let full = (done as f64 / self.total as f64 * BAR_WIDTH as f64) as usize;
        format!(
            "  {} [{}{}] {}/{} MB, {suffix}",
            self.label,
            "#".repeat(full),
            "-".repeat(BAR_WIDTH - full),
            done / 1_000_000,
            self.total / 1_000_000
        )
    }
}

/// Returns the download rate and the estimated time left, given the bytes downloaded within `elapsed`
/// and the bytes still missing.
fn describe_rate(downloaded: u64, missing: u64, elapsed: Duration) -> String {
    if missing == 0 {
        "verifying".to_owned()
    } else if downloaded == 0 {
        "waiting for data".to_owned()
    } else {
        let rate = downloaded as f64 / elapsed.as_secs_f64().max(0.001);
        let left = missing as f64 / rate;
        format!("{:.1} MB/s, {left:.0} s left", rate / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_bar_and_the_size() {
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
    fn the_rate_counts_only_bytes_downloaded_in_this_run() {
        let secs = Duration::from_secs;
        assert_eq!(
            describe_rate(50_000_000, 100_000_000, secs(5)),
            "10.0 MB/s, 10 s left"
        );
        assert_eq!(describe_rate(0, 100_000_000, secs(5)), "waiting for data");
        assert_eq!(describe_rate(0, 0, secs(0)), "verifying");
    }
}
