//! The environment as a Bevy plugin has the same trajectories as without Bevy, at any frame times.

use std::sync::Arc;
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::TimeUpdateStrategy;
use evenkeel::bevy_env::{
    EpisodeBegan, EpisodeEnded, NavClock, NavMover, NavPlugin, NavRobot, NavSim, NavSystems,
    OnEpisodeEnd,
};
use evenkeel::env::{Controller, EpisodeRunner, NavEnv, Outcome};
use evenkeel::planners;
use evenkeel::scenario::{self, Scenario};
use evenkeel::seed::Split;

const SEED: u64 = 11;

/// A controller that weaves from side to side and collides. It depends little on the observation.
struct WeavingController {
    episode: u64,
    step: u64,
}

impl WeavingController {
    fn new() -> Self {
        Self {
            episode: 0,
            step: 0,
        }
    }
}

impl Controller for WeavingController {
    fn begin_episode(&mut self, _env: usize, episode: u64) {
        *self = Self { episode, step: 0 };
    }

    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let (dim, act) = (observations.len() / envs.len(), actions.len() / envs.len());
        let rows = observations.chunks(dim).zip(actions.chunks_mut(act));
        for (observation, action) in rows {
            let phase = (self.step / 10) as f32 * 0.9 + self.episode as f32 + observation[0];
            let values = [0.5 + 0.5 * phase.sin(), (1.3 * phase).cos(), phase.cos()];
            action.copy_from_slice(&values[..act]);
        }
        self.step += 1;
    }
}

/// Episode, step and the state's bits after each control step.
type Trajectory = Vec<(u64, u32, Vec<u32>)>;

fn scenario(name: &str) -> Arc<Scenario> {
    crate::helpers::scenario(name, &[])
}

fn environment(scenario: &Arc<Scenario>) -> NavEnv {
    NavEnv::new(Arc::clone(scenario), SEED, Split::Eval, 0).expect("placed")
}

fn plain_trajectory(
    scenario: &Arc<Scenario>,
    mut controller: impl Controller,
    steps: usize,
) -> Trajectory {
    let mut runner = EpisodeRunner::new(environment(scenario));
    let mut trajectory = Vec::new();
    runner.begin_episode(&mut controller);
    while trajectory.len() < steps {
        runner.step_with(&mut controller);
        let env = runner.env();
        trajectory.push((env.episode(), env.steps(), env.state_bits()));
        if env.is_over() {
            runner.reset(env.episode() + 1);
            runner.begin_episode(&mut controller);
        }
    }
    trajectory
}

#[derive(Resource, Default)]
struct StepLog(Trajectory);

/// Records every control step once. A control step is never shorter than one `FixedUpdate` here.
fn record_step(sims: Query<&NavSim>, mut seen: ResMut<StepLog>) {
    for sim in &sims {
        let env = sim.env();
        let now = (env.episode(), env.steps());
        let is_new = seen.0.last().is_none_or(|last| (last.0, last.1) != now);
        if env.steps() > 0 && is_new {
            seen.0.push((env.episode(), env.steps(), env.state_bits()));
        }
    }
}

fn app(sim: NavSim) -> App {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, NavPlugin))
        .init_resource::<StepLog>()
        .add_systems(FixedUpdate, record_step.after(NavSystems::Step));
    app.world_mut().spawn(sim);
    // The clock starts with the first update; its duration does not count.
    advance(&mut app, Duration::ZERO);
    app
}

fn advance(app: &mut App, time: Duration) {
    app.insert_resource(TimeUpdateStrategy::ManualDuration(time));
    app.update();
}

/// Frame times from 0.3 to 200 ms, in irregular order.
fn uneven_frame_times() -> impl Iterator<Item = Duration> {
    (0_u64..).map(|i| {
        let drawn = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44;
        Duration::from_micros(match drawn % 5 {
            0 => 300,
            1 => 7_000 + drawn % 3_000,
            2 => 16_667,
            3 => 40_000 + drawn % 30_000,
            _ => 200_000,
        })
    })
}

