//! Recordings with damaged bytes: what is whole is read, and the damage is reported by place.

use std::fs;
use std::path::Path;

use evenkeel::recording::{
    Damage, RecordError, RecordedEpisode, RecordingEnd, RecordingReader, verify,
};

use crate::helpers::{evenkeel, text};
use crate::recordings::record;

/// Kinds of MCAP records.
const CHUNK: u8 = 6;

/// A record of the file outside chunks: its kind, and the range of its bytes.
struct FileRecord {
    kind: u8,
    from: usize,
    to: usize,
}

/// The records of a file, chunks as a whole.
fn file_records(bytes: &[u8]) -> Vec<FileRecord> {
    let mut from = mcap::MAGIC.len();
    let mut records = Vec::new();
    while from + mcap::MAGIC.len() < bytes.len() {
        let length = u64::from_le_bytes(bytes[from + 1..from + 9].try_into().unwrap());
        let to = from + 9 + length as usize;
        records.push(FileRecord {
            kind: bytes[from],
            from,
            to,
        });
        from = to;
    }
    records
}

/// What a reader makes of a file.
struct Contents {
    episodes: Vec<RecordedEpisode>,
    damage: Vec<Damage>,
    end: RecordingEnd,
}

fn read(path: &Path, bytes: &[u8]) -> Result<Contents, RecordError> {
    fs::write(path, bytes).unwrap();
    let mut reader = RecordingReader::open(path)?;
    let mut episodes = Vec::new();
    while let Some(episode) = reader.next_episode()? {
        episodes.push(episode);
    }
    Ok(Contents {
        episodes,
        damage: reader.damage().to_vec(),
        end: reader.end().unwrap().clone(),
    })
}

/// Episodes as text: a planner predicts no value, and NaN is not equal to itself.
fn in_full(episodes: &[RecordedEpisode]) -> Vec<String> {
    let texts = episodes.iter().map(|episode| format!("{episode:?}"));
    texts.collect()
}

/// A recording of some short episodes, as bytes.
fn recording(path: &Path, episodes: u64) -> Vec<u8> {
    record(path, "movers", "straight", episodes, 3);
    fs::read(path).unwrap()
}

fn flip(bytes: &[u8], at: usize, bit: u32) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[at] ^= 1 << bit;
    flipped
}

#[test]
fn a_damaged_chunk_hides_no_other_episode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let bytes = recording(&path, 5);
    let whole = read(&path, &bytes).unwrap();
    assert_eq!((whole.episodes.len(), whole.damage.len()), (5, 0));
    let chunks: Vec<FileRecord> = file_records(&bytes)
        .into_iter()
        .filter(|record| record.kind == CHUNK)
        .collect();
    // The header has its own chunk. A short episode has one.
    assert_eq!(chunks.len(), 6);
    for (index, chunk) in chunks.iter().enumerate().skip(1) {
        let found = read(&path, &flip(&bytes, chunk.from + 200, 0)).unwrap();
        let mut expected = in_full(&whole.episodes);
        expected.remove(index - 1);
        assert!(in_full(&found.episodes) == expected, "chunk {index}");
        assert_eq!(found.end, RecordingEnd::Complete);
        let [damage] = &found.damage[..] else {
            panic!("{:?}", found.damage);
        };
        assert_eq!(
            (damage.from, damage.to),
            (chunk.from as u64, chunk.to as u64)
        );
    }
    let error = read(&path, &flip(&bytes, chunks[0].from + 200, 0)).err();
    let message = error.unwrap().to_string();
    let place = format!("bytes {} to {}", chunks[0].from, chunks[0].to);
    assert!(message.contains(&place), "{message}");
    assert!(message.contains("its header is lost"), "{message}");
}

#[test]
fn a_damaged_chunk_of_an_unfinished_recording_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let bytes = recording(&path, 5);
    let records = file_records(&bytes);
    let chunks: Vec<&FileRecord> = records.iter().filter(|one| one.kind == CHUNK).collect();
    let whole = read(&path, &bytes).unwrap();
    // The end of the last chunk is missing, and the third chunk is damaged.
    let cut = flip(&bytes[..chunks[5].to - 100], chunks[3].from + 200, 5);
    let found = read(&path, &cut).unwrap();
    let mut expected = in_full(&whole.episodes[..4]);
    expected.remove(2);
    assert!(in_full(&found.episodes) == expected);
    assert_eq!(found.damage.len(), 1);
    assert!(matches!(found.end, RecordingEnd::Truncated(_)));
}

/// A wrong kind or length of a record costs at most the episode that it is in.
#[test]
fn damaged_record_heads_are_noticed_and_passed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let bytes = recording(&path, 3);
    let whole_episodes = in_full(&read(&path, &bytes).unwrap().episodes);
    let mut header_lost = 0;
    for record in file_records(&bytes) {
        for bit in 0..72 {
            let place = format!("kind {}, byte {}, bit {bit}", record.kind, record.from);
            let changed = flip(&bytes, record.from + bit / 8, bit as u32 % 8);
            let found = match read(&path, &changed) {
                Ok(found) => found,
                Err(RecordError::HeaderDamaged { .. }) => {
                    header_lost += 1;
                    continue;
                }
                Err(error) => panic!("{place}: {error}"),
            };
            let is_reported =
                !found.damage.is_empty() || matches!(found.end, RecordingEnd::Truncated(_));
            assert!(is_reported, "{place}");
            let found_episodes = in_full(&found.episodes);
            assert!(
                found_episodes
                    .iter()
                    .all(|one| whole_episodes.contains(one)),
                "{place}"
            );
            assert!(found.episodes.len() >= 2, "{place}");
        }
    }
    // Only a wrong kind of the first chunk hides the header: its length is in its own header too.
    assert!((1..=8).contains(&header_lost), "{header_lost}");
}

