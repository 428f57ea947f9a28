//! What a robot has seen of the world so far, and the way to the goal that it makes of it: the map
//! and the global planner of a usual navigation stack (costmap and A*), of which a policy is the
//! local planner. Nothing but scans and the believed pose goes into it.

use std::cell::RefCell;

use nalgebra::{Point2, Vector2};

use crate::scenario::{AStar, FloodGrid, Rect, Scenario, TraversalCosts};
use crate::sim::{Ego, SensorPose};

use super::observe::GOAL_SCALE_M;

/// Control steps between two scans that are entered in the map.
const SCAN_STEPS: u32 = 5;

/// The way is planned anew when something new comes this near to it, as a multiple of the robot's
/// radius, and whenever so many scans were entered.
const REPLAN_RADII: f32 = 1.5;
const REPLAN_SCANS: u32 = 4;

/// With so much room, metres, the way is not led farther away from things.
const FREE_CLEARANCE_M: f32 = 1.0;

/// The way is shown at these distances along it, metres.
const LOOKAHEADS_M: [f32; 3] = [0.5, 1.0, 2.0];

/// Where the second of these bearings lies in the block, and how far ahead it is, metres: what a
/// driver makes for that follows the way.
pub const PATH_BEARING: (usize, f32) = (3, LOOKAHEADS_M[1]);

/// Length of the block `path`: the distance left, then cosine and sine of each bearing.
pub(super) const PATH_LEN: usize = 1 + 2 * LOOKAHEADS_M.len();

/// A thing stays in the map until the beams about its bearing read this much farther, metres.
const CLEARING_MARGIN_M: f32 = 0.2;

/// Readings this near to the lidar's range are of nothing, as a share of it.
const FULL_RANGE: f32 = 0.99;

/// Where the robot may not fit a step counts for so many: a way through what it believes to be a
/// wall is the last resort, for beliefs are not exact.
const BLOCKED_COST: f32 = 16.0;

/// Side of a cell in which one point is kept, metres.
const CELL_M: f32 = 0.05;

/// Points of the way that are looked at to find the nearest: it moves on by no more in a step.
const NEAR_POINTS: usize = 20;

thread_local! {
    /// Memory to plan in. Nothing of one plan reaches the next, and a plan needs as much of it as
    /// a thousand environments could not each keep in a cache.
    static PLAN_SCRATCH: RefCell<(FloodGrid, AStar)> = RefCell::default();
}

/// A map of points, and a way.
#[derive(Debug)]
pub(super) struct ScanMap {
    /// Bearing of the first beam and from one to the next, radians.
    first_rad: f32,
    step_rad: f32,
    is_full_circle: bool,
    /// Unit vector of each beam about the mount.
    beams: Vec<Vector2<f32>>,
    arena: Rect,
    columns: usize,
    /// What was seen, one point a cell.
    points: Vec<Point2<f32>>,
    /// Bits of the cells that have one, `[rows][columns]`.
    occupied: Vec<u64>,
    /// From where the robot was at the last plan to the goal, a point a cell of the planner's.
    path: Vec<Point2<f32>>,
    /// The point of it that the robot is nearest to.
    at: usize,
    /// Scans entered since it was planned.
    scans: u32,
}