#[test]
fn trajectories_do_not_depend_on_frame_times() {
    let shipped_scenarios = scenario::shipped_scenarios()
        .iter()
        .map(|shipped| scenario(shipped.name));
    let omni = "robot.drive={ omni = { max_speed_mps = 1.0, max_turn_rate_radps = 2.0, \
                max_accel_mps2 = 1.0, max_turn_accel_radps2 = 4.0 } }";
    let car = "robot.drive={ ackermann = { wheelbase_m = 0.3, max_steering_rad = 0.5, \
               max_steering_rate_radps = 1.0, max_speed_mps = 1.0, max_reverse_mps = 0.5, \
               max_accel_mps2 = 1.0 } }";
    let footprint = "robot.footprint={ box = { half_extents_m = [0.254, 0.215] } }";
    let variants = [
        crate::helpers::scenario("crossing_orca", &[omni]),
        crate::helpers::scenario("movers", &[car, footprint]),
    ];
    for scenario in shipped_scenarios.chain(variants) {
        let sim = NavSim::new(environment(&scenario), Box::new(WeavingController::new()));
        let mut app = app(sim);
        let mut frames = uneven_frame_times();
        while app.world().resource::<StepLog>().0.len() < 700 {
            advance(&mut app, frames.next().expect("without end"));
        }
        let seen = &app.world().resource::<StepLog>().0;
        let expected = plain_trajectory(&scenario, WeavingController::new(), seen.len());
        assert!(
            expected.last().expect("steps").0 >= 1,
            "{}: one episode only",
            scenario.name
        );
        assert!(*seen == expected, "{}: another trajectory", scenario.name);
    }
}

#[test]
fn speed_pause_and_single_steps_do_not_change_the_trajectory() {
    let scenario = scenario("movers");
    let mut app = app(NavSim::new(
        environment(&scenario),
        Box::new(WeavingController::new()),
    ));
    let second = Duration::from_millis(200);
    let steps = |app: &App| app.world().resource::<StepLog>().0.len();
    let pass_a_second = |app: &mut App| (0..5).for_each(|_| advance(app, second));

    pass_a_second(&mut app);
    let at_one = steps(&app);
    assert!((9..=10).contains(&at_one), "{at_one} steps in a second");

    app.world_mut().resource_mut::<NavClock>().speed = 0.5;
    pass_a_second(&mut app);
    let at_half = steps(&app) - at_one;
    assert!((4..=6).contains(&at_half), "{at_half} steps at half speed");

    app.world_mut().resource_mut::<NavClock>().paused = true;
    let before = steps(&app);
    pass_a_second(&mut app);
    assert_eq!(steps(&app), before, "paused");
    app.world_mut().resource_mut::<NavClock>().step_once();
    pass_a_second(&mut app);
    assert_eq!(steps(&app), before + 1, "one step");

    let seen = &app.world().resource::<StepLog>().0;
    assert_eq!(
        *seen,
        plain_trajectory(&scenario, WeavingController::new(), seen.len())
    );
}

fn is_at(pose: &Transform, position: [f32; 2]) -> bool {
    pose.translation.truncate().to_array().map(f32::to_bits) == position.map(f32::to_bits)
}

