//! What is drawn: one episode as far as it has gone, whoever it comes from. A simulation, a
//! recording or a trainer fills it; the drawing knows nothing else.

use bevy::prelude::Component;
use nalgebra::{Point2, Vector2};

use evenkeel_sim::env::{Controller, EnvSnapshot, EpisodeRunner, NavEnv, Outcome};
use evenkeel_sim::scenario::spec::LidarSpec;
use evenkeel_sim::scenario::{Geodesic, GeodesicPath, Layout, RobotPlacement, Scenario};
use evenkeel_sim::sim::{Beams, MoverSnapshot, RobotSnapshot, WorldSnapshot};

/// For how long a contact is seen, seconds of the episode.
const FLASH_SECS: f32 = 0.6;

/// One episode of one policy, as it is shown.
#[derive(Clone, Debug, Component)]
pub struct EpisodeView {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of whoever drives.
    pub policy: String,
    /// Root seed of the episodes.
    pub seed: u64,
    /// Number of the episode.
    pub episode: u64,
    /// What stands in the room.
    pub layout: Layout,
    /// The shortest way of each robot, where there is one.
    pub shortest_paths: Vec<Option<GeodesicPath>>,
    /// Unit vectors of each robot's lidar beams in the robot's frame.
    pub beams: Vec<Vec<[f32; 2]>>,
    /// Seconds between two frames.
    pub control_step_secs: f32,
    /// The episode's length at most, seconds.
    pub time_limit_secs: f32,
    /// The frame before the newest, and the newest.
    pub snapshots: [WorldSnapshot; 2],
    /// Where the robots have been, one trail each.
    pub trails: Vec<Vec<TrailPoint>>,
    /// `[robots]`: when each last touched anything, seconds of the episode.
    pub last_contact_secs: Vec<Option<f32>>,
    /// `[robots]`: undiscounted sum of each one's rewards so far.
    pub returns: Vec<f64>,
    /// How the episode ended, if it has.
    pub outcome: Option<Outcome>,
}

/// Where a robot was at one control step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrailPoint {
    /// Metres.
    pub position: Point2<f32>,
    /// Metres per second, without sign.
    pub speed_mps: f32,
}

impl EpisodeView {
    /// An environment's episode, from where it is.
    pub fn of_env(env: &NavEnv, policy: &str, seed: u64) -> Self {
        let mut picture = Self::empty(env.scenario(), policy, seed);
        picture.restart(env);
        picture
    }

    /// Nothing yet, of a scenario's episodes.
    pub fn empty(scenario: &Scenario, policy: &str, seed: u64) -> Self {
        let task = &scenario.spec.task;
        let robots = scenario.spec.robot.iter();
        Self {
            scenario: scenario.name.clone(),
            policy: policy.to_owned(),
            seed,
            episode: 0,
            layout: Layout::default(),
            shortest_paths: Vec::new(),
            beams: robots
                .flat_map(|robot| {
                    std::iter::repeat_n(directions(&robot.lidar), robot.count as usize)
                })
                .collect(),
            control_step_secs: task.control_step_secs as f32,
            time_limit_secs: task.time_limit_secs as f32,
            snapshots: Default::default(),
            trails: Vec::new(),
            last_contact_secs: Vec::new(),
            returns: Vec::new(),
            outcome: None,
        }
    }

    /// What a tap showed of an environment: one moment of some episode. The shortest ways are left
    /// out, see [`Self::find_shortest_paths`].
    pub fn update_from_probe(&mut self, probed: &EnvSnapshot) {
        self.episode = probed.episode;
        self.layout.clone_from(&probed.layout);
        self.shortest_paths.clear();
        for frame in &mut self.snapshots {
            frame.clone_from(&probed.frame);
        }
        let dt_secs = self.control_step_secs;
        let trail = |positions: &Vec<Point2<f32>>| {
            let before = positions.first().into_iter().chain(positions);
            let points = positions.iter().zip(before);
            let point = |(position, before): (&Point2<f32>, &Point2<f32>)| TrailPoint {
                position: *position,
                speed_mps: (position - before).norm() / dt_secs,
            };
            points.map(point).collect()
        };
        self.trails = probed.trails.iter().map(trail).collect();
        self.last_contact_secs.clear();
        self.record_contacts();
        self.returns.clone_from(&probed.returns);
        self.outcome = None;
    }