/// Every byte of the file is covered by a checksum or by the structure of the file.
#[test]
fn every_flipped_bit_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let bytes = recording(&path, 2);
    let records = file_records(&bytes);
    let small = records.iter().filter(|record| record.kind != CHUNK);
    let mut places: Vec<usize> = small.flat_map(|one| one.from..one.to).step_by(7).collect();
    places.extend((0..bytes.len()).step_by(1999));
    places.extend(0..60);
    places.extend(bytes.len() - 60..bytes.len());
    for at in places {
        match read(&path, &flip(&bytes, at, at as u32 % 8)) {
            Ok(found) => assert!(
                !found.damage.is_empty() || matches!(found.end, RecordingEnd::Truncated(_)),
                "byte {at}"
            ),
            Err(RecordError::HeaderDamaged { .. }) => {}
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn damage_in_the_middle_of_an_episode_keeps_its_first_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    // Episodes of six robots have several chunks.
    record(&path, "swap", "orca", 2, 3);
    let bytes = fs::read(&path).unwrap();
    let whole = read(&path, &bytes).unwrap();
    let records = file_records(&bytes);
    let chunks: Vec<&FileRecord> = records.iter().filter(|one| one.kind == CHUNK).collect();
    let mut partial = 0;
    for chunk in &chunks[1..] {
        let found = read(&path, &flip(&bytes, chunk.from + 300, 2)).unwrap();
        assert_eq!(found.damage.len(), 1);
        for episode in &found.episodes {
            let number = episode.begin.episode as usize;
            let original = &whole.episodes[number];
            if !episode.damaged {
                assert!(format!("{episode:?}") == format!("{original:?}"));
                continue;
            }
            partial += 1;
            assert_eq!(episode.end, None);
            let first = &original.steps[..episode.steps.len()];
            assert!(format!("{first:?}") == format!("{:?}", episode.steps));
        }
        let mut reader = RecordingReader::open(&path).unwrap();
        verify(&mut reader, &mut |_, difference| {
            assert_eq!(difference, None);
        })
        .unwrap();
    }
    assert!(chunks.len() > 3 && partial > 0, "{} chunks", chunks.len());
}

#[test]
fn the_program_names_the_damage_and_fails_to_verify_and_export() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let bytes = recording(&path, 4);
    let file = path.to_str().unwrap();
    let run = |args: &[&str]| evenkeel(args).output().expect("the program starts");
    assert!(run(&["replay", file, "--verify"]).status.success());

    let chunk = file_records(&bytes)
        .into_iter()
        .filter(|record| record.kind == CHUNK)
        .nth(2)
        .unwrap();
    fs::write(&path, flip(&bytes, chunk.from + 200, 0)).unwrap();
    let place = format!("damaged, bytes {} to {}", chunk.from, chunk.to);
    let listing = run(&["replay", file, "--list"]);
    assert!(listing.status.success());
    let listing = text(&listing.stdout);
    assert!(listing.contains(&place), "{listing}");
    assert!(listing.contains("3 held-out episodes"), "{listing}");
    let verified = run(&["replay", file, "--verify"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(text(&verified.stdout).contains(&place));
    assert!(text(&verified.stderr).contains("only a part of the recording"));
    let json = run(&["replay", file, "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["damaged"][0]["from"], chunk.from);
    let exported = run(&["export", file, "--format", "csv"]);
    assert_eq!(exported.status.code(), Some(1));
    assert!(text(&exported.stdout).contains(&place));
    assert!(text(&exported.stderr).contains("the table may lack steps"));
    let table = fs::read_to_string(path.with_extension("csv")).unwrap();
    assert!(
        table.lines().count() > 1,
        "the whole steps are in the table"
    );

    // A recording that was cut off cannot be verified or exported as a whole either.
    fs::write(&path, &bytes[..chunk.to]).unwrap();
    for args in [
        &["replay", file, "--verify"][..],
        &["export", file, "--format=csv"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text(&output.stdout).contains("cut off"), "{args:?}");
    }
}

#[test]
fn bytes_after_the_end_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let bytes = recording(&path, 2);
    let whole = in_full(&read(&path, &bytes).unwrap().episodes);
    for more in [&[0][..], b"more text than a record's head has", &bytes] {
        let contents = read(&path, &[&bytes, more].concat()).unwrap();
        assert_eq!(in_full(&contents.episodes), whole);
        assert_eq!(contents.end, RecordingEnd::Complete);
        let [damage] = &contents.damage[..] else {
            panic!("{:?}", contents.damage);
        };
        assert_eq!(damage.from, bytes.len() as u64);
        assert_eq!(damage.to, (bytes.len() + more.len()) as u64);
    }
}
