//! `run.json`: identity, machine and progress of a run.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use evenkeel_sim::config::parse_count;

/// Identity, machine and progress of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Format version of the run directory; this build reads and writes 1.
    pub format: u32,
    /// Scenario name.
    pub scenario: String,
    /// Arm name.
    pub arm: String,
    /// The name that the user gave the run (`--name`); it then names the run in comparisons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Paths of the settings that the user set when the run was started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
    /// Root seed.
    pub seed: u64,
    /// Status.
    pub status: RunStatus,
    /// Environment steps collected so far.
    pub global_step: u64,
    /// Environment steps to collect in total.
    pub total_steps: u64,
    /// Wall-clock seconds, including evaluations, checkpoints and logs, summed over resumptions.
    pub wall_secs: f64,
    /// Start time, UTC, RFC 3339.
    pub started: String,
    /// Versions of the software.
    pub versions: Versions,
    /// The policy whose weights and normalisers the run started from; absent for a run that started
    /// from drawn weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PolicyOrigin>,
    /// Held-out episodes of the final evaluation; `None` in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episodes: Option<u64>,
    /// Rules that end training early.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_below: Vec<StopRule>,
    /// The rule that ended training early, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<StopRule>,
    /// The command that started the run, with the program first.
    pub command_line: Vec<String>,
    /// The machine.
    pub machine: Machine,
    /// Resolved settings without those of the arm; `None` if they are the same. To try an optimiser
    /// step of this run with another arm, that arm's settings are applied to these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_config: Option<serde_json::Value>,
}

/// The policy that a run started from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyOrigin {
    /// Name of its run; absent for a checkpoint outside a run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Its checkpoint's folder when the run started.
    pub checkpoint: String,
    /// Environment steps that it was trained for.
    pub global_step: u64,
    /// FNV-1a hash (64 bits, hexadecimal) of its weights and buffers, each a little-endian `f32`, in
    /// the order of the network's layout.
    pub weights: String,
}

impl fmt::Display for PolicyOrigin {
    /// `reference__clipped__s1__… at step 983040`.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = self.run.as_ref().unwrap_or(&self.checkpoint);
        write!(f, "{name} at step {}", self.global_step)
    }
}

/// Status of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// The run is training, or was interrupted without saving its status.
    Running,
    /// All steps are done.
    Finished,
    /// Stopped on request before the end. Can be resumed.
    Stopped,
    /// Training ended because the run diverged.
    Diverged,
}

impl RunStatus {
    /// Display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Diverged => "diverged",
        }
    }

    /// Whether training has ended for good.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Diverged)
    }
}

/// Versions of the software that a run used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Version of evenkeel.
    pub evenkeel: String,
    /// Version of libtorch; `None` if the run did not use it.
    pub libtorch: Option<String>,
}

/// The machine of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// Processor model; `None` if the system does not report it.
    pub cpu: Option<String>,
    /// Number of logical processors available to the process.
    pub cores: usize,
}

impl Machine {
    /// This machine.
    pub fn current() -> Self {
        Self {
            os: std::env::consts::OS.into(),
            arch: std::env::consts::ARCH.into(),
            cpu: cpu_model(),
            cores: evenkeel_sim::env::thread_count(0),
        }
    }
}

fn cpu_model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().into())
}

/// A rule that ends training early: after two successive validations at or after
/// `step` with less success than `success`. Written `STEP:SUCCESS`, as in `150000:0.2`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StopRule {
    /// Environment steps from which on the rule holds.
    pub step: u64,
    /// Least success rate in the validation episodes, 0 to 1.
    pub success: f64,
}

impl StopRule {
    /// Whether an evaluation after `step` environment steps breaks the rule.
    pub fn is_broken_by(&self, step: u64, success: f64) -> bool {
        step >= self.step && success < self.success
    }
}

impl fmt::Display for StopRule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}", self.step, self.success)
    }
}

impl FromStr for StopRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rule = text.split_once(':').and_then(|(step, success)| {
            let step = parse_count(step, 0..=u64::MAX).ok()?;
            let success = success.parse().ok()?;
            Some(Self { step, success })
        });
        rule.filter(|rule| (0.0..=1.0).contains(&rule.success))
            .ok_or_else(|| {
                "write STEP:SUCCESS with a success rate from 0 to 1, as in 150k:0.2".to_owned()
            })
    }
}

impl RunInfo {
    /// Whether training has ended for good, or a [`StopRule`] has ended it.
    pub fn is_over(&self) -> bool {
        self.status.is_over() || self.stopped_by.is_some()
    }

    /// Creates the info of a run that starts now, on this machine, with this command line.
    pub fn begin(
        scenario: &str,
        arm: &str,
        seed: u64,
        total_steps: u64,
        libtorch: Option<String>,
    ) -> Self {
        Self {
            format: super::dir::FORMAT,
            scenario: scenario.into(),
            arm: arm.into(),
            name: None,
            set: Vec::new(),
            seed,
            status: RunStatus::Running,
            global_step: 0,
            total_steps,
            wall_secs: 0.0,
            started: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
                .to_string(),
            versions: Versions {
                evenkeel: env!("CARGO_PKG_VERSION").into(),
                libtorch,
            },
            from: None,
            episodes: None,
            stop_below: Vec::new(),
            stopped_by: None,
            command_line: std::env::args_os()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            machine: Machine::current(),
            base_config: None,
        }
    }
}
