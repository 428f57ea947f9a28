//! `run.json`: what a run is, where it ran and how far it came.

use serde::{Deserialize, Serialize};

/// What a run is, where it ran and how far it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Format version of the run directory; this build reads and writes 1.
    pub format: u32,
    /// Scenario name.
    pub scenario: String,
    /// Arm name.
    pub arm: String,
    /// Root seed.
    pub seed: u64,
    /// Where it stands.
    pub status: RunStatus,
    /// Environment steps gathered.
    pub global_step: u64,
    /// Environment steps asked for.
    pub total_steps: u64,
    /// Seconds of wall clock, evaluations, checkpoints and logs included, summed over resumptions.
    pub wall_secs: f64,
    /// When it began, UTC, RFC 3339.
    pub started: String,
    /// What it was built from.
    pub versions: Versions,
    /// The command that began it, program first.
    pub command_line: Vec<String>,
    /// Where it ran.
    pub machine: Machine,
    /// What the settings would be without the arm's, where they would be others: what another arm
    /// is laid over when a step of this run is tried with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_config: Option<serde_json::Value>,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It is training, or was cut off while it did.
    Running,
    /// All steps were done.
    Finished,
    /// Stopped on request before its end; it can be resumed.
    Stopped,
    /// It diverged, and training ended there.
    Diverged,
}

impl RunStatus {
    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Diverged => "diverged",
        }
    }

    /// Whether there is nothing left to train.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Diverged)
    }
}

/// What a run was built from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// This package.
    pub evenkeel: String,
    /// libtorch, where the run had it.
    pub libtorch: Option<String>,
}

/// Where a run ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// Processor model, where the system tells it.
    pub cpu: Option<String>,
    /// Processors that the process may use.
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

impl RunInfo {
    /// A run that begins now, on this machine, from this process's command line.
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
            command_line: std::env::args_os()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            machine: Machine::current(),
            base_config: None,
        }
    }
}
