//! evenkeel simulates robots that navigate in the plane, trains policies for them by policy gradients,
//! and measures, draws and explains whether that training is stable.
//!
//! This crate is the front door: it re-exports the modules of the crates under `crates/`, and holds the
//! `evenkeel` program. The [README](https://docs.rs/crate/evenkeel/latest) shows the program; this page
//! is for those who use the library.
//!
//! # Step an environment
//!
//! ```
//! use std::sync::Arc;
//! use evenkeel::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A shipped scenario by name, or the path of a TOML file.
//! let scenario = Arc::new(scenario::resolve("reference", &[])?);
//! let mut env = NavEnv::new(scenario, 0, Split::Train, 0)?;
//! let mut observation = vec![0.0; env.obs_layout().dim()];
//! let outcome = loop {
//!     env.observe(&mut observation);
//!     // Forward speed and turn rate, each a share of the robot's limit in [-1, 1].
//!     let step = env.step(&[1.0, 0.0]);
//!     if let Some(outcome) = step.outcome {
//!         break outcome;
//!     }
//! };
//! println!("{} after {} steps", outcome.name(), env.steps());
//! # Ok(())
//! # }
//! ```
//!
//! # Evaluate a controller
//!
//! A [`Controller`](env::Controller) turns observations into actions: a planner, a policy, or your own
//! type. Evaluation plays held-out episodes, which training never sees.
//!
//! ```
//! use std::sync::Arc;
//! use evenkeel::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let scenario = Arc::new(scenario::resolve("open_field", &[])?);
//! let mut planner = planners::by_name("dwa", &scenario, 0)?;
//! let options = EvalOptions::for_report("planner:dwa", 20);
//! let report = evaluate(&scenario, planner.as_mut(), &options)?;
//! assert!(report.summary.success.value > 0.9);
//! # Ok(())
//! # }
//! ```
//!
//! # Evaluate a policy by its name
//!
//! Where the program takes a POLICY (a run's folder, a checkpoint's folder, `@last`, or
//! `planner:NAME`), the library has these functions. A trained policy knows its scenario; a planner
//! needs one.
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//! use evenkeel::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = resolve_policy("planner:straight", Path::new(RUNS_FOLDER))?;
//! let scenario = Arc::new(policy_scenario(&policy, Some("open_field"), &[])?);
//! let mut controller = policy_controller(&policy, &scenario, 0, false)?;
//! let options = EvalOptions::for_report(policy.name(), 20);
//! let report = evaluate(&scenario, controller.as_mut(), &options)?;
//! println!("{}: {}", report.policy, report.summary.success.value);
//! # Ok(())
//! # }
//! ```
//!
//! # Train a policy
//!
//! ```no_run
//! # #[cfg(feature = "learn")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use evenkeel::{lab, learn::RunDefinition, scenario, telemetry::Fanout};
//!
//! let scenario = Arc::new(scenario::resolve("open_field", &[])?);
//! let arm = lab::arm("clipped", None)?;
//! let definition = RunDefinition::new(scenario, &arm.layer, &[], 0)?;
//! let run = definition.create_run(&arm.name, 1000, None)?;
//! definition.train(&run, Fanout::new(), &|| false, None)?;
//! let threads = definition.config.threads();
//! if let Some(evaluation) = lab::evaluate_run(&run, 1000, threads, &mut |_| {})? {
//!     println!("best checkpoint: {:?}", evaluation.best.summary.success);
//!     println!("last checkpoint: {:?}", evaluation.last.map(|last| last.summary.success));
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "learn"))]
//! # fn main() {}
//! ```
//!
//! # Compare arms
//!
//! A comparison trains each arm with each seed, in processes of the `evenkeel` program. Prepared again
//! with the folder of an existing comparison, it resumes or extends that one.
//!
//! ```no_run
//! # #[cfg(feature = "learn")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::atomic::AtomicBool;
//! use evenkeel::lab::{ComparisonRequest, assess, compare, read_runs};
//!
//! let request = ComparisonRequest {
//!     scenario: "open_field".into(),
//!     arms: vec!["clipped".into(), "raw".into()],
//!     out: Some("runs/clip_or_not".into()),
//!     ..ComparisonRequest::default()
//! };
//! let (mut manifest, options) = request.prepare("evenkeel".into())?;
//! compare(&mut manifest, &options, &(), &AtomicBool::new(false))?;
//! let runs = read_runs(&[options.folder])?;
//! for assessment in assess(&runs.records, &runs.order) {
//!     println!("{}: {}", assessment.scenario, assessment.verdict.headline);
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "learn"))]
//! # fn main() {}
//! ```
//!
//! # Types to know
//!
//! | type | what it is |
//! |---|---|
//! | [`Scenario`](scenario::Scenario) | a checked scenario file: room, obstacles, movers, robots, task, reward |
//! | [`NavEnv`](env::NavEnv) | one environment: reset, observe, step |
//! | [`VecEnv`](env::VecEnv) | many environments on a pool of threads, stepped into flat buffers |
//! | [`Controller`](env::Controller) | whatever turns observations into actions |
//! | [`WorldSnapshot`](sim::WorldSnapshot) | all that evaluation and drawing see of a world at one step |
//! | [`EvalReport`](eval::EvalReport) | what [`evaluate`](eval::evaluate) finds: success, SPL, clearance, …, with intervals |
//! | `RunConfig` (in `learn`) | all training settings, with their defaults |
//! | `Trainer` (in `learn`) | the training loop |
//! | [`Event`](telemetry::Event) | what training reports as it goes; a [`Sink`](telemetry::Sink) takes it |
//! | [`RunDir`](runs::RunDir) | the folder of a run: settings, log, checkpoints, evaluation |
//! | [`PolicySource`](runs::PolicySource) | a planner or a checkpoint, as the argument POLICY names it |
//! | `ComparisonRequest` (in `lab`) | a comparison to start, resume or extend |
//! | [`Scorecard`](lab::Scorecard) | arms compared over paired seeds |
//!
//! # Features
//!
//! | feature | adds | needs |
//! |---|---|---|
//! | `learn` (default) | `nn`, `optim`, `learn`: networks, optimisers, training; comparisons that train, autopsies | libtorch (`cargo xtask setup` brings it) |
//! | `bevy` | `bevy_env`: the environment as a headless Bevy plugin | |
//! | `view` | `view`: windows on simulations, recordings and training; pictures and videos without a window | a Vulkan driver (Mesa's software driver will do) |
//! | `gamepad` | driving with a gamepad | headers of libudev |
//! | `wayland` | windows on Wayland | headers of libwayland |
//! | `parquet` | recordings and logs of runs exported as Parquet | |
//!
//! # Conventions
//!
//! Lengths are metres, times seconds, angles radians counter-clockwise from +x, unless a name says
//! otherwise. Arrays are flat and row-major; their shape is in the documentation, as in `[T, N, obs]` for
//! T steps of N robots. The same seed gives the same bits on any number of threads.

