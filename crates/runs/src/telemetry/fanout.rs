//! A sink that passes events on to several others.

use std::io;

use super::{Event, Sink};

/// Passes each event to every one of its sinks, in order. The first error ends the call.
#[derive(Default)]
pub struct Fanout {
    sinks: Vec<Box<dyn Sink + Send>>,
}

impl Fanout {
    /// A fanout to nobody, which is a fine sink for a run that keeps nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sink.
    #[must_use]
    pub fn with(mut self, sink: impl Sink + Send + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }
}

impl Sink for Fanout {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.sinks
            .iter_mut()
            .try_for_each(|sink| sink.record(event))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sinks.iter_mut().try_for_each(|sink| sink.flush())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::telemetry::CheckpointReport;

    /// Keeps what it hears, up to its first error.
    struct CollectingSink {
        collected: Arc<Mutex<Vec<Event>>>,
        fails: bool,
    }

    impl Sink for CollectingSink {
        fn record(&mut self, event: &Event) -> io::Result<()> {
            if self.fails {
                return Err(io::Error::other("deaf"));
            }
            self.collected.lock().unwrap().push(event.clone());
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_sink_hears_every_event_until_one_fails() {
        let collected = [(); 3].map(|()| Arc::new(Mutex::new(Vec::new())));
        let collector = |index: usize| CollectingSink {
            collected: Arc::clone(&collected[index]),
            fails: false,
        };
        let event = Event::Checkpoint(CheckpointReport {
            name: "best".into(),
            global_step: 3,
        });
        let mut both = Fanout::new().with(collector(0)).with(collector(1));
        both.record(&event).unwrap();
        both.flush().unwrap();
        let failing_sink = CollectingSink {
            fails: true,
            ..collector(2)
        };
        let mut failing = Fanout::new()
            .with(collector(0))
            .with(failing_sink)
            .with(collector(2));
        assert_eq!(failing.record(&event).unwrap_err().to_string(), "deaf");
        let collected = collected.map(|collected| collected.lock().unwrap().len());
        assert_eq!(collected, [2, 1, 0]);
    }
}
