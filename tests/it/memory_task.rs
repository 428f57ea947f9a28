//! The memory task: the robot is shown once which of two places is the goal, and must remember it. No
//! other observation may reveal the goal, and a controller that remembers must be able to reach it.

use std::sync::Arc;

use evenkeel::env::{Controller, GOAL_SCALE_M, NavEnv, Outcome, obs_layout};
use evenkeel::eval::{EvalOptions, EvalReport, evaluate};
use evenkeel::planners::StraightPlanner;
use evenkeel::scenario::spec::DriveSpec;
use evenkeel::scenario::{EpisodeKey, Layout, LayoutSampler, Scenario};
use evenkeel::seed::Split;

const EPISODES: u64 = 400;

fn exploder(overrides: &[&str]) -> Arc<Scenario> {
    crate::helpers::scenario("exploder", overrides)
}

fn evaluate_controller(scenario: &Arc<Scenario>, controller: &mut dyn Controller) -> EvalReport {
    evaluate(
        scenario,
        controller,
        &EvalOptions::for_report("test", EPISODES),
    )
    .expect("episodes have room")
}

/// The blocks of one observation.
#[derive(Clone, Copy)]
struct Blocks {
    /// Goal in the robot's frame, metres; `None` while it is not shown.
    goal: Option<[f32; 2]>,
    /// Metres per second.
    speed: f32,
    /// Radians per second.
    turn_rate: f32,
}

/// A controller that calls `act` with the observation and a memory per environment.
struct Scripted<Memory, Act> {
    scenario: Arc<Scenario>,
    memory: Vec<Memory>,
    act: Act,
}

impl<Memory, Act> Scripted<Memory, Act>
where
    Memory: Clone + Default,
    Act: Fn(&mut Memory, Blocks) -> [f32; 2],
{
    fn new(scenario: &Arc<Scenario>, act: Act) -> Self {
        Self {
            scenario: Arc::clone(scenario),
            memory: vec![Memory::default(); EPISODES as usize],
            act,
        }
    }

    fn blocks(&self, observation: &[f32]) -> Blocks {
        let layout = obs_layout(&self.scenario);
        let block = |name| &observation[layout.block(name).expect("a block of this name")];
        let (goal, velocity) = (block("goal"), block("velocity"));
        let DriveSpec::Differential(drive) = &self.scenario.spec.robot[0].drive else {
            panic!("the robot has another drive")
        };
        let distance = goal[0] * GOAL_SCALE_M;
        Blocks {
            goal: (goal != [0.0; 3]).then_some([distance * goal[1], distance * goal[2]]),
            speed: velocity[0] * drive.max_speed_mps.max() as f32,
            turn_rate: velocity[1] * drive.max_turn_rate_radps.max() as f32,
        }
    }
}

impl<Memory, Act> Controller for Scripted<Memory, Act>
where
    Memory: Clone + Default,
    Act: Fn(&mut Memory, Blocks) -> [f32; 2],
{
    fn begin_episode(&mut self, env: usize, _episode: u64) {
        self.memory[env] = Memory::default();
    }

    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let dim = obs_layout(&self.scenario).dim();
        let rows = observations
            .chunks_exact(dim)
            .zip(actions.chunks_exact_mut(2));
        for (&env, (observation, action)) in envs.iter().zip(rows) {
            let observed = self.blocks(observation);
            action.copy_from_slice(&(self.act)(&mut self.memory[env], observed));
        }
    }
}

/// Duration of a control step, seconds.
const DT: f32 = 0.1;

/// Drives to the believed goal, and updates the belief by dead reckoning. The belief is a point in
/// the robot's frame, metres.
fn dead_reckoning(belief: &mut [f32; 2], observed: Blocks) -> [f32; 2] {
    let turned = observed.turn_rate * DT;
    let (sin, cos) = (turned / 2.0).sin_cos();
    let ahead = [
        belief[0] - observed.speed * DT * cos,
        belief[1] - observed.speed * DT * sin,
    ];
    let (sin, cos) = turned.sin_cos();
    let moved = [
        cos * ahead[0] + sin * ahead[1],
        cos * ahead[1] - sin * ahead[0],
    ];
    *belief = observed.goal.unwrap_or(moved);
    let bearing = belief[1].atan2(belief[0]);
    let speed = bearing.cos().max(0.0).powi(3);
    [2.0 * speed - 1.0, (1.25 * bearing).clamp(-1.0, 1.0)]
}

#[test]
fn controller_with_memory_reaches_the_goal() {
    let scenario = exploder(&[]);
    let report = evaluate_controller(&scenario, &mut Scripted::new(&scenario, dead_reckoning));
    let summary = &report.summary;
    assert_eq!(summary.outcomes[Outcome::Goal as usize], EPISODES);
    let length = summary.length.value;
    assert!((35.0..50.0).contains(&length), "{length} steps to the goal");
    // The trace has both places.
    for trace in &report.traces {
        let [alternative_goal] = trace.alternative_goals[..] else {
            panic!("{} alternative goals", trace.alternative_goals.len());
        };
        assert!(
            (trace.goal[0] + alternative_goal[0] - 7.0).abs() < 1e-5,
            "{trace:?}"
        );
    }
}

