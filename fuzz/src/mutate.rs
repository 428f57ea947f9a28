//! Mutations that keep the structure of an input, so that most of them get past its parser.

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg32;

use crate::bundle::Bundle;
use crate::settings;

/// What the bytes of an input mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines of text.
    Text,
    /// Settings as `--set` takes them, one a line.
    Settings,
    /// Several files ([`Bundle`]).
    Bundle,
    /// An MCAP file.
    Mcap,
}

/// libFuzzer's own mutation: changes `data[..size]` and returns the new size, at most the third argument.
pub type ByteMutation = fn(&mut [u8], usize, usize) -> usize;

/// Values that programs get wrong: limits of types, other notations, empty and nested values.
const VALUES: &[&str] = &[
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "1e-9",
    "0.025",
    "0.5",
    "1e9",
    "1e38",
    "1e39",
    "1e308",
    "1e999",
    "nan",
    "NaN",
    "inf",
    "-inf",
    "255",
    "256",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1_000",
    "1,5",
    "0x10",
    "1k",
    "1.5M",
    "true",
    "false",
    "null",
    "~",
    "\"\"",
    "''",
    "[]",
    "{}",
    "[[]]",
    "[0.0, 0.0]",
    "[nan, 1.0]",
    "\"\u{0}\"",
    "\u{feff}",
    "é",
    "../x",
    "1 2",
];

/// Mutates `data[..size]` within `data[..max_size]` and returns the new size.
pub fn mutate(
    format: Format,
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    bytes: ByteMutation,
) -> usize {
    let mut rng = Pcg32::seed_from_u64(seed.into());
    // Raw mutations find errors of the parsers themselves. A training takes much longer than an error.
    let one_in = if format == Format::Settings { 16 } else { 4 };
    if rng.random_range(0..one_in) == 0 {
        return bytes(data, size, max_size);
    }
    let input = &data[..size];
    let output = match format {
        Format::Text => text(input, &mut rng),
        Format::Settings if rng.random_range(0..8) == 0 => text(input, &mut rng),
        Format::Settings => settings::mutate(input, &mut rng),
        Format::Bundle => bundle(input, &mut rng, bytes),
        Format::Mcap => mcap(input, &mut rng, bytes),
    };
    if output.is_empty() || output.len() > max_size {
        return bytes(data, size, max_size);
    }
    data[..output.len()].copy_from_slice(&output);
    output.len()
}

/// Mutates one file of a bundle, and at times removes or duplicates one.
fn bundle(input: &[u8], rng: &mut Pcg32, bytes: ByteMutation) -> Vec<u8> {
    let mut bundle = Bundle::parse(input);
    let count = bundle.files.len();
    if count == 0 {
        return Vec::new();
    }
    let index = rng.random_range(0..count);
    match rng.random_range(0..32) {
        0 => {
            bundle.files.remove(index);
        }
        1 => {
            let other = rng.random_range(0..count);
            let content = bundle.files[other].1.clone();
            bundle.files[index].1 = content;
        }
        _ => {
            let (name, content) = &mut bundle.files[index];
            let extension = name.rsplit('.').next().unwrap_or_default();
            *content = match extension {
                "png" => png(content, rng, bytes),
                "safetensors" | "mcap" => binary(content, rng, bytes),
                _ => text(content, rng),
            };
        }
    }
    bundle.to_bytes()
}

/// Applies libFuzzer's mutation, with room to grow.
fn binary(content: &[u8], rng: &mut Pcg32, bytes: ByteMutation) -> Vec<u8> {
    let room = content.len() + 64;
    let mut buffer = content.to_vec();
    buffer.resize(room, 0);
    for _ in 0..rng.random_range(1..4) {
        let size = bytes(&mut buffer, content.len().max(1), room);
        if size != content.len() {
            buffer.truncate(size);
            return buffer;
        }
    }
    buffer.truncate(content.len());
    buffer
}

/// Changes one to three places of a text.
fn text(input: &[u8], rng: &mut Pcg32) -> Vec<u8> {
    let mut text = String::from_utf8_lossy(input).into_owned();
    for _ in 0..rng.random_range(1..4) {
        text = if rng.random_range(0..3) == 0 {
            lines(&text, rng)
        } else {
            words(&text, rng)
        };
    }
    text.into_bytes()
}

/// Removes, repeats, moves or swaps lines.
fn lines(text: &str, rng: &mut Pcg32) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.is_empty() {
        return text.to_owned();
    }
    let from = rng.random_range(0..lines.len());
    let to = rng.random_range(0..lines.len());
    let length = rng.random_range(1..4).min(lines.len() - from);
    match rng.random_range(0..4) {
        0 => {
            lines.drain(from..from + length);
        }
        1 => {
            let block = lines[from..from + length].to_vec();
            lines.splice(to..to, block);
        }
        2 => lines.swap(from, to),
        _ => {
            let block: Vec<&str> = lines.drain(from..from + length).collect();
            let to = to.min(lines.len());
            lines.splice(to..to, block);
        }
    }
    lines.concat()
}

