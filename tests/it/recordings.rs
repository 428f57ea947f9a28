//! Recordings: written, read, verified, truncated and tampered with.

#![allow(clippy::float_cmp, reason = "values must be equal to the bit")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use evenkeel::env::NavEnv;
use evenkeel::eval::{EvalOptions, evaluate};
use evenkeel::planners;
use evenkeel::proto::Message as _;
use evenkeel::recording::messages::{PolicyIdentity, RecordingHeader, RobotStep};
use evenkeel::recording::{
    HeldOutEpisodes, RecordError, RecordedEpisode, RecordingEnd, RecordingReader, RecordingWriter,
    ReplayMismatch, record_episodes, verify, write_table,
};
use evenkeel::scenario::{self, Scenario};
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;
use evenkeel::table::TableFormat;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use crate::helpers::text;

pub(crate) fn header(scenario: &Scenario, seed: u64) -> RecordingHeader {
    let policy = PolicyIdentity {
        name: "planner:test".into(),
        ..PolicyIdentity::default()
    };
    RecordingHeader::of(scenario, policy, seed, evenkeel::build())
}

/// Records the first held-out episodes of a planner.
pub(crate) fn record(
    path: &Path,
    name: &str,
    planner: &str,
    episodes: u64,
    seed: u64,
) -> Arc<Scenario> {
    let scenario = crate::helpers::scenario(name, &[]);
    let mut controller = planners::by_name(planner, &scenario, seed).unwrap();
    let mut writer = RecordingWriter::create(path, &header(&scenario, seed)).unwrap();
    let options = HeldOutEpisodes { episodes, seed };
    record_episodes(
        &scenario,
        controller.as_mut(),
        &options,
        &mut writer,
        &mut |_| true,
    )
    .unwrap();
    let written = writer.finish().unwrap();
    assert_eq!(written.bytes, fs::metadata(path).unwrap().len());
    scenario
}

/// A small recording of two short episodes, as bytes.
fn small_recording() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.mcap");
    record(&path, "movers", "straight", 2, 3);
    fs::read(path).unwrap()
}

pub(crate) fn episodes(reader: &mut RecordingReader) -> Vec<RecordedEpisode> {
    std::iter::from_fn(|| reader.next_episode().unwrap()).collect()
}

pub(crate) fn differences(path: &Path) -> Vec<ReplayMismatch> {
    let mut found = Vec::new();
    let mut reader = RecordingReader::open(path).unwrap();
    verify(&mut reader, &mut |_, difference| found.extend(difference)).unwrap();
    found
}

/// Copies a recording with changed messages.
pub(crate) fn rewrite(from: &Path, to: &Path, mut change: impl FnMut(&str, &mut Vec<u8>)) {
    let bytes = fs::read(from).unwrap();
    let mut writer = mcap::WriteOptions::new()
        .create(fs::File::create(to).unwrap())
        .unwrap();
    for message in mcap::MessageStream::new(&bytes).unwrap() {
        let mut message = message.unwrap();
        let mut data = message.data.into_owned();
        change(&message.channel.topic, &mut data);
        message.data = data.into();
        writer.write(&message).unwrap();
    }
    writer.finish().unwrap();
}

pub(crate) fn change_step(data: &mut Vec<u8>, change: impl FnOnce(&mut RobotStep)) {
    let mut step = RobotStep::decode(data).unwrap();
    change(&mut step);
    data.clear();
    step.encode(data);
}

