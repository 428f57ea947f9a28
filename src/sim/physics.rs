//! The rapier side of a world: a dynamic body for each robot, kinematic ones for movers, colliders
//! without a body for all that stands. Nothing outside `sim` sees an engine type.

use std::cell::RefCell;
use std::sync::Arc;

use nalgebra::{Point2, Vector2};
use rapier2d::prelude::{
    BroadPhaseBvh, CCDSolver, CoefficientCombineRule, Collider, ColliderBuilder, ColliderSet,
    ImpulseJointSet, IntegrationParameters, IslandManager, MassProperties, MultibodyJointSet,
    NarrowPhase, PhysicsPipeline, Pose, RigidBody, RigidBodyBuilder, RigidBodyHandle, RigidBodySet,
    RigidBodyType, Rotation, SoftBodySet, Vector,
};
use smallvec::SmallVec;

use crate::scenario::{Hull, Layout, Map, Obstacle, RobotPlacement, Shape};

/// Thickness of the arena's walls, metres; more than anything travels in a step.
const WALL: f32 = 1.0;

/// Once the robot has gone this far, more of a map is gathered about it, metres.
const LOOK_AGAIN: f32 = 0.25;

/// Pose and velocity of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct BodyState {
    pub(crate) position: Point2<f32>,
    /// Unit vector of the heading.
    pub(crate) heading: Vector2<f32>,
    /// Metres per second.
    pub(crate) velocity: Vector2<f32>,
    /// Radians per second.
    pub(crate) turn_rate: f32,
}

/// A rapier world. Its sets are made anew for every episode: that takes some ten microseconds,
/// and whatever an earlier episode left in the engine's trees and graphs can change nothing.
pub(crate) struct Physics {
    parameters: IntegrationParameters,
    sets: Sets,
    robots: SmallVec<[RobotBody; 1]>,
    movers: Vec<RigidBodyHandle>,
    surroundings: Option<Surroundings>,
}

/// A robot's body.
struct RobotBody {
    handle: RigidBodyHandle,
    /// Where it is. The engine's body may be behind: see [`Physics::coast`].
    state: BodyState,
    engine_is_behind: bool,
    /// Where it was when the map about it was last gathered.
    gathered: Option<Point2<f32>>,
}

/// A map, of which the engine has only what the robots have been near: a new world with hundreds
/// of shapes takes longer than most episodes.
struct Surroundings {
    map: Arc<Map>,
    /// Which shapes the engine has: all that is nearer than `reach` to where a robot's were last
    /// gathered.
    known: Vec<bool>,
    reach: f32,
}

/// Memory that the engine works in during a step and keeps nothing in between steps. The worlds
/// of a thread share it, so that stepping many in turn does not flush it from the caches.
struct Workspace {
    pipeline: PhysicsPipeline,
    ccd: CCDSolver,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::new({
        let mut pipeline = PhysicsPipeline::new();
        pipeline.counters.disable();
        Workspace { pipeline, ccd: CCDSolver::new() }
    });
}

#[derive(Default)]
struct Sets {
    islands: IslandManager,
    broad_phase: BroadPhaseBvh,
    narrow_phase: NarrowPhase,
    bodies: RigidBodySet,
    colliders: ColliderSet,
    impulse_joints: ImpulseJointSet,
    multibody_joints: MultibodyJointSet,
    soft_bodies: SoftBodySet,
}

impl Physics {
    /// An empty world that advances `dt_secs` at each step.
    pub(crate) fn new(dt_secs: f32) -> Self {
        Self {
            parameters: IntegrationParameters {
                dt: dt_secs,
                ..IntegrationParameters::default()
            },
            sets: Sets::default(),
            robots: SmallVec::new(),
            movers: Vec::new(),
            surroundings: None,
        }
    }