pub use evenkeel_lab::{lab, report};
#[cfg(feature = "learn")]
pub use evenkeel_learn::{learn, nn, onnx, optim};
pub use evenkeel_runs::{eval, external, health, proto, recording, runs, stats, table, telemetry};
pub use evenkeel_sim::{config, env, planners, scenario, seed, sim};
#[cfg(feature = "bevy")]
pub use evenkeel_view::bevy_env;
#[cfg(feature = "view")]
pub use evenkeel_view::view;

/// What most programs import.
pub mod prelude {
    pub use crate::env::{Controller, NavEnv, Outcome, StepBuffers, VecEnv, VectorEnv};
    pub use crate::eval::{EvalOptions, EvalReport, evaluate};
    pub use crate::lab::{policy_controller, policy_scenario};
    #[cfg(feature = "learn")]
    pub use crate::learn::{RunConfig, Trainer};
    pub use crate::planners;
    pub use crate::runs::{RUNS_FOLDER, RunDir, resolve_policy};
    pub use crate::scenario::{self, Scenario};
    pub use crate::seed::Split;
    pub use crate::sim::WorldSnapshot;
    pub use crate::telemetry::{Event, Sink};
}

/// evenkeel's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The libtorch that this build was made against, as in `2.13.0+cpu`; `None` without the feature
/// `learn`.
pub const LIBTORCH_VERSION: Option<&str> = {
    #[cfg(feature = "learn")]
    let version = Some(evenkeel_learn::LIBTORCH_VERSION);
    #[cfg(not(feature = "learn"))]
    let version = None;
    version
};

/// This build, as recordings name it.
pub fn build() -> recording::messages::BuildInfo {
    recording::messages::BuildInfo::current(LIBTORCH_VERSION)
}

/// The README's code, compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The code of the guide to maps.
#[cfg(doctest)]
#[doc = include_str!("../docs/maps.md")]
struct MapsGuide;
