//! Recordings of several robots: they hold each robot's steps, are reproduced bit for bit, differences
//! name the robot, and MCAP viewers can show them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use evenkeel::env::{Controller, NavEnv, PolicyPrediction, TeamController};
use evenkeel::eval::{EvalOptions, evaluate};
use evenkeel::planners;
use evenkeel::proto::Message as _;
use evenkeel::recording::foxglove::{FrameTransforms, LaserScan, SceneUpdate};
use evenkeel::recording::messages::{EpisodeBegin, RecordingHeader, RobotStep};
use evenkeel::recording::{
    HeldOutEpisodes, RecordedEpisode, RecordingEnd, RecordingReader, RecordingWriter,
    record_episodes, write_table,
};
use evenkeel::scenario::Scenario;
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;
use evenkeel::table::TableFormat;

use super::swap;
use crate::helpers::{evenkeel, text};
use crate::recordings::{change_step, differences, episodes, header, rewrite};

const SEED: u64 = 5;
const ROBOTS: usize = 3;

/// Three robots with noisy lidars and a mover.
fn noisy_scenario() -> Arc<Scenario> {
    swap(&[
        "robot.count=3",
        "robot.lidar.range_noise_m=0.02",
        "movers=[{ bouncing = { count = 1, radius_m = 0.2, speed_mps = 0.5 } }]",
    ])
}

/// `planner:orca` drives the first robot, `planner:straight` the two others.
fn team(scenario: &Arc<Scenario>) -> TeamController {
    let named = |name: &str| planners::by_name(name, scenario, SEED).unwrap();
    TeamController::new(named("orca"), named("straight"), ROBOTS)
}

/// Records the first episodes.
fn record(path: &Path, scenario: &Arc<Scenario>, controller: &mut dyn Controller, count: u64) {
    let mut writer = RecordingWriter::create(path, &header(scenario, SEED)).unwrap();
    let options = HeldOutEpisodes {
        episodes: count,
        seed: SEED,
    };
    record_episodes(scenario, controller, &options, &mut writer, &mut |_| true).unwrap();
    writer.finish().unwrap();
}

/// Reads the messages of a topic.
fn messages<M: evenkeel::proto::Message>(path: &Path, topic: &str) -> Vec<M> {
    let bytes = fs::read(path).unwrap();
    mcap::MessageStream::new(&bytes)
        .unwrap()
        .map(Result::unwrap)
        .filter(|message| message.channel.topic == topic)
        .map(|message| M::decode(&message.data).unwrap())
        .collect()
}