/// Replaces, removes, repeats or swaps a word: a run of letters, digits, `_`, `.`, `+` and `-`.
fn words(text: &str, rng: &mut Pcg32) -> String {
    let is_word = |c: char| c.is_alphanumeric() || "_.+-".contains(c);
    let mut pieces: Vec<&str> = Vec::new();
    let mut start = 0;
    let mut previous = None;
    for (index, c) in text.char_indices() {
        if previous.is_some_and(|word| word != is_word(c) || !is_word(c)) {
            pieces.push(&text[start..index]);
            start = index;
        }
        previous = Some(is_word(c));
    }
    pieces.push(&text[start..]);
    let numbers: Vec<usize> = (0..pieces.len())
        .filter(|&index| pieces[index].starts_with(|c: char| c.is_ascii_digit() || c == '-'))
        .collect();
    let index = match numbers.len() {
        count if count > 0 && rng.random_range(0..2) == 0 => numbers[rng.random_range(0..count)],
        _ => rng.random_range(0..pieces.len()),
    };
    let scaled;
    match rng.random_range(0..6) {
        0 => pieces[index] = "",
        1 => pieces.insert(index, pieces[index]),
        2 => {
            let other = rng.random_range(0..pieces.len());
            pieces.swap(index, other);
        }
        3 if pieces[index].parse::<f64>().is_ok() => {
            let factors = [-1.0, 0.0, 0.1, 0.999, 1.001, 10.0, 1000.0];
            let factor = factors[rng.random_range(0..factors.len())];
            scaled = (pieces[index].parse::<f64>().unwrap_or(1.0) * factor).to_string();
            pieces[index] = &scaled;
        }
        _ => pieces[index] = VALUES[rng.random_range(0..VALUES.len())],
    }
    pieces.concat()
}

/// Mutates a chunk of a PNG file and corrects its checksum.
fn png(content: &[u8], rng: &mut Pcg32, bytes: ByteMutation) -> Vec<u8> {
    const SIGNATURE: usize = 8;
    let mut chunks: Vec<(usize, usize)> = Vec::new();
    let mut at = SIGNATURE;
    while let Some(length) = content.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        if content.len() < at + 12 + length {
            break;
        }
        chunks.push((at, length));
        at += 12 + length;
    }
    if chunks.is_empty() {
        return binary(content, rng, bytes);
    }
    let (at, length) = chunks[rng.random_range(0..chunks.len())];
    let body = binary(&content[at + 8..at + 8 + length], rng, bytes);
    let mut output = content[..at].to_vec();
    output.extend_from_slice(&(body.len() as u32).to_be_bytes());
    output.extend_from_slice(&content[at + 4..at + 8]);
    output.extend_from_slice(&body);
    let checksum = crc32fast::hash(&output[at + 4..]);
    output.extend_from_slice(&checksum.to_be_bytes());
    output.extend_from_slice(&content[at + 12 + length..]);
    output
}

/// Mutates one record of an MCAP file, at times leaving its stated length wrong. Checksums of chunks
/// become 0, which means that there is none.
fn mcap(content: &[u8], rng: &mut Pcg32, bytes: ByteMutation) -> Vec<u8> {
    const MAGIC: usize = 8;
    const HEAD: usize = 9;
    const CHUNK: u8 = 6;
    let mut records: Vec<(usize, usize)> = Vec::new();
    let mut at = MAGIC;
    while let Some(length) = content.get(at + 1..at + HEAD) {
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
        let Some(end) = usize::try_from(length)
            .ok()
            .and_then(|length| (at + HEAD).checked_add(length))
        else {
            break;
        };
        if content.len() < end {
            break;
        }
        records.push((at, end));
        at = end;
    }
    if records.is_empty() {
        return binary(content, rng, bytes);
    }
    let (start, end) = records[rng.random_range(0..records.len())];
    let mut body = content[start + HEAD..end].to_vec();
    if content[start] == CHUNK && body.len() > 28 {
        body[24..28].fill(0);
    }
    let mut body = binary(&body, rng, bytes);
    if content[start] == CHUNK && body.len() > 28 && rng.random_range(0..4) != 0 {
        body[24..28].fill(0);
    }
    let keeps_length = rng.random_range(0..8) == 0;
    let length = if keeps_length {
        end - start - HEAD
    } else {
        body.len()
    };
    let mut output = content[..=start].to_vec();
    output.extend_from_slice(&(length as u64).to_le_bytes());
    output.extend_from_slice(&body);
    output.extend_from_slice(&content[end..]);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds one to the last byte.
    fn add_one(data: &mut [u8], size: usize, _: usize) -> usize {
        data[size - 1] = data[size - 1].wrapping_add(1);
        size
    }

    #[test]
    fn the_same_seed_gives_the_same_mutation() {
        let input = b"[arena]\nsize_m = [4.0, 4.0]\n";
        let mutated = |seed| {
            let mut data = input.to_vec();
            data.resize(256, 0);
            let size = mutate(Format::Text, &mut data, input.len(), 256, seed, add_one);
            data[..size].to_vec()
        };
        let all: std::collections::HashSet<_> = (0..100).map(mutated).collect();
        assert!(all.len() > 50, "only {} different mutations", all.len());
        assert_eq!(mutated(7), mutated(7));
    }

    #[test]
    fn a_mutated_png_has_right_checksums() {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        for (kind, body) in [(b"IHDR", vec![0; 13]), (b"IEND", vec![])] {
            file.extend_from_slice(&(body.len() as u32).to_be_bytes());
            let start = file.len();
            file.extend_from_slice(kind);
            file.extend_from_slice(&body);
            let checksum = crc32fast::hash(&file[start..]);
            file.extend_from_slice(&checksum.to_be_bytes());
        }
        let mut rng = Pcg32::seed_from_u64(3);
        let changed = png(&file, &mut rng, add_one);
        assert_ne!(changed, file);
        let length = u32::from_be_bytes(changed[8..12].try_into().unwrap()) as usize;
        let stored = u32::from_be_bytes(changed[16 + length..20 + length].try_into().unwrap());
        assert_eq!(crc32fast::hash(&changed[12..16 + length]), stored);
    }
}
