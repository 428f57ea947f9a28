//! What training leaves: which of it must be the same, byte for byte, after a crash.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Context, Result};

/// Log and state fields that state how long something took.
const CLOCK_FIELDS: [&str; 3] = ["\"wall\":", "\"elapsed_secs\":", "\"wall_secs\":"];

/// Compares all that two runs left: settings, checkpoints, logs, recordings, incidents and
/// evaluations. Returns what differs.
pub(super) fn differences(expected: &Path, found: &Path) -> Result<Vec<String>> {
    let (names, others) = (files(expected)?, files(found)?);
    let mut differences = Vec::new();
    for name in &names {
        if !others.contains(name) {
            differences.push(format!("{} is missing", name.display()));
        } else if contents(&expected.join(name))? != contents(&found.join(name))? {
            differences.push(format!("{} differs", name.display()));
        }
    }
    let extra = others.iter().filter(|name| !names.contains(name));
    differences.extend(extra.map(|name| format!("{} should not be there", name.display())));
    for folder in run_folders(&names) {
        let [one, other] = [expected, found].map(|root| tensorboard(&root.join(&folder)));
        if one? != other? {
            let name = if folder.as_os_str().is_empty() {
                Path::new("run")
            } else {
                &folder
            };
            differences.push(format!("{}: TensorBoard's steps differ", name.display()));
        }
    }
    Ok(differences)
}

/// The folders of the runs whose files are `names`.
fn run_folders(names: &[PathBuf]) -> Vec<PathBuf> {
    let runs = names.iter().filter(|name| name.ends_with("run.json"));
    runs.map(|name| name.with_file_name("")).collect()
}

/// The files below a folder that must be the same, sorted. Left out are `TensorBoard`'s files, which
/// [`tensorboard`] compares, reports, which state how long training took, and lock files.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        for entry in fs::read_dir(&path).context(format!("cannot read {}", path.display()))? {
            let entry = entry.context("cannot read a folder")?;
            let name = folder.join(entry.file_name());
            let text = entry.file_name().to_string_lossy().into_owned();
            // A file that was being written when the process was killed has a hidden name.
            let is_skipped = text.starts_with("events.out.tfevents.")
                || text == "report.html"
                || text == "log"
                || (text.starts_with('.') && !entry.path().is_dir());
            if entry.path().is_dir() {
                folders.push(name);
            } else if !is_skipped {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A file's bytes, without clock readings if it is JSON.
fn contents(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).context(format!("cannot read {}", path.display()))?;
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let text = match (&*extension, String::from_utf8(bytes)) {
        ("json" | "jsonl", Ok(text)) => text,
        (_, Ok(text)) => return Ok(text.into_bytes()),
        (_, Err(error)) => return Ok(error.into_bytes()),
    };
    let name = path.file_name().unwrap_or_default();
    if name == "run.json" {
        // Start, command line and machine are no result. The status and the steps are.
        let is_result = |line: &&str| {
            let line = line.trim_start();
            [
                "\"status\"",
                "\"global_step\"",
                "\"total_steps\"",
                "\"seed\"",
            ]
            .iter()
            .any(|key| line.starts_with(key))
        };
        let lines: Vec<&str> = text.lines().filter(is_result).collect();
        return Ok(lines.join("\n").into_bytes());
    }
    Ok(without_clock(&text).into_bytes())
}

/// Removes the values of [`CLOCK_FIELDS`] from JSON.
fn without_clock(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let next = CLOCK_FIELDS
            .iter()
            .filter_map(|field| rest.find(field).map(|at| at + field.len()));
        let Some(at) = next.min() else {
            return kept + rest;
        };
        kept += &rest[..at];
        rest = rest[at..].trim_start();
        let end = if rest.starts_with('{') {
            rest.find('}').map(|end| end + 1)
        } else {
            rest.find([',', '}', '\n'])
        };
        rest = &rest[end.unwrap_or(rest.len())..];
    }
}