    /// Finds the shortest way of each robot: some milliseconds.
    pub fn find_shortest_paths(&mut self) {
        let way = |robot: &RobotPlacement| {
            Geodesic::new(&self.layout, robot.passage_radius).path(robot.start, robot.goal)
        };
        self.shortest_paths = self.layout.robots.iter().map(way).collect();
    }

    /// The episode that the same environment has begun since.
    pub fn restart(&mut self, env: &NavEnv) {
        self.episode = env.episode();
        self.layout.clone_from(env.layout());
        self.find_shortest_paths();
        let mut first = WorldSnapshot::default();
        env.snapshot(&mut first);
        self.rewind(&first, &env.returns());
    }

    /// Goes back to a frame of the same episode, before which nothing was seen of it.
    pub fn rewind(&mut self, first: &WorldSnapshot, returns: &[f64]) {
        self.trails.resize(self.layout.robots.len(), Vec::new());
        self.trails.iter_mut().for_each(Vec::clear);
        self.last_contact_secs.clear();
        self.snapshots[1].clone_from(first);
        self.advance(first, returns, None);
    }

    /// The next frame of the episode; the returns are each robot's so far.
    pub fn advance(&mut self, frame: &WorldSnapshot, returns: &[f64], outcome: Option<Outcome>) {
        self.snapshots.swap(0, 1);
        self.snapshots[1].clone_from(frame);
        for (trail, robot) in self.trails.iter_mut().zip(&frame.robots) {
            trail.push(TrailPoint {
                position: robot.position.into(),
                speed_mps: robot.speed_mps.hypot(robot.side_speed_mps),
            });
        }
        self.record_contacts();
        self.returns.clear();
        self.returns.extend_from_slice(returns);
        self.outcome = outcome;
    }

    /// Notes who touches anything in the newest frame; who waits may go on to, which is no news.
    fn record_contacts(&mut self) {
        let [before, now] = &self.snapshots;
        self.last_contact_secs.resize(now.robots.len(), None);
        let robots = now.robots.iter().zip(&mut self.last_contact_secs);
        for (index, (robot, last_contact_secs)) in robots.enumerate() {
            let waited = before.robots.get(index).is_some_and(|robot| robot.inactive);
            if robot.contact && !waited {
                *last_contact_secs = Some(now.time_secs);
            }
        }
    }

    /// Lets an actor drive on in the environment that the picture is of, up to a second of the
    /// episode or to its end.
    pub fn play(&mut self, env: &mut NavEnv, controller: &mut dyn Controller, until_secs: f32) {
        let mut runner = EpisodeRunner::default();
        let mut frame = WorldSnapshot::default();
        runner.reset(env, controller);
        // Half a step early: seconds are sums of steps, which are not exact.
        let enough = until_secs - 0.5 * self.control_step_secs;
        while self.outcome.is_none() && self.snapshot().time_secs < enough {
            runner.step(env, controller, self.snapshot());
            env.snapshot(&mut frame);
            self.advance(&frame, &env.returns(), env.episode_outcome());
        }
    }

    /// The newest frame.
    pub fn snapshot(&self) -> &WorldSnapshot {
        &self.snapshots[1]
    }

