//! The 3D scene of an episode for viewers: the layout once, everything that moves at each step. Pure
//! functions of a layout and a snapshot.
//!
//! Frames of reference: `world` (metres of the scenario), and in it `robot`, `robot_1`, … (x ahead, y
//! to the left), to which the robots' footprints and scans are attached.

use nalgebra::{Point2, Vector2};

use super::foxglove::{
    ArrowPrimitive, Color, CubePrimitive, CylinderPrimitive, DeletionType, FrameTransform,
    FrameTransforms, LaserScan, LinePrimitive, LineType, Point3, Pose, PoseInFrame, Quaternion,
    SceneEntity, SceneEntityDeletion, SceneUpdate, TextPrimitive, Timestamp, TriangleListPrimitive,
    Vector3,
};
use crate::proto::Enum;
use evenkeel_sim::scenario::spec::LidarSpec;
use evenkeel_sim::scenario::{Geodesic, Layout, Obstacle, RobotParameters, Shape};
use evenkeel_sim::sim::{MoverSnapshot, RobotSnapshot, WorldSnapshot};

const WORLD: &str = "world";

/// Height of walls and obstacles, metres.
const HEIGHT_M: f64 = 0.5;
/// Height of robots and movers, metres.
const BODY_M: f64 = 0.3;
/// Thickness of walls, metres. They stand outside the arena.
const WALL_M: f64 = 0.08;
/// Thickness of segments and lines, metres.
const THIN_M: f64 = 0.03;
/// Height of markers on the floor, metres.
const FLAT_M: f64 = 0.01;
/// Height of text, metres.
const TEXT_M: f64 = 0.2;

const WALL: Color = rgb(0x2b, 0x36, 0x41);
const OBSTACLE: Color = rgb(0x9a, 0xa5, 0xb1);
const GOAL: Color = rgb(0x00, 0x9e, 0x73);
const PATH: Color = rgb(0xb8, 0x77, 0x00);
const BODY: Color = rgb(0x00, 0x72, 0xb2);
const HEADING_ARROW: Color = rgb(0xff, 0xff, 0xff);
const MOVER: Color = rgb(0xd5, 0x5e, 0x00);

const fn rgb(r: u8, g: u8, b: u8) -> Color {
    Color {
        r: r as f64 / 255.0,
        g: g as f64 / 255.0,
        b: b as f64 / 255.0,
        a: 1.0,
    }
}

/// The id of a robot's frame of reference and entity: `robot`, `robot_1`, …
pub(super) fn frame_id_of(robot: usize) -> String {
    numbered("robot", robot)
}

/// `name` for the first robot, `name_1` for the second and so on.
fn numbered(name: &str, robot: usize) -> String {
    match robot {
        0 => name.to_owned(),
        _ => format!("{name}_{robot}"),
    }
}

/// The arena's walls, the obstacles, and the goal, shortest path and footprint of each robot, labelled
/// with its index if there are several.
pub(super) fn static_scene(layout: &Layout, at: &Timestamp) -> SceneUpdate {
    let entity = |id: &str, frame: &str| SceneEntity {
        timestamp: Some(at.clone()),
        frame_id: frame.to_owned(),
        id: id.to_owned(),
        frame_locked: true,
        ..SceneEntity::default()
    };
    let mut obstacles = entity("obstacles", WORLD);
    for obstacle in layout.all_obstacles() {
        draw_obstacle(obstacle, &mut obstacles);
    }
    let walls = SceneEntity {
        cubes: walls(layout),
        ..entity("walls", WORLD)
    };
    let alternative_goals = layout.alternative_goals.iter().map(|alternative_goal| {
        marker(
            alternative_goal.position,
            alternative_goal.radius,
            &Color { a: 0.2, ..GOAL },
        )
    });
    let alternative_goals = SceneEntity {
        cylinders: alternative_goals.collect(),
        ..entity("alternative_goals", WORLD)
    };
    let mut entities = vec![walls, obstacles, alternative_goals];
    let several = layout.robots.len() > 1;
    for (index, robot) in layout.robots.iter().enumerate() {
        let label = |at: [f32; 2], z: f64| several.then(|| robot_label(index, at, z));
        let goal_color = Color { a: 0.5, ..GOAL };
        let frame = frame_id_of(index);
        let mut body = SceneEntity {
            texts: label([0.0, 0.0], BODY_M + TEXT_M).into_iter().collect(),
            ..entity(&frame, &frame)
        };
        draw_robot(robot, &mut body);
        entities.extend([
            SceneEntity {
                cylinders: vec![marker(robot.goal, robot.goal_radius, &goal_color)],
                texts: label(robot.goal.into(), TEXT_M).into_iter().collect(),
                ..entity(&numbered("goal", index), WORLD)
            },
            SceneEntity {
                lines: shortest_path(layout, robot).into_iter().collect(),
                ..entity(&numbered("path", index), WORLD)
            },
            body,
        ]);
    }
    SceneUpdate {
        deletions: vec![delete_all(at)],
        entities,
    }
}

