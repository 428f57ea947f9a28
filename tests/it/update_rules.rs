//! Every clip, weight decay, reset, optimiser, schedule and objective option: its settings survive
//! TOML, invalid ones are refused, it trains, saves and resumes bit for bit, and it learns the tiny
//! environment. The variants come from each type's `examples()`, which lists all of them.

use evenkeel::config::Document;
use evenkeel::lab;
use evenkeel::learn::{
    AdaptiveKl, AdvantageNormaliser, Curriculum, KlPenalty, Limit, ReturnScaling, RunConfig,
    Surrogate, TinyEnv, TrainState, Trainer,
};
use evenkeel::optim::{ClipStage, Optimiser, Reset, Schedule, WeightDecay};
use evenkeel::telemetry::{Event, Sink, UpdateReport};

use crate::learning::{config, moments, run_controller_in, run_for, tiny_env, trainer};

/// A sink that keeps the reports of optimiser steps.
#[derive(Default)]
struct StepLog(Vec<UpdateReport>);

impl Sink for StepLog {
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

/// A setting under test: its place in the configuration, its name, and a configuration with it.
struct Case {
    path: &'static str,
    name: String,
    config: RunConfig,
}

/// One case per clip, weight decay, reset, optimiser and schedule, each added to the same settings.
fn cases(iterations: u64) -> Vec<Case> {
    let case = |path, name: &str, change: &dyn Fn(&mut RunConfig)| {
        let mut config = config(iterations);
        change(&mut config);
        let name = name.to_owned();
        Case { path, name, config }
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
    for reset in Reset::examples() {
        cases.push(case("stability.reset.0", reset.name(), &|config| {
            config.stability.reset = vec![reset];
        }));
    }
    for schedule in Schedule::examples() {
        cases.push(case("train.schedule", schedule.name(), &|config| {
            config.train.schedule = schedule;
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

/// Options of the objective that differ from the defaults.
fn objectives(iterations: u64) -> Vec<Case> {
    type Change = fn(&mut RunConfig);
    let options: [(&str, Change); 9] = [
        ("warmup", |config| config.train.warmup = 0.4),
        ("ratio_clip", |config| config.train.ratio_clip = Limit::Off),
        ("value_clip", |config| {
            config.train.value_clip = Limit::At(0.2);
        }),
        ("target_kl", |config| {
            config.train.target_kl = Limit::At(0.02);
        }),
        ("surrogate", |config| {
            config.train.surrogate = Surrogate::Spo;
        }),
        ("kl_penalty", |config| {
            config.train.ratio_clip = Limit::Off;
            config.train.kl_penalty = KlPenalty::Adaptive(AdaptiveKl::default());
        }),
        ("minibatch advantages", |config| {
            config.stability.normalise.advantage = AdvantageNormaliser::Minibatch;
        }),
        ("percentile returns", |config| {
            config.stability.normalise.returns = ReturnScaling::Percentile;
        }),
        ("symlog returns", |config| {
            config.stability.normalise.returns = ReturnScaling::Symlog;
        }),
    ];
    let case = |(name, change): (&str, Change)| {
        let mut config = config(iterations);
        change(&mut config);
        Case {
            path: "train",
            name: name.into(),
            config,
        }
    };
    options.map(case).into()
}

/// A learning rate that suits the tiny environment.
fn learning_rate(optimiser: &Optimiser) -> f64 {
    match optimiser {
        Optimiser::Sgd(_) => 0.05,
        Optimiser::Muon(_) => 0.02,
        Optimiser::RmsProp(_)
        | Optimiser::Adam(_)
        | Optimiser::AdamRel(_)
        | Optimiser::Spam(_)
        | Optimiser::StableSpam(_) => 3e-3,
    }
}

#[test]
fn settings_survive_toml() {
    for Case { name, config, .. } in cases(1).into_iter().chain(objectives(1)) {
        config.check().unwrap();
        let text = toml::to_string(&config).unwrap();
        let read: RunConfig = toml::from_str(&text).unwrap();
        assert_eq!(read, config, "{name}");
        let layered: RunConfig = Document::parse(&name, &text).unwrap().read().unwrap();
        assert_eq!(layered, config, "{name}");
    }
}

/// Every number of a variant, set to an invalid value, is refused with its path.
#[test]
fn invalid_numbers_are_refused_with_their_path() {
    let mut refused = 0;
    for Case { path, name, config } in cases(1) {
        let whole = toml::Value::try_from(&config).unwrap();
        // A variant without settings is a word.
        let Some(settings) = at(&mut whole.clone(), path).get(&name).cloned() else {
            continue;
        };
        for (key, value) in settings.as_table().unwrap() {
            let invalid_value: toml::Value = match value {
                toml::Value::Float(_) => f64::NAN.into(),
                toml::Value::Integer(_) => 0.into(),
                _ => continue,
            };
            let mut invalid = whole.clone();
            at(&mut invalid, path)[&name][key] = invalid_value;
            let invalid: RunConfig = invalid.try_into().unwrap();
            let error = invalid.check().expect_err(key);
            assert_eq!(error.path, format!("{path}.{name}.{key}"));
            refused += 1;
        }
    }
    assert!(refused >= 50, "only {refused} settings were tried");
}

fn at<'a>(value: &'a mut toml::Value, path: &str) -> &'a mut toml::Value {
    path.split('.')
        .fold(value, |value, segment| match segment.parse::<usize>() {
            Ok(index) => &mut value[index],
            Err(_) => &mut value[segment],
        })
}

/// The run is stopped before and after ZClip's warm-up and where resets are due, and resumed from the
/// checkpoint by a new trainer.
#[test]
fn every_variant_resumes_bit_for_bit() {
    for Case { name, config, .. } in cases(5).into_iter().chain(objectives(5)) {
        let mut uninterrupted_steps = StepLog::default();
        let mut uninterrupted = trainer(&config, 9);
        run_for(&mut uninterrupted, &mut uninterrupted_steps, None, 0);
        for stop in [1, 2, 3] {
            let folder = tempfile::tempdir().unwrap();
            let mut steps = StepLog::default();
            run_for(
                &mut trainer(&config, 9),
                &mut steps,
                Some(folder.path()),
                stop,
            );
            let checkpoint = TrainState::load(&folder.path().join("last")).unwrap();
            let mut resumed = Trainer::resume(&config, &checkpoint, TinyEnv::new(9, 64)).unwrap();
            run_for(&mut resumed, &mut steps, None, 0);
            assert!(steps.0 == uninterrupted_steps.0, "{name}: the logs differ");
            assert_eq!(resumed.parameters(), uninterrupted.parameters(), "{name}");
            let (a, b) = (resumed.state(), uninterrupted.state());
            assert_eq!(moments(&a), moments(&b), "{name}");
            assert_eq!(a.clip, b.clip, "{name}");
            assert_eq!(a.kl_penalty, b.kl_penalty, "{name}");
            assert_eq!(a.returns, b.returns, "{name}");
            assert_eq!(a.adapted_rate, b.adapted_rate, "{name}");
        }
    }
}

fn assert_learns(name: &str, config: &RunConfig) {
    let mut trainer = trainer(config, 1);
    let mut steps = StepLog::default();
    run_for(&mut trainer, &mut steps, None, 0);
    let stats = run_controller_in(tiny_env(config, 77, 50), &mut trainer.controller());
    let success = stats.success_rate().unwrap_or(0.0);
    assert!(success > 0.95, "{name} has not learned: {stats:?}");
    let length = stats.mean_length().unwrap();
    assert!(length < 14.0, "{name} is slow: {stats:?}");
}

#[test]
fn every_variant_learns_the_tiny_environment() {
    for Case { name, config, .. } in cases(25).into_iter().chain(objectives(25)) {
        assert_learns(&name, &config);
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
            // The tiny environment has no levels to choose from; see curriculum.rs.
            continue;
        }
        // Arms with one optimiser step per rollout get more iterations.
        let steps = u64::from(config.train.epochs * config.train.minibatches);
        let iterations = 30.max(60 / steps);
        config.train.total_steps = iterations * config.steps_per_iteration();
        assert_learns(&arm.name, &config);
    }
}

/// Every clip, weight decay, reset, optimiser and schedule has a built-in arm.
#[test]
fn every_variant_has_a_built_in_arm() {
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
    let resets = |name| {
        arms.iter()
            .any(|arm| arm.stability.reset.iter().any(|reset| reset.name() == name))
    };
    for reset in Reset::examples() {
        assert!(resets(reset.name()), "{}", reset.name());
    }
    for schedule in Schedule::examples() {
        let has = |arm: &RunConfig| arm.train.schedule == schedule;
        assert!(
            schedule == Schedule::Constant || arms.iter().any(has),
            "{}",
            schedule.name()
        );
    }
    for optimiser in Optimiser::examples() {
        assert!(optimises(optimiser.name()), "{}", optimiser.name());
    }
    assert!(arms.iter().any(|arm| arm.train.ratio_clip == Limit::Off));
    let has_curriculum =
        |of: fn(&Curriculum) -> bool| arms.iter().any(|arm| of(&arm.train.curriculum));
    assert!(has_curriculum(|c| matches!(c, Curriculum::Difficulty(_))));
    assert!(has_curriculum(|c| matches!(c, Curriculum::Learnability(_))));
}