    /// The moment that lies `share` of the way from the frame before to the newest, 0 to 1.
    pub fn interpolate(&self, share: f32) -> InterpolatedWorld {
        let [before, now] = &self.snapshots;
        let time_secs = before.time_secs + share * (now.time_secs - before.time_secs);
        let robots = now.robots.iter().enumerate().map(|(i, now)| {
            let before = before.robots.get(i).unwrap_or(now);
            let beams = self.beams.get(i).map_or(&[][..], Vec::as_slice);
            let last_contact_secs = self.last_contact_secs.get(i).copied().flatten();
            InterpolatedRobot {
                flash: flash(last_contact_secs, time_secs),
                ..between(before, now, beams, share)
            }
        });
        let movers = now.movers.iter().enumerate().map(|(i, now)| {
            let before = before.movers.get(i).unwrap_or(now);
            MoverSnapshot {
                position: lerp(before.position, now.position, share),
                ..*now
            }
        });
        InterpolatedWorld {
            time_secs,
            robots: robots.collect(),
            movers: movers.collect(),
        }
    }
}

/// How fresh a contact is: 1 in it, 0 when it is long past, or none was.
fn flash(last_contact_secs: Option<f32>, now_secs: f32) -> f32 {
    let since = last_contact_secs.map(|secs| now_secs - secs);
    since
        .filter(|since| (0.0..FLASH_SECS).contains(since))
        .map_or(0.0, |since| 1.0 - since / FLASH_SECS)
}

/// Unit vectors of a lidar's beams in the robot's frame.
fn directions(lidar: &LidarSpec) -> Vec<[f32; 2]> {
    let view = lidar.field_of_view_deg.to_radians() as f32;
    let beams = Beams::new(lidar.beams as usize, view);
    (0..beams.count())
        .map(|beam| beams.direction(beam))
        .collect()
}

/// A robot `share` of the way between two frames.
fn between(
    before: &RobotSnapshot,
    now: &RobotSnapshot,
    beams: &[[f32; 2]],
    share: f32,
) -> InterpolatedRobot {
    let turn = wrapped(now.heading_rad - before.heading_rad);
    // A scan is of one moment: halfway between two, its hits would float in the air.
    let (sin, cos) = now.heading_rad.sin_cos();
    let scan = beams.iter().zip(&now.ranges_m);
    let hits = scan.map(|(&[x, y], &range_m)| {
        let along = Vector2::new(x * cos - y * sin, x * sin + y * cos);
        LidarHit {
            at: Point2::from(now.position) + along * range_m,
            range_m,
        }
    });
    InterpolatedRobot {
        position: lerp(before.position, now.position, share).into(),
        heading_rad: before.heading_rad + share * turn,
        speed_mps: now.speed_mps,
        turn_rate_radps: now.turn_rate_radps,
        hits: hits.collect(),
        flash: 0.0,
    }
}

/// What is to be drawn between two frames.
#[derive(Clone, Debug, Default)]
pub struct InterpolatedWorld {
    /// Seconds since the episode began.
    pub time_secs: f32,
    /// `[robots]`.
    pub robots: Vec<InterpolatedRobot>,
    /// `[movers]`.
    pub movers: Vec<MoverSnapshot>,
}

/// A robot between two frames.
#[derive(Clone, Debug)]
pub struct InterpolatedRobot {
    /// Metres.
    pub position: Point2<f32>,
    /// Radians.
    pub heading_rad: f32,
    /// Along its heading in the newest frame, metres per second.
    pub speed_mps: f32,
    /// In the newest frame, radians per second.
    pub turn_rate_radps: f32,
    /// What its lidar saw in the newest frame, `[beams]`.
    pub hits: Vec<LidarHit>,
    /// How fresh its last contact is: 1 in it, 0 when it is long past.
    pub flash: f32,
}

/// Where a beam ends.
#[derive(Clone, Copy, Debug)]
pub struct LidarHit {
    /// Metres.
    pub at: Point2<f32>,
    /// Reading, metres.
    pub range_m: f32,
}

fn lerp(from: [f32; 2], to: [f32; 2], share: f32) -> [f32; 2] {
    [0, 1].map(|axis| from[axis] + share * (to[axis] - from[axis]))
}

