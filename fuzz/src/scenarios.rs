//! Targets that read scenarios and settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel::config::{Diagnostic, Document, Override};
use evenkeel::learn::{Incident, RunDefinition};
use evenkeel::runs::RunDir;
use evenkeel::scenario::Scenario;
use evenkeel::telemetry::Fanout;

use crate::settings::MAX_LINES;
use crate::{check_message, drive};

/// A scenario file.
pub(crate) fn scenario(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let scenario = match Scenario::from_text("fuzz", "fuzz.toml", &text, &[]) {
        Ok(scenario) => scenario,
        Err(error) => return check_message(&error),
    };
    let written = scenario.to_toml();
    let read = Scenario::from_text("fuzz", "fuzz.toml", &written, &[])
        .unwrap_or_else(|error| panic!("a scenario does not read back: {error}\n{written}"));
    // As text: training settings may have NaN, which differs from itself.
    assert_eq!(read.to_toml(), written, "a scenario reads back differently");
    drive::check(scenario);
}

/// The small room in which settings are tried.
pub(crate) const ROOM: &str = include_str!("../room.toml");

/// Makes a training short. An input may change these values.
const SMALL: [&str; 9] = [
    "train.num_envs=4",
    "train.horizon=8",
    "train.total_steps=64",
    "train.threads=1",
    "train.eval_every=0",
    "train.minibatches=2",
    "train.epochs=2",
    "policy.actor.hidden=[8]",
    "policy.critic.hidden=[8]",
];

/// Values for `--set`, one a line, for a short training in a small room.
pub(crate) fn settings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut changes: Vec<Override> = Vec::new();
    for line in text.lines().take(MAX_LINES) {
        match Override::parse(line) {
            Ok(change) => changes.push(change),
            Err(error) => check_message(&error),
        }
    }
    match definition(&changes) {
        Ok(definition) if is_short(&definition) => {
            let folder = tempfile::tempdir().expect("a temporary folder");
            train(&definition, folder.path());
        }
        Ok(_) => (),
        Err(error) => check_message(&error),
    }
}

/// A short training in the small room, with changes.
fn definition(changes: &[Override]) -> Result<RunDefinition, Diagnostic> {
    let small = SMALL
        .iter()
        .map(|set| Override::parse(set).expect("a valid setting"));
    let changes: Vec<Override> = small.chain(changes.iter().cloned()).collect();
    let scenario = Scenario::from_text("fuzz", "fuzz.toml", ROOM, &changes)?;
    let no_arm = Document::parse("no arm", "")?;
    RunDefinition::new(Arc::new(scenario), &no_arm, &changes, 1)
}

/// Whether training takes at most about a second.
fn is_short(definition: &RunDefinition) -> bool {
    const MAX_STEPS: u64 = 4096;
    let train = &definition.config.train;
    let policy = serde_json::to_string(&definition.config.policy).unwrap_or_default();
    // No layer has more than 99 units.
    let is_narrow = !policy
        .split(|c: char| !c.is_ascii_digit() && c != '.' && c != 'e')
        .any(|word| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_digit()));
    is_narrow
        && train.threads <= 4
        && u64::from(train.num_envs) * u64::from(train.horizon) * u64::from(train.epochs)
            <= MAX_STEPS
        && train.total_steps * u64::from(train.epochs) <= MAX_STEPS
        && (train.eval_every == 0 || train.eval_episodes <= 8)
        && definition.scenario.spec.robot[0].lidar.beams <= 64
}

/// Trains in a new run folder below `parent`, and reads everything that training has written.
///
/// # Panics
/// If something cannot be read.
fn train(definition: &RunDefinition, parent: &Path) -> Option<RunDir> {
    let text = definition.config_toml();
    let text = text.unwrap_or_else(|error| panic!("settings cannot be written: {error}"));
    if let Err(error) = Scenario::from_text("fuzz", "config.toml", &text, &[]) {
        panic!("settings do not read back: {error}");
    }
    let run = match definition.create_run("fuzz", 0, Some(&parent.join("run"))) {
        Ok(run) => run,
        Err(error) => {
            check_message(&error);
            return None;
        }
    };
    if let Err(error) = definition.train(&run, Fanout::new(), &|| false, None) {
        check_message(&error);
        return None;
    }
    run.info().expect("a readable run.json");
    run.events().expect("a readable log");
    for incident in run.incidents().expect("a readable folder") {
        Incident::load(&incident).expect("a readable incident");
    }
    Some(run)
}

/// Trains briefly with a learning rate that explodes. Returns the run folder, which is below `parent`.
pub(crate) fn trained_run(parent: &Path) -> PathBuf {
    let changes = [
        "train.learning_rate=1e6",
        "train.record_every=1",
        "train.eval_every=32",
        "train.eval_episodes=2",
        "stability.clip=[]",
    ]
    .map(|set| Override::parse(set).expect("a valid setting"));
    let definition = definition(&changes).expect("valid settings");
    let run = train(&definition, parent).expect("a training that ends");
    run.path().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_inputs_train() {
        for seed in crate::seeds("settings") {
            let text = String::from_utf8(seed).unwrap();
            let changes: Vec<Override> = text
                .lines()
                .map(|line| Override::parse(line).unwrap())
                .collect();
            let definition = definition(&changes).unwrap_or_else(|error| panic!("{error}"));
            assert!(is_short(&definition), "{text}");
        }
    }

    /// Whether an input trains.
    fn trains(input: &[u8]) -> bool {
        let text = String::from_utf8_lossy(input);
        let changes = text.lines().take(MAX_LINES).map(Override::parse);
        let changes: Result<Vec<Override>, Diagnostic> = changes.collect();
        changes.is_ok_and(|changes| definition(&changes).is_ok_and(|found| is_short(&found)))
    }

    #[test]
    fn most_mutations_of_settings_train() {
        /// Changes a byte, as libFuzzer may.
        fn flip(data: &mut [u8], size: usize, _: usize) -> usize {
            data[size / 2] ^= 5;
            size
        }
        const COUNT: u32 = 400;
        let mut count = 0;
        let mut data = vec![0; 4096];
        for start in crate::seeds("settings") {
            data[..start.len()].copy_from_slice(&start);
            let mut size = start.len();
            for seed in 0..COUNT {
                size = crate::mutate(crate::Format::Settings, &mut data, size, 4096, seed, flip);
                count += u32::from(trains(&data[..size]));
            }
        }
        let all = COUNT * crate::seeds("settings").len() as u32;
        assert!(count * 2 > all, "only {count} of {all} train");
    }
}