impl ScanMap {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let lidar = &scenario.spec.robot[0].lidar;
        let beams = crate::sim::Beams::new(
            lidar.beams as usize,
            lidar.field_of_view_deg.to_radians() as f32,
        );
        let directions: Vec<_> = (0..beams.count())
            .map(|beam| Vector2::from(beams.direction(beam)))
            .collect();
        let (first_rad, step_rad, is_full_circle) = beams.spacing();
        Self {
            first_rad,
            step_rad,
            is_full_circle,
            beams: directions,
            arena: Rect::default(),
            columns: 0,
            points: Vec::new(),
            occupied: Vec::new(),
            path: Vec::new(),
            at: 0,
            scans: 0,
        }
    }

    /// Begins an episode: nothing was seen before it.
    pub(super) fn reset(&mut self, world: Ego) {
        self.arena = world.layout().arena;
        let size = self.arena.size() / CELL_M;
        self.columns = size.x as usize + 1;
        self.occupied.clear();
        self.occupied
            .resize((self.columns * (size.y as usize + 1)).div_ceil(64), 0);
        self.points.clear();
        self.path.clear();
        self.at = 0;
        let pose = world.estimated_pose();
        self.insert_scan(world, pose);
        self.plan(world, pose);
    }

    /// Takes the control step that was just made.
    pub(super) fn step(&mut self, world: Ego) {
        let pose = world.estimated_pose();
        if !(pose.x.is_finite() && pose.y.is_finite()) {
            return;
        }
        self.advance(Point2::new(pose.x, pose.y));
        if world.steps().is_multiple_of(SCAN_STEPS) {
            self.scans += 1;
            if self.insert_scan(world, pose) || self.scans >= REPLAN_SCANS {
                self.plan(world, pose);
            }
        }
    }

    fn plan(&mut self, world: Ego, pose: SensorPose) {
        let here = Point2::new(pose.x, pose.y);
        let robot = world.placement();
        PLAN_SCRATCH.with_borrow_mut(|(grid, astar)| {
            let radius = robot.passage_radius;
            grid.rasterize_points(self.arena, self.points.iter().copied(), radius);
            astar.compute_clearances(grid);
            // The search starts at the goal, so that its way back is the robot's way there.
            let sure = grid
                .nearest_free_cell(robot.goal)
                .zip(grid.nearest_free_cell(here))
                .filter(|&(goal, here)| {
                    let traversal_costs =
                        TraversalCosts::by_clearance(radius, FREE_CLEARANCE_M, f32::INFINITY);
                    astar.search(goal, here, &traversal_costs).is_some()
                })
                .map(|(_, here)| here);
            let from = sure.or_else(|| {
                let (goal, here) = (grid.nearest_cell(robot.goal), grid.nearest_cell(here));
                let found = astar.search(
                    goal,
                    here,
                    &TraversalCosts::by_clearance(radius, FREE_CLEARANCE_M, BLOCKED_COST),
                );
                found.map(|_| here)
            });
            self.path.clear();
            if let Some(from) = from {
                self.path
                    .extend(astar.cells_to_start(from).map(|cell| grid.center(cell)));
            }
            self.path.push(robot.goal);
        });
        self.at = 0;
        self.scans = 0;
        self.advance(here);
    }

    /// Enters what the lidar reads, and strikes out what it sees through; true if any of it is new
    /// and near the way.
    fn insert_scan(&mut self, world: Ego, pose: SensorPose) -> bool {
        let robot = world.placement();
        let ranges = world.ranges();
        let heading = Vector2::new(pose.cos, pose.sin);
        let turned = |v: Vector2<f32>, axis: Vector2<f32>| {
            Vector2::new(axis.x * v.x - axis.y * v.y, axis.y * v.x + axis.x * v.y)
        };
        let (sin, cos) = libm::sincosf(robot.lidar.yaw_rad);
        let mount = Point2::new(pose.x, pose.y) + turned(robot.lidar.position, heading);
        let axis = turned(Vector2::new(cos, sin), heading);
        let reach = FULL_RANGE * robot.lidar_range;
        let mut points = std::mem::take(&mut self.points);
        points.retain(|point| {
            let offset = point - mount;
            let distance = offset.norm();
            let bearing = libm::atan2f(axis.perp(&offset), axis.dot(&offset));
            let through = distance + CLEARING_MARGIN_M < reach
                && self.beams_about(bearing).is_some_and(|about| {
                    about
                        .iter()
                        .all(|&b| ranges[b] > distance + CLEARING_MARGIN_M)
                });
            if through && let Some((word, bit)) = self.cell_bit(*point) {
                self.occupied[word] &= !bit;
            }
            !through
        });
        let known = points.len();
        for (beam, &range) in self.beams.iter().zip(ranges) {
            if range >= reach {
                continue;
            }
            let point = mount + turned(*beam, axis) * range;
            if let Some((word, bit)) = self.cell_bit(point)
                && self.occupied[word] & bit == 0
            {
                self.occupied[word] |= bit;
                points.push(point);
            }
        }
        let near = (REPLAN_RADII * robot.passage_radius).powi(2);
        let is_near = |point: &Point2<f32>| {
            let mut ahead = self.path[self.at..].iter();
            ahead.any(|path| (path - point).norm_squared() < near)
        };
        let is_news = points[known..].iter().any(is_near);
        self.points = points;
        is_news
    }

    /// The beam of a bearing and those beside it; `None` if one of them is out of view.
    fn beams_about(&self, bearing_rad: f32) -> Option<[usize; 3]> {
        let count = self.beams.len() as isize;
        let beam = ((bearing_rad - self.first_rad) / self.step_rad).round() as isize;
        let about = [beam - 1, beam, beam + 1];
        if self.is_full_circle {
            Some(about.map(|beam| beam.rem_euclid(count) as usize))
        } else {
            let inside = about.iter().all(|beam| (0..count).contains(beam));
            inside.then(|| about.map(|beam| beam as usize))
        }
    }

    /// Word and bit of the cell of a point in the arena.
    fn cell_bit(&self, point: Point2<f32>) -> Option<(usize, u64)> {
        let inside = self.arena.contains(point, 0.0);
        let cell = (point - self.arena.min) / CELL_M;
        let index = cell.y as usize * self.columns + cell.x as usize;
        inside.then_some((index / 64, 1 << (index % 64)))
    }

    /// Finds the point of the way that is nearest to the robot, of those that come next.
    fn advance(&mut self, here: Point2<f32>) {
        let next = self.path.iter().enumerate().skip(self.at).take(NEAR_POINTS);
        let nearest = next.min_by(|(_, a), (_, b)| {
            let [a, b] = [a, b].map(|point| (*point - here).norm_squared());
            a.total_cmp(&b)
        });
        self.at = nearest.map_or(self.at, |(index, _)| index);
    }

    /// Writes the block `path`, [`PATH_LEN`] long.
    pub(super) fn observe(&self, pose: SensorPose, out: &mut [f32]) {
        let here = Point2::new(pose.x, pose.y);
        let (mut left, mut last) = (0.0, here);
        let mut shown = 0;
        for &point in &self.path[self.at.min(self.path.len() - 1)..] {
            left += (point - last).norm();
            last = point;
            while shown < LOOKAHEADS_M.len() && left >= LOOKAHEADS_M[shown] {
                bearing(pose, point - here, &mut out[1 + 2 * shown..][..2]);
                shown += 1;
            }
        }
        for shown in shown..LOOKAHEADS_M.len() {
            bearing(pose, last - here, &mut out[1 + 2 * shown..][..2]);
        }
        out[0] = left / GOAL_SCALE_M;
    }
}

