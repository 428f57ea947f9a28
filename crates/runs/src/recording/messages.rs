//! Evenkeel's own messages: what Foxglove's messages cannot express, which is all that a replay needs
//! and what the policy computed. `docs/recordings.md` documents them.

use std::sync::LazyLock;

use crate::proto::messages;
use evenkeel_sim::env::Outcome;
use evenkeel_sim::sim::{MoverSnapshot, RobotSnapshot, WorldSnapshot};

/// The format version of recordings of one robot.
pub const FORMAT_SINGLE_ROBOT: u32 = 1;

/// The format version of recordings of several robots, the newest that this build reads and writes:
/// version 1 with a step message for each robot.
pub const FORMAT: u32 = 2;

messages! {
    in "evenkeel":

    /// The header of a recording: the first message, once.
    RecordingHeader "evenkeel/Recording.proto" {
        /// [`FORMAT_SINGLE_ROBOT`] or [`FORMAT`].
        format: u32 = 1,
        /// The build that recorded.
        build: Option<BuildInfo> = 2,
        /// The scenario's name.
        scenario: String = 3,
        /// The whole scenario, as a scenario file.
        scenario_toml: String = 4,
        /// What controlled the robots.
        policy: Option<PolicyIdentity> = 5,
        /// Root of the random streams.
        seed: u64 = 6,
        /// The population of episodes: `eval`, held out, or `train`.
        split: String = 7,
        /// Length of a control step, seconds.
        control_step_secs: f64 = 8,
        /// Where each block of an observation lies.
        observation: Vec<BlockRange> = 9,
        /// Names of the entries of an action.
        actions: Vec<String> = 10,
        /// Names of the reward terms.
        reward_terms: Vec<String> = 11,
        /// The environment of the population that the episodes are of; 0 for held-out episodes.
        env: u64 = 12,
        /// Number of robots that share a world; 0 means 1.
        robots: u32 = 13,
    }

    /// A build of evenkeel.
    BuildInfo "evenkeel/Build.proto" {
        /// Its version.
        evenkeel: String = 1,
        /// The version of libtorch; empty without libtorch.
        libtorch: String = 2,
        /// The platform, as in `linux x86_64`.
        target: String = 3,
        /// CRC-32C of the program's file, which distinguishes builds of one version; 0 if it could
        /// not be read.
        program_crc32c: u32 = 4,
    }

    /// What controlled the robots.
    PolicyIdentity "evenkeel/PolicyIdentity.proto" {
        /// The name of the run, or of the planner as in `planner:dwa`.
        name: String = 1,
        /// The name of the checkpoint, as in `best`; empty for a planner and for a policy in training.
        checkpoint: String = 2,
        /// Environment steps that it had learned from.
        global_step: u64 = 3,
        /// CRC-32C of the file of its weights; 0 without one.
        weights_crc32c: u32 = 4,
        /// Whether its actions were sampled.
        stochastic: bool = 5,
    }

    /// A block of an observation.
    BlockRange "evenkeel/Block.proto" {
        /// Its name, as in `lidar`.
        name: String = 1,
        /// Index of its first number.
        first: u32 = 2,
        /// Length.
        length: u32 = 3,
    }

    /// The beginning of an episode.
    EpisodeBegin "evenkeel/EpisodeBegin.proto" {
        /// Its number.
        episode: u64 = 1,
        /// State of the first robot and of the movers.
        state: Option<RobotState> = 2,
        /// Hash of the state: see `NavEnv::state_hash`.
        state_hash: u64 = 3,
        /// The physical parameters that were sampled from ranges.
        sampled_parameters: Vec<SampledParameter> = 4,
        /// States of the other robots, in order.
        others: Vec<RobotState> = 5,
    }

    /// A physical parameter that was sampled from a range.
    SampledParameter "evenkeel/Drawn.proto" {
        /// Its key in the scenario.
        name: String = 1,
        /// The sampled value.
        value: f32 = 2,
    }

    /// One control step of one robot, and its state afterwards. For each step there is a message for
    /// every robot of the world, in order.
    RobotStep "evenkeel/Step.proto" {
        /// Number of the episode.
        episode: u64 = 1,
        /// Number of the step, from 1.
        step: u32 = 2,
        /// `[obs]`: the observation before the step.
        observation: Vec<f32> = 3,
        /// `[act]`: the action, as the environment got it.
        action: Vec<f32> = 4,
        /// `[act]`: mean of the action's distribution, before squashing; empty for a controller
        /// without one.
        action_mean: Vec<f32> = 5,
        /// `[act]`: standard deviation of that distribution.
        action_std: Vec<f32> = 6,
        /// The critic's estimate of the return, in units of the reward; NaN for a controller without
        /// one.
        value: f32 = 7,
        /// Sum of the reward terms.
        reward: f32 = 8,
        /// The reward terms, in the order of [`RecordingHeader::reward_terms`].
        reward_terms: Vec<f32> = 9,
        /// How the robot's part of the episode ended in this step; empty if it did not.
        outcome: String = 10,
        /// State of the robot.
        state: Option<RobotState> = 11,
        /// Hash of the state: see `NavEnv::state_hash`; 0 except for the first robot.
        state_hash: u64 = 12,
        /// Index of the robot.
        robot: u32 = 13,
        /// Whether its part had ended before this step: it has neither observation nor action.
        inactive: bool = 14,
    }

    /// The end of an episode.
    EpisodeEnd "evenkeel/EpisodeEnd.proto" {
        /// Its number.
        episode: u64 = 1,
        /// How it ended; with several robots, the outcome of the first that did not reach its goal.
        outcome: String = 2,
        /// Its length, control steps.
        steps: u32 = 3,
        /// Undiscounted sum of its rewards, averaged over the robots.
        episodic_return: f64 = 4,
        /// Outcome of each robot; empty with one robot.
        outcomes: Vec<String> = 5,
    }

    /// State of a robot, and of the movers.
    RobotState "evenkeel/State.proto" {
        /// x of the robot's origin, metres.
        x_m: f32 = 1,
        /// y of the robot's origin, metres.
        y_m: f32 = 2,
        /// Heading, radians.
        heading_rad: f32 = 3,
        /// Speed along the heading, metres per second.
        speed_mps: f32 = 4,
        /// Speed to the left, metres per second.
        side_speed_mps: f32 = 5,
        /// Turn rate to the left, radians per second.
        turn_rate_radps: f32 = 6,
        /// Whether the robot touches anything.
        contact: bool = 7,
        /// Distance from the footprint to the nearest obstacle, mover or robot, metres.
        clearance_m: f32 = 8,
        /// The movers, in the order of the layout; only with the first robot.
        movers: Vec<MoverState> = 9,
    }

    /// State of a mover.
    MoverState "evenkeel/Mover.proto" {
        /// x of its centre, metres.
        x_m: f32 = 1,
        /// y of its centre, metres.
        y_m: f32 = 2,
        /// Velocity along x, metres per second.
        vx_mps: f32 = 3,
        /// Velocity along y, metres per second.
        vy_mps: f32 = 4,
        /// Radius, metres.
        radius_m: f32 = 5,
    }

    /// The iteration of training that produced a policy. Numbers that were not finite or not measured
    /// are NaN.
    TrainingIteration "evenkeel/TrainingMoment.proto" {
        /// Iterations completed.
        iteration: u64 = 1,
        /// Environment steps gathered.
        global_step: u64 = 2,
        /// Optimiser steps attempted.
        optimiser_step: u64 = 3,
        /// Share of the episodes that ended in the rollout and reached the goal.
        success_rate: f64 = 4,
        /// Mean return of the episodes that ended in the rollout.
        episodic_return: f64 = 5,
        /// Share of the optimiser steps whose gradient was clipped.
        clip_share: f64 = 6,
        /// Mean standard deviation of the actions.
        action_std: f64 = 7,
        /// Learning rate of the last optimiser step.
        learning_rate: f64 = 8,
        /// Names of the parameters.
        layers: Vec<String> = 9,
        /// The iteration's optimiser steps.
        updates: Vec<OptimiserStep> = 10,
    }

    /// One optimiser step.
    OptimiserStep "evenkeel/GradientStep.proto" {
        /// Its number.
        optimiser_step: u64 = 1,
        /// Global norm of the gradient before clipping.
        grad_norm: f64 = 2,
        /// Norm of the actor's part.
        grad_norm_actor: f64 = 3,
        /// Norm of the critic's part.
        grad_norm_critic: f64 = 4,
        /// Global norm after all clip stages.
        clipped_norm: f64 = 5,
        /// Threshold of the first clip stage that has one.
        clip_threshold: f64 = 6,
        /// Whether any stage clipped.
        clipped: bool = 7,
        /// ‖Δθ‖ / ‖θ‖ of the applied step.
        update_ratio: f64 = 8,
        /// Policy loss.
        policy_loss: f64 = 9,
        /// Value loss.
        value_loss: f64 = 10,
        /// Policy entropy, nats.
        entropy: f64 = 11,
        /// Approximate KL divergence to the policy of the rollout, nats.
        approx_kl: f64 = 12,
        /// Norm of the gradient of each parameter, in the order of [`TrainingIteration::layers`].
        layer_norms: Vec<f64> = 13,
    }
}

