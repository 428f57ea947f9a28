//! A run as it happens, for somebody who looks on: a sink that keeps as much of what it hears as
//! can be seen on a screen. However long the run, it takes no more memory, and a record costs
//! the trainer a short lock.

mod history;
mod spread;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Event, Sink};
pub use history::{Bin, History, News};
pub use spread::Spread;

/// What is kept of a run, shared by the trainer and whoever looks on.
#[derive(Debug)]
pub struct Feed(Mutex<History>);

impl Feed {
    /// The feed of a run that goes on from an environment step and gathers so many in an
    /// iteration.
    pub fn new(from: u64, steps_per_iteration: u64) -> Self {
        Self(Mutex::new(History::new(from, steps_per_iteration)))
    }

    /// Brings an older copy up to date; whether there was anything new.
    pub fn read(&self, into: &mut History) -> bool {
        let history = self.history();
        let news = history.heard != into.heard;
        if news {
            into.clone_from(&history);
        }
        news
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // Whoever panicked with it left whole numbers behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a feed that listens.
#[derive(Clone, Debug)]
pub struct FeedSink(pub Arc<Feed>);

impl Sink for FeedSink {
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
    use crate::telemetry::{CheckpointReport, StepReport};

    #[test]
    fn a_copy_is_brought_up_to_date_when_there_is_news() {
        let feed = Arc::new(Feed::new(0, 10));
        let mut sink = FeedSink(Arc::clone(&feed));
        let mut copy = History::default();
        assert!(!feed.read(&mut copy), "nothing has happened");
        sink.record(&Event::Step(StepReport {
            global_step: 10,
            grad_norm: Some(2.0),
            ..StepReport::default()
        }))
        .unwrap();
        assert!(feed.read(&mut copy) && !feed.read(&mut copy));
        assert_eq!(copy.bins.len(), 1);
        sink.record(&Event::Checkpoint(CheckpointReport {
            name: "last".into(),
            global_step: 10,
        }))
        .unwrap();
        assert!(!feed.read(&mut copy), "nothing of it is shown");
    }
}