#[test]
fn entities_follow_the_snapshot() {
    let scenario = scenario("movers");
    let mut app = app(NavSim::new(
        environment(&scenario),
        Box::new(WeavingController::new()),
    ));
    for time in uneven_frame_times().take(60) {
        advance(&mut app, time);
    }
    let world = app.world_mut();
    let snapshot = world
        .query::<&NavSim>()
        .single(world)
        .expect("one")
        .snapshot()
        .clone();
    assert!(snapshot.step > 5);
    let robots: Vec<(NavRobot, Transform)> = world
        .query::<(&NavRobot, &Transform)>()
        .iter(world)
        .map(|(robot, pose)| (*robot, *pose))
        .collect();
    assert_eq!(robots.len(), 1);
    let (robot, pose) = robots[0];
    let expected = &snapshot.robots[robot.index];
    assert!(is_at(&pose, expected.position));
    let ahead = pose.rotation * Vec3::X;
    let heading = ahead.y.atan2(ahead.x);
    assert!((heading - expected.heading_rad).sin().abs() < 1e-5);

    let movers: Vec<(NavMover, Transform)> = world
        .query::<(&NavMover, &Transform)>()
        .iter(world)
        .map(|(mover, pose)| (*mover, *pose))
        .collect();
    assert_eq!(movers.len(), snapshot.movers.len());
    for (mover, pose) in movers {
        let expected = snapshot.movers[mover.index].position;
        assert!(is_at(&pose, expected));
    }
}

#[derive(Resource, Default)]
struct EpisodeMessages {
    began: Vec<u64>,
    ended: Vec<EpisodeEnded>,
}

fn collect_messages(
    mut began: MessageReader<EpisodeBegan>,
    mut ended: MessageReader<EpisodeEnded>,
    mut messages: ResMut<EpisodeMessages>,
) {
    messages
        .began
        .extend(began.read().map(|began| began.episode));
    messages.ended.extend(ended.read().copied());
}

#[test]
fn every_episode_has_one_message_at_high_speed() {
    let scenario = scenario("open_field");
    let planner = planners::by_name("straight", &scenario, 0).expect("a planner");
    let mut app = app(NavSim::new(environment(&scenario), planner));
    app.init_resource::<EpisodeMessages>()
        .add_systems(Update, collect_messages);
    app.world_mut().resource_mut::<NavClock>().speed = 500.0;
    for _ in 0..40 {
        advance(&mut app, Duration::from_millis(50));
    }
    let messages = app.world().resource::<EpisodeMessages>();
    let episodes: Vec<u64> = messages.ended.iter().map(|end| end.episode).collect();
    assert!(episodes.len() > 10, "{} episodes", episodes.len());
    let count = episodes.len() as u64;
    assert_eq!(episodes, (0..count).collect::<Vec<_>>());
    assert!(messages.began.len() as u64 - count <= 1);
    assert_eq!(
        messages.began,
        (0..messages.began.len() as u64).collect::<Vec<_>>()
    );
    let mut env = environment(&scenario);
    let mut planner = planners::by_name("straight", &scenario, 0).expect("a planner");
    let mut observation = vec![0.0; env.obs_layout().dim()];
    let mut action = [0.0; 2];
    env.reset(3);
    let outcome = loop {
        env.observe(&mut observation);
        planner.act(&[0], &observation, &mut action);
        if let Some(outcome) = env.step(&action).outcome {
            break outcome;
        }
    };
    let third = &messages.ended[3];
    assert_eq!(third.outcome, outcome);
    assert_eq!(third.steps, env.steps());
    let bits = [third.episode_return, env.episode_return()].map(f64::to_bits);
    assert_eq!(bits[0], bits[1], "another return");
}

#[test]
fn ended_episode_waits_if_configured() {
    let scenario = scenario("open_field");
    let planner = planners::by_name("straight", &scenario, 0).expect("a planner");
    let sim = NavSim::new(environment(&scenario), planner).on_episode_end(OnEpisodeEnd::Wait);
    let mut app = app(sim);
    app.world_mut().resource_mut::<NavClock>().speed = 100.0;
    for _ in 0..40 {
        advance(&mut app, Duration::from_millis(50));
    }
    let world = app.world_mut();
    let mut sims = world.query::<&mut NavSim>();
    let mut sim = sims.single_mut(world).expect("one");
    assert_eq!(
        (sim.outcome(), sim.env().episode()),
        (Some(Outcome::Goal), 0)
    );
    sim.reset(7);
    assert_eq!((sim.outcome(), sim.env().episode()), (None, 7));
    assert_eq!(sim.snapshot().step, 0);
}
