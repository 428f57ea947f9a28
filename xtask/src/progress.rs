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
        let line = describe(&self.label, done, self.total, fetched, self.begun.elapsed());
        if self.terminal {
            write!(stderr(), "\r\x1b[2K{line}").ok();
        } else if self.said.is_none_or(|said| said.elapsed() >= BETWEEN_LINES) {
            self.said = Some(Instant::now());
            writeln!(stderr(), "{line}").ok();
        }
    }

    /// Leaves the last line standing, or takes it away if what it told did not come to pass.
    pub(crate) fn finish(mut self, complete: bool) {
        if complete {
            self.said = None;
            self.show(self.total);
        }
        if self.terminal {
            let end = if complete { "\n" } else { "\r\x1b[2K" };
            write!(stderr(), "{end}").ok();
        }
    }
}

/// `done` bytes of `total` are here, `fetched` of them since `elapsed`.
fn describe(label: &str, done: u64, total: u64, fetched: u64, elapsed: Duration) -> String {
    let done = done.min(total);
    let share = done as f64 / total as f64;
    let full = (share * WIDTH as f64) as usize;
    let bar = format!("{}{}", "#".repeat(full), "-".repeat(WIDTH - full));
    let megabytes = |bytes: u64| bytes / 1_000_000;
    let secs = elapsed.as_secs_f64();
    let end = if done == total {
        format!("in {secs:.0} s")
    } else if fetched == 0 {
        "waiting for the first bytes".to_owned()
    } else {
        let rate = fetched as f64 / secs.max(0.001);
        let left = (total - done) as f64 / rate;
        format!("{:.1} MB/s, {left:.0} s left", rate / 1e6)
    };
    format!(
        "  {label} [{bar}] {}/{} MB, {end}",
        megabytes(done),
        megabytes(total)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_how_fast_and_how_long_still() {
        let at = |done, secs| describe("torch", done, 500_000_000, done, Duration::from_secs(secs));
        assert_eq!(
            at(250_000_000, 10),
            "  torch [##############--------------] 250/500 MB, 25.0 MB/s, 10 s left"
        );
        assert!(at(0, 3).ends_with("0/500 MB, waiting for the first bytes"));
        let resumed = describe(
            "torch",
            400_000_000,
            500_000_000,
            50_000_000,
            Duration::from_secs(5),
        );
        assert!(resumed.ends_with("400/500 MB, 10.0 MB/s, 10 s left"));
        // pip's own temporary files may make it a little more than the wheels.
        assert!(at(500_000_001, 20).ends_with("500/500 MB, in 20 s"));
    }
}