/// The same angle in [-π, π).
fn wrapped(angle: f32) -> f32 {
    use std::f32::consts::{PI, TAU};
    (angle + PI).rem_euclid(TAU) - PI
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use evenkeel_sim::seed::Split;

    fn driven(steps: usize) -> (NavEnv, EpisodeView) {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("movers", &[]).unwrap());
        let mut env = NavEnv::new(scenario, 1, Split::Eval, 0).unwrap();
        let mut picture = EpisodeView::of_env(&env, "planner:nobody", 1);
        let mut frame = WorldSnapshot::default();
        for _ in 0..steps {
            let step = env.step(&[0.4, 0.7]);
            env.snapshot(&mut frame);
            picture.advance(&frame, &env.returns(), step.outcome);
        }
        (env, picture)
    }

    #[test]
    fn between_two_frames_everything_is_on_its_way() {
        let (_, picture) = driven(5);
        let [before, now] = &picture.snapshots;
        for (share, frame) in [(0.0, before), (1.0, now)] {
            let moment = picture.interpolate(share);
            let (seen, robot) = (&moment.robots[0], &frame.robots[0]);
            assert!((seen.position - Point2::from(robot.position)).norm() < 1e-6);
            assert!(wrapped(seen.heading_rad - robot.heading_rad).abs() < 1e-5);
            for (hit, range) in seen.hits.iter().zip(&now.robots[0].ranges_m) {
                let reach = (hit.at - Point2::from(now.robots[0].position)).norm();
                assert!((reach - range).abs() < 1e-4, "{reach} is not {range}");
            }
            assert_eq!(seen.hits.len(), picture.beams[0].len());
            let [seen, mover] = [&moment.movers[0], &frame.movers[0]].map(|m| m.position);
            assert!((Point2::from(seen) - Point2::from(mover)).norm() < 1e-6);
        }
        let half = picture.interpolate(0.5).time_secs;
        assert!((half - 0.45).abs() < 1e-5, "{half}");
    }

    #[test]
    fn a_heading_turns_the_short_way_round() {
        let (_, mut picture) = driven(1);
        picture.snapshots[0].robots[0].heading_rad = 3.1;
        picture.snapshots[1].robots[0].heading_rad = -3.1;
        let heading = picture.interpolate(0.5).robots[0].heading_rad;
        assert!(
            (wrapped(heading).abs() - std::f32::consts::PI).abs() < 1e-5,
            "{heading}"
        );
    }

    #[test]
    fn only_who_touches_something_flashes_and_not_while_it_waits() {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("swap", &[]).unwrap());
        let env = NavEnv::new(scenario, 1, Split::Eval, 0).unwrap();
        let mut picture = EpisodeView::of_env(&env, "planner:nobody", 1);
        let mut frame = picture.snapshot().clone();
        let mut flashing = |change: fn(&mut RobotSnapshot)| {
            change(&mut frame.robots[2]);
            frame.time_secs += 1.1 * FLASH_SECS;
            picture.advance(&frame, &[0.0; 6], None);
            let moment = picture.interpolate(1.0);
            let robots = moment.robots.iter().enumerate();
            let fresh = robots.filter(|(_, robot)| robot.flash > 0.0);
            fresh.map(|(number, _)| number).collect::<Vec<_>>()
        };
        assert!(flashing(|_| ()).is_empty());
        assert_eq!(flashing(|robot| robot.contact = true), [2]);
        // The step in which its part ends is still one of it.
        assert_eq!(flashing(|robot| robot.inactive = true), [2]);
        assert!(flashing(|_| ()).is_empty());
    }

    #[test]
    fn a_new_episode_leaves_nothing_of_the_last() {
        let (mut env, mut picture) = driven(20);
        assert_eq!(picture.trails[0].len(), 21);
        env.reset(3);
        picture.restart(&env);
        let fresh = EpisodeView::of_env(&env, "planner:nobody", 1);
        assert_eq!(picture.episode, 3);
        assert_eq!(picture.trails, fresh.trails);
        assert_eq!(picture.layout, fresh.layout);
        assert_eq!(picture.snapshots, fresh.snapshots);
    }
}
