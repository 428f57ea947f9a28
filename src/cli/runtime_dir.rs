//! A runtime folder for graphics drivers. Mesa's Vulkan drivers ask Wayland's library for a display
//! even under X11, and without `XDG_RUNTIME_DIR` that library prints an error each time.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

const VARIABLE: &str = "XDG_RUNTIME_DIR";

/// Starts the program again in this process with the usual folder in `XDG_RUNTIME_DIR`, if that is
/// not set, as over SSH or in a container. Where this fails, the program goes on without it.
pub(super) fn ensure() {
    if std::env::var_os(VARIABLE).is_some_and(|folder| !folder.is_empty()) {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let folder = format!("/run/user/{}", rustix::process::getuid().as_raw());
        let args = std::env::args_os().skip(1);
        // It returns only if it has failed.
        let _ = Command::new(program)
            .args(args)
            .env(VARIABLE, folder)
            .exec();
    }
}