#[test]
fn recording_holds_the_episodes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let scenario = record(&path, "movers", "dwa", 3, 5);
    let mut reader = RecordingReader::open(&path).unwrap();
    assert_eq!(*reader.header(), header(&scenario, 5));
    let found = episodes(&mut reader);
    assert_eq!(reader.end(), Some(&RecordingEnd::Complete));

    let mut planner = planners::by_name("dwa", &scenario, 5).unwrap();
    let options = EvalOptions {
        seed: 5,
        ..EvalOptions::for_report("", 3)
    };
    let report = evaluate(&scenario, planner.as_mut(), &options).unwrap();
    let mut env = NavEnv::new(scenario.clone(), 5, Split::Eval, 0).unwrap();
    let dt_secs = scenario.spec.task.control_step_secs;
    let mut snapshot = WorldSnapshot::default();
    let mut observation = vec![0.0; env.obs_layout().dim()];
    for (episode, row) in found.iter().zip(&report.episodes) {
        // The episodes are the held-out episodes of evaluations.
        let end = episode.end.as_ref().unwrap();
        assert_eq!(end.outcome, row.outcome.name());
        assert_eq!((end.episode, end.steps), (row.episode, row.length));
        assert_eq!(end.episodic_return, row.episodic_return);
        assert_eq!(episode.episodic_return(), row.episodic_return);

        env.reset(end.episode);
        env.snapshot(&mut snapshot);
        assert_eq!(episode.snapshot(0, dt_secs).unwrap(), snapshot);
        for (index, step) in episode.steps.iter().enumerate() {
            env.observe(&mut observation);
            assert_eq!(step.observation, observation);
            let result = env.step(&step.action);
            env.snapshot(&mut snapshot);
            assert_eq!(episode.snapshot(index + 1, dt_secs).unwrap(), snapshot);
            assert_eq!(step.reward, result.reward);
            assert_eq!(step.reward_terms, result.terms[..5]);
            assert!(step.value.is_nan() && step.action_mean.is_empty());
        }
        assert!(episode.snapshot(episode.steps.len() + 1, dt_secs).is_none());
    }
    assert_eq!(found.len(), 3);
}

#[test]
fn every_shipped_scenario_is_reproduced_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    for shipped in scenario::shipped_scenarios() {
        let path = folder.path().join("a.mcap");
        record(&path, shipped.name, "random", 2, 1);
        assert_eq!(differences(&path), [], "{}", shipped.name);
    }
}

#[test]
fn changed_action_is_detected_in_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let (path, changed) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    record(&path, "reference", "straight", 3, 0);
    for (episode, step) in [(0, 1), (1, 7), (2, 20)] {
        rewrite(&path, &changed, |topic, data| {
            if topic == "/step" {
                change_step(data, |found| {
                    if (found.episode, found.step) == (episode, step) {
                        found.action[1] = -found.action[1] + 0.5;
                    }
                });
            }
        });
        let found = differences(&changed);
        assert_eq!(found.len(), 1, "the other episodes are unchanged");
        assert_eq!((found[0].episode, found[0].step), (episode, step));
    }
    rewrite(&path, &changed, |_, _| {});
    assert_eq!(differences(&changed), []);
}

