//! The environment as a Bevy plugin: the trajectories of the plain one, whatever the frame times.

use std::sync::Arc;
use std::time::Duration;

use bevy::prelude::*;
use bevy::time::TimeUpdateStrategy;
use evenkeel::bevy_env::{
    EpisodeBegan, EpisodeEnded, NavClock, NavMover, NavPlugin, NavRobot, NavSim, NavSystems,
    OnEpisodeEnd,
};
use evenkeel::config::Override;
use evenkeel::env::{Controller, EpisodeRunner, NavEnv, Outcome};
use evenkeel::planners;
use evenkeel::scenario::{self, Scenario};
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;

const SEED: u64 = 11;

/// An actor that goes this way and that, and into things, whatever it sees.
struct Weaver {
    episode: u64,
    step: u64,
}

impl Weaver {
    fn new() -> Self {
        Self {
            episode: 0,
            step: 0,
        }
    }
}

impl Controller for Weaver {
    fn begin_episode(&mut self, _env: usize, episode: u64) {
        *self = Self { episode, step: 0 };
    }

    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let (dim, act) = (observations.len() / envs.len(), actions.len() / envs.len());
        let rows = observations.chunks(dim).zip(actions.chunks_mut(act));
        for (seen, action) in rows {
            let phase = (self.step / 10) as f32 * 0.9 + self.episode as f32 + seen[0];
            let wishes = [0.5 + 0.5 * phase.sin(), (1.3 * phase).cos(), phase.cos()];
            action.copy_from_slice(&wishes[..act]);
        }
        self.step += 1;
    }
}

/// Everything that a trajectory is: the state's bits after each control step, by episode.
type Trajectory = Vec<(u64, u32, Vec<u32>)>;

fn scenario(name: &str) -> Arc<Scenario> {
    changed(name, &[])
}

fn changed(name: &str, changes: &[&str]) -> Arc<Scenario> {
    let changes = changes
        .iter()
        .map(|text| Override::parse(text).expect("a setting"));
    let changes: Vec<Override> = changes.collect();
    Arc::new(scenario::resolve(name, &changes).expect("shipped"))
}

fn environment(scenario: &Arc<Scenario>) -> NavEnv {
    NavEnv::new(Arc::clone(scenario), SEED, Split::Eval, 0).expect("placed")
}

fn plain(scenario: &Arc<Scenario>, mut controller: impl Controller, steps: usize) -> Trajectory {
    let mut env = environment(scenario);
    let mut runner = EpisodeRunner::default();
    let mut trajectory = Vec::new();
    runner.reset(&env, &mut controller);
    while trajectory.len() < steps {
        runner.step(&mut env, &mut controller, &WorldSnapshot::default());
        trajectory.push((env.episode(), env.steps(), env.state_bits()));
        if env.is_over() {
            env.reset(env.episode() + 1);
            runner.reset(&env, &mut controller);
        }
    }
    trajectory
}

#[derive(Resource, Default)]
struct Seen(Trajectory);

/// Notes every frame once; a control step never takes less time than one `FixedUpdate` here.
fn note(sims: Query<&NavSim>, mut seen: ResMut<Seen>) {
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
        .init_resource::<Seen>()
        .add_systems(FixedUpdate, note.after(NavSystems::Step));
    app.world_mut().spawn(sim);
    // The clock starts with the first update, whatever passes in it.
    advance(&mut app, Duration::ZERO);
    app
}

fn advance(app: &mut App, time: Duration) {
    app.insert_resource(TimeUpdateStrategy::ManualDuration(time));
    app.update();
}