impl RecordingHeader {
    /// Number of robots that share a world.
    pub fn robot_count(&self) -> usize {
        self.robots.max(1) as usize
    }
}

impl BuildInfo {
    /// This build. `libtorch` is the version that it links to, if any.
    pub fn current(libtorch: Option<&str>) -> Self {
        // Computed once: the file is large.
        static PROGRAM: LazyLock<u32> = LazyLock::new(|| {
            let program = std::env::current_exe().and_then(std::fs::read);
            program.map_or(0, |bytes| crc32c::crc32c(&bytes))
        });
        Self {
            evenkeel: env!("CARGO_PKG_VERSION").to_owned(),
            libtorch: libtorch.unwrap_or_default().to_owned(),
            target: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            program_crc32c: *PROGRAM,
        }
    }
}

/// As in `evenkeel 0.1.0 (libtorch 2.13.0+cpu, linux x86_64, program 3f9a01c2)`.
impl std::fmt::Display for BuildInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "evenkeel {} (", self.evenkeel)?;
        if !self.libtorch.is_empty() {
            write!(f, "libtorch {}, ", self.libtorch)?;
        }
        write!(f, "{}, program {:08x})", self.target, self.program_crc32c)
    }
}

impl EpisodeEnd {
    /// Number of robots that reached their goals; `None` with one robot.
    pub fn goals_reached(&self) -> Option<usize> {
        let goals = self.outcomes.iter();
        let goals = goals.filter(|name| outcome_named(name) == Some(Outcome::Goal));
        (!self.outcomes.is_empty()).then(|| goals.count())
    }
}

