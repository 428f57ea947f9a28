//! A map of what a robot's lidar has seen in an episode, and the path to the goal that is planned
//! on it: the costmap and the global planner (A*) of a usual navigation stack, whose local planner
//! is the policy. It must use nothing but lidar scans, the estimated pose, the goal and the arena.

use std::cell::RefCell;

use nalgebra::{Point2, Vector2};

use crate::scenario::{AStar, FloodGrid, Rect, Scenario, TraversalCosts};
use crate::sim::{Ego, Pose2};

/// Distance that is 1 in the blocks `goal` and `path`, metres.
pub const GOAL_SCALE_M: f32 = 10.0;

/// Control steps from one scan that is entered in the map to the next.
const SCAN_STEPS: u32 = 5;

/// A new point nearer to the path than this causes a new plan, as a multiple of the robot's radius.
const REPLAN_RADII: f32 = 1.5;
/// So many scans since the last plan cause a new plan.
const REPLAN_SCANS: u32 = 4;

/// Clearance above which a path costs no less, metres.
const FREE_CLEARANCE_M: f32 = 1.0;

/// The block `path` has the bearings of the points at these distances along the path, metres.
const LOOKAHEADS_M: [f32; 3] = [0.5, 1.0, 2.0];

/// Index in the block of the bearing that a planner follows, and the distance of its point along
/// the path, metres.
pub const PATH_BEARING: (usize, f32) = (3, LOOKAHEADS_M[1]);

/// Length of the block `path`: the distance left, then cosine and sine of each bearing.
pub(super) const PATH_LEN: usize = 1 + 2 * LOOKAHEADS_M.len();

/// A point stays in the map until the beams around its bearing read this much farther, metres.
const CLEARING_MARGIN_M: f32 = 0.2;

/// Readings above this share of the lidar's range hit nothing.
const FULL_RANGE: f32 = 0.99;

/// Cost of a step through a cell in which the robot may not fit, relative to a free cell. A path
/// through a mapped wall is the last resort: the map is not exact.
const BLOCKED_COST: f32 = 16.0;

/// Side of the cells, which keep one point each, metres.
pub(super) const CELL_M: f32 = 0.05;

/// Most points by which the nearest point of the path advances in one control step.
const MAX_ADVANCE: usize = 20;

thread_local! {
    /// Scratch memory of a plan. No plan reads what another left. It is shared because it would not
    /// fit into a cache if each of a thousand environments had its own.
    static PLAN_SCRATCH: RefCell<(FloodGrid, AStar)> = RefCell::default();
}

/// A map of points, and a path to the goal.
#[derive(Debug)]
pub(super) struct ScanMap {
    /// Bearing of the first beam, and the angle from one beam to the next, radians.
    first_rad: f32,
    step_rad: f32,
    is_full_circle: bool,
    /// `[beams]`: unit vectors in the lidar's frame.
    beams: Vec<Vector2<f32>>,
    arena: Rect,
    columns: usize,
    /// Points that beams hit, at most one per cell.
    points: Vec<Point2<f32>>,
    /// One bit per cell, `[rows, columns]`: whether it has a point.
    occupied: Vec<u64>,
    /// The path from where the robot was at the last plan to the goal, one point per cell of the
    /// planner's grid.
    path: Vec<Point2<f32>>,
    /// Index of the point of `path` that is nearest to the robot.
    nearest: usize,
    /// Scans entered since the last plan.
    scans: u32,
}