#[test]
fn controller_that_ignores_the_cue_succeeds_half_of_the_time() {
    let scenario = exploder(&[]);
    // Drives the same way, but always to the place on the left.
    let left = |belief: &mut [f32; 2], mut observed: Blocks| {
        observed.goal = observed.goal.map(|[ahead, aside]| [ahead, aside.abs()]);
        dead_reckoning(belief, observed)
    };
    let report = evaluate_controller(&scenario, &mut Scripted::new(&scenario, left));
    let share = report.summary.success.value;
    assert!((0.43..0.57).contains(&share), "{share}");
    let others = report.summary.outcomes[Outcome::TimeLimit as usize];
    assert_eq!(
        others + report.summary.outcomes[Outcome::Goal as usize],
        EPISODES,
        "the wrong place does not end the episode"
    );
}

/// Has no memory, but turns towards the cue and keeps turning in the direction that it observes.
fn drift(_: &mut (), observed: Blocks) -> [f32; 2] {
    /// Radius of the arc that leads to either place after the first step's turn, metres.
    const ARC: f32 = 3.0;
    match observed.goal {
        Some([_, aside]) => [-1.0, aside.signum()],
        None => [
            1.0,
            (observed.speed + 0.1) / ARC / 2.0 * observed.turn_rate.signum(),
        ],
    }
}

#[test]
fn hold_prevents_memory_by_motion() {
    let share = |overrides: &[&str]| {
        let scenario = exploder(overrides);
        let report = evaluate_controller(&scenario, &mut Scripted::new(&scenario, drift));
        report.summary.success.value
    };
    let (with_hold, without_hold) = (share(&[]), share(&["task.hold_secs=0"]));
    assert!(with_hold < 0.55, "{with_hold} without memory");
    assert!(
        without_hold > 0.8,
        "{without_hold}: the arc does not lead to the places"
    );
}

#[test]
fn observations_after_the_cue_do_not_depend_on_the_goal() {
    let goals = ["[0.7, 3.4]", "[6.3, 3.4]"];
    let mut envs = goals.map(|at| {
        let goal = format!("robot.0.goal={{ at = {{ position_m = {at} }} }}");
        NavEnv::new(exploder(&[&goal]), 0, Split::Eval, 0).expect("room")
    });
    let layout = Arc::clone(envs[0].obs_layout());
    let (cue, dim) = (layout.block("goal").expect("a goal"), layout.dim());
    let mut observed = [vec![0.0; dim], vec![0.0; dim]];
    let mut later = 0;
    for episode in 0..50 {
        for env in &mut envs {
            env.reset(episode);
        }
        for step in 0_u16.. {
            for (env, observed) in envs.iter().zip(&mut observed) {
                env.observe(observed);
            }
            let shown = observed
                .each_ref()
                .map(|observed| observed[cue.clone()].to_vec());
            if step == 0 {
                assert!(shown[0][2] > 0.3 && shown[1][2] < -0.3, "{shown:?}");
                for observed in &mut observed {
                    observed[cue.clone()].fill(0.0);
                }
            } else {
                assert_eq!(shown[0], [0.0; 3]);
                later += 1;
            }
            assert_eq!(observed[0], observed[1], "episode {episode}, step {step}");
            let phase = episode as f32 + f32::from(step) * 0.2;
            // The first action is extreme, because the robot is held in the first step.
            let action = [0.5 + phase.cos(), if step == 0 { 1.0 } else { phase.sin() }];
            let ended = envs.each_mut().map(|env| env.step(&action).outcome);
            if ended.iter().any(Option::is_some) {
                break;
            }
        }
    }
    assert!(later > 1_000, "{later} steps compared");
}

#[test]
fn time_limit_excludes_visiting_both_places() {
    let scenario = exploder(&[]);
    let task = &scenario.spec.task;
    let DriveSpec::Differential(drive) = &scenario.spec.robot[0].drive else {
        panic!("the robot has another drive")
    };
    let farthest = drive.max_speed_mps.max() * task.time_limit_secs;
    let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
    for episode in 0..200 {
        let key = EpisodeKey {
            root: 3,
            split: Split::Train,
            env: 0,
            episode,
        };
        sampler.sample(&scenario, key, &mut layout).expect("room");
        let (robot, alternative_goal) = (layout.robots[0], layout.alternative_goals[0]);
        let between = (robot.goal - alternative_goal.position).norm()
            - robot.goal_radius
            - alternative_goal.radius;
        let first = (alternative_goal.position - robot.start).norm() - alternative_goal.radius;
        let both = f64::from(first + between);
        assert!(both > farthest, "{both} m via both, {farthest} m in time");
    }
}

#[test]
fn straight_planner_stands_still_without_the_goal() {
    let scenario = exploder(&[]);
    let mut planner = StraightPlanner::new(&scenario).expect("there is a goal block");
    let report = evaluate_controller(&scenario, &mut planner);
    assert_eq!(
        report.summary.outcomes[Outcome::TimeLimit as usize],
        EPISODES
    );
    assert!(report.episodes.iter().all(|row| row.path_m < 1e-6));
}