    /// Builds the world of a layout.
    pub(crate) fn load(&mut self, layout: &Layout) {
        self.sets = Sets::default();
        let Sets {
            bodies, colliders, ..
        } = &mut self.sets;
        for wall in walls(layout) {
            colliders.insert(wall);
        }
        for obstacle in &layout.obstacles {
            colliders.insert(collider(obstacle));
        }
        self.movers.clear();
        for mover in &layout.movers {
            let body = RigidBodyBuilder::kinematic_velocity_based()
                .translation(vector(mover.position.coords))
                .linvel(vector(mover.velocity))
                .can_sleep(false);
            let handle = bodies.insert(body);
            colliders.insert_with_parent(ColliderBuilder::ball(mover.radius), handle, bodies);
            self.movers.push(handle);
        }
        self.robots.clear();
        let mut reach = 0.0_f32;
        for robot in &layout.robots {
            let mut fastest = robot.drive.top_speed();
            if robot.hull.is_some() {
                fastest += robot.drive.max_turn_rate() * robot.radius;
            }
            let farthest = fastest * self.parameters.dt;
            reach = reach.max(robot.radius + LOOK_AGAIN + 2.0 * farthest);
            self.robots
                .push(add_robot(robot, farthest, bodies, colliders));
        }
        self.surroundings = layout.map.as_ref().map(|map| Surroundings {
            map: map.clone(),
            known: vec![false; map.obstacles().len()],
            reach,
        });
    }

    /// Advances a robot by one physics step in which nothing is near enough to touch it, as
    /// the engine would: bit by bit the same (a test holds the two together), without waking it.
    /// It is what makes most steps of an episode cheap. All else stands still meanwhile.
    pub(crate) fn coast(&mut self, robot: usize, velocity: Vector2<f32>, turn_rate: f32) {
        let robot = &mut self.robots[robot];
        let BodyState {
            position, heading, ..
        } = &mut robot.state;
        let substeps = self.parameters.num_solver_iterations;
        let dt = self.parameters.dt / substeps as f32;
        for _ in 0..substeps {
            let turn = turn_rate * dt;
            let (cos, sin) = (heading.x - turn * heading.y, heading.y + turn * heading.x);
            let length = (cos * cos + sin * sin).sqrt();
            *heading = Vector2::new(cos / length, sin / length);
            *position += velocity * dt;
        }
        robot.state.velocity = velocity;
        robot.state.turn_rate = turn_rate;
        robot.engine_is_behind = true;
    }

    /// Says how a robot moves in the physics step to come.
    pub(crate) fn drive(&mut self, robot: usize, velocity: Vector2<f32>, turn_rate: f32) {
        self.gather(robot);
        self.catch_up(robot);
        let body = &mut self.sets.bodies[self.robots[robot].handle];
        body.set_linvel(vector(velocity), true);
        body.set_angvel(turn_rate, true);
    }

    /// Leaves a robot where it is for the rest of the episode: what runs into it does not move it.
    pub(crate) fn park(&mut self, robot: usize) {
        self.catch_up(robot);
        let robot = &mut self.robots[robot];
        let body = &mut self.sets.bodies[robot.handle];
        body.set_body_type(RigidBodyType::Fixed, true);
        robot.state.velocity = Vector2::zeros();
        robot.state.turn_rate = 0.0;
    }

    /// Tells the engine where a robot has coasted to.
    fn catch_up(&mut self, robot: usize) {
        let robot = &mut self.robots[robot];
        if robot.engine_is_behind {
            let BodyState {
                position, heading, ..
            } = robot.state;
            let rotation = Rotation::from_cos_sin_unchecked(heading.x, heading.y);
            self.sets.bodies[robot.handle]
                .set_position(Pose::from_parts(vector(position.coords), rotation), true);
            robot.engine_is_behind = false;
        }
    }

    /// Advances the world by one physics step through the engine's solver.
    pub(crate) fn step(&mut self) {
        self.step_engine();
        for robot in &mut self.robots {
            robot.state = state_of(&self.sets.bodies[robot.handle]);
        }
    }

