//! Recordings: written, read again, played again, cut off, tampered with.

#![allow(
    clippy::float_cmp,
    reason = "what is compared is to be the same to the bit"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use evenkeel::env::NavEnv;
use evenkeel::eval::{EvalOptions, evaluate};
use evenkeel::planners;
use evenkeel::recording::messages::{PolicyIdentity, RecordingHeader, RobotStep};
use evenkeel::recording::proto::Message as _;
use evenkeel::recording::{
    RecordError, RecordOptions, RecordedEpisode, RecordingEnd, RecordingReader, RecordingWriter,
    ReplayMismatch, record_episodes, verify, write_csv,
};
use evenkeel::scenario::{self, Scenario};
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

pub(crate) fn evenkeel(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(args).stdin(Stdio::null());
    command
}

fn output(args: &[&str]) -> Output {
    evenkeel(args).output().expect("the program starts")
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

fn scenario(name: &str) -> Arc<Scenario> {
    Arc::new(scenario::resolve(name, &[]).unwrap())
}

pub(crate) fn header(scenario: &Scenario, seed: u64) -> RecordingHeader {
    let policy = PolicyIdentity {
        name: "planner:test".into(),
        ..PolicyIdentity::default()
    };
    RecordingHeader::of(scenario, policy, seed, evenkeel::build())
}

/// Records a driver's first episodes.
fn recorded(path: &Path, name: &str, planner: &str, episodes: u64, seed: u64) -> Arc<Scenario> {
    let scenario = scenario(name);
    let mut controller = planners::by_name(planner, &scenario, seed).unwrap();
    let mut writer = RecordingWriter::create(path, &header(&scenario, seed)).unwrap();
    let options = RecordOptions { episodes, seed };
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
fn small() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.mcap");
    recorded(&path, "movers", "straight", 2, 3);
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

/// Writes a recording again, its messages changed.
pub(crate) fn rewritten(from: &Path, to: &Path, mut change: impl FnMut(&str, &mut Vec<u8>)) {
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

pub(crate) fn changed_step(data: &mut Vec<u8>, change: impl FnOnce(&mut RobotStep)) {
    let mut step = RobotStep::decode(data).unwrap();
    change(&mut step);
    data.clear();
    step.encode(data);
}

#[test]
fn what_is_read_is_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let scenario = recorded(&path, "movers", "dwa", 3, 5);
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
    let mut frame = WorldSnapshot::default();
    let mut observation = vec![0.0; env.obs_layout().dim()];
    for (episode, row) in found.iter().zip(&report.episodes) {
        // The episodes are those that evaluations report on.
        let end = episode.end.as_ref().unwrap();
        assert_eq!(end.outcome, row.outcome.name());
        assert_eq!((end.episode, end.steps), (row.episode, row.length));
        assert_eq!(end.episodic_return, row.episodic_return);
        assert_eq!(episode.episodic_return(), row.episodic_return);

        env.reset(end.episode);
        env.snapshot(&mut frame);
        assert_eq!(episode.snapshot(0, dt_secs).unwrap(), frame);
        for (index, step) in episode.steps.iter().enumerate() {
            env.observe(&mut observation);
            assert_eq!(step.observation, observation);
            let taken = env.step(&step.action);
            env.snapshot(&mut frame);
            assert_eq!(episode.snapshot(index + 1, dt_secs).unwrap(), frame);
            assert_eq!(step.reward, taken.reward);
            assert_eq!(step.reward_terms, taken.terms);
            assert!(step.value.is_nan() && step.action_mean.is_empty());
        }
        assert!(episode.snapshot(episode.steps.len() + 1, dt_secs).is_none());
    }
    assert_eq!(found.len(), 3);
}

#[test]
fn every_shipped_scenario_is_played_again_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    for shipped in scenario::shipped_scenarios() {
        let path = folder.path().join("a.mcap");
        recorded(&path, shipped.name, "random", 2, 1);
        assert_eq!(differences(&path), [], "{}", shipped.name);
    }
}

#[test]
fn a_changed_action_is_found_in_its_step() {
    let folder = tempfile::tempdir().unwrap();
    let (path, changed) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    recorded(&path, "reference", "straight", 3, 0);
    for (episode, step) in [(0, 1), (1, 7), (2, 20)] {
        rewritten(&path, &changed, |topic, data| {
            if topic == "/step" {
                changed_step(data, |found| {
                    if (found.episode, found.step) == (episode, step) {
                        found.action[1] = -found.action[1] + 0.5;
                    }
                });
            }
        });
        let found = differences(&changed);
        assert_eq!(found.len(), 1, "the other episodes are as they were");
        assert_eq!((found[0].episode, found[0].step), (episode, step));
    }
    rewritten(&path, &changed, |_, _| {});
    assert_eq!(differences(&changed), []);
}

#[test]
fn what_else_was_changed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (path, changed) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    recorded(&path, "reference", "straight", 1, 0);
    let found = |change: fn(&mut RobotStep)| {
        rewritten(&path, &changed, |topic, data| {
            if topic == "/step" {
                changed_step(data, |step| {
                    if step.step == 5 {
                        change(step);
                    }
                });
            }
        });
        differences(&changed)[0].to_string()
    };
    let told = [
        found(|step| step.observation[3] += 1e-7),
        found(|step| step.reward_terms[0] = -0.0),
        found(|step| step.outcome = "goal".into()),
        found(|step| step.action.clear()),
        found(|step| step.state_hash ^= 1),
    ];
    insta::assert_snapshot!(told.join("\n"), @r"
    episode 0 differs from step 4 on: the robot sees something else
    episode 0 differs from step 5 on: the reward is another
    episode 0 differs from step 5 on: the episode ends otherwise
    episode 0 differs from step 5 on: the robot's action is of another length
    episode 0 differs from step 5 on: the robot or a mover is elsewhere
    ");
}

/// Reads as much as there is: the numbers of steps of each episode, and how it ends.
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
fn a_file_cut_off_anywhere_is_read_up_to_the_last_whole_chunk() {
    let bytes = small();
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
    fn any_bytes_are_read_or_refused(
        raw in prop::collection::vec(any::<u8>(), 0..600),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        thread_local! {
            static SMALL: Vec<u8> = small();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mcap");
        let try_bytes = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(&path).ok();
        };
        try_bytes(&raw);
        try_bytes(&[mcap::MAGIC, &raw].concat());
        SMALL.with(|small| {
            let mut broken = small.clone();
            for (place, byte) in &places {
                broken[place.index(small.len())] = *byte;
            }
            try_bytes(&broken);
            // In front, where the lengths of records are.
            let mut broken = small.clone();
            for (place, byte) in places {
                broken[place.index(400)] = byte;
            }
            try_bytes(&broken);
        });
    }
}

#[test]
fn messages_of_any_bytes_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, changed) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    fs::write(&path, small()).unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..64 {
        let junk = prop::collection::vec(any::<u8>(), 0..40);
        let (at, junk) = (0..200_u32, junk).new_tree(&mut runner).unwrap().current();
        let mut count = 0;
        rewritten(&path, &changed, |_, data| {
            count += 1;
            if count == at {
                let middle = data.len() / 2;
                data.splice(middle.., junk.iter().copied());
            }
        });
        read(&changed).ok();
        if let Ok(mut reader) = RecordingReader::open(&changed) {
            verify(&mut reader, &mut |_, _| {}).ok();
        }
        if let Ok(mut reader) = RecordingReader::open(&changed) {
            write_csv(&mut reader, &mut Vec::new()).ok();
        }
    }
}

