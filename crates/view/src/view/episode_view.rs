//! What is drawn of an episode. A simulation, a recording or a trainer fills it; the drawing code sees
//! nothing else.

use bevy::prelude::Component;
use nalgebra::{Point2, Vector2};

use evenkeel_sim::env::{Controller, EnvSnapshot, EpisodeRunner, NavEnv, Outcome, TEAM_SEPARATOR};
use evenkeel_sim::scenario::spec::LidarSpec;
use evenkeel_sim::scenario::{
    Geodesic, GeodesicPath, Layout, LidarParameters, RobotParameters, Scenario,
};
use evenkeel_sim::sim::{Beams, MoverSnapshot, RobotSnapshot, WorldSnapshot};

/// How long a contact is shown, seconds of the episode.
const FLASH_SECS: f32 = 0.6;

/// One episode of one policy, up to the step that is shown.
#[derive(Clone, Debug, Component)]
pub struct EpisodeView {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the policy.
    pub policy: String,
    /// Root seed of the episodes.
    pub seed: u64,
    /// Number of the episode.
    pub episode: u64,
    /// Layout of the episode.
    pub layout: Layout,
    /// `[robots]`: the shortest path of each, if there is one.
    pub shortest_paths: Vec<Option<GeodesicPath>>,
    /// `[robots]`: unit vectors of the lidar beams in the sensor's frame.
    pub beams: Vec<Vec<[f32; 2]>>,
    /// Seconds between two snapshots.
    pub control_step_secs: f32,
    /// Time limit of the episode, seconds.
    pub time_limit_secs: f32,
    /// The snapshot before the newest, and the newest.
    pub snapshots: [WorldSnapshot; 2],
    /// `[robots]`: where each has been.
    pub trails: Vec<Vec<TrailPoint>>,
    /// `[robots]`: time of each one's last contact, seconds of the episode.
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
    /// Absolute speed, metres per second.
    pub speed_mps: f32,
}

impl EpisodeView {
    /// A view of the episode that `env` is in, from its current step on.
    pub fn of_env(env: &NavEnv, policy: &str, seed: u64) -> Self {
        let mut view = Self::empty(env.scenario(), policy, seed);
        view.restart(env);
        view
    }

    /// An empty view for episodes of a scenario.
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