/// The steps and tags of all scalars that `TensorBoard` shows for a run, in order. A file that
/// continues a run hides later steps of earlier files.
fn tensorboard(run: &Path) -> Result<Vec<(u64, String)>> {
    let entries = fs::read_dir(run).context(format!("cannot read {}", run.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("events.out.tfevents.")
    });
    paths.sort();
    let mut scalars: Vec<(u64, String)> = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).context(format!("cannot read {}", path.display()))?;
        let mut rest = bytes.as_slice();
        // Length and its checksum, data, and its checksum. The last record may be cut off.
        while let Some((head, tail)) = rest.split_at_checked(12) {
            let length = head[..8].try_into().map_or(0, u64::from_le_bytes) as usize;
            let Some((record, tail)) = tail.split_at_checked(length) else {
                break;
            };
            read_event(record, &mut scalars);
            rest = tail.get(4..).unwrap_or_default();
        }
    }
    Ok(scalars)
}

/// Adds an event's scalars, or drops what it hides.
fn read_event(record: &[u8], scalars: &mut Vec<(u64, String)>) {
    const STEP: u64 = 2;
    const SUMMARY: u64 = 5;
    const SESSION_LOG: u64 = 7;
    let fields = proto_fields(record);
    let step = fields.iter().find_map(|field| match field {
        (STEP, ProtoValue::Varint(step)) => Some(*step),
        _ => None,
    });
    let step = step.unwrap_or(0);
    for (number, value) in fields {
        match (number, value) {
            (SESSION_LOG, _) => scalars.retain(|(at, _)| *at < step),
            (SUMMARY, ProtoValue::Bytes(summary)) => {
                for (_, value) in proto_fields(summary) {
                    let ProtoValue::Bytes(value) = value else {
                        continue;
                    };
                    if let Some((_, ProtoValue::Bytes(tag))) = proto_fields(value).first() {
                        scalars.push((step, String::from_utf8_lossy(tag).into_owned()));
                    }
                }
            }
            _ => {}
        }
    }
}

/// A field of a protobuf message.
enum ProtoValue<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a protobuf message, up to the first that is not whole.
fn proto_fields(mut bytes: &[u8]) -> Vec<(u64, ProtoValue<'_>)> {
    let mut fields = Vec::new();
    while let Some(key) = varint(&mut bytes) {
        let value = match key & 7 {
            0 => varint(&mut bytes).map(ProtoValue::Varint),
            1 => bytes.split_off(..8).map(|_| ProtoValue::Fixed),
            2 => varint(&mut bytes)
                .and_then(|length| bytes.split_off(..length as usize))
                .map(ProtoValue::Bytes),
            5 => bytes.split_off(..4).map(|_| ProtoValue::Fixed),
            _ => None,
        };
        match value {
            Some(value) => fields.push((key >> 3, value)),
            None => break,
        }
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_readings_are_left_out() {
        let text = "{\"a\":1,\"wall\":{\"x\":2,\"y\":3},\"b\":4}\n{\"elapsed_secs\": 1.5}\n";
        assert_eq!(
            without_clock(text),
            "{\"a\":1,\"wall\":,\"b\":4}\n{\"elapsed_secs\":}\n"
        );
        assert_eq!(
            without_clock("{\"wall_secs\": 3,\n\"a\": 1}"),
            "{\"wall_secs\":,\n\"a\": 1}"
        );
    }

    #[test]
    fn a_session_start_hides_later_steps() {
        let scalar = |step: u8, tag: &str| {
            let tag = tag.as_bytes();
            let length = tag.len() as u8;
            let mut event = vec![0x10, step, 0x2a, length + 4, 0x0a, length + 2, 0x0a, length];
            event.extend(tag);
            event
        };
        let mut scalars = Vec::new();
        for step in [1, 2, 3] {
            read_event(&scalar(step, "loss"), &mut scalars);
        }
        read_event(&[0x10, 2, 0x3a, 2, 0x08, 1], &mut scalars);
        read_event(&scalar(2, "loss"), &mut scalars);
        assert_eq!(scalars, [(1, "loss".to_owned()), (2, "loss".to_owned())]);
    }
}