    /// Sees to it that the engine has whatever of the map a robot can meet in a step.
    fn gather(&mut self, robot: usize) {
        let (robot, Some(near)) = (&mut self.robots[robot], &mut self.surroundings) else {
            return;
        };
        let at = robot.state.position;
        if (robot.gathered).is_some_and(|center| (at - center).norm() < LOOK_AGAIN) {
            return;
        }
        robot.gathered = Some(at);
        // One by one: as one compound shape of the engine's they let the robot sink in ten times
        // as deep.
        for index in near.map.indices_near(at, near.reach) {
            let obstacle = &near.map.obstacles()[index];
            if !near.known[index] && obstacle.signed_distance(at) < near.reach {
                near.known[index] = true;
                self.sets.colliders.insert(collider(obstacle));
            }
        }
    }

    /// Sets where a mover is and how it moves on, where either has changed.
    pub(crate) fn set_mover(
        &mut self,
        mover: usize,
        position: Point2<f32>,
        velocity: Vector2<f32>,
    ) {
        let body = &mut self.sets.bodies[self.movers[mover]];
        let (position, velocity) = (vector(position.coords), vector(velocity));
        if body.translation() != position {
            body.set_translation(position, true);
        }
        if body.linvel() != velocity {
            body.set_linvel(velocity, true);
        }
    }

    fn step_engine(&mut self) {
        let Self {
            sets, parameters, ..
        } = self;
        WORKSPACE.with_borrow_mut(|Workspace { pipeline, ccd }| {
            pipeline.step(
                Vector::new(0.0, 0.0),
                parameters,
                &mut sets.islands,
                &mut sets.broad_phase,
                &mut sets.narrow_phase,
                &mut sets.bodies,
                &mut sets.colliders,
                &mut sets.impulse_joints,
                &mut sets.multibody_joints,
                &mut sets.soft_bodies,
                ccd,
                &(),
                &(),
            );
        });
    }

    /// A robot.
    pub(crate) fn robot(&self, robot: usize) -> BodyState {
        self.robots[robot].state
    }

    /// A mover.
    pub(crate) fn mover(&self, mover: usize) -> BodyState {
        state_of(&self.sets.bodies[self.movers[mover]])
    }
}

fn state_of(body: &RigidBody) -> BodyState {
    let (at, rotation, velocity) = (body.translation(), body.rotation(), body.linvel());
    BodyState {
        position: Point2::new(at.x, at.y),
        heading: Vector2::new(rotation.re, rotation.im),
        velocity: Vector2::new(velocity.x, velocity.y),
        turn_rate: body.angvel(),
    }
}

/// Puts a robot into the engine that goes no farther than `farthest` in a step, metres.
fn add_robot(
    robot: &RobotPlacement,
    farthest: f32,
    bodies: &mut RigidBodySet,
    colliders: &mut ColliderSet,
) -> RobotBody {
    let body = RigidBodyBuilder::dynamic()
        .translation(vector(robot.start.coords))
        .rotation(robot.heading_rad)
        .can_sleep(false)
        // Contacts are foreseen over a whole step, so that the robot stops at a surface
        // rather than inside it.
        .soft_ccd_prediction(farthest);
    let handle = bodies.insert(match &robot.hull {
        None => body,
        // The wheels turn it about its origin, wherever the middle of its outline is.
        Some(hull) => body.additional_mass_properties(mass_about_origin(hull, robot.mass_kg)),
    });
    // A smooth hull: it slides along what it touches and, where it is round, is not spun by
    // it, for the grip of its wheels, which would resist the spin, is not simulated.
    let hull = match &robot.hull {
        None => ColliderBuilder::ball(robot.radius).mass(robot.mass_kg),
        Some(hull) => {
            let corners = hull.corners().iter().map(|v| vector(*v)).collect();
            ColliderBuilder::convex_polyline(corners)
                .expect("a hull is convex and has an area")
                .density(0.0)
        }
    };
    let hull = hull
        .friction(0.0)
        .friction_combine_rule(CoefficientCombineRule::Min);
    colliders.insert_with_parent(hull, handle, bodies);
    RobotBody {
        handle,
        state: state_of(&bodies[handle]),
        engine_is_behind: false,
        gathered: None,
    }
}

