//! Which settings may change when a run is resumed or forked. A resumed run may change its length,
//! its speed and how often it is evaluated or saved, but nothing that changes the weights.

use serde::Serialize;
use serde_json::Value;

use super::config::CHANGEABLE_ON_RESUME;
use super::{LearnError, REMEDY_SETTINGS, RunConfig, StabilityConfig, TrainConfig};

/// Refuses settings that differ from those that the run started with in more than
/// [`CHANGEABLE_ON_RESUME`].
pub(super) fn check_resumable(
    before: &impl Serialize,
    now: &impl Serialize,
) -> Result<(), LearnError> {
    let keys = changed_settings(before, now);
    if keys.is_empty() {
        Ok(())
    } else {
        Err(LearnError::SettingsChanged { keys })
    }
}

/// Refuses settings that differ in more than [`CHANGEABLE_ON_RESUME`] and [`REMEDY_SETTINGS`]: with
/// these, the networks or the rollout of a step would have been different.
pub(super) fn check_same_run(before: &RunConfig, now: &RunConfig) -> Result<(), LearnError> {
    reject_incompatible(incompatible_settings(before, now))
}

/// The settings `own` of a run with the remedy of an arm. `arm_config` are the settings with that
/// arm, `base_config` those without any.
pub(super) fn apply_remedy(
    own: &RunConfig,
    base_config: &RunConfig,
    arm_config: &RunConfig,
) -> Result<RunConfig, LearnError> {
    let arm_keys = incompatible_settings(base_config, arm_config);
    let mut keys = incompatible_settings(own, arm_config);
    keys.retain(|key| arm_keys.contains(key));
    reject_incompatible(keys)?;
    let (train, stability) = (arm_config.train.clone(), arm_config.stability.clone());
    Ok(RunConfig {
        train: TrainConfig {
            optimiser: train.optimiser,
            learning_rate: train.learning_rate,
            surrogate: train.surrogate,
            schedule: train.schedule,
            warmup: train.warmup,
            ratio_clip: train.ratio_clip,
            kl_penalty: train.kl_penalty,
            value_clip: train.value_clip,
            entropy_coef: train.entropy_coef,
            value_coef: train.value_coef,
            ..own.train.clone()
        },
        stability: StabilityConfig {
            clip: stability.clip,
            decay: stability.decay,
            reset: stability.reset,
            guard: stability.guard,
            ..own.stability.clone()
        },
        policy: own.policy.clone(),
    })
}

/// The settings that differ, except [`CHANGEABLE_ON_RESUME`] and [`REMEDY_SETTINGS`].
fn incompatible_settings(before: &RunConfig, now: &RunConfig) -> Vec<String> {
    let mut keys = changed_settings(before, now);
    keys.retain(|key| {
        let mut remedies = REMEDY_SETTINGS.iter();
        !remedies.any(|remedy| key == remedy || key.starts_with(&format!("{remedy}.")))
    });
    keys
}

fn reject_incompatible(keys: Vec<String>) -> Result<(), LearnError> {
    if keys.is_empty() {
        Ok(())
    } else {
        Err(LearnError::NotUpdateSetting { keys })
    }
}

/// The settings that differ, except [`CHANGEABLE_ON_RESUME`].
pub(super) fn changed_settings(before: &impl Serialize, now: &impl Serialize) -> Vec<String> {
    let differences = different_settings(before, now).into_iter();
    let keys = differences.map(|(path, _, _)| path);
    keys.filter(|key| !CHANGEABLE_ON_RESUME.contains(&key.as_str()))
        .collect()
}

/// The settings that differ, each with both values; `null` where one does not have it.
pub(super) fn different_settings(
    one: &impl Serialize,
    other: &impl Serialize,
) -> Vec<(String, Value, Value)> {
    let tree = |settings: Result<Value, serde_json::Error>| {
        settings.expect("settings are tables with names for keys")
    };
    let mut found = Vec::new();
    let (one, other) = (serde_json::to_value(one), serde_json::to_value(other));
    differences(&tree(one), &tree(other), "", &mut found);
    found
}

/// The paths, as `--set` writes them, at which two trees differ, with both values. A list of values
/// is one setting.
fn differences(one: &Value, other: &Value, path: &str, found: &mut Vec<(String, Value, Value)>) {
    let difference = || (path.to_owned(), one.clone(), other.clone());
    let below = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, value) in one {
                let counterpart = other.get(key).unwrap_or(&Value::Null);
                differences(value, counterpart, &below(key), found);
            }
            for (key, value) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
                differences(&Value::Null, value, &below(key), found);
            }
        }
        (Value::Array(one), Value::Array(other))
            if one.len() == other.len() && one.iter().chain(other).all(Value::is_object) =>
        {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                differences(one, other, &below(&index.to_string()), found);
            }
        }
        (Value::Number(one), Value::Number(other)) => {
            // A number that was read from JSON may differ in its last bit.
            let equal = one
                .as_f64()
                .zip(other.as_f64())
                .is_some_and(|(a, b)| (a - b).abs() <= 4.0 * f64::EPSILON * a.abs().max(b.abs()));
            if one != other && !equal {
                found.push(difference());
            }
        }
        _ if one == other => {}
        _ => found.push(difference()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_difference_is_named_once() {
        let one = json!({"a": {"b": 1, "c": [1, 2], "d": 0.1}, "e": [{"f": 1}], "g": "x"});
        let other = json!({"a": {"b": 2, "c": [1], "d": 0.1}, "e": [{"f": 3}], "h": 1});
        let mut found = Vec::new();
        differences(&one, &other, "", &mut found);
        let found: Vec<String> = found.into_iter().map(|(path, _, _)| path).collect();
        assert_eq!(found, ["a.b", "a.c", "e.0.f", "g", "h"]);
    }

    #[test]
    fn only_settings_that_do_not_change_the_weights_may_change() {
        let before = json!({"train": {"total_steps": 1, "threads": 1, "gamma": 0.99}});
        let longer = json!({"train": {"total_steps": 9, "threads": 2, "gamma": 0.99}});
        check_resumable(&before, &longer).unwrap();
        let other = json!({"train": {"total_steps": 9, "threads": 2, "gamma": 0.9}});
        let error = check_resumable(&before, &other).unwrap_err();
        insta::assert_snapshot!(error, @"this run was started with a different `train.gamma`; only train.total_steps, train.threads, train.device, train.eval_every, train.eval_episodes, train.checkpoint_every, train.record_every may change when a run is resumed: leave the rest as it was, or start a new run");
    }
}
