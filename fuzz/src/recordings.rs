//! The target that reads recordings.

use evenkeel::recording::{RecordError, RecordingReader, verify, write_table};
use evenkeel::table::TableFormat;

use crate::check_message;

/// A recording file: read, exported and played again.
pub(crate) fn recording(input: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("fuzz.mcap");
    std::fs::write(&path, input).expect("a writable folder");
    let read_all = || -> Result<(), RecordError> {
        let mut reader = RecordingReader::open(&path)?;
        while let Some(episode) = reader.next_episode()? {
            for step in 0..episode.length() {
                episode.snapshot(step, 0.1);
            }
            episode.episodic_return();
        }
        Ok(())
    };
    let export = || {
        let mut reader = RecordingReader::open(&path)?;
        write_table(&mut reader, TableFormat::Csv, std::io::sink())
    };
    let play = || -> Result<(), RecordError> {
        let mut reader = RecordingReader::open(&path)?;
        verify(&mut reader, &mut |_, _| ())
    };
    let errors = [read_all().err(), export().err(), play().err()];
    for error in errors.into_iter().flatten() {
        check_message(&error);
    }
}