fn vector(v: Vector2<f32>) -> Vector {
    Vector::new(v.x, v.y)
}

/// Mass and moment of inertia as if the hull's centre of mass were at its origin. The moment is
/// that of a disc of the hull's radius: of the right size, whatever the outline.
fn mass_about_origin(hull: &Hull, mass_kg: f32) -> MassProperties {
    let inertia = 0.5 * mass_kg * hull.radius() * hull.radius();
    MassProperties::new(Vector::new(0.0, 0.0), mass_kg, inertia)
}

fn walls(layout: &Layout) -> [Collider; 4] {
    let (min, max) = (layout.arena.min, layout.arena.max);
    let half = layout.arena.size() / 2.0;
    let middle = nalgebra::center(&min, &max);
    let wall = |x: f32, y: f32, half_x: f32, half_y: f32| {
        ColliderBuilder::cuboid(half_x, half_y)
            .translation(Vector::new(x, y))
            .build()
    };
    let (wide, high) = (half.x + WALL, half.y + WALL);
    [
        wall(min.x - WALL / 2.0, middle.y, WALL / 2.0, high),
        wall(max.x + WALL / 2.0, middle.y, WALL / 2.0, high),
        wall(middle.x, min.y - WALL / 2.0, wide, WALL / 2.0),
        wall(middle.x, max.y + WALL / 2.0, wide, WALL / 2.0),
    ]
}