/// A robot's index, as text that faces the camera.
fn robot_label(robot: usize, at: [f32; 2], z: f64) -> TextPrimitive {
    TextPrimitive {
        pose: Some(pose(at, 0.0, z)),
        billboard: true,
        font_size: TEXT_M,
        scale_invariant: false,
        color: Some(WALL),
        text: robot.to_string(),
    }
}

/// The movers, each with an arrow of the length that it moves in a second.
pub(super) fn movers(snapshot: &WorldSnapshot, at: &Timestamp) -> SceneUpdate {
    let arrow = |mover: &MoverSnapshot| {
        let [vx, vy] = mover.velocity.map(f64::from);
        let speed = vx.hypot(vy);
        (speed > 0.01).then(|| ArrowPrimitive {
            pose: Some(pose(mover.position, vy.atan2(vx), BODY_M)),
            shaft_length: 0.75 * speed,
            shaft_diameter: 0.04,
            head_length: 0.25 * speed,
            head_diameter: 0.1,
            color: Some(MOVER),
        })
    };
    let body = |mover: &MoverSnapshot| {
        cylinder(
            mover.position,
            mover.radius_m,
            BODY_M,
            &Color { a: 0.7, ..MOVER },
        )
    };
    SceneUpdate {
        deletions: Vec::new(),
        entities: vec![SceneEntity {
            timestamp: Some(at.clone()),
            frame_id: WORLD.to_owned(),
            id: "movers".to_owned(),
            arrows: snapshot.movers.iter().filter_map(arrow).collect(),
            cylinders: snapshot.movers.iter().map(body).collect(),
            ..SceneEntity::default()
        }],
    }
}

/// The pose of a robot.
pub(super) fn robot_pose(robot: &RobotSnapshot, at: &Timestamp) -> PoseInFrame {
    PoseInFrame {
        timestamp: Some(at.clone()),
        frame_id: WORLD.to_owned(),
        pose: Some(pose(robot.position, robot.heading_rad.into(), 0.0)),
    }
}

/// The frames of reference of the robots.
pub(super) fn transforms(snapshot: &WorldSnapshot, at: &Timestamp) -> FrameTransforms {
    let transform = |(index, robot): (usize, &RobotSnapshot)| {
        let pose = pose(robot.position, robot.heading_rad.into(), 0.0);
        FrameTransform {
            timestamp: Some(at.clone()),
            parent_frame_id: WORLD.to_owned(),
            child_frame_id: frame_id_of(index),
            translation: pose.position,
            rotation: pose.orientation,
        }
    };
    FrameTransforms {
        transforms: snapshot.robots.iter().enumerate().map(transform).collect(),
    }
}

/// The scan of robot `index`, in the pose of its lidar.
pub(super) fn scan(
    spec: &LidarSpec,
    placed: &RobotParameters,
    index: usize,
    robot: &RobotSnapshot,
    at: &Timestamp,
) -> LaserScan {
    let ranges = &robot.ranges_m;
    let [first, last] = spec.outer_bearings_rad();
    let mount = &placed.lidar;
    LaserScan {
        timestamp: Some(at.clone()),
        frame_id: frame_id_of(index),
        pose: Some(pose(
            mount.position.into(),
            mount.yaw_rad.into(),
            BODY_M / 2.0,
        )),
        start_angle: first,
        end_angle: last,
        ranges: ranges.iter().map(|&range| range.into()).collect(),
        intensities: Vec::new(),
    }
}

fn delete_all(at: &Timestamp) -> SceneEntityDeletion {
    SceneEntityDeletion {
        timestamp: Some(at.clone()),
        r#type: Enum(DeletionType::All),
        id: String::new(),
    }
}

fn pose([x, y]: [f32; 2], heading_rad: f64, z: f64) -> Pose {
    let (sin, cos) = (heading_rad / 2.0).sin_cos();
    Pose {
        position: Some(Vector3 {
            x: x.into(),
            y: y.into(),
            z,
        }),
        orientation: Some(Quaternion {
            z: sin,
            w: cos,
            ..Quaternion::default()
        }),
    }
}

fn cylinder(center: [f32; 2], radius: f32, height: f64, color: &Color) -> CylinderPrimitive {
    let diameter = 2.0 * f64::from(radius);
    CylinderPrimitive {
        pose: Some(pose(center, 0.0, height / 2.0)),
        size: Some(Vector3 {
            x: diameter,
            y: diameter,
            z: height,
        }),
        bottom_scale: 1.0,
        top_scale: 1.0,
        color: Some(color.clone()),
    }
}

fn marker(center: Point2<f32>, radius: f32, color: &Color) -> CylinderPrimitive {
    cylinder(center.into(), radius, FLAT_M, color)
}

/// A box on the floor with its x axis along `yaw_rad`.
fn cuboid(center: [f32; 2], yaw_rad: f64, [x, y, z]: [f64; 3], color: &Color) -> CubePrimitive {
    CubePrimitive {
        pose: Some(pose(center, yaw_rad, z / 2.0)),
        size: Some(Vector3 { x, y, z }),
        color: Some(color.clone()),
    }
}