#[test]
fn a_file_that_is_no_recording_gets_one_clear_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let told = |bytes: &[u8]| {
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
    let small = small();
    let newer = folder.path().join("newer.mcap");
    fs::write(&path, &small).unwrap();
    rewritten(&path, &newer, |topic, data| {
        if topic == "/recording" {
            let mut about = RecordingHeader::decode(data).unwrap();
            about.format = 9;
            about.build.as_mut().unwrap().program_crc32c = 0xa_bcde;
            about.build.as_mut().unwrap().target = "plan9 vax".into();
            about.build.as_mut().unwrap().libtorch.clear();
            data.clear();
            about.encode(data);
        }
    });
    let newer = fs::read(newer).unwrap();
    let all = [
        told(b""),
        told(b"Dear diary,"),
        told(&other),
        told(&small[..40]),
        told(&newer),
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
fn an_older_recording_stays_until_the_new_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let scenario = recorded(&path, "open_field", "straight", 1, 0);
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
fn a_recording_is_the_same_file_each_time() {
    assert_eq!(small(), small());
}

#[test]
fn a_table_has_every_number_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    recorded(&path, "movers", "straight", 2, 0);
    let mut csv = Vec::new();
    let rows = write_csv(&mut RecordingReader::open(&path).unwrap(), &mut csv).unwrap();
    let mut lines = text(&csv)
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    insta::assert_snapshot!(head[..28].join(" "), @"episode robot step time_secs waits x_m y_m heading_rad speed_mps side_speed_mps turn_rate_radps clearance_m contact reward reward_progress reward_goal reward_collision reward_time reward_clearance outcome value action_speed action_turn_rate action_mean_speed action_mean_turn_rate action_std_speed action_std_turn_rate obs_lidar_0");
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

fn recorded_by_the_program(folder: &Path) -> PathBuf {
    let path = folder.join("a.mcap");
    let args = [
        "record",
        "planner:straight",
        "--scenario",
        "movers",
        "--episodes",
        "3",
        "--out",
    ];
    let output = evenkeel(&args).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("evenkeel replay"),
        "{}",
        text(&output.stdout)
    );
    path
}

#[test]
fn the_program_records_lists_compares_and_exports() {
    let folder = tempfile::tempdir().unwrap();
    let path = recorded_by_the_program(folder.path());
    let file = path.to_str().unwrap();
    let listing = output(&["replay", file, "--json"]);
    let listing: serde_json::Value = serde_json::from_slice(&listing.stdout).unwrap();
    assert_eq!(listing["policy"], "planner:straight");
    assert_eq!(listing["episodes"].as_array().unwrap().len(), 3);
    assert!(listing["cut_off"].is_null());
    let same = output(&["replay", file, "--verify"]);
    assert!(same.status.success() && text(&same.stdout).contains("bit for bit"));

    let changed = folder.path().join("b.mcap");
    rewritten(&path, &changed, |topic, data| {
        if topic == "/step" {
            changed_step(data, |step| {
                if (step.episode, step.step) == (1, 4) {
                    step.action[0] = 0.125;
                }
            });
        }
    });
    let differs = output(&["replay", changed.to_str().unwrap(), "--verify"]);
    assert_eq!(differs.status.code(), Some(1));
    let told = text(&differs.stdout);
    assert!(told.contains("episode 1 differs from step 4 on"), "{told}");
    assert!(told.contains("recorded by evenkeel") && told.contains("simulated by evenkeel"));

    let exported = output(&["export", file, "--format", "csv"]);
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    let csv = fs::read_to_string(folder.path().join("a.csv")).unwrap();
    let steps: u64 = listing["episodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|episode| episode["steps"].as_u64().unwrap())
        .sum();
    assert_eq!(csv.lines().count() as u64, steps + 1);
}

/// What a kill in the middle of it leaves is read, and plays again.
#[cfg(unix)]
#[test]
fn a_killed_recording_is_read_up_to_its_last_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let unfinished = folder.path().join("a.unfinished.mcap");
    let args = [
        "record",
        "planner:straight",
        "--scenario",
        "movers",
        "--episodes",
        "10000000",
    ];
    let mut child = evenkeel(&args)
        .arg("--out")
        .arg(&path)
        .spawn()
        .expect("the program starts");
    let length = || fs::metadata(&unfinished).map_or(0, |file| file.len());
    while length() < 1_000_000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!path.exists(), "only what is whole has the name");
    let mut reader = RecordingReader::open(&unfinished).unwrap();
    let found = episodes(&mut reader);
    let steps: usize = found.iter().map(|episode| episode.steps.len()).sum();
    assert!(steps > 100, "{steps} steps");
    assert_eq!(differences(&unfinished), []);
    let listing = output(&["replay", unfinished.to_str().unwrap()]);
    assert!(listing.status.success());
    assert!(
        text(&listing.stdout).contains("cut off"),
        "{}",
        text(&listing.stdout)
    );
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_holds_what_csv_does() {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    let folder = tempfile::tempdir().unwrap();
    let path = recorded_by_the_program(folder.path());
    let out = folder.path().join("steps.parquet");
    let args = [
        "export",
        path.to_str().unwrap(),
        "--format",
        "parquet",
        "--out",
    ];
    let exported = evenkeel(&args).arg(&out).output().unwrap();
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    let reader = SerializedFileReader::new(fs::File::open(out).unwrap()).unwrap();
    let steps: Vec<RobotStep> = episodes(&mut RecordingReader::open(&path).unwrap())
        .into_iter()
        .flat_map(|episode| episode.steps)
        .collect();
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), steps.len());
    for (row, step) in rows.iter().zip(&steps) {
        assert_eq!(row.get_long(0).unwrap() as u64, step.episode);
        let of = |name: &str| {
            row.get_column_iter()
                .find(|(column, _)| *column == name)
                .unwrap()
                .1
        };
        assert_eq!(of("outcome").to_string(), format!("{:?}", step.outcome));
        assert_eq!(of("value").to_string(), "null");
        let number = |name: &str| of(name).to_string().parse::<f32>().unwrap();
        assert_eq!(number("x_m"), step.state.as_ref().unwrap().x_m);
        assert_eq!(number("obs_lidar_3"), step.observation[3]);
    }
}
