//! The messages of `TensorBoard`'s tab `HParams` (`tensorboard/plugins/hparams/plugin_data.proto`).

use serde::Serialize;
use serde_json::Value;

use super::encoding::ProtoMessage;
use crate::telemetry::log_table::Flattener;

/// How a run ended.
#[derive(Clone, Copy)]
pub(super) enum SessionStatus {
    /// It diverged.
    Failure = 2,
}

/// Field numbers of `tensorboard.hparams.HParamsPluginData`.
const SESSION_START: u64 = 3;
const SESSION_END: u64 = 4;

/// The value that begins a run: its settings.
pub(super) fn session_start<T: Serialize>(
    wall_secs: f64,
    labels: &[(&str, Value)],
    settings: &T,
) -> ProtoMessage {
    let labels = labels
        .iter()
        .map(|(name, label)| ((*name).to_owned(), label.clone()));
    let mut info = ProtoMessage::default();
    for (name, value) in labels.chain(Flattener::default().row("", settings)) {
        if let Some(value) = protobuf_value(&value) {
            let mut entry = ProtoMessage::default();
            entry.bytes(1, name.as_bytes());
            entry.bytes(2, &value.0);
            info.bytes(1, &entry.0);
        }
    }
    info.double(5, wall_secs);
    plugin_value("_hparams_/session_start_info", SESSION_START, &info)
}

/// The value that ends a run.
pub(super) fn session_end(wall_secs: f64, status: SessionStatus) -> ProtoMessage {
    let mut info = ProtoMessage::default();
    info.varint(1, status as u64);
    info.double(2, wall_secs);
    plugin_value("_hparams_/session_end_info", SESSION_END, &info)
}

fn plugin_value(tag: &str, field: u64, info: &ProtoMessage) -> ProtoMessage {
    let mut data = ProtoMessage::default();
    data.bytes(field, &info.0);
    ProtoMessage::plugin_value(tag, "hparams", &data.0, &ProtoMessage::empty_tensor())
}

/// A `google.protobuf.Value`; `None` for null.
fn protobuf_value(value: &Value) -> Option<ProtoMessage> {
    let mut message = ProtoMessage::default();
    match value {
        Value::Number(number) => message.double(2, number.as_f64()?),
        Value::String(text) => message.bytes(3, text.as_bytes()),
        Value::Bool(flag) => message.varint(4, u64::from(*flag)),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    #[test]
    fn settings_equal_those_written_by_tensorboard() {
        // Written by tensorboard: Summary.Value(tag=SESSION_START_INFO_TAG, tensor=NULL_TENSOR,
        // metadata=create_summary_metadata(HParamsPluginData(session_start_info=SessionStartInfo(
        // hparams={"a": 1.5}, start_time_secs=2.0)))).SerializeToString().
        let settings = serde_json::json!({ "a": 1.5, "none": null });
        assert_eq!(
            hex(&session_start(2.0, &[], &settings).0),
            "0a1c5f68706172616d735f2f73657373696f6e5f73746172745f696e666f42060801120212004a280a26\
             0a0768706172616d73121b1a190a0e0a0161120911000000000000f83f290000000000000040"
        );
    }

    #[test]
    fn each_setting_is_named_by_its_path() {
        let settings = serde_json::json!({
            "train": { "schedule": "linear", "clip": [{ "global_norm": { "max": 0.5 } }] }
        });
        let labels = [("arm", "clipped".into())];
        let bytes = session_start(2.0, &labels, &settings).0;
        let text = String::from_utf8_lossy(&bytes);
        for expected in [
            "arm",
            "clipped",
            "train.schedule",
            "train.clip.0.global_norm.max",
        ] {
            assert!(text.contains(expected), "{expected}");
        }
    }
}
