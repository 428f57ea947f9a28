//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

use super::Ui;

/// Exit status after a Ctrl-C that ended the program at once: 128 plus the number of SIGINT, as in
/// shells.
const INTERRUPTED: i32 = 130;

/// Listens for Ctrl-C and SIGTERM. The first signal sets `stop` and calls `notify`, the second ends
/// the program at once.
///
/// # Errors
/// If the handler cannot be installed.
pub(super) fn stop_on_signal(
    stop: Arc<AtomicBool>,
    notify: impl Fn() + Send + 'static,
) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::SeqCst) {
            end_at_once();
        }
        notify();
    })
    .context("cannot listen for Ctrl-C")
}

/// Returns a flag that the first Ctrl-C or SIGTERM sets; runs in child processes then save and end. A
/// second one ends this program at once.
#[cfg(feature = "learn")]
pub(super) fn stop_runs_on_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::<AtomicBool>::default();
    stop_on_signal(stop.clone(), || {
        acknowledge("stopping: the runs save and end; press Ctrl-C again to end at once");
    })?;
    Ok(stop)
}

/// Tells the user on stderr that a first Ctrl-C has arrived. The terminal has printed `^C` on the
/// line of a progress bar, so the message starts with a new line there.
pub(super) fn acknowledge(message: &str) {
    use std::io::IsTerminal as _;
    let start = if std::io::stderr().is_terminal() {
        "\n"
    } else {
        ""
    };
    Ui::new(false).note(format_args!("{start}{message}"));
}

/// Ends the program without running destructors: libtorch's fail while other threads still use it.
pub(super) fn end_at_once() -> ! {
    #[allow(unsafe_code)]
    // SAFETY: `_exit` takes any status, and does nothing but end the process.
    unsafe {
        libc::_exit(INTERRUPTED)
    }
}