#[test]
fn other_changes_are_detected() {
    let folder = tempfile::tempdir().unwrap();
    let (path, changed) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    record(&path, "reference", "straight", 1, 0);
    let found = |change: fn(&mut RobotStep)| {
        rewrite(&path, &changed, |topic, data| {
            if topic == "/step" {
                change_step(data, |step| {
                    if step.step == 5 {
                        change(step);
                    }
                });
            }
        });
        differences(&changed)[0].to_string()
    };
    let messages = [
        found(|step| step.observation[3] += 1e-7),
        found(|step| step.reward_terms[0] = -0.0),
        found(|step| step.outcome = "goal".into()),
        found(|step| step.action.clear()),
        found(|step| step.state_hash ^= 1),
    ];
    insta::assert_snapshot!(messages.join("\n"), @r"
    episode 0 differs from step 4 on: the robot's observation differs
    episode 0 differs from step 5 on: the reward differs
    episode 0 differs from step 5 on: the outcome differs
    episode 0 differs from step 5 on: the robot's action has another length
    episode 0 differs from step 5 on: the state of the robot or of a mover differs
    ");
}

/// Reads a recording to its end. Returns the number of steps of each episode, and how the file ends.
fn read(path: &Path) -> Result<(Vec<usize>, RecordingEnd), RecordError> {
    let mut reader = RecordingReader::open(path)?;
    let mut steps = Vec::new();
    while let Some(episode) = reader.next_episode()? {
        steps.push(episode.steps.len());
    }
    let ending = reader.end().expect("it was read to its end").clone();
    Ok((steps, ending))
}

#[test]
fn truncated_file_is_read_up_to_its_last_chunk() {
    let bytes = small_recording();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.mcap");
    fs::write(&path, &bytes).unwrap();
    let (whole, _) = read(&path).unwrap();
    let mut before = 0;
    let mut lengths: Vec<usize> = (0..bytes.len()).step_by(1009).collect();
    lengths.extend(bytes.len() - 300..bytes.len());
    for length in lengths {
        fs::write(&path, &bytes[..length]).unwrap();
        let steps = match read(&path) {
            Ok((steps, ending)) => {
                assert!(matches!(ending, RecordingEnd::Truncated(_)), "at {length}");
                assert!(steps.iter().zip(&whole).all(|(cut, whole)| cut <= whole));
                steps.iter().sum()
            }
            Err(RecordError::NotARecording { .. }) => 0,
            Err(error) => panic!("at {length}: {error}"),
        };
        assert!(steps >= before, "at {length} less than before");
        before = steps;
    }
    assert_eq!(
        before,
        whole.iter().sum::<usize>(),
        "only the index is missing"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_never_panic(
        raw in prop::collection::vec(any::<u8>(), 0..600),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        thread_local! {
            static SMALL_RECORDING: Vec<u8> = small_recording();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        let try_bytes = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(&path).ok();
        };
        try_bytes(&raw);
        try_bytes(&[mcap::MAGIC, &raw].concat());
        SMALL_RECORDING.with(|small_recording| {
            let mut broken = small_recording.clone();
            for (place, byte) in &places {
                broken[place.index(small_recording.len())] = *byte;
            }
            try_bytes(&broken);
            // Near the start of the file, where the records' lengths are.
            let mut broken = small_recording.clone();
            for (place, byte) in places {
                broken[place.index(400)] = byte;
            }
            try_bytes(&broken);
        });
    }
}

#[test]
fn arbitrary_messages_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (path, changed) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    fs::write(&path, small_recording()).unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..64 {
        let garbage = prop::collection::vec(any::<u8>(), 0..40);
        let (at, garbage) = (0..200_u32, garbage)
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let mut count = 0;
        rewrite(&path, &changed, |_, data| {
            count += 1;
            if count == at {
                let middle = data.len() / 2;
                data.splice(middle.., garbage.iter().copied());
            }
        });
        read(&changed).ok();
        if let Ok(mut reader) = RecordingReader::open(&changed) {
            verify(&mut reader, &mut |_, _| {}).ok();
        }
        if let Ok(mut reader) = RecordingReader::open(&changed) {
            write_table(&mut reader, TableFormat::Csv, Vec::new()).ok();
        }
    }
}

#[test]
fn invalid_recording_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let error_for = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        RecordingReader::open(&path).err().unwrap().to_string()
    };
    let mut other = Vec::new();
    let mut writer = mcap::Writer::new(std::io::Cursor::new(&mut other)).unwrap();
    let channel = writer.add_channel(0, "/elsewhere", "json", &BTreeMap::new());
    let header = mcap::records::MessageHeader {
        channel_id: channel.unwrap(),
        sequence: 0,
        log_time: 0,
        publish_time: 0,
    };
    writer.write_to_known_channel(&header, b"{}").unwrap();
    writer.finish().unwrap();
    drop(writer);
    let small_recording = small_recording();
    let newer = folder.path().join("newer.mcap");
    fs::write(&path, &small_recording).unwrap();
    rewrite(&path, &newer, |topic, data| {
        if topic == "/recording" {
            let mut header = RecordingHeader::decode(data).unwrap();
            header.format = 9;
            header.build.as_mut().unwrap().program_crc32c = 0xa_bcde;
            header.build.as_mut().unwrap().target = "plan9 vax".into();
            header.build.as_mut().unwrap().libtorch.clear();
            data.clear();
            header.encode(data);
        }
    });
    let newer = fs::read(newer).unwrap();
    let all = [
        error_for(b""),
        error_for(b"Dear diary,"),
        error_for(&other),
        error_for(&small_recording[..40]),
        error_for(&newer),
        RecordingReader::open(folder.path())
            .err()
            .unwrap()
            .to_string(),
    ];
    let all = all.join("\n");
    insta::assert_snapshot!(all.replace(folder.path().to_str().unwrap(), "DIR"));
    let missing = RecordingReader::open(&folder.path().join("none.mcap"))
        .err()
        .unwrap();
    assert!(
        missing.to_string().contains("none.mcap: No such file"),
        "{missing}"
    );
}

