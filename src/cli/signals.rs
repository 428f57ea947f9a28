//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

/// Exit status after a second Ctrl-C: 128 plus the number of SIGINT, as in shells.
const INTERRUPTED: i32 = 130;

/// Listens for Ctrl-C and SIGTERM. The first signal sets `stop` and calls `notify`, the second ends
/// the program.
///
/// # Errors
/// If the handler cannot be installed.
pub(super) fn stop_on_signal(
    stop: Arc<AtomicBool>,
    notify: impl Fn() + Send + 'static,
) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        if stop.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        notify();
    })
    .context("cannot listen for Ctrl-C")
}
