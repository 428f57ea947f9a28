//! Every remedy of every family: its settings survive TOML and are refused where they are nonsense,
//! it trains, saves and resumes bit for bit, and the tiny environment is learnt under it. The lists
//! are the families' own, which hold every variant there is.

use evenkeel::config::Document;
use evenkeel::lab;
use evenkeel::learn::{Checkpoint, Curriculum, Limit, RunConfig, TinyEnv, Trainer};
use evenkeel::optim::{ClipStage, Optimiser, WeightDecay};
use evenkeel::telemetry::{Event, Sink, UpdateReport};

use crate::learning::{config, drive_in, run_for, tiny, trainer};

/// Keeps what was said of optimiser steps.
#[derive(Default)]
struct Steps(Vec<UpdateReport>);

impl Sink for Steps {
    fn record(&mut self, event: &Event) -> std::io::Result<()> {
        if let Event::Step(step) = event {
            self.0.push(step.clone());
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A setting under test: where it stands in the configuration, and the configuration with it.
struct Case {
    place: &'static str,
    name: String,
    config: RunConfig,
}

/// Every variant of every family, each alone over the same settings.
fn cases(iterations: u64) -> Vec<Case> {
    let case = |place, name: &str, change: &dyn Fn(&mut RunConfig)| {
        let mut config = config(iterations);
        change(&mut config);
        let name = name.to_owned();
        Case {
            place,
            name,
            config,
        }
    };
    let mut cases = Vec::new();
    for stage in ClipStage::examples() {
        cases.push(case("stability.clip.0", stage.name(), &|config| {
            config.stability.clip = vec![stage];
        }));
    }
    for decay in WeightDecay::examples() {
        cases.push(case("stability.decay.0", decay.name(), &|config| {
            config.stability.decay = vec![decay];
        }));
    }
    for optimiser in Optimiser::examples() {
        cases.push(case("train.optimiser", optimiser.name(), &|config| {
            config.train.optimiser = optimiser;
            config.train.learning_rate = learning_rate(&optimiser);
        }));
    }
    cases
}

/// The options of the objective that are not the default.
fn objectives(iterations: u64) -> Vec<Case> {
    type Change = fn(&mut RunConfig);
    let options: [(&str, Change); 3] = [
        ("ratio_clip", |config| config.train.ratio_clip = Limit::Off),
        ("value_clip", |config| {
            config.train.value_clip = Limit::At(0.2);
        }),
        ("target_kl", |config| {
            config.train.target_kl = Limit::At(0.02);
        }),
    ];
    let case = |(name, change): (&str, Change)| {
        let mut config = config(iterations);
        change(&mut config);
        Case {
            place: "train",
            name: name.into(),
            config,
        }
    };
    options.map(case).into()
}

/// One that suits the tiny environment.
fn learning_rate(optimiser: &Optimiser) -> f64 {
    match optimiser {
        Optimiser::Sgd(_) => 0.05,
        Optimiser::RmsProp(_) | Optimiser::Adam(_) => 3e-3,
    }
}

#[test]
fn settings_read_as_they_were_written() {
    for Case { name, config, .. } in cases(1).into_iter().chain(objectives(1)) {
        config.check().unwrap();
        let text = toml::to_string(&config).unwrap();
        let read: RunConfig = toml::from_str(&text).unwrap();
        assert_eq!(read, config, "{name}");
        let layered: RunConfig = Document::parse(&name, &text).unwrap().read().unwrap();
        assert_eq!(layered, config, "{name}");
    }
}

/// Every number of a remedy, set to nonsense, is refused under its own name.
#[test]
fn nonsense_is_refused_with_its_path() {
    let mut refused = 0;
    for Case {
        place,
        name,
        config,
    } in cases(1)
    {
        let whole = toml::Value::try_from(&config).unwrap();
        let settings = at(&mut whole.clone(), place)[&name].clone();
        for (key, value) in settings.as_table().unwrap() {
            let nonsense: toml::Value = match value {
                toml::Value::Float(_) => f64::NAN.into(),
                toml::Value::Integer(_) => 0.into(),
                _ => continue,
            };
            let mut spoilt = whole.clone();
            at(&mut spoilt, place)[&name][key] = nonsense;
            let spoilt: RunConfig = spoilt.try_into().unwrap();
            let error = spoilt.check().expect_err(key);
            assert_eq!(error.path, format!("{place}.{name}.{key}"));
            refused += 1;
        }
    }
    assert!(refused >= 20, "only {refused} settings were tried");
}

fn at<'a>(value: &'a mut toml::Value, place: &str) -> &'a mut toml::Value {
    place
        .split('.')
        .fold(value, |value, segment| match segment.parse::<usize>() {
            Ok(index) => &mut value[index],
            Err(_) => &mut value[segment],
        })
}

/// Stopped while ZClip still watches and after it has begun to act, saved, and gone on with by a
/// trainer that knows nothing but the checkpoint.
#[test]
fn a_resumed_run_equals_one_left_alone_under_every_remedy() {
    for Case { name, config, .. } in cases(5).into_iter().chain(objectives(5)) {
        let mut alone = Steps::default();
        let mut left_alone = trainer(&config, 9);
        run_for(&mut left_alone, &mut alone, None, 0);
        for stop in [1, 3] {
            let folder = tempfile::tempdir().unwrap();
            let mut steps = Steps::default();
            run_for(
                &mut trainer(&config, 9),
                &mut steps,
                Some(folder.path()),
                stop,
            );
            let saved = Checkpoint::load(&folder.path().join("last")).unwrap();
            let mut resumed = Trainer::resume(&config, &saved, TinyEnv::new(9, 64)).unwrap();
            run_for(&mut resumed, &mut steps, None, 0);
            assert!(steps.0 == alone.0, "{name}: the logs differ");
            assert_eq!(resumed.parameters(), left_alone.parameters(), "{name}");
            let (a, b) = (resumed.checkpoint(), left_alone.checkpoint());
            assert_eq!(a.moments, b.moments, "{name}");
            assert_eq!(a.policy.state.clip, b.policy.state.clip, "{name}");
        }
    }
}

fn learns(name: &str, config: &RunConfig) {
    let mut trainer = trainer(config, 1);
    let mut steps = Steps::default();
    run_for(&mut trainer, &mut steps, None, 0);
    let stats = drive_in(tiny(config, 77, 50), &mut trainer.controller());
    let success = stats.success_rate().unwrap_or(0.0);
    assert!(success > 0.95, "{name} has not learnt: {stats:?}");
    let length = stats.mean_length().unwrap();
    assert!(length < 14.0, "{name} dawdles: {stats:?}");
}

#[test]
fn every_remedy_learns_the_tiny_environment() {
    for Case { name, config, .. } in cases(25).into_iter().chain(objectives(25)) {
        learns(&name, &config);
    }
}

#[test]
fn every_built_in_arm_learns_the_tiny_environment() {
    for arm in lab::known_arms(None).unwrap() {
        let mut document = Document::from_values("settings", &config(30)).unwrap();
        document.overlay(&arm.layer);
        let mut config: RunConfig = document.read().unwrap();
        config.check().unwrap();
        if config.train.curriculum != Curriculum::Uniform {
            // It has no levels to choose from; see curriculum.rs.
            continue;
        }
        // Those that take one step for each rollout get as many steps as they need.
        let steps = u64::from(config.train.epochs * config.train.minibatches);
        let iterations = 30.max(60 / steps);
        config.train.total_steps = iterations * config.steps_per_iteration();
        learns(&arm.name, &config);
    }
}

/// Every family's every variant is an arm that can be compared by name.
#[test]
fn there_is_a_built_in_arm_for_every_remedy() {
    let arms: Vec<RunConfig> = lab::known_arms(None)
        .unwrap()
        .iter()
        .map(|arm| {
            let mut document = Document::from_values("settings", &RunConfig::default()).unwrap();
            document.overlay(&arm.layer);
            document.read().unwrap()
        })
        .collect();
    let clips = |name| {
        arms.iter()
            .any(|arm| arm.stability.clip.iter().any(|stage| stage.name() == name))
    };
    let decays = |name| {
        arms.iter()
            .any(|arm| arm.stability.decay.iter().any(|decay| decay.name() == name))
    };
    let optimises = |name| arms.iter().any(|arm| arm.train.optimiser.name() == name);
    for stage in ClipStage::examples() {
        assert!(clips(stage.name()), "{}", stage.name());
    }
    for decay in WeightDecay::examples() {
        assert!(decays(decay.name()), "{}", decay.name());
    }
    for optimiser in Optimiser::examples() {
        assert!(optimises(optimiser.name()), "{}", optimiser.name());
    }
    assert!(arms.iter().any(|arm| arm.train.ratio_clip == Limit::Off));
    let teaches = |of: fn(&Curriculum) -> bool| arms.iter().any(|arm| of(&arm.train.curriculum));
    assert!(teaches(|c| matches!(c, Curriculum::Difficulty(_))));
    assert!(teaches(|c| matches!(c, Curriculum::Learnability(_))));
}