#[test]
fn recording_holds_every_robot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let scenario = noisy_scenario();
    record(&path, &scenario, &mut team(&scenario), 4);
    assert_eq!(differences(&path), []);
    let mut reader = RecordingReader::open(&path).unwrap();
    assert_eq!(*reader.header(), header(&scenario, SEED));
    assert_eq!(reader.header().robot_count(), ROBOTS);
    let found = episodes(&mut reader);
    assert_eq!(reader.end(), Some(&RecordingEnd::Complete));

    let options = EvalOptions {
        seed: SEED,
        ..EvalOptions::for_report("", 4)
    };
    let report = evaluate(&scenario, &mut team(&scenario), &options).unwrap();
    let mut env = NavEnv::new(scenario.clone(), SEED, Split::Eval, 0).unwrap();
    let dt_secs = scenario.spec.task.control_step_secs;
    let mut frame = WorldSnapshot::default();
    let mut seen = vec![0.0; env.obs_layout().dim()];
    let mut inactive_steps = 0;
    for (episode, rows) in found.iter().zip(report.episodes.chunks_exact(ROBOTS)) {
        let end = episode.end.as_ref().unwrap();
        let outcomes: Vec<&str> = rows.iter().map(|row| row.outcome.name()).collect();
        assert_eq!(end.outcomes, outcomes);
        assert_eq!(
            end.goals_reached(),
            Some(outcomes.iter().filter(|name| **name == "goal").count())
        );
        let mean = rows.iter().map(|row| row.episodic_return).sum::<f64>() / ROBOTS as f64;
        assert!((end.episodic_return - mean).abs() < 1e-12);
        assert!((episode.episodic_return() - mean).abs() < 1e-9);
        for (robot, row) in rows.iter().enumerate() {
            assert_eq!(episode.active_steps(robot).count(), row.length as usize);
        }

        env.reset(end.episode);
        env.snapshot(&mut frame);
        assert_eq!(episode.snapshot(0, dt_secs).unwrap(), frame);
        let mut steps = vec![evenkeel::env::StepResult::INACTIVE; ROBOTS];
        for index in 0..episode.length() {
            let step = episode.step(index);
            let mut actions = vec![0.0; ROBOTS * env.action_dim()];
            for (robot, one) in step.iter().enumerate() {
                assert_eq!((one.robot as usize, one.step as usize), (robot, index + 1));
                assert_eq!(one.inactive, env.outcome(robot).is_some());
                assert_eq!(one.state_hash != 0, robot == 0, "one hash per world");
                if one.inactive {
                    inactive_steps += 1;
                    assert!(one.observation.is_empty() && one.action.is_empty());
                    continue;
                }
                env.observe_robot(robot, &mut seen);
                assert_eq!(one.observation, seen);
                actions[2 * robot..2 * robot + 2].copy_from_slice(&one.action);
            }
            env.step_all(&actions, &mut steps);
            env.snapshot(&mut frame);
            assert_eq!(episode.snapshot(index + 1, dt_secs).unwrap(), frame);
            for (one, taken) in step.iter().zip(&steps).filter(|(one, _)| !one.inactive) {
                assert_eq!(
                    (one.reward, &one.reward_terms[..]),
                    (taken.reward, &taken.terms[..5])
                );
                assert_eq!(
                    one.outcome,
                    taken.outcome.map_or("", |outcome| outcome.name())
                );
            }
        }
        assert_eq!(episode.episode_outcome(), env.episode_outcome());
        assert!(episode.snapshot(episode.length() + 1, dt_secs).is_none());
    }
    assert!(
        found.len() == 4 && inactive_steps > 20,
        "{inactive_steps} inactive steps"
    );
}

#[test]
fn changed_action_of_any_robot_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    let (path, changed) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    let scenario = noisy_scenario();
    record(&path, &scenario, &mut team(&scenario), 2);
    for (episode, step, robot) in [(0, 1, 0), (0, 9, 1), (1, 1, 2), (1, 12, 2)] {
        rewrite(&path, &changed, |topic, data| {
            if topic == "/step" {
                change_step(data, |found| {
                    if (found.episode, found.step, found.robot) == (episode, step, robot) {
                        found.action[1] = if found.action[1] > 0.0 { -1.0 } else { 1.0 };
                    }
                });
            }
        });
        let found = differences(&changed);
        assert_eq!(found.len(), 1, "the other episode is unchanged");
        assert_eq!((found[0].episode, found[0].step), (episode, step));
        assert_eq!(
            found[0].message,
            format!("the state of robot {robot} differs")
        );
    }
    rewrite(&path, &changed, |_, _| {});
    assert_eq!(differences(&changed), []);
}

