//! The records that an MCAP file consists of: their lengths, their order, and readers of them.

use mcap::McapError;
use mcap::records::op;
use mcap::sans_io::linear_reader::{LinearReader, LinearReaderOptions};

/// Longest MCAP record that is read, bytes. Far more than any chunk that is written; it bounds the
/// memory that a damaged file can make the reader allocate.
pub(super) const MAX_RECORD_BYTES: usize = 1 << 28;

/// Bytes before the body of a record: its kind and its length.
pub(super) const RECORD_HEAD_BYTES: usize = 9;

/// Bytes of a chunk's header without the name of the compression.
pub(super) const CHUNK_HEADER_BYTES: usize = 40;

/// Longest name of a compression.
pub(super) const MAX_COMPRESSION_BYTES: usize = 16;

/// How the records of a file are read: chunks as a whole.
pub(super) fn record_options() -> LinearReaderOptions {
    LinearReaderOptions::default()
        .with_emit_chunks(true)
        .with_record_length_limit(MAX_RECORD_BYTES)
}

/// A reader of the records in a chunk. `body` is the body of the chunk's record.
pub(super) fn chunk_reader(body: &[u8]) -> LinearReader {
    let options = LinearReaderOptions::default()
        .with_prevalidate_chunk_crcs(true)
        .with_record_length_limit(MAX_RECORD_BYTES);
    let length = (body.len() as u64).to_le_bytes();
    reader_of(&[&[op::CHUNK], &length[..], body].concat(), options)
}

/// A reader of some records in memory. It requests more when it has read them all.
pub(super) fn reader_of(records: &[u8], options: LinearReaderOptions) -> LinearReader {
    let options = options
        .with_skip_start_magic(true)
        .with_skip_end_magic(true);
    let mut reader = LinearReader::new_with_options(options);
    reader.insert(records.len()).copy_from_slice(records);
    if !records.is_empty() {
        reader.notify_read(records.len());
    }
    reader
}

/// Length of the name of the compression in a chunk's header, bytes.
pub(super) fn compression_length(header: &[u8]) -> usize {
    let length = [header[28], header[29], header[30], header[31]];
    u32::from_le_bytes(length) as usize
}

/// The number at a place, if all of its bytes are there.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
}

/// Checks that a record may be where it is, and that its own lengths match.
pub(super) fn check_record(opcode: u8, body: &[u8], in_summary: bool) -> Result<(), &'static str> {
    let is_known = if in_summary {
        matches!(
            opcode,
            op::SCHEMA
                | op::CHANNEL
                | op::CHUNK_INDEX
                | op::ATTACHMENT_INDEX
                | op::STATISTICS
                | op::METADATA_INDEX
                | op::SUMMARY_OFFSET
                | op::FOOTER
        )
    } else {
        matches!(
            opcode,
            op::HEADER
                | op::SCHEMA
                | op::CHANNEL
                | op::MESSAGE
                | op::CHUNK
                | op::MESSAGE_INDEX
                | op::ATTACHMENT
                | op::METADATA
                | op::DATA_END
        )
    };
    if !is_known {
        return Err("a record is of a kind that cannot be there");
    }
    let lengths_match = match opcode {
        op::CHUNK => {
            body.len() >= CHUNK_HEADER_BYTES && {
                let name = compression_length(body);
                u64_at(body, 32_usize.saturating_add(name)).is_some_and(|compressed| {
                    let length = compressed.saturating_add((CHUNK_HEADER_BYTES + name) as u64);
                    length == body.len() as u64
                })
            }
        }
        op::MESSAGE_INDEX => {
            body.len() >= 6
                && u32::from_le_bytes([body[2], body[3], body[4], body[5]]) as usize + 6
                    == body.len()
        }
        op::DATA_END => body.len() == 4,
        op::FOOTER => body.len() == 20,
        op::CHANNEL | op::SCHEMA | op::HEADER => {
            // Numbers of two bytes, then parts that begin with their length.
            let (numbers, parts) = match opcode {
                op::HEADER => (0, 2),
                op::SCHEMA => (1, 3),
                _ => (2, 3),
            };
            let end = (0..parts).try_fold(2 * numbers, |at, _| part_end(body, at));
            end == Some(body.len()) && mcap::parse_record(opcode, body).is_ok()
        }
        _ => true,
    };
    if lengths_match {
        Ok(())
    } else {
        Err("the lengths of a record do not match")
    }
}

/// Offset after a part of a record that begins with its length, four bytes.
fn part_end(body: &[u8], at: usize) -> Option<usize> {
    let length = body.get(at..at.checked_add(4)?)?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    at.checked_add(4)?.checked_add(length)
}

/// The error as a phrase.
pub(super) fn describe_error(error: &McapError) -> String {
    match error {
        McapError::UnexpectedEof | McapError::UnexpectedEoc => "it ends in the middle".to_owned(),
        McapError::BadMagic => "it is no MCAP file".to_owned(),
        McapError::BadChunkCrc { .. } => "the checksum of a chunk does not match".to_owned(),
        McapError::BadDataCrc { .. } => {
            "the checksum of the data does not match, although each chunk's does".to_owned()
        }
        McapError::BadSummaryCrc { .. } => "the checksum of the summary does not match".to_owned(),
        McapError::UnsupportedCompression(name) => {
            format!("its chunks are compressed with {name}, which this build does not read")
        }
        other => other.to_string(),
    }
}
