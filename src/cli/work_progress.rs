//! Progress of long work on stderr: bars and spinners where it is a terminal, otherwise a line every
//! few seconds. Short work prints nothing.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Ui;
use evenkeel::telemetry::format::duration;

/// Time between two lines. Work that is done sooner prints none.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows how much of some work is done.
pub(super) struct PercentProgress {
    what: String,
    bar: ProgressBar,
    prints_lines: bool,
    last_line: Cell<Instant>,
}

impl PercentProgress {
    /// Nothing is done yet of `what`, as in `evaluating`. If not `is_shown`, nothing is printed.
    pub(super) fn new(what: impl Into<String>, is_shown: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_shown && is_terminal {
            ProgressBar::new(1000)
        } else {
            ProgressBar::hidden()
        };
        let style = "{bar:24.cyan/dim} {percent:>3} % · {msg} · {eta} left";
        let style = ProgressStyle::with_template(style).expect("the template is well-formed");
        bar.set_style(style.progress_chars("━━─"));
        let what = what.into();
        bar.set_message(what.clone());
        Self {
            what,
            bar,
            prints_lines: is_shown && !is_terminal,
            last_line: Cell::new(Instant::now()),
        }
    }

    /// Sets the share that is done, 0 to 1.
    pub(super) fn set(&self, share: f64) {
        self.bar.set_position((1000.0 * share) as u64);
        if self.prints_lines && self.last_line.get().elapsed() >= LINE_INTERVAL {
            self.last_line.set(Instant::now());
            let percent = 100.0 * share;
            Ui::new(false).note(format_args!("{percent:3.0} % · {}", self.what));
        }
    }

    /// Removes the bar.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// Shows that work goes on whose end is not known, and for how long it has done so.
pub(super) struct BusyProgress {
    what: Arc<Mutex<String>>,
    started: AtomicUsize,
    spinner: ProgressBar,
    /// Ends the thread that prints lines when it is dropped.
    printer: Option<(Sender<()>, JoinHandle<()>)>,
}

impl BusyProgress {
    /// Work begins on `what`, as in `reading the map`.
    pub(super) fn new(what: impl Into<String>) -> Self {
        let what: String = what.into();
        let is_terminal = std::io::stderr().is_terminal();
        let spinner = if is_terminal {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        spinner.set_message(what.clone());
        spinner.enable_steady_tick(Duration::from_millis(120));
        let what = Arc::new(Mutex::new(what));
        Self {
            printer: (!is_terminal).then(|| print_lines(Arc::clone(&what))),
            what,
            started: AtomicUsize::new(0),
            spinner,
        }
    }

    /// The next of `total` parts begins: `what` it is about.
    pub(super) fn begin_part(&self, total: usize, what: &str) {
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let text = format!("{number} of {total}: {what}");
        self.spinner.set_message(text.clone());
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

impl Drop for BusyProgress {
    /// Removes the spinner, and prints no further line.
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
        if let Some((end, printer)) = self.printer.take() {
            drop(end);
            printer.join().ok();
        }
    }
}

/// Prints a line every few seconds until the sender is dropped.
fn print_lines(what: Arc<Mutex<String>>) -> (Sender<()>, JoinHandle<()>) {
    let (end, ended) = mpsc::channel();
    let started = Instant::now();
    let printer = std::thread::spawn(move || {
        while ended.recv_timeout(LINE_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let what = what.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let elapsed = duration(started.elapsed().as_secs_f64());
            Ui::new(false).note(format_args!("{what} · {elapsed}"));
        }
    });
    (end, printer)
}
