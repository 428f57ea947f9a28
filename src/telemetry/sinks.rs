//! Sinks that pass events on: to several others, or to another thread.

use std::io;
use std::sync::mpsc::Sender;

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

/// Sends events to another thread. Training goes on when nobody listens any more.
pub struct ChannelSink(pub Sender<Event>);

impl Sink for ChannelSink {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        // A closed window must not stop a run.
        let _ = self.0.send(event.clone());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::CheckpointReport;
    use std::sync::mpsc;

    #[test]
    fn every_sink_hears_every_event_and_a_closed_channel_is_no_error() {
        let (first, heard) = mpsc::channel();
        let (second, closed) = mpsc::channel();
        drop(closed);
        let mut fanout = Fanout::new()
            .with(ChannelSink(second))
            .with(ChannelSink(first));
        let event = Event::Checkpoint(CheckpointReport {
            name: "best".into(),
            global_step: 3,
        });
        fanout.record(&event).unwrap();
        fanout.flush().unwrap();
        assert_eq!(heard.try_recv().unwrap(), event);
    }
}
