//! The first inputs of each target, made of what comes with the project.

use std::path::Path;
use std::sync::Arc;

use evenkeel::config::Override;
use evenkeel::planners;
use evenkeel::recording::messages::{PolicyIdentity, RecordingHeader};
use evenkeel::recording::{HeldOutEpisodes, RecordingWriter, record_episodes};
use evenkeel::scenario::{Scenario, shipped_scenarios};

use crate::bundle::Bundle;
use crate::scenarios::{ROOM, trained_run};

/// Returns the first inputs of a target: valid files, made by this build.
///
/// # Panics
/// If a file cannot be written.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "scenario" => shipped_scenarios()
            .iter()
            .map(|scenario| scenario.text.as_bytes().to_vec())
            .chain([ROOM.as_bytes().to_vec()])
            .collect(),
        "settings" => SETTINGS
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .collect(),
        "ros_map" => ros_maps(),
        "moving_ai" => vec![MOVING_AI.as_bytes().to_vec()],
        "sdf" => vec![SDF.as_bytes().to_vec()],
        "recording" => [&[][..], &["robot.0.count=2", "train.num_envs=2"][..]]
            .into_iter()
            .map(recording)
            .collect(),
        "run_folder" => vec![run_folder()],
        "command_line" => COMMAND_LINES
            .iter()
            .map(|line| line.replace(' ', "\n").into_bytes())
            .collect(),
        _ => Vec::new(),
    }
}

const SETTINGS: &[&str] = &[
    "train.learning_rate=0.01\ntrain.gamma=0.9\n",
    "train.optimiser={ sgd = { momentum = 0.9 } }\nstability.clip=[{ agc = {} }]\n",
    "policy.init={ normal = { std = 0.1 } }\npolicy.actor.hidden=[4, 4]\n",
    "policy.memory={ gru = { size = 4 } }\ntrain.bptt_steps=4\n",
    "train.record_every=1\ntrain.eval_every=32\ntrain.eval_episodes=2\n",
    "stability.decay=[{ decoupled = { rate = 0.01 } }]\ntrain.ratio_clip=\"off\"\n",
    "robot.0.count=2\nrobot.0.lidar.beams=4\ntask.time_limit_secs=1.0\n",
];

const COMMAND_LINES: &[&str] = &[
    "scenario check room.toml",
    "scenario show room.toml --set arena.size_m=[5.0,5.0] --out room.svg",
    "scenario list --json",
    "eval planner:pursuit --scenario room.toml --episodes 2 --seed 3",
    "record planner:dwa --scenario room.toml --episodes 1 --out room.mcap",
    "replay room.mcap --verify",
    "export room.mcap --out room.csv",
    "arms --json",
    "settings",
    "runs runs",
    "report runs --out report.html",
];

const MOVING_AI: &str = "type octile\nheight 6\nwidth 8\nmap\n@@@@@@@@\n@......@\n@..T...@\n@......@\n\
                         @......@\n@@@@@@@@\n";

const SDF: &str = r#"<?xml version="1.0"?>
<sdf version="1.6">
  <world name="default">
    <include><uri>model://ground_plane</uri></include>
    <model name="wall">
      <static>1</static>
      <pose>2 0 0.5 0 0 0.3</pose>
      <link name="link">
        <collision name="box"><geometry><box><size>0.2 4 1</size></box></geometry></collision>
        <visual name="box"><geometry><box><size>0.2 4 1</size></box></geometry></visual>
      </link>
    </model>
    <model name="pillar">
      <static>true</static>
      <link name="link">
        <pose>-1 1 0.5 0 0 0</pose>
        <collision name="c">
          <geometry><cylinder><radius>0.3</radius><length>1</length></cylinder></geometry>
        </collision>
      </link>
    </model>
  </world>
</sdf>
"#;

/// A room of 12 × 10 cells of 0.5 m, as PGM and as PNG.
fn ros_maps() -> Vec<Vec<u8>> {
    const WIDTH: usize = 12;
    const HEIGHT: usize = 10;
    let cells: Vec<u8> = (0..WIDTH * HEIGHT)
        .map(|index| {
            let (x, y) = (index % WIDTH, index / WIDTH);
            let is_wall = x == 0 || y == 0 || x == WIDTH - 1 || y == HEIGHT - 1;
            match (is_wall, x == 5 && y == 4) {
                (true, _) => 0,
                (_, true) => 205,
                _ => 254,
            }
        })
        .collect();
    let yaml = |image: &str| {
        format!(
            "image: {image}\nresolution: 0.5\norigin: [-1.0, 2.0, 0.0]\nnegate: 0\n\
             occupied_thresh: 0.65\nfree_thresh: 0.196\nmode: trinary\n"
        )
        .into_bytes()
    };
    let bundle = |image: &str, content: Vec<u8>| {
        Bundle {
            files: vec![
                ("map.yaml".to_owned(), yaml(image)),
                (image.to_owned(), content),
            ],
        }
        .to_bytes()
    };
    let mut binary = format!("P5\n# room\n{WIDTH} {HEIGHT}\n255\n").into_bytes();
    binary.extend_from_slice(&cells);
    let words: Vec<String> = cells.iter().map(ToString::to_string).collect();
    let plain = format!("P2\n{WIDTH} {HEIGHT}\n255\n{}\n", words.join(" ")).into_bytes();
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, WIDTH as u32, HEIGHT as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().expect("memory to write to");
    writer.write_image_data(&cells).expect("a whole image");
    writer.finish().expect("memory to write to");
    vec![
        bundle("map.pgm", binary),
        bundle("map.pgm", plain),
        bundle("map.png", picture),
    ]
}

/// A recording of two short episodes.
fn recording(changes: &[&str]) -> Vec<u8> {
    let changes: Vec<Override> = changes
        .iter()
        .map(|set| Override::parse(set).expect("a valid setting"))
        .collect();
    let scenario =
        Scenario::from_text("room", "room.toml", ROOM, &changes).expect("a valid scenario");
    let scenario = Arc::new(scenario);
    let mut controller = planners::by_name("random", &scenario, 1).expect("a planner");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("room.mcap");
    let policy = PolicyIdentity::default();
    let header = RecordingHeader::of(&scenario, policy, 1, evenkeel::build());
    let mut writer = RecordingWriter::create(&path, &header).expect("a writable folder");
    let options = HeldOutEpisodes {
        episodes: 2,
        seed: 1,
    };
    let mut on_episode = |_: &_| true;
    record_episodes(
        &scenario,
        controller.as_mut(),
        &options,
        &mut writer,
        &mut on_episode,
    )
    .expect("two episodes");
    writer.finish().expect("a writable folder");
    std::fs::read(&path).expect("a readable file")
}

/// The folder of a short training that explodes: log, checkpoints, recording, incident.
fn run_folder() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = trained_run(folder.path());
    Bundle::read(&run).expect("a readable folder").to_bytes()
}

/// Writes the first inputs of a target into a folder, as files named by their numbers.
///
/// # Errors
/// If a file cannot be written.
pub fn write_seeds(target: &str, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (index, seed) in seeds(target).into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed_{index:02}")), seed)?;
    }
    Ok(())
}