/// Frame times from a fraction of a millisecond to a fifth of a second, in no order.
fn uneven() -> impl Iterator<Item = Duration> {
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
fn uneven_frame_times_change_no_trajectory_in_any_scenario() {
    let shipped_scenarios = scenario::shipped_scenarios()
        .iter()
        .map(|shipped| scenario(shipped.name));
    let omni = "robot.drive={ omni = { max_speed_mps = 1.0, max_turn_rate_radps = 2.0, \
                max_accel_mps2 = 1.0, max_turn_accel_radps2 = 4.0 } }";
    let car = "robot.drive={ ackermann = { wheelbase_m = 0.3, max_steering_rad = 0.5, \
               max_steering_rate_radps = 1.0, max_speed_mps = 1.0, max_reverse_mps = 0.5, \
               max_accel_mps2 = 1.0 } }";
    let footprint = "robot.footprint={ box = { half_extents_m = [0.254, 0.215] } }";
    let others = [
        changed("crossing_orca", &[omni]),
        changed("movers", &[car, footprint]),
    ];
    for scenario in shipped_scenarios.chain(others) {
        let sim = NavSim::new(environment(&scenario), Box::new(Weaver::new()));
        let mut app = app(sim);
        let mut frames = uneven();
        while app.world().resource::<Seen>().0.len() < 700 {
            advance(&mut app, frames.next().expect("without end"));
        }
        let seen = &app.world().resource::<Seen>().0;
        let expected = plain(&scenario, Weaver::new(), seen.len());
        assert!(
            expected.last().expect("steps").0 >= 1,
            "{}: one episode only",
            scenario.name
        );
        assert!(*seen == expected, "{}: another trajectory", scenario.name);
    }
}

#[test]
fn speed_pause_and_single_steps_change_when_and_not_what() {
    let scenario = scenario("movers");
    let mut app = app(NavSim::new(environment(&scenario), Box::new(Weaver::new())));
    let second = Duration::from_millis(200);
    let steps = |app: &App| app.world().resource::<Seen>().0.len();
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

    let seen = &app.world().resource::<Seen>().0;
    assert_eq!(*seen, plain(&scenario, Weaver::new(), seen.len()));
}

fn is_at(pose: &Transform, position: [f32; 2]) -> bool {
    pose.translation.truncate().to_array().map(f32::to_bits) == position.map(f32::to_bits)
}

#[test]
fn robots_and_movers_are_entities_where_the_frame_says() {
    let scenario = scenario("movers");
    let mut app = app(NavSim::new(environment(&scenario), Box::new(Weaver::new())));
    for time in uneven().take(60) {
        advance(&mut app, time);
    }
    let world = app.world_mut();
    let frame = world
        .query::<&NavSim>()
        .single(world)
        .expect("one")
        .snapshot()
        .clone();
    assert!(frame.step > 5);
    let robots: Vec<(NavRobot, Transform)> = world
        .query::<(&NavRobot, &Transform)>()
        .iter(world)
        .map(|(robot, pose)| (*robot, *pose))
        .collect();
    assert_eq!(robots.len(), 1);
    let (robot, pose) = robots[0];
    let expected = &frame.robots[robot.index];
    assert!(is_at(&pose, expected.position));
    let ahead = pose.rotation * Vec3::X;
    let heading = ahead.y.atan2(ahead.x);
    assert!((heading - expected.heading_rad).sin().abs() < 1e-5);

    let movers: Vec<(NavMover, Transform)> = world
        .query::<(&NavMover, &Transform)>()
        .iter(world)
        .map(|(mover, pose)| (*mover, *pose))
        .collect();
    assert_eq!(movers.len(), frame.movers.len());
    for (mover, pose) in movers {
        let expected = frame.movers[mover.index].position;
        assert!(is_at(&pose, expected));
    }
}

#[derive(Resource, Default)]
struct Told {
    began: Vec<u64>,
    ended: Vec<EpisodeEnded>,
}

fn listen(
    mut began: MessageReader<EpisodeBegan>,
    mut ended: MessageReader<EpisodeEnded>,
    mut told: ResMut<Told>,
) {
    told.began.extend(began.read().map(|began| began.episode));
    told.ended.extend(ended.read().copied());
}

#[test]
fn every_episode_is_told_once_however_fast_time_runs() {
    let scenario = scenario("open_field");
    let planner = planners::by_name("straight", &scenario, 0).expect("a driver");
    let mut app = app(NavSim::new(environment(&scenario), planner));
    app.init_resource::<Told>().add_systems(Update, listen);
    app.world_mut().resource_mut::<NavClock>().speed = 500.0;
    for _ in 0..40 {
        advance(&mut app, Duration::from_millis(50));
    }
    let told = app.world().resource::<Told>();
    let episodes: Vec<u64> = told.ended.iter().map(|end| end.episode).collect();
    assert!(episodes.len() > 10, "{} episodes", episodes.len());
    let count = episodes.len() as u64;
    assert_eq!(episodes, (0..count).collect::<Vec<_>>());
    assert!(told.began.len() as u64 - count <= 1);
    assert_eq!(told.began, (0..told.began.len() as u64).collect::<Vec<_>>());
    let mut env = environment(&scenario);
    let mut planner = planners::by_name("straight", &scenario, 0).expect("a driver");
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
    let third = &told.ended[3];
    assert_eq!(third.outcome, outcome);
    assert_eq!(third.steps, env.steps());
    let bits = [third.episode_return, env.episode_return()].map(f64::to_bits);
    assert_eq!(bits[0], bits[1], "another return");
}

#[test]
fn an_ended_episode_waits_where_it_is_told_to() {
    let scenario = scenario("open_field");
    let planner = planners::by_name("straight", &scenario, 0).expect("a driver");
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
