//! A run as it happens, for somebody who looks on: a sink that keeps as much of what it hears as
//! can be seen on a screen. However long the run, it takes no more memory, and a record costs
//! the trainer a short lock.

mod history;
mod range;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Event, Sink};
pub use history::{HistoryBin, Notification, RunHistory};
pub use range::ValueRange;

/// What is kept of a run, shared by the trainer and whoever looks on.
#[derive(Debug)]
pub struct SharedHistory(Mutex<RunHistory>);

impl SharedHistory {
    /// The feed of a run that goes on from an environment step and gathers so many in an
    /// iteration.
    pub fn new(from: u64, steps_per_iteration: u64) -> Self {
        Self(Mutex::new(RunHistory::new(from, steps_per_iteration)))
    }

    /// Brings an older copy up to date; whether there was anything new.
    pub fn read(&self, into: &mut RunHistory) -> bool {
        let history = self.history();
        let notification = history.revision != into.revision;
        if notification {
            into.clone_from(&history);
        }
        notification
    }

    fn history(&self) -> MutexGuard<'_, RunHistory> {
        // Whoever panicked with it left whole numbers behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a feed that listens.
#[derive(Clone, Debug)]
pub struct HistorySink(pub Arc<SharedHistory>);

impl Sink for HistorySink {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.0.history().record(event);
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
    fn a_copy_is_brought_up_to_date_when_there_is_news() {
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
        assert!(!shared_history.read(&mut copy), "nothing of it is shown");
    }
}