#[test]
fn older_recording_is_kept_until_the_new_one_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let scenario = record(&path, "open_field", "straight", 1, 0);
    let old = fs::read(&path).unwrap();
    let writer = RecordingWriter::create(&path, &header(&scenario, 1)).unwrap();
    let busy = RecordingWriter::create(&path, &header(&scenario, 1))
        .err()
        .unwrap();
    assert!(matches!(busy, RecordError::Busy { .. }), "{busy}");
    assert_eq!(fs::read(&path).unwrap(), old);
    assert!(folder.path().join("a.unfinished.mcap").exists());
    writer.finish().unwrap();
    assert_ne!(fs::read(&path).unwrap(), old);
    assert!(!folder.path().join("a.unfinished.mcap").exists());
}

#[test]
fn recording_is_deterministic() {
    assert_eq!(small_recording(), small_recording());
}

#[test]
fn table_has_exact_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    record(&path, "movers", "straight", 2, 0);
    let mut csv = Vec::new();
    let rows = write_table(
        &mut RecordingReader::open(&path).unwrap(),
        TableFormat::Csv,
        &mut csv,
    )
    .unwrap();
    let mut lines = text(&csv)
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    insta::assert_snapshot!(head[..28].join(" "), @"episode robot step time_secs inactive x_m y_m heading_rad speed_mps side_speed_mps turn_rate_radps clearance_m contact reward reward_progress reward_goal reward_collision reward_time reward_clearance outcome value action_speed action_turn_rate action_mean_speed action_mean_turn_rate action_std_speed action_std_turn_rate obs_lidar_0");
    let column = |name: &str| head.iter().position(|column| *column == name).unwrap();
    let steps: Vec<RobotStep> = episodes(&mut RecordingReader::open(&path).unwrap())
        .into_iter()
        .flat_map(|episode| episode.steps)
        .collect();
    assert_eq!(rows as usize, steps.len());
    for (line, step) in lines.zip(&steps) {
        assert_eq!(line.len(), head.len());
        let state = step.state.as_ref().unwrap();
        for (name, number) in [
            ("x_m", state.x_m),
            ("clearance_m", state.clearance_m),
            ("reward", step.reward),
            ("reward_progress", step.reward_terms[0]),
            ("action_turn_rate", step.action[1]),
            ("obs_lidar_0", step.observation[0]),
        ] {
            let written: f32 = line[column(name)].parse().unwrap();
            assert_eq!(written.to_bits(), number.to_bits(), "{name}");
        }
        assert_eq!(line[column("outcome")], step.outcome);
        assert_eq!(line[column("value")], "");
    }
}

#[test]
fn a_folder_is_not_replaced_by_a_recording() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::create_dir(&path).unwrap();
    let scenario = crate::helpers::scenario("movers", &[]);
    let error = RecordingWriter::create(&path, &header(&scenario, 1))
        .err()
        .unwrap();
    assert!(error.to_string().contains("is not a file"), "{error}");
}