fn walls(layout: &Layout) -> Vec<CubePrimitive> {
    let (size, min, max) = (
        layout.arena.size(),
        layout.arena.min.coords,
        layout.arena.max.coords,
    );
    let middle = (min + max) / 2.0;
    let out = WALL_M as f32 / 2.0;
    let along_x = [f64::from(size.x) + 2.0 * WALL_M, WALL_M, HEIGHT_M];
    let along_y = [WALL_M, f64::from(size.y) + 2.0 * WALL_M, HEIGHT_M];
    vec![
        cuboid([middle.x, min.y - out], 0.0, along_x, &WALL),
        cuboid([middle.x, max.y + out], 0.0, along_x, &WALL),
        cuboid([min.x - out, middle.y], 0.0, along_y, &WALL),
        cuboid([max.x + out, middle.y], 0.0, along_y, &WALL),
    ]
}

fn draw_obstacle(obstacle: &Obstacle, entity: &mut SceneEntity) {
    let center = [obstacle.position.x, obstacle.position.y];
    let yaw = f64::from(obstacle.axis.y).atan2(obstacle.axis.x.into());
    match &obstacle.shape {
        Shape::Disc { radius } => {
            entity
                .cylinders
                .push(cylinder(center, *radius, HEIGHT_M, &OBSTACLE));
        }
        Shape::Box { half_extents: half } => {
            let size = [2.0 * f64::from(half.x), 2.0 * f64::from(half.y), HEIGHT_M];
            entity.cubes.push(cuboid(center, yaw, size, &OBSTACLE));
        }
        Shape::Polygon { vertices } => {
            let corners = vertices.iter().map(|&corner| obstacle.to_world(corner));
            let corners: Vec<Point2<f32>> = corners.collect();
            entity.triangles.push(prism(&corners, HEIGHT_M, &OBSTACLE));
        }
        Shape::Segment { half } => {
            let along = f64::from(half.y).atan2(half.x.into());
            let size = [2.0 * f64::from(half.norm()), THIN_M, HEIGHT_M];
            entity
                .cubes
                .push(cuboid(center, yaw + along, size, &OBSTACLE));
        }
    }
}

fn draw_robot(robot: &RobotParameters, entity: &mut SceneEntity) {
    let mut reach = robot.radius;
    match &robot.footprint {
        None => entity
            .cylinders
            .push(cylinder([0.0, 0.0], robot.radius, BODY_M, &BODY)),
        Some(footprint) => {
            let corners: Vec<Point2<f32>> = footprint.corners().iter().map(|&c| c.into()).collect();
            let ahead = |reach: f32, corner: &Vector2<f32>| reach.max(corner.x);
            reach = footprint.corners().iter().fold(0.0, ahead);
            entity.triangles.push(prism(&corners, BODY_M, &BODY));
        }
    }
    let length = f64::from(reach.max(0.1));
    entity.arrows.push(ArrowPrimitive {
        pose: Some(pose([0.0, 0.0], 0.0, BODY_M + FLAT_M)),
        shaft_length: 0.6 * length,
        shaft_diameter: 0.15 * length,
        head_length: 0.4 * length,
        head_diameter: 0.4 * length,
        color: Some(HEADING_ARROW),
    });
}

/// The sides and the top of a prism over a convex polygon with counter-clockwise corners.
fn prism(corners: &[Point2<f32>], height: f64, color: &Color) -> TriangleListPrimitive {
    let count = corners.len() as u32;
    let at = |z: f64| {
        corners.iter().map(move |corner| Point3 {
            x: corner.x.into(),
            y: corner.y.into(),
            z,
        })
    };
    let side = |i: u32| {
        let next = (i + 1) % count;
        [i, next, count + next, i, count + next, count + i]
    };
    let top = |i: u32| [count, count + i, count + i + 1];
    TriangleListPrimitive {
        pose: Some(pose([0.0, 0.0], 0.0, 0.0)),
        points: at(0.0).chain(at(height)).collect(),
        color: Some(color.clone()),
        colors: Vec::new(),
        indices: (0..count)
            .flat_map(side)
            .chain((1..count - 1).flat_map(top))
            .collect(),
    }
}

/// The shortest path, if there is one.
fn shortest_path(layout: &Layout, robot: &RobotParameters) -> Option<LinePrimitive> {
    let geodesic = Geodesic::new(layout, robot.passage_radius);
    let path = geodesic.path(robot.start, robot.goal)?;
    let points = path.points.iter().map(|point| Point3 {
        x: point.x.into(),
        y: point.y.into(),
        z: FLAT_M,
    });
    Some(LinePrimitive {
        r#type: Enum(LineType::Strip),
        pose: Some(pose([0.0, 0.0], 0.0, 0.0)),
        thickness: THIN_M,
        points: points.collect(),
        color: Some(PATH),
        ..LinePrimitive::default()
    })
}
