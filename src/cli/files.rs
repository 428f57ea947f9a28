//! The files that a command must not write over.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};

use evenkeel::runs::{PolicySource, is_run_file, is_same_file};

/// Refuses a flag's file that is one of `inputs`, which the command reads, or a file of a run:
/// writing it would destroy them. Call it before anything is written.
pub(super) fn check_output<P: AsRef<Path>>(
    flag: &str,
    out: &Path,
    inputs: impl IntoIterator<Item = P>,
) -> anyhow::Result<()> {
    let name = out.display();
    ensure!(
        !out.is_dir(),
        "{flag} {name}: this is a folder; name a file in it"
    );
    for input in inputs {
        let input = input.as_ref();
        if input == out {
            bail!("{flag} {name}: the command reads this file; name another file to write to");
        }
        ensure!(
            !is_same_file(input, out),
            "{flag} {name}: this is the file {}, which the command reads; name another file to \
             write to",
            input.display()
        );
    }
    ensure!(
        !is_run_file(out),
        "{flag} {name}: this file belongs to a run; name another file to write to"
    );
    Ok(())
}

/// The files of a policy, if it is a checkpoint.
pub(super) fn policy_files(source: &PolicySource) -> Vec<PathBuf> {
    let PolicySource::Checkpoint { path, .. } = source else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