impl ScanMap {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let beams = crate::sim::Beams::of(&scenario.spec.robot[0].lidar);
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
            nearest: 0,
            scans: 0,
        }
    }

    /// Starts an episode with an empty map, and enters the first scan.
    pub(super) fn reset(&mut self, ego: Ego) {
        self.arena = ego.layout().arena;
        let size = self.arena.size() / CELL_M;
        self.columns = size.x as usize + 1;
        self.occupied.clear();
        self.occupied
            .resize((self.columns * (size.y as usize + 1)).div_ceil(64), 0);
        self.points.clear();
        self.path.clear();
        self.nearest = 0;
        let pose = ego.estimated_pose();
        self.insert_scan(ego, pose);
        self.plan(ego, pose);
    }

    /// Takes the control step that the world has just made.
    pub(super) fn step(&mut self, ego: Ego) {
        let pose = ego.estimated_pose();
        if !(pose.x.is_finite() && pose.y.is_finite()) {
            return;
        }
        self.advance(Point2::new(pose.x, pose.y));
        if ego.steps().is_multiple_of(SCAN_STEPS) {
            self.scans += 1;
            if self.insert_scan(ego, pose) || self.scans >= REPLAN_SCANS {
                self.plan(ego, pose);
            }
        }
    }

    /// Plans a path from the estimated pose to the goal.
    fn plan(&mut self, ego: Ego, pose: Pose2) {
        let here = Point2::new(pose.x, pose.y);
        let robot = ego.parameters();
        PLAN_SCRATCH.with_borrow_mut(|(grid, astar)| {
            let radius = robot.passage_radius;
            grid.rasterize_points(self.arena, self.points.iter().copied(), radius);
            astar.compute_clearances(grid);
            // The search starts at the goal, so that the path back to the start is in the order in
            // which the robot drives it.
            let through_free_space = grid
                .nearest_free_cell(robot.goal)
                .zip(grid.nearest_free_cell(here))
                .filter(|&(goal, here)| {
                    let traversal_costs =
                        TraversalCosts::by_clearance(radius, FREE_CLEARANCE_M, f32::INFINITY);
                    astar.search(goal, here, &traversal_costs).is_some()
                })
                .map(|(_, here)| here);
            let from = through_free_space.or_else(|| {
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
        self.nearest = 0;
        self.scans = 0;
        self.advance(here);
    }

    /// Enters the current scan, and removes the points that it sees through. Returns whether a new
    /// point is near the path.
    fn insert_scan(&mut self, ego: Ego, pose: Pose2) -> bool {
        let robot = ego.parameters();
        let ranges = ego.ranges();
        let heading = Vector2::new(pose.cos, pose.sin);
        let rotated = |v: Vector2<f32>, axis: Vector2<f32>| {
            Vector2::new(axis.x * v.x - axis.y * v.y, axis.y * v.x + axis.x * v.y)
        };
        let (sin, cos) = libm::sincosf(robot.lidar.yaw_rad);
        let mount = Point2::new(pose.x, pose.y) + rotated(robot.lidar.position, heading);
        let axis = rotated(Vector2::new(cos, sin), heading);
        let reach = FULL_RANGE * robot.lidar.range;
        let mut points = std::mem::take(&mut self.points);
        points.retain(|point| {
            let offset = point - mount;
            let distance = offset.norm();
            let bearing = libm::atan2f(axis.perp(&offset), axis.dot(&offset));
            let is_seen_through = distance + CLEARING_MARGIN_M < reach
                && self.beams_around(bearing).is_some_and(|around| {
                    around
                        .iter()
                        .all(|&b| ranges[b] > distance + CLEARING_MARGIN_M)
                });
            if is_seen_through && let Some((word, bit)) = self.cell_bit(*point) {
                self.occupied[word] &= !bit;
            }
            !is_seen_through
        });
        let old_points = points.len();
        for (beam, &range) in self.beams.iter().zip(ranges) {
            if range >= reach {
                continue;
            }
            let point = mount + rotated(*beam, axis) * range;
            if let Some((word, bit)) = self.cell_bit(point)
                && self.occupied[word] & bit == 0
            {
                self.occupied[word] |= bit;
                points.push(point);
            }
        }
        let near = (REPLAN_RADII * robot.passage_radius).powi(2);
        let is_near = |point: &Point2<f32>| {
            let mut ahead = self.path[self.nearest..].iter();
            ahead.any(|path| (path - point).norm_squared() < near)
        };
        let is_any_new_near = points[old_points..].iter().any(is_near);
        self.points = points;
        is_any_new_near
    }

    /// The beam at a bearing and its two neighbours; `None` if one of them is out of the field of
    /// view.
    fn beams_around(&self, bearing_rad: f32) -> Option<[usize; 3]> {
        let count = self.beams.len() as isize;
        let beam = ((bearing_rad - self.first_rad) / self.step_rad).round() as isize;
        let around = [beam - 1, beam, beam + 1];
        if self.is_full_circle {
            Some(around.map(|beam| beam.rem_euclid(count) as usize))
        } else {
            let inside = around.iter().all(|beam| (0..count).contains(beam));
            inside.then(|| around.map(|beam| beam as usize))
        }
    }

    /// Index into `occupied` and mask of the cell of a point; `None` outside the arena.
    fn cell_bit(&self, point: Point2<f32>) -> Option<(usize, u64)> {
        let inside = self.arena.contains(point, 0.0);
        let cell = (point - self.arena.min) / CELL_M;
        let index = cell.y as usize * self.columns + cell.x as usize;
        inside.then_some((index / 64, 1 << (index % 64)))
    }

    /// Moves `nearest` on to the point of the path that is nearest to the robot.
    fn advance(&mut self, here: Point2<f32>) {
        let next = self
            .path
            .iter()
            .enumerate()
            .skip(self.nearest)
            .take(MAX_ADVANCE);
        let nearest = next.min_by(|(_, a), (_, b)| {
            let [a, b] = [a, b].map(|point| (*point - here).norm_squared());
            a.total_cmp(&b)
        });
        self.nearest = nearest.map_or(self.nearest, |(index, _)| index);
    }

    /// Writes the block `path`, `[PATH_LEN]`.
    pub(super) fn observe(&self, pose: Pose2, out: &mut [f32]) {
        let here = Point2::new(pose.x, pose.y);
        let (mut left, mut last) = (0.0, here);
        let mut shown = 0;
        for &point in &self.path[self.nearest.min(self.path.len() - 1)..] {
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

/// Writes cosine and sine of the bearing of an offset relative to the heading, `[2]`; zeros for an
/// offset of length 0.
pub(super) fn bearing(pose: Pose2, offset: Vector2<f32>, out: &mut [f32]) {
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

    /// A world in which the robot has turned on the spot, its map, and the distance of each point
    /// of the map from the nearest surface.
    fn map_after_turning(name: &str, flags: &[&str], steps: u32) -> (World, ScanMap, Vec<f32>) {
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
            // Speed 0 for a robot that drives faster forwards than in reverse.
            world.step(Some(&[[-0.6, 0.5, 0.0]]));
            map.step(world.ego(0));
        }
        let mut snapshot = WorldSnapshot::default();
        world.snapshot(&mut snapshot);
        let layout = world.layout();
        let disc =
            |at: Point2<f32>, point: Point2<f32>, radius: f32| ((point - at).norm() - radius).abs();
        let distances = map
            .points
            .iter()
            .map(|&point| {
                let (low, high) = (point - layout.arena.min, layout.arena.max - point);
                let walls = [low.x, low.y, high.x, high.y].map(f32::abs);
                let obstacles = layout.all_obstacles().filter_map(|o| match o.shape {
                    Shape::Disc { radius } => Some(disc(o.position, point, radius)),
                    _ => None,
                });
                let movers = snapshot
                    .movers
                    .iter()
                    .map(|mover| disc(Point2::from(mover.position), point, mover.radius_m));
                walls
                    .into_iter()
                    .chain(obstacles)
                    .chain(movers)
                    .fold(f32::MAX, f32::min)
            })
            .collect();
        (world, map, distances)
    }

    #[test]
    fn points_of_the_map_lie_on_surfaces() {
        let (_, map, distances) = map_after_turning("barn_like", &[], 40);
        assert!(map.points.len() > 200, "{} points", map.points.len());
        let farthest = distances.iter().copied().fold(0.0, f32::max);
        assert!(farthest < 0.02, "a point {farthest} m from any surface");
    }

    #[test]
    fn points_of_what_moved_away_are_removed() {
        let (_, _, distances) = map_after_turning("movers", &[], 100);
        // A mover that went out of sight stays in the map where it was last seen.
        let stale = distances.iter().filter(|&&distance| distance > 0.3).count();
        assert!(
            stale * 10 < distances.len(),
            "{stale} of {} points are not on a surface",
            distances.len()
        );
    }

    #[test]
    fn the_path_keeps_clear_and_ends_at_the_goal() {
        let (world, map, _) = map_after_turning("barn_like", &[], 40);
        let goal = world.ego(0).parameters().goal;
        assert_eq!(map.path.last(), Some(&goal));
        assert!((map.path[0] - world.ego(0).position()).norm() < 0.2);
        let mut out = [0.0; PATH_LEN];
        map.observe(world.ego(0).estimated_pose(), &mut out);
        let straight = (goal - world.ego(0).position()).norm();
        assert!((straight..1.5 * straight).contains(&(out[0] * GOAL_SCALE_M)));
        for pair in out[1..].chunks(2) {
            assert!((pair[0].hypot(pair[1]) - 1.0).abs() < 1e-5, "{pair:?}");
        }
        for point in &map.path[3..map.path.len() - 3] {
            let near = |obstacle: &Point2<f32>| {
                (point - obstacle).norm() < world.ego(0).parameters().passage_radius
            };
            assert!(
                !map.points.iter().any(near),
                "{point} is too near to a point of the map"
            );
        }
    }
}