#[test]
fn other_changes_are_detected_and_name_the_robot() {
    let folder = tempfile::tempdir().unwrap();
    let (path, changed) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    let scenario = noisy_scenario();
    record(&path, &scenario, &mut team(&scenario), 1);
    let write = |change: fn(&mut RobotStep)| {
        rewrite(&path, &changed, |topic, data| {
            if topic == "/step" {
                change_step(data, |step| {
                    if (step.step, step.robot) == (5, 1) {
                        change(step);
                    }
                });
            }
        });
    };
    let changes: [fn(&mut RobotStep); 5] = [
        |step| step.observation[3] += 1e-7,
        |step| step.reward_terms[0] = -0.0,
        |step| step.outcome = "goal".into(),
        |step| step.action.clear(),
        |step| step.inactive = true,
    ];
    let messages = changes.map(|change| {
        write(change);
        differences(&changed)[0].to_string()
    });
    insta::assert_snapshot!(messages.join("\n"), @r"
    episode 0 differs from step 4 on: robot 1's observation differs
    episode 0 differs from step 5 on: the reward differs for robot 1
    episode 0 differs from step 5 on: the outcome differs for robot 1
    episode 0 differs from step 5 on: robot 1's action has another length
    episode 0 differs from step 4 on: robot 1 is still active
    ");
    // Steps of robots in the wrong order make the file invalid.
    write(|step| step.robot = 2);
    let mut reader = RecordingReader::open(&changed).unwrap();
    let error = reader.next_episode().unwrap_err().to_string();
    let error = error.replace(folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(error, @"DIR/b.mcap: step 5 of episode 0, robot 2 stands where step 5 of episode 0, robot 1 should; the file was changed or is another version's");
    // A scenario with another number of robots makes it invalid too.
    rewrite(&path, &changed, |topic, data| {
        if topic == "/recording" {
            let mut header = RecordingHeader::decode(data).unwrap();
            header.robots = 2;
            data.clear();
            header.encode(data);
        }
    });
    let error = RecordingReader::open(&changed)
        .unwrap()
        .environment()
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("steps of 2 robots in a scenario that has 3"),
        "{error}"
    );
}

#[test]
fn recording_of_one_robot_matches_the_older_format() {
    let folder = tempfile::tempdir().unwrap();
    let (path, older) = (folder.path().join("a.mcap"), folder.path().join("b.mcap"));
    let scenario = crate::helpers::scenario("movers", &[]);
    let mut planner = planners::by_name("straight", &scenario, SEED).unwrap();
    record(&path, &scenario, planner.as_mut(), 2);
    assert_eq!(RecordingReader::open(&path).unwrap().header().format, 1);
    // The header's number of robots is the only difference to the older format.
    rewrite(&path, &older, |topic, data| {
        if topic == "/recording" {
            let mut header = RecordingHeader::decode(data).unwrap();
            header.robots = 0;
            data.clear();
            header.encode(data);
        }
    });
    assert_eq!(differences(&older), []);
    // Compared as text, because missing predictions are NaN.
    let read = |path| format!("{:?}", episodes(&mut RecordingReader::open(path).unwrap()));
    assert!(read(&path) == read(&older));
    assert!(
        messages::<RobotStep>(&path, "/step")
            .iter()
            .all(|step| step.robot == 0 && !step.inactive)
    );
    let begins = messages::<EpisodeBegin>(&path, "/episode/begin");
    assert!(begins.iter().all(|begin| begin.others.is_empty()));
}

#[test]
fn viewers_get_messages_of_every_robot() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let scenario = noisy_scenario();
    record(&path, &scenario, &mut team(&scenario), 1);
    let frames = ["robot", "robot_1", "robot_2"];
    for message in messages::<FrameTransforms>(&path, "/tf") {
        let children = message
            .transforms
            .iter()
            .map(|one| one.child_frame_id.as_str());
        assert_eq!(children.collect::<Vec<_>>(), frames);
    }
    let scene = &messages::<SceneUpdate>(&path, "/scene")[0];
    let entities: BTreeSet<(&str, &str)> = scene
        .entities
        .iter()
        .map(|entity| (entity.id.as_str(), entity.frame_id.as_str()))
        .collect();
    for (robot, frame) in frames.into_iter().enumerate() {
        let goal = frame.replace("robot", "goal");
        assert!(
            entities.contains(&(frame, frame)) && entities.contains(&(&goal, "world")),
            "{entities:?}"
        );
        let topic = match robot {
            0 => "/scan".to_owned(),
            _ => format!("/{frame}/scan"),
        };
        let scans = messages::<LaserScan>(&path, &topic);
        assert_eq!(scans.len(), messages::<FrameTransforms>(&path, "/tf").len());
        assert!(scans.iter().all(|scan| scan.frame_id == frame), "{topic}");
    }
}