impl RobotState {
    /// The state of a robot in a snapshot, without its scan.
    pub fn of(snapshot: &WorldSnapshot, robot: usize) -> Self {
        let movers = if robot == 0 {
            &snapshot.movers[..]
        } else {
            &[]
        };
        let robot = &snapshot.robots[robot];
        let mover = |mover: &MoverSnapshot| MoverState {
            x_m: mover.position[0],
            y_m: mover.position[1],
            vx_mps: mover.velocity[0],
            vy_mps: mover.velocity[1],
            radius_m: mover.radius_m,
        };
        Self {
            x_m: robot.position[0],
            y_m: robot.position[1],
            heading_rad: robot.heading_rad,
            speed_mps: robot.speed_mps,
            side_speed_mps: robot.side_speed_mps,
            turn_rate_radps: robot.turn_rate_radps,
            contact: robot.contact,
            clearance_m: robot.clearance_m,
            movers: movers.iter().map(mover).collect(),
        }
    }

    /// The robot as in a snapshot.
    pub fn robot(&self, inactive: bool, ranges_m: Vec<f32>) -> RobotSnapshot {
        RobotSnapshot {
            position: [self.x_m, self.y_m],
            heading_rad: self.heading_rad,
            speed_mps: self.speed_mps,
            side_speed_mps: self.side_speed_mps,
            turn_rate_radps: self.turn_rate_radps,
            inactive,
            contact: self.contact,
            clearance_m: self.clearance_m,
            ranges_m,
        }
    }

    /// The movers as in a snapshot.
    pub fn movers(&self) -> Vec<MoverSnapshot> {
        let mover = |mover: &MoverState| MoverSnapshot {
            position: [mover.x_m, mover.y_m],
            velocity: [mover.vx_mps, mover.vy_mps],
            radius_m: mover.radius_m,
        };
        self.movers.iter().map(mover).collect()
    }
}

/// The outcome with this name; `None` for the empty name of an episode that has not ended.
pub fn outcome_named(name: &str) -> Option<Outcome> {
    Outcome::ALL.into_iter().find(|one| one.name() == name)
}
