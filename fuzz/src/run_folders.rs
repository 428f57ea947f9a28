//! The target that reads run folders.

use std::path::Path;

use evenkeel::lab::{RunRecord, Scorecard};
use evenkeel::learn::{Incident, RunDefinition, SavedPolicy, TrainState};
use evenkeel::report::render_report;
use evenkeel::runs::{RunDir, list_runs};

use crate::bundle::Bundle;
use crate::check_message;

/// A run folder: listed, reported on, resumed from and driven by.
pub(crate) fn run_folder(input: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("run");
    std::fs::create_dir(&path).expect("a writable folder");
    Bundle::parse(input).write(&path).ok();
    if let Err(error) = list_runs(folder.path()) {
        check_message(&error);
    }
    match RunDir::open(&path) {
        Ok(run) => read(&run),
        Err(error) => check_message(&error),
    }
}

fn read(run: &RunDir) {
    match RunRecord::read(run) {
        Ok(record) => {
            Scorecard::new(&[&record], &[]);
            render_report(&[record], &[], run.path());
        }
        Err(error) => check_message(&error),
    }
    if let Err(error) = RunDefinition::from_run(run, &[]) {
        check_message(&error);
    }
    for name in ["best", "last"] {
        match run.checkpoint(name) {
            Ok(Some(folder)) => load(&folder),
            Ok(None) => (),
            Err(error) => check_message(&error),
        }
    }
    for folder in run.incidents().unwrap_or_default() {
        if let Err(error) = Incident::load(&folder) {
            check_message(&error);
        }
    }
}

fn load(checkpoint: &Path) {
    if let Err(error) = TrainState::load(checkpoint) {
        check_message(&error);
    }
    if let Err(error) = SavedPolicy::load(checkpoint) {
        check_message(&error);
    }
}