    /// Shows what a probe copied from an environment: one step of some episode. Shortest paths are
    /// left out: see [`Self::find_shortest_paths`].
    pub fn update_from_probe(&mut self, probed: &EnvSnapshot) {
        self.episode = probed.episode;
        self.layout.clone_from(&probed.layout);
        self.shortest_paths.clear();
        for snapshot in &mut self.snapshots {
            snapshot.clone_from(&probed.world);
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

    /// Computes the shortest path of each robot, which takes some milliseconds.
    pub fn find_shortest_paths(&mut self) {
        let path = |robot: &RobotParameters| {
            Geodesic::new(&self.layout, robot.passage_radius).path(robot.start, robot.goal)
        };
        self.shortest_paths = self.layout.robots.iter().map(path).collect();
    }

    /// Shows the episode that the same environment has started since.
    pub fn restart(&mut self, env: &NavEnv) {
        self.episode = env.episode();
        self.layout.clone_from(env.layout());
        self.find_shortest_paths();
        let mut first = WorldSnapshot::default();
        env.snapshot(&mut first);
        self.rewind(&first, &env.returns());
    }

    /// Goes back to a snapshot of the same episode, and forgets the steps after it.
    pub fn rewind(&mut self, first: &WorldSnapshot, returns: &[f64]) {
        self.trails.resize(self.layout.robots.len(), Vec::new());
        self.trails.iter_mut().for_each(Vec::clear);
        self.last_contact_secs.clear();
        self.snapshots[1].clone_from(first);
        self.advance(first, returns, None);
    }

    /// Adds the next snapshot of the episode. `returns` is `[robots]`: each one's return so far.
    pub fn advance(&mut self, snapshot: &WorldSnapshot, returns: &[f64], outcome: Option<Outcome>) {
        self.snapshots.swap(0, 1);
        self.snapshots[1].clone_from(snapshot);
        for (trail, robot) in self.trails.iter_mut().zip(&snapshot.robots) {
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

    /// Updates the contact times from the newest snapshot. Contacts of inactive robots do not count.
    fn record_contacts(&mut self) {
        let [before, now] = &self.snapshots;
        self.last_contact_secs.resize(now.robots.len(), None);
        let robots = now.robots.iter().zip(&mut self.last_contact_secs);
        for (index, (robot, last_contact_secs)) in robots.enumerate() {
            let was_inactive = before.robots.get(index).is_some_and(|robot| robot.inactive);
            if robot.contact && !was_inactive {
                *last_contact_secs = Some(now.time_secs);
            }
        }
    }

    /// Plays the episode that this is a view of, up to `until_secs` of it or to its end. `runner` has
    /// the environment, at the step that is shown.
    pub fn play(
        &mut self,
        runner: &mut EpisodeRunner,
        controller: &mut dyn Controller,
        until_secs: f32,
    ) {
        if runner.env().steps() == 0 {
            runner.begin_episode(controller);
        }
        // Half a step early: seconds are sums of steps, which are not exact.
        let until_secs = until_secs - 0.5 * self.control_step_secs;
        while self.outcome.is_none() && self.snapshot().time_secs < until_secs {
            runner.step_with(controller);
            let env = runner.env();
            self.advance(runner.snapshot(), &env.returns(), env.episode_outcome());
        }
    }

    /// Names of who drives the first robot and, if that is someone else, of who drives the others.
    pub fn drivers(&self) -> (&str, Option<&str>) {
        match self.policy.split_once(TEAM_SEPARATOR) {
            Some((first, others)) => (first, Some(others)),
            None => (&self.policy, None),
        }
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> &WorldSnapshot {
        &self.snapshots[1]
    }

    /// Interpolates between the two snapshots; `share` is 0 for the older and 1 for the newest.
    pub fn interpolate(&self, share: f32) -> InterpolatedWorld {
        let [before, now] = &self.snapshots;
        let time_secs = before.time_secs + share * (now.time_secs - before.time_secs);
        let robots = now.robots.iter().enumerate().map(|(i, now)| {
            let before = before.robots.get(i).unwrap_or(now);
            let beams = self.beams.get(i).map_or(&[][..], Vec::as_slice);
            let mount = self.layout.robots.get(i).map(|robot| robot.lidar);
            let mount = mount.unwrap_or_default();
            let last_contact_secs = self.last_contact_secs.get(i).copied().flatten();
            InterpolatedRobot {
                flash: flash(last_contact_secs, time_secs),
                ..interpolate_robot(before, now, beams, mount, share)
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

/// Strength of a contact's flash: 1 at the contact, 0 after [`FLASH_SECS`] and without a contact.
fn flash(last_contact_secs: Option<f32>, now_secs: f32) -> f32 {
    let since = last_contact_secs.map(|secs| now_secs - secs);
    since
        .filter(|since| (0.0..FLASH_SECS).contains(since))
        .map_or(0.0, |since| 1.0 - since / FLASH_SECS)
}

/// Unit vectors of a lidar's beams in the sensor's frame.
fn directions(lidar: &LidarSpec) -> Vec<[f32; 2]> {
    let beams = Beams::of(lidar);
    (0..beams.count())
        .map(|beam| beams.direction(beam))
        .collect()
}

/// Interpolates a robot between two snapshots.
fn interpolate_robot(
    before: &RobotSnapshot,
    now: &RobotSnapshot,
    beams: &[[f32; 2]],
    mount: LidarParameters,
    share: f32,
) -> InterpolatedRobot {
    let turn = wrapped(now.heading_rad - before.heading_rad);
    // A scan is not interpolated: halfway between two, its hits would be nowhere near a surface.
    let (sin, cos) = now.heading_rad.sin_cos();
    let [x, y] = mount.position.into();
    let offset = Vector2::new(x * cos - y * sin, x * sin + y * cos);
    let lidar_position = Point2::from(now.position) + offset;
    let (sin, cos) = (now.heading_rad + mount.yaw_rad).sin_cos();
    let scan = beams.iter().zip(&now.ranges_m);
    let hits = scan.map(|(&[x, y], &range_m)| {
        let along = Vector2::new(x * cos - y * sin, x * sin + y * cos);
        LidarHit {
            at: lidar_position + along * range_m,
            range_m,
        }
    });
    InterpolatedRobot {
        position: lerp(before.position, now.position, share).into(),
        heading_rad: before.heading_rad + share * turn,
        speed_mps: now.speed_mps,
        turn_rate_radps: now.turn_rate_radps,
        lidar_position,
        hits: hits.collect(),
        flash: 0.0,
    }
}

/// A world between two snapshots.
#[derive(Clone, Debug, Default)]
pub struct InterpolatedWorld {
    /// Seconds since the beginning of the episode.
    pub time_secs: f32,
    /// `[robots]`.
    pub robots: Vec<InterpolatedRobot>,
    /// `[movers]`.
    pub movers: Vec<MoverSnapshot>,
}

/// A robot between two snapshots.
#[derive(Clone, Debug)]
pub struct InterpolatedRobot {
    /// Metres.
    pub position: Point2<f32>,
    /// Radians.
    pub heading_rad: f32,
    /// Speed along its heading in the newest snapshot, metres per second.
    pub speed_mps: f32,
    /// Turn rate in the newest snapshot, radians per second.
    pub turn_rate_radps: f32,
    /// Position of its lidar in the newest snapshot, metres.
    pub lidar_position: Point2<f32>,
    /// `[beams]`: hits of its lidar in the newest snapshot.
    pub hits: Vec<LidarHit>,
    /// Strength of its last contact's flash, 0 to 1.
    pub flash: f32,
}

/// The end of a lidar beam.
#[derive(Clone, Copy, Debug)]
pub struct LidarHit {
    /// Metres.
    pub at: Point2<f32>,
    /// Range, metres.
    pub range_m: f32,
}

fn lerp(from: [f32; 2], to: [f32; 2], share: f32) -> [f32; 2] {
    [0, 1].map(|axis| from[axis] + share * (to[axis] - from[axis]))
}

/// Wraps an angle to [-π, π).
fn wrapped(angle: f32) -> f32 {
    use std::f32::consts::{PI, TAU};
    (angle + PI).rem_euclid(TAU) - PI
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use evenkeel_sim::seed::Split;

    fn played(steps: usize) -> (NavEnv, EpisodeView) {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("movers", &[]).unwrap());
        let mut env = NavEnv::new(scenario, 1, Split::Eval, 0).unwrap();
        let mut view = EpisodeView::of_env(&env, "planner:none", 1);
        let mut snapshot = WorldSnapshot::default();
        for _ in 0..steps {
            let step = env.step(&[0.4, 0.7]);
            env.snapshot(&mut snapshot);
            view.advance(&snapshot, &env.returns(), step.outcome);
        }
        (env, view)
    }

    #[test]
    fn everything_is_interpolated_between_two_snapshots() {
        let (_, view) = played(5);
        let [before, now] = &view.snapshots;
        for (share, snapshot) in [(0.0, before), (1.0, now)] {
            let between = view.interpolate(share);
            let (seen, robot) = (&between.robots[0], &snapshot.robots[0]);
            assert!((seen.position - Point2::from(robot.position)).norm() < 1e-6);
            assert!(wrapped(seen.heading_rad - robot.heading_rad).abs() < 1e-5);
            for (hit, range) in seen.hits.iter().zip(&now.robots[0].ranges_m) {
                let reach = (hit.at - Point2::from(now.robots[0].position)).norm();
                assert!((reach - range).abs() < 1e-4, "{reach} is not {range}");
            }
            assert_eq!(seen.hits.len(), view.beams[0].len());
            let [seen, mover] = [&between.movers[0], &snapshot.movers[0]].map(|m| m.position);
            assert!((Point2::from(seen) - Point2::from(mover)).norm() < 1e-6);
        }
        let half = view.interpolate(0.5).time_secs;
        assert!((half - 0.45).abs() < 1e-5, "{half}");
    }

    #[test]
    fn the_scan_of_a_mounted_lidar_is_drawn_where_it_was_measured() {
        // A lidar 0.2 m ahead that looks to the left, in a room without obstacles: each hit is on a
        // wall, or at the end of the range.
        let set = "robot.lidar={ beams = 5, range_m = 4.0, field_of_view_deg = 359.995, \
                   position_m = [0.2, 0.1], yaw_rad = 1.5 }";
        let set = evenkeel_sim::config::Override::parse(set).unwrap();
        let scenario = evenkeel_sim::scenario::resolve("open_field", &[set]).unwrap();
        let env = NavEnv::new(Arc::new(scenario), 1, Split::Eval, 0).unwrap();
        let view = EpisodeView::of_env(&env, "planner:none", 1);
        let robot = &view.interpolate(1.0).robots[0];
        let (arena, mut on_walls) = (view.layout.arena, 0);
        for hit in robot.hits.iter().filter(|hit| hit.range_m < 3.99) {
            let (low, high) = (hit.at - arena.min, arena.max - hit.at);
            assert!(
                low.inf(&high).min().abs() < 1e-3,
                "{hit:?} is not on a wall"
            );
            on_walls += 1;
        }
        assert!(on_walls > 0, "no beam hits a wall");
    }

    #[test]
    fn headings_turn_the_short_way_round() {
        let (_, mut view) = played(1);
        view.snapshots[0].robots[0].heading_rad = 3.1;
        view.snapshots[1].robots[0].heading_rad = -3.1;
        let heading = view.interpolate(0.5).robots[0].heading_rad;
        assert!(
            (wrapped(heading).abs() - std::f32::consts::PI).abs() < 1e-5,
            "{heading}"
        );
    }

    #[test]
    fn only_contacts_of_active_robots_flash() {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("swap", &[]).unwrap());
        let env = NavEnv::new(scenario, 1, Split::Eval, 0).unwrap();
        let mut view = EpisodeView::of_env(&env, "planner:none", 1);
        let mut snapshot = view.snapshot().clone();
        let mut flashing = |change: fn(&mut RobotSnapshot)| {
            change(&mut snapshot.robots[2]);
            snapshot.time_secs += 1.1 * FLASH_SECS;
            view.advance(&snapshot, &[0.0; 6], None);
            let between = view.interpolate(1.0);
            let robots = between.robots.iter().enumerate();
            let fresh = robots.filter(|(_, robot)| robot.flash > 0.0);
            fresh.map(|(number, _)| number).collect::<Vec<_>>()
        };
        assert!(flashing(|_| ()).is_empty());
        assert_eq!(flashing(|robot| robot.contact = true), [2]);
        // The step in which the robot becomes inactive still counts.
        assert_eq!(flashing(|robot| robot.inactive = true), [2]);
        assert!(flashing(|_| ()).is_empty());
    }

    #[test]
    fn a_new_episode_keeps_nothing_of_the_last() {
        let (mut env, mut view) = played(20);
        assert_eq!(view.trails[0].len(), 21);
        env.reset(3);
        view.restart(&env);
        let fresh = EpisodeView::of_env(&env, "planner:none", 1);
        assert_eq!(view.episode, 3);
        assert_eq!(view.trails, fresh.trails);
        assert_eq!(view.layout, fresh.layout);
        assert_eq!(view.snapshots, fresh.snapshots);
    }
}
