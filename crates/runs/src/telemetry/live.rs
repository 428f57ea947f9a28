//! A live view of a run: a sink that keeps a bounded history for charts on a screen. Its memory
//! does not grow with the length of the run. Recording an event costs the trainer one short lock.

mod history;
mod range;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Event, Sink};
pub use history::{HistoryBin, Notification, RunHistory};
pub use range::ValueRange;

/// The history of a run, shared between the trainer and a viewer.
#[derive(Debug)]
pub struct SharedHistory(Mutex<RunHistory>);

impl SharedHistory {
    /// Creates the history of a run that starts, or resumes, at environment step `from`.
    pub fn new(from: u64, steps_per_iteration: u64) -> Self {
        Self(Mutex::new(RunHistory::new(from, steps_per_iteration)))
    }

    /// Updates `copy` to the current history. Returns whether it changed.
    pub fn read(&self, copy: &mut RunHistory) -> bool {
        let history = self.lock();
        let changed = history.revision != copy.revision;
        if changed {
            copy.clone_from(&history);
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, RunHistory> {
        // A panic while recording cannot leave the history in an unusable state.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sink that records events in a shared history.
#[derive(Clone, Debug)]
pub struct HistorySink(pub Arc<SharedHistory>);

impl Sink for HistorySink {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.0.lock().record(event);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{CheckpointReport, UpdateReport};

    #[test]
    fn a_copy_is_updated_if_the_history_has_changed() {
        let shared_history = Arc::new(SharedHistory::new(0, 10));
        let mut sink = HistorySink(Arc::clone(&shared_history));
        let mut copy = RunHistory::default();
        assert!(!shared_history.read(&mut copy), "nothing has happened");
        sink.record(&Event::Step(UpdateReport {
            global_step: 10,
            grad_norm: Some(2.0),
            ..UpdateReport::default()
        }))
        .unwrap();
        assert!(shared_history.read(&mut copy) && !shared_history.read(&mut copy));
        assert_eq!(copy.bins.len(), 1);
        sink.record(&Event::Checkpoint(CheckpointReport {
            name: "last".into(),
            global_step: 10,
        }))
        .unwrap();
        assert!(!shared_history.read(&mut copy), "checkpoints are not shown");
    }
}
