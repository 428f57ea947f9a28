//! What a recording holds beside what Foxglove's own messages can say: all that is needed to play
//! its episodes again, and what went on in the policy. `docs/recordings.md` is about these.

use std::sync::LazyLock;

use super::proto::messages;
use evenkeel_sim::env::Outcome;
use evenkeel_sim::sim::{MoverSnapshot, RobotSnapshot, WorldSnapshot};

/// The format version of recordings of one robot.
pub const FORMAT_SINGLE_ROBOT: u32 = 1;

/// … and of several, the newest that this build reads and writes: version 1 with a step for each
/// robot.
pub const FORMAT: u32 = 2;

messages! {
    in "evenkeel":

    /// What was recorded: once, before everything else.
    RecordingHeader "evenkeel/Recording.proto" {
        /// [`FORMAT_SINGLE_ROBOT`] or [`FORMAT`].
        format: u32 = 1,
        /// The program that recorded.
        build: Option<BuildInfo> = 2,
        /// The scenario's name.
        scenario: String = 3,
        /// The scenario, whole: a file that reads back as it.
        scenario_toml: String = 4,
        /// Who drove.
        policy: Option<PolicyIdentity> = 5,
        /// Root of the random streams.
        seed: u64 = 6,
        /// The population of episodes: `eval`, held out, or `train`.
        split: String = 7,
        /// Seconds from one control step to the next.
        control_step_secs: f64 = 8,
        /// Where each block of an observation lies.
        observation: Vec<BlockRange> = 9,
        /// What each entry of an action asks for.
        actions: Vec<String> = 10,
        /// Names of the reward terms.
        reward_terms: Vec<String> = 11,
        /// Which of the population's environments the episodes are of; 0 of those held out.
        env: u64 = 12,
        /// How many robots share a world; 0 means 1.
        robots: u32 = 13,
    }

    /// A build of evenkeel.
    BuildInfo "evenkeel/Build.proto" {
        /// Its version.
        evenkeel: String = 1,
        /// That of libtorch; empty without it.
        libtorch: String = 2,
        /// What it runs on, as in `linux x86_64`.
        target: String = 3,
        /// CRC-32C of the program's file: what tells two builds of one version apart; 0 where it
        /// could not be read.
        program_crc32c: u32 = 4,
    }

    /// Who drove.
    PolicyIdentity "evenkeel/PolicyIdentity.proto" {
        /// The run's name, or as in `planner:dwa`.
        name: String = 1,
        /// The checkpoint's name, as in `best`; empty for a driver, and for a policy in training.
        checkpoint: String = 2,
        /// Environment steps that it had learnt from.
        global_step: u64 = 3,
        /// CRC-32C of the file of its weights; 0 where there is none.
        weights_crc32c: u32 = 4,
        /// Whether it drew its actions.
        stochastic: bool = 5,
    }

    /// A block of an observation.
    BlockRange "evenkeel/Block.proto" {
        /// Its name, as in `lidar`.
        name: String = 1,
        /// Index of its first number.
        first: u32 = 2,
        /// How many there are.
        length: u32 = 3,
    }

    /// An episode begins.
    EpisodeBegin "evenkeel/EpisodeBegin.proto" {
        /// Its number.
        episode: u64 = 1,
        /// Where the first robot and the movers are.
        state: Option<RobotState> = 2,
        /// Hash of where everything is: see `NavEnv::state_hash`.
        state_hash: u64 = 3,
        /// The physical numbers that were drawn from ranges.
        sampled_parameters: Vec<SampledParameter> = 4,
        /// Where the other robots are, in their order.
        others: Vec<RobotState> = 5,
    }

    /// A physical number that was drawn from a range.
    SampledParameter "evenkeel/Drawn.proto" {
        /// Its key in the scenario.
        name: String = 1,
        /// What was drawn.
        value: f32 = 2,
    }

    /// One control step of a robot, and where it is afterwards. The robots of a world follow one
    /// another, step by step.
    RobotStep "evenkeel/Step.proto" {
        /// Number of the episode.
        episode: u64 = 1,
        /// Number of the step, from 1.
        step: u32 = 2,
        /// What the policy saw, `[obs]`.
        observation: Vec<f32> = 3,
        /// What it did, `[act]`, as it was handed to the environment.
        action: Vec<f32> = 4,
        /// Mean of the distribution that it was drawn from, before squashing, `[act]`; empty for
        /// who has none.
        action_mean: Vec<f32> = 5,
        /// And its standard deviation, `[act]`.
        action_std: Vec<f32> = 6,
        /// The critic's estimate of the return from here on, in the units of the reward; NaN for
        /// who has none.
        value: f32 = 7,
        /// Sum of the terms.
        reward: f32 = 8,
        /// The reward terms, in the order of [`RecordingHeader::reward_terms`].
        reward_terms: Vec<f32> = 9,
        /// How the robot's part in the episode ended in this step; empty while it goes on.
        outcome: String = 10,
        /// Where the robot is.
        state: Option<RobotState> = 11,
        /// Hash of where everything is: see `NavEnv::state_hash`; 0 but for the first robot.
        state_hash: u64 = 12,
        /// Which robot it is, from 0.
        robot: u32 = 13,
        /// Whether its part had ended before, and it waits for the others': it saw and did nothing.
        inactive: bool = 14,
    }

    /// An episode has ended.
    EpisodeEnd "evenkeel/EpisodeEnd.proto" {
        /// Its number.
        episode: u64 = 1,
        /// How it ended: of several robots as for the first that did not reach its goal.
        outcome: String = 2,
        /// How many control steps it took.
        steps: u32 = 3,
        /// Undiscounted sum of its rewards; of several robots the mean of theirs.
        episodic_return: f64 = 4,
        /// How each robot's part ended, where there are several.
        outcomes: Vec<String> = 5,
    }

    /// Where a robot is, and what moves.
    RobotState "evenkeel/State.proto" {
        /// The robot's origin, metres.
        x_m: f32 = 1,
        /// The same.
        y_m: f32 = 2,
        /// Radians.
        heading_rad: f32 = 3,
        /// Along the heading.
        speed_mps: f32 = 4,
        /// To its left.
        side_speed_mps: f32 = 5,
        /// To the left.
        turn_rate_radps: f32 = 6,
        /// Whether the robot touches anything.
        contact: bool = 7,
        /// From its hull to whatever is nearest.
        clearance_m: f32 = 8,
        /// The movers, in the order of the layout; with the first robot alone.
        movers: Vec<MoverState> = 9,
    }

    /// Where a mover is.
    MoverState "evenkeel/Mover.proto" {
        /// Its centre, metres.
        x_m: f32 = 1,
        /// The same.
        y_m: f32 = 2,
        /// Metres per second.
        vx_mps: f32 = 3,
        /// The same.
        vy_mps: f32 = 4,
        /// Metres.
        radius_m: f32 = 5,
    }

    /// The moment of training that a policy comes from: the last iteration before it. What was not
    /// finite or not measured is NaN.
    TrainingIteration "evenkeel/TrainingMoment.proto" {
        /// Iterations completed.
        iteration: u64 = 1,
        /// Environment steps gathered.
        global_step: u64 = 2,
        /// Optimiser steps tried.
        optimiser_step: u64 = 3,
        /// Share of the rollout's ended episodes that reached the goal.
        success_rate: f64 = 4,
        /// Mean return of the rollout's ended episodes.
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
        /// Global norm of the gradient as it was measured, before any clip.
        grad_norm: f64 = 2,
        /// That of the actor's part.
        grad_norm_actor: f64 = 3,
        /// That of the critic's part.
        grad_norm_critic: f64 = 4,
        /// Global norm after all clip stages.
        clipped_norm: f64 = 5,
        /// Threshold of the first clip stage that has one.
        clip_threshold: f64 = 6,
        /// Whether some stage clipped.
        clipped: bool = 7,
        /// ‖Δθ‖ / ‖θ‖ of the applied step.
        update_ratio: f64 = 8,
        /// Policy loss.
        policy_loss: f64 = 9,
        /// Value loss.
        value_loss: f64 = 10,
        /// Nats.
        entropy: f64 = 11,
        /// Nats.
        approx_kl: f64 = 12,
        /// Norm of the gradient of each parameter, in the order of [`TrainingIteration::layers`].
        layer_norms: Vec<f64> = 13,
    }
}