fn collider(obstacle: &Obstacle) -> Collider {
    let rotation = Rotation::from_cos_sin_unchecked(obstacle.axis.x, obstacle.axis.y);
    let pose = Pose::from_parts(vector(obstacle.position.coords), rotation);
    let shape = match &obstacle.shape {
        Shape::Disc { radius } => ColliderBuilder::ball(*radius),
        Shape::Box { half_extents } => ColliderBuilder::cuboid(half_extents.x, half_extents.y),
        Shape::Segment { half } => ColliderBuilder::segment(vector(-half), vector(*half)),
        Shape::Polygon { vertices } => {
            let corners = vertices.iter().map(|v| vector(*v)).collect();
            ColliderBuilder::convex_polyline(corners)
                .expect("a layout's polygons are convex and have an area")
        }
    };
    shape.position(pose).build()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rapier2d::prelude::{QueryFilter, Ray};

    use super::*;
    use crate::scenario::{EpisodeKey, LayoutSampler, MoverPlacement, Override, Rect};
    use crate::seed::{Purpose, Split};
    use crate::sim::lidar::{Beams, Ranges, SensorPose};
    use crate::sim::scene::Scene;
    use crate::sim::testing::robot_at;

    fn obstacle() -> impl Strategy<Value = Obstacle> {
        let shape = prop_oneof![
            (0.05..1.0_f32).prop_map(|radius| Shape::Disc { radius }),
            (0.05..1.0_f32, 0.05..1.0_f32).prop_map(|(x, y)| Shape::Box {
                half_extents: Vector2::new(x, y)
            }),
            (0.1..1.5_f32).prop_map(|x| Shape::Segment {
                half: Vector2::new(x, 0.0)
            }),
            (0.1..1.0_f32, 3..7_usize).prop_map(|(radius, count)| {
                let corner = |i: usize| {
                    let angle = i as f32 * std::f32::consts::TAU / count as f32;
                    Vector2::new(radius * libm::cosf(angle), 0.7 * radius * libm::sinf(angle))
                };
                Shape::Polygon {
                    vertices: (0..count).map(corner).collect(),
                }
            }),
        ];
        (shape, 0.0..10.0_f32, 0.0..8.0_f32, 0.0..6.3_f32).prop_map(|(shape, x, y, yaw)| Obstacle {
            shape,
            position: Point2::new(x, y),
            axis: Vector2::new(libm::cosf(yaw), libm::sinf(yaw)),
        })
    }

    fn mover() -> impl Strategy<Value = MoverPlacement> {
        (0.0..10.0_f32, 0.0..8.0_f32, 0.1..0.5_f32).prop_map(|(x, y, radius)| MoverPlacement {
            position: Point2::new(x, y),
            velocity: Vector2::zeros(),
            radius,
        })
    }

    /// What rapier's query pipeline reads along a ray, at most `range`.
    fn oracle(physics: &Physics, origin: [f32; 2], direction: [f32; 2], range: f32) -> f32 {
        let sets = &physics.sets;
        let robot = sets.bodies[physics.robots[0].handle].colliders()[0];
        let pipeline = sets.broad_phase.as_query_pipeline(
            sets.narrow_phase.query_dispatcher(),
            &sets.bodies,
            &sets.colliders,
            QueryFilter::default().exclude_collider(robot),
        );
        let ray = Ray::new(
            Vector::new(origin[0], origin[1]),
            Vector::new(direction[0], direction[1]),
        );
        pipeline
            .cast_ray(&ray, range, true)
            .map_or(range, |(_, t)| t)
    }

    /// The same in double precision, edge by edge.
    fn referee(layout: &Layout, origin: [f32; 2], direction: [f32; 2], range: f32) -> f32 {
        let o = Vector2::from(origin).cast::<f64>();
        let d = Vector2::from(direction).cast::<f64>();
        let mut nearest = f64::from(range);
        let mut meet = |t: f64| {
            if t >= 0.0 {
                nearest = nearest.min(t);
            }
        };
        let inside = |obstacle: &Obstacle| obstacle.signed_distance(Point2::from(origin)) <= 0.0;
        let hull = |corners: &[Point2<f32>], meet: &mut dyn FnMut(f64)| {
            for (i, a) in corners.iter().enumerate() {
                let a = a.coords.cast::<f64>();
                let b = corners[(i + 1) % corners.len()].coords.cast::<f64>();
                let edge = b - a;
                let across = d.perp(&edge);
                let along = (a - o).perp(&d) / across;
                if (0.0..=1.0).contains(&along) {
                    meet((a - o).perp(&edge) / across);
                }
            }
        };
        let disc = |center: Point2<f32>, radius: f32, meet: &mut dyn FnMut(f64)| {
            let c = center.coords.cast::<f64>() - o;
            let (radius, across) = (f64::from(radius), d.perp(&c));
            let chord = radius * radius - across * across;
            if chord >= 0.0 {
                meet(d.dot(&c) - chord.sqrt());
            }
        };
        for obstacle in layout.standing() {
            if inside(obstacle) {
                return 0.0;
            }
            let corner = |x: f32, y: f32| obstacle.to_world(Vector2::new(x, y));
            match &obstacle.shape {
                Shape::Disc { radius } => disc(obstacle.position, *radius, &mut meet),
                Shape::Box { half_extents: h } => {
                    let corners = [
                        corner(h.x, h.y),
                        corner(-h.x, h.y),
                        corner(-h.x, -h.y),
                        corner(h.x, -h.y),
                    ];
                    hull(&corners, &mut meet);
                }
                Shape::Segment { half } => {
                    hull(
                        &[corner(half.x, half.y), corner(-half.x, -half.y)],
                        &mut meet,
                    );
                }
                Shape::Polygon { vertices } => {
                    let corners: Vec<_> = vertices.iter().map(|v| corner(v.x, v.y)).collect();
                    hull(&corners, &mut meet);
                }
            }
        }
        for mover in &layout.movers {
            if (mover.position - Point2::from(origin)).norm() <= mover.radius {
                return 0.0;
            }
            disc(mover.position, mover.radius, &mut meet);
        }
        let (min, max) = (layout.arena.min, layout.arena.max);
        let corners = [
            min,
            Point2::new(max.x, min.y),
            max,
            Point2::new(min.x, max.y),
        ];
        hull(&corners, &mut meet);
        nearest as f32
    }

    /// Coasting is no second physics: wherever the world coasts, the engine's solver gives the
    /// same bits, among the obstacles of real episodes and for as long as nothing is touched.
    #[test]
    fn coasting_gives_the_engines_own_bits() {
        for footprint in [
            "robot.footprint={ disc = { radius_m = 0.2 } }",
            "robot.footprint={ box = { half_extents_m = [0.2, 0.1], center_m = [0.1, 0.0] } }",
            "robot.footprint={ polygon = { vertices_m = [[0.2, 0], [-0.1, 0.2], [-0.2, -0.1]] } }",
        ] {
            coasting_gives_bits(footprint);
        }
    }

    fn coasting_gives_bits(footprint: &str) {
        let footprint = Override::parse(footprint).unwrap();
        let scenario = crate::scenario::resolve("reference", &[footprint]).unwrap();
        let mut sampler = LayoutSampler::default();
        let mut layout = Layout::default();
        let mut coasted = 0;
        for episode in 0..300 {
            let key = EpisodeKey {
                root: 1,
                split: Split::Train,
                env: 0,
                episode,
            };
            sampler.sample(&scenario, key, &mut layout).unwrap();
            let (mut coasting, mut engine) = (Physics::new(0.1), Physics::new(0.1));
            coasting.load(&layout);
            engine.load(&layout);
            let mut rng = key.stream(Purpose::Bench);
            loop {
                let speed: f32 = rng.random();
                let turn_rate = 4.0 * rng.random::<f32>() - 2.0;
                let state = coasting.robot(0);
                let near = layout
                    .obstacles
                    .iter()
                    .map(|o| o.signed_distance(state.position));
                let radius = layout.robots[0].radius;
                let clearance = near.fold(f32::INFINITY, f32::min) - radius;
                let inside = layout
                    .arena
                    .contains(state.position, radius + 0.1 * speed + 0.05);
                if !inside || clearance <= 0.1 * speed + 0.05 {
                    break;
                }
                let velocity = state.heading * speed;
                coasting.coast(0, velocity, turn_rate);
                engine.drive(0, velocity, turn_rate);
                engine.step();
                assert_eq!(coasting.robot(0), engine.robot(0), "episode {episode}");
                coasted += 1;
            }
        }
        assert!(coasted > 3_000, "only {coasted} steps were compared");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// A hull is as far from every shape as rapier's query pipeline has it, to a part in a
        /// thousand: rapier's search ends that near to the truth, and never below it.
        #[test]
        fn hulls_are_as_far_from_things_as_rapier_says(
            obstacle in obstacle(), x in 2.0..8.0_f32, y in 2.0..6.0_f32, yaw in 0.0..6.3_f32,
            count in 3..9_usize, radius in 0.1..1.0_f32,
        ) {
            let corners: Vec<_> = (0..count)
                .map(|i| {
                    let angle = i as f32 * std::f32::consts::TAU / count as f32;
                    Vector2::new(radius * libm::cosf(angle), 0.6 * radius * libm::sinf(angle))
                })
                .collect();
            let (sin, cos) = libm::sincosf(yaw);
            let hull = Hull::new(&corners).placed(Point2::new(x, y), Vector2::new(cos, sin));
            let placed = hull.corners().iter().map(|v| vector(*v)).collect();
            let ours = ColliderBuilder::convex_polyline(placed).unwrap().build();
            let theirs = collider(&obstacle);
            let expected = rapier2d::parry::query::distance(
                ours.position(), ours.shape(), theirs.position(), theirs.shape(),
            ).unwrap().distance;
            let found = hull.distance(&obstacle);
            // Rapier's iteration stops at about a thousandth; ours is a distance between points.
            prop_assert!(
                (found.max(0.0) - expected).abs() < 1e-3 * (1.0 + expected),
                "{found} m, where rapier has {expected}: {obstacle:?}"
            );
        }

        /// Every beam equals rapier's within 1e-4 m. Where a beam grazes a shape, the last bit of
        /// a coordinate decides what it reads; there the reading must be, within 1e-4 m, among
        /// those that rapier and a referee in double precision give for the same beam moved aside
        /// by up to five micrometres. (Rapier's own single precision is a millimetre off for beams
        /// almost along a segment.)
        #[test]
        fn every_beam_reads_what_rapiers_query_pipeline_reads(
            obstacles in prop::collection::vec(obstacle(), 0..24),
            movers in prop::collection::vec(mover(), 0..4),
            x in 0.01..9.99_f32, y in 0.01..7.99_f32, heading in 0.0..6.3_f32,
            range in 1.0..12.0_f32, count in 1..200_usize, view in 0.5..6.3_f32,
            aim in any::<prop::sample::Index>(), graze in any::<bool>(),
        ) {
            let arena = Rect { min: Point2::origin(), max: Point2::new(10.0, 8.0) };
            let mut layout = Layout {
                arena, obstacles, movers, robots: vec![robot_at(Point2::new(x, y))],
                ..Layout::default()
            };
            // Half of the scenes have a beam that touches a disc.
            if graze && let Some(first) = layout.obstacles.first_mut() {
                let radius = 0.3;
                let ahead = 0.5 + 2.0 * (aim.index(100) as f32) / 100.0;
                let (sin, cos) = libm::sincosf(heading);
                first.shape = Shape::Disc { radius };
                first.position = Point2::new(x + ahead * cos - radius * sin, y + ahead * sin + radius * cos);
            }
            let mut physics = Physics::new(0.1);
            physics.load(&layout);
            // Fills the engine's search tree; the standing robot may be pushed, the rest not.
            physics.drive(0, Vector2::zeros(), 0.0);
            physics.step();
            let mut scene = Scene::default();
            scene.load(&layout);
            let beams = Beams::new(count, view);
            let mut ranges = Ranges::new(&beams);
            let (sin, cos) = libm::sincosf(heading);
            let distances = scene.sense(&beams, SensorPose { x, y, cos, sin }, range, &mut ranges);
            let read = ranges.metres();
            for (beam, &seen) in read.iter().enumerate() {
                let [bx, by] = beams.direction(beam);
                let direction = [cos * bx - sin * by, sin * bx + cos * by];
                let expected = oracle(&physics, [x, y], direction, range);
                if (seen - expected).abs() <= 1e-4 {
                    continue;
                }
                let (mut low, mut high) = (expected, expected);
                for aside in [-5e-6, -2e-6, 0.0, 2e-6, 5e-6] {
                    let origin = [x - aside * direction[1], y + aside * direction[0]];
                    let engine = oracle(&physics, origin, direction, range);
                    let exact = referee(&layout, origin, direction, range);
                    low = low.min(engine).min(exact);
                    high = high.max(engine).max(exact);
                }
                prop_assert!(
                    seen >= low - 1e-4 && seen <= high + 1e-4,
                    "beam {beam} reads {} where rapier reads {expected} ({low} to {high} beside it)",
                    seen,
                );
            }
            let walls = x.min(10.0 - x).min(y).min(8.0 - y);
            let fixed = layout.obstacles.iter()
                .map(|o| o.signed_distance(Point2::new(x, y)))
                .fold(walls, f32::min);
            prop_assert!((distances.fixed - fixed).abs() < 1e-5);
        }
    }
}
