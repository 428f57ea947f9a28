//! A sink that forwards events to several others.

use std::io;

use super::{Event, Sink};

/// Forwards each event to all of its sinks, in order. The first error ends the call.
#[derive(Default)]
pub struct Fanout {
    sinks: Vec<Box<dyn Sink + Send>>,
}

impl Fanout {
    /// Creates a fanout without sinks, which discards all events.
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

    /// Collects events, or fails.
    struct CollectingSink {
        collected: Arc<Mutex<Vec<Event>>>,
        fails: bool,
    }

    impl Sink for CollectingSink {
        fn record(&mut self, event: &Event) -> io::Result<()> {
            if self.fails {
                return Err(io::Error::other("sink failed"));
            }
            self.collected.lock().unwrap().push(event.clone());
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_sink_gets_each_event_until_one_fails() {
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
        assert_eq!(
            failing.record(&event).unwrap_err().to_string(),
            "sink failed"
        );
        let collected = collected.map(|collected| collected.lock().unwrap().len());
        assert_eq!(collected, [2, 1, 0]);
    }
}