#[test]
fn table_has_a_row_per_robot_and_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let scenario = noisy_scenario();
    record(&path, &scenario, &mut team(&scenario), 2);
    let mut csv = Vec::new();
    let rows = write_table(
        &mut RecordingReader::open(&path).unwrap(),
        TableFormat::Csv,
        &mut csv,
    )
    .unwrap();
    let steps: Vec<RobotStep> = episodes(&mut RecordingReader::open(&path).unwrap())
        .into_iter()
        .flat_map(|episode| episode.steps)
        .collect();
    assert_eq!(rows as usize, steps.len());
    let mut lines = text(&csv)
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().unwrap();
    let column = |name: &str| head.iter().position(|column| *column == name).unwrap();
    for (line, step) in lines.zip(&steps) {
        assert_eq!(line.len(), head.len());
        let field = |name: &str| line[column(name)];
        assert_eq!(field("robot"), step.robot.to_string());
        assert_eq!(field("step"), step.step.to_string());
        assert_eq!(field("inactive"), u8::from(step.inactive).to_string());
        let x: f32 = field("x_m").parse().unwrap();
        assert_eq!(x, step.state.as_ref().unwrap().x_m);
        assert_eq!(field("obs_lidar_0").is_empty(), step.inactive);
    }
}

/// A controller with constant actions and a prediction.
struct ConstantPolicy;

impl Controller for ConstantPolicy {
    fn begin_episode(&mut self, _: usize, _: u64) {}

    fn act(&mut self, _: &[usize], _: &[f32], actions: &mut [f32]) {
        actions.fill(0.25);
    }

    fn predict(&mut self, envs: &[usize], _: &[f32]) -> Vec<PolicyPrediction> {
        let prediction = |&env: &usize| PolicyPrediction {
            mean: vec![0.25, 0.25],
            std: vec![0.5, 0.5],
            value: env as f32,
        };
        envs.iter().map(prediction).collect()
    }
}

#[test]
fn team_recordings_hold_each_controllers_predictions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let scenario = noisy_scenario();
    let straight = || planners::by_name("straight", &scenario, SEED).unwrap();
    for first_predicts in [true, false] {
        let mut team = if first_predicts {
            TeamController::new(Box::new(ConstantPolicy), straight(), ROBOTS)
        } else {
            TeamController::new(straight(), Box::new(ConstantPolicy), ROBOTS)
        };
        record(&path, &scenario, &mut team, 1);
        let found: Vec<RecordedEpisode> = episodes(&mut RecordingReader::open(&path).unwrap());
        for step in found[0].steps.iter().filter(|step| !step.inactive) {
            let predicts = (step.robot == 0) == first_predicts;
            assert_eq!(step.action_mean.is_empty(), !predicts);
            assert_eq!(step.action_std.is_empty(), !predicts);
            if predicts {
                assert_eq!((step.value, step.action[0]), (step.robot as f32, 0.25));
            } else {
                assert!(step.value.is_nan());
            }
        }
    }
}

#[test]
fn program_records_one_robot_among_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.mcap");
    let file = path.to_str().unwrap();
    let output = |args: &[&str]| evenkeel(args).output().unwrap();
    let args = [
        "record",
        "planner:dwa",
        "--others",
        "planner:orca",
        "--episodes",
        "2",
        "--out",
        file,
    ];
    let recorded = output(&[&args[..], &["--scenario", "swap"]].concat());
    assert!(recorded.status.success(), "{}", text(&recorded.stderr));
    let listing = output(&["replay", file, "--json"]);
    let listing: serde_json::Value = serde_json::from_slice(&listing.stdout).unwrap();
    assert_eq!(listing["policy"], "planner:dwa among planner:orca");
    assert_eq!(listing["robots"], 6);
    assert_eq!(
        listing["episodes"][1]["outcomes"].as_array().unwrap().len(),
        6
    );
    let list = output(&["replay", file, "--list"]);
    assert!(list.status.success(), "{}", text(&list.stderr));
    let same = output(&["replay", file, "--verify"]);
    assert!(
        text(&same.stdout).contains("bit for bit"),
        "{}",
        text(&same.stdout)
    );
    let table = output(&["export", file, "--format", "csv"]);
    assert!(table.status.success(), "{}", text(&table.stderr));
    let alone = output(&[&args[..], &["--scenario", "movers"]].concat());
    assert_eq!(alone.status.code(), Some(1));
    let stderr = text(&alone.stderr);
    assert!(
        stderr.contains("scenario 'movers' has one robot; leave out --others"),
        "{stderr}"
    );
}
