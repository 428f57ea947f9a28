//! The bytes of event files: `TFRecord` framing around protobuf messages
//! (tensorflow/core/util/event.proto, tensorflow/core/framework/{summary,tensor}.proto).

use std::io::{self, Write};

/// Writes one `TFRecord` with a single write: length, checksum of the length, data, checksum of the
/// data, all little-endian.
///
/// # Errors
/// If `out` fails.
pub fn write_record(out: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend_from_slice(&length);
    record.extend_from_slice(&masked_crc(&length).to_le_bytes());
    record.extend_from_slice(data);
    record.extend_from_slice(&masked_crc(data).to_le_bytes());
    out.write_all(&record)
}

/// Masked CRC-32C of the `TFRecord` format, which stays useful on data that contains checksums.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// Field numbers of `tensorflow.Event`.
pub(super) mod event_field {
    pub(in super::super) const WALL_TIME: u64 = 1;
    pub(in super::super) const STEP: u64 = 2;
    pub(in super::super) const FILE_VERSION: u64 = 3;
    pub(in super::super) const SUMMARY: u64 = 5;
    pub(in super::super) const SESSION_LOG: u64 = 7;
}

/// The bytes of a protobuf message that is being built.
#[derive(Default)]
pub(super) struct ProtoMessage(pub(super) Vec<u8>);

impl ProtoMessage {
    pub(super) fn event(wall_secs: f64, step: u64) -> Self {
        let mut event = Self::default();
        event.double(event_field::WALL_TIME, wall_secs);
        event.varint(event_field::STEP, step);
        event
    }

    /// A `Summary` with one value: a scalar.
    pub(super) fn scalar(tag: &str, value: f64) -> Self {
        let mut entry = Self::default();
        entry.bytes(1, tag.as_bytes());
        entry.float(2, value as f32);
        entry
    }

    /// A `Summary.Value` for a plugin of `TensorBoard`: a tensor, and data in the metadata.
    pub(super) fn plugin_value(tag: &str, plugin: &str, content: &[u8], tensor: &Self) -> Self {
        let mut data = Self::default();
        data.bytes(1, plugin.as_bytes());
        if !content.is_empty() {
            data.bytes(2, content);
        }
        let mut metadata = Self::default();
        metadata.bytes(1, &data.0);
        let mut value = Self::default();
        value.bytes(1, tag.as_bytes());
        value.bytes(8, &tensor.0);
        value.bytes(9, &metadata.0);
        value
    }

    /// A `TensorProto` of one string, without dimensions.
    pub(super) fn string_tensor(text: &str) -> Self {
        const DT_STRING: u64 = 7;
        let mut tensor = Self::default();
        tensor.varint(1, DT_STRING);
        tensor.bytes(2, &[]);
        tensor.bytes(8, text.as_bytes());
        tensor
    }

    /// A `TensorProto` of floats that has none, of shape `[0]`.
    pub(super) fn empty_tensor() -> Self {
        const DT_FLOAT: u64 = 1;
        let mut tensor = Self::default();
        tensor.varint(1, DT_FLOAT);
        // One dimension, of the default size 0.
        tensor.bytes(2, &[0x12, 0]);
        tensor
    }

    fn key(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    pub(super) fn varint(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.raw_varint(value);
    }

    pub(super) fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(super) fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    #[test]
    fn a_record_equals_one_written_by_tensorboard() {
        // Written by tensorboard: RecordWriter(f).write(b"evenkeel").
        let mut out = Vec::new();
        write_record(&mut out, b"evenkeel").unwrap();
        assert_eq!(
            hex(&out),
            "0800000000000000ff86240f6576656e6b65656cd5d81036"
        );
    }

    #[test]
    fn a_scalar_equals_one_written_by_tensorboard() {
        // Written by tensorboard: Event(wall_time=1.5, step=300, summary=Summary(value=[
        // Summary.Value(tag="charts/SPS", simple_value=2.5)])).SerializeToString().
        let mut summary = ProtoMessage::default();
        summary.bytes(1, &ProtoMessage::scalar("charts/SPS", 2.5).0);
        let mut event = ProtoMessage::event(1.5, 300);
        event.bytes(event_field::SUMMARY, &summary.0);
        assert_eq!(
            hex(&event.0),
            "09000000000000f83f10ac022a130a110a0a6368617274732f5350531500002040"
        );
    }

    #[test]
    fn a_text_equals_one_written_by_tensorboard() {
        // Written by tensorboard: Summary.Value(tag="events/health", tensor=make_tensor_proto(
        // "spike"), metadata=text.create_summary_metadata(None, None)).SerializeToString().
        let tensor = ProtoMessage::string_tensor("spike");
        let value = ProtoMessage::plugin_value("events/health", "text", &[], &tensor);
        assert_eq!(
            hex(&value.0),
            "0a0d6576656e74732f6865616c7468420b0807120042057370696b654a080a060a0474657874"
        );
    }
}