/// Cosine and sine of the bearing of an offset relative to the heading.
pub(super) fn bearing(pose: SensorPose, offset: Vector2<f32>, out: &mut [f32]) {
    let distance = offset.norm();
    let scale = if distance > 0.0 { 1.0 / distance } else { 0.0 };
    out[0] = (offset.x * pose.cos + offset.y * pose.sin) * scale;
    out[1] = (offset.y * pose.cos - offset.x * pose.sin) * scale;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;
    use crate::scenario::{EpisodeKey, LayoutSampler, Shape, resolve};
    use crate::seed::Split;
    use crate::sim::{World, WorldSnapshot};

    /// A world in which the robot turns on the spot, the map that it makes meanwhile, and how far
    /// each point of that is from everything.
    fn turning(name: &str, flags: &[&str], steps: u32) -> (World, ScanMap, Vec<f32>) {
        let flags: Vec<_> = flags.iter().map(|f| Override::parse(f).unwrap()).collect();
        let scenario = resolve(name, &flags).unwrap();
        let mut world = World::new(&scenario);
        let mut sampler = LayoutSampler::default();
        let key = EpisodeKey {
            root: 4,
            split: Split::Train,
            env: 0,
            episode: 1,
        };
        world
            .reset(key, |layout| sampler.sample(&scenario, key, layout))
            .unwrap();
        let mut map = ScanMap::new(&scenario);
        map.reset(world.ego(0));
        for _ in 0..steps {
            // Standing: the middle of reverse and forward speed is not zero.
            world.step(&[[-0.6, 0.5, 0.0]]);
            map.step(world.ego(0));
        }
        let mut frame = WorldSnapshot::default();
        world.snapshot(&mut frame);
        let layout = world.layout();
        let disc =
            |at: Point2<f32>, point: Point2<f32>, radius: f32| ((point - at).norm() - radius).abs();
        let distances = map
            .points
            .iter()
            .map(|&point| {
                let (low, high) = (point - layout.arena.min, layout.arena.max - point);
                let walls = [low.x, low.y, high.x, high.y].map(f32::abs);
                let standing = layout.all_obstacles().filter_map(|o| match o.shape {
                    Shape::Disc { radius } => Some(disc(o.position, point, radius)),
                    _ => None,
                });
                let movers = frame
                    .movers
                    .iter()
                    .map(|mover| disc(Point2::from(mover.position), point, mover.radius_m));
                walls
                    .into_iter()
                    .chain(standing)
                    .chain(movers)
                    .fold(f32::MAX, f32::min)
            })
            .collect();
        (world, map, distances)
    }

    #[test]
    fn what_is_in_the_map_is_there() {
        let (_, map, distances) = turning("barn_like", &[], 40);
        assert!(map.points.len() > 200, "{} points", map.points.len());
        let farthest = distances.iter().copied().fold(0.0, f32::max);
        assert!(farthest < 0.02, "a point {farthest} m from everything");
    }

    #[test]
    fn what_moved_away_is_struck_out() {
        let (_, _, distances) = turning("movers", &[], 100);
        // What moved behind something else, or out of range, stays where it was seen last.
        let ghosts = distances.iter().filter(|&&distance| distance > 0.3).count();
        assert!(
            ghosts * 10 < distances.len(),
            "{ghosts} of {} points are of what is no longer there",
            distances.len()
        );
    }

    #[test]
    fn the_way_keeps_clear_and_ends_at_the_goal() {
        let (world, map, _) = turning("barn_like", &[], 40);
        let goal = world.ego(0).placement().goal;
        assert_eq!(map.path.last(), Some(&goal));
        assert!((map.path[0] - world.ego(0).position()).norm() < 0.2);
        let mut out = [0.0; PATH_LEN];
        map.observe(world.ego(0).estimated_pose(), &mut out);
        let straight = (goal - world.ego(0).position()).norm();
        assert!((straight..1.5 * straight).contains(&(out[0] * GOAL_SCALE_M)));
        for pair in out[1..].chunks(2) {
            assert!((pair[0].hypot(pair[1]) - 1.0).abs() < 1e-5, "{pair:?}");
        }
        for path in &map.path[3..map.path.len() - 3] {
            let near = |point: &Point2<f32>| {
                (path - point).norm() < world.ego(0).placement().passage_radius
            };
            assert!(
                !map.points.iter().any(near),
                "{path} is too near to something"
            );
        }
    }
}