impl RecordingHeader {
    /// How many robots share a world.
    pub fn robot_count(&self) -> usize {
        self.robots.max(1) as usize
    }
}

impl BuildInfo {
    /// This one; `libtorch` is the version that it was made against, where it has one.
    pub fn current(libtorch: Option<&str>) -> Self {
        // The file is large, and is not another one in a while.
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
    /// How many of several robots came to their goals; nothing where there is one.
    pub fn goals_reached(&self) -> Option<usize> {
        let goals = self.outcomes.iter();
        let goals = goals.filter(|name| outcome_named(name) == Some(Outcome::Goal));
        (!self.outcomes.is_empty()).then(|| goals.count())
    }
}

impl RobotState {
    /// What a frame says of a robot, but for its scan.
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

    /// The robot as a frame has it.
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

    /// The movers as a frame has them.
    pub fn movers(&self) -> Vec<MoverSnapshot> {
        let mover = |mover: &MoverState| MoverSnapshot {
            position: [mover.x_m, mover.y_m],
            velocity: [mover.vx_mps, mover.vy_mps],
            radius_m: mover.radius_m,
        };
        self.movers.iter().map(mover).collect()
    }
}

/// The outcome of a name, as recordings have it; nothing while an episode goes on.
pub fn outcome_named(name: &str) -> Option<Outcome> {
    Outcome::ALL.into_iter().find(|one| one.name() == name)
}
