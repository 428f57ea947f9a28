//! The entities that follow a simulation.

use bevy::prelude::{
    Added, Changed, ChildOf, Commands, Component, Entity, Quat, Query, Transform, Vec3,
};

use super::NavSim;

/// A robot of the [`NavSim`] that is its parent. Its `Transform` is the robot's pose: metres, with
/// the heading as a turn about z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Component)]
#[require(Transform)]
pub struct NavRobot {
    /// Its place among the robots of the frame.
    pub index: usize,
}

/// A mover of the [`NavSim`] that is its parent. Its `Transform` is where the mover is, metres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Component)]
#[require(Transform)]
pub struct NavMover {
    /// Its place among the movers of the frame.
    pub index: usize,
}

/// Gives a new simulation its robots and movers. A scenario says how many there are, so that no
/// later episode has others.
pub(super) fn spawn(mut commands: Commands, sims: Query<(Entity, &NavSim), Added<NavSim>>) {
    for (entity, sim) in &sims {
        let frame = sim.snapshot();
        let robots = frame.robots.iter().enumerate().map(|(index, robot)| {
            let pose = pose(robot.position, robot.heading_rad);
            (NavRobot { index }, pose, ChildOf(entity))
        });
        commands.spawn_batch(robots.collect::<Vec<_>>());
        let movers = frame.movers.iter().enumerate().map(|(index, mover)| {
            let pose = pose(mover.position, 0.0);
            (NavMover { index }, pose, ChildOf(entity))
        });
        commands.spawn_batch(movers.collect::<Vec<_>>());
    }
}

/// Moves the entities to where the frame says.
pub(super) fn sync(
    sims: Query<&NavSim, Changed<NavSim>>,
    mut robots: Query<(&NavRobot, &ChildOf, &mut Transform)>,
    mut movers: Query<(&NavMover, &ChildOf, &mut Transform), bevy::prelude::Without<NavRobot>>,
) {
    for (robot, parent, mut transform) in &mut robots {
        let frame = sims.get(parent.parent()).map(NavSim::snapshot);
        if let Some(robot) = frame.ok().and_then(|frame| frame.robots.get(robot.index)) {
            *transform = pose(robot.position, robot.heading_rad);
        }
    }
    for (mover, parent, mut transform) in &mut movers {
        let frame = sims.get(parent.parent()).map(NavSim::snapshot);
        if let Some(mover) = frame.ok().and_then(|frame| frame.movers.get(mover.index)) {
            *transform = pose(mover.position, 0.0);
        }
    }
}

fn pose([x, y]: [f32; 2], heading_rad: f32) -> Transform {
    Transform::from_translation(Vec3::new(x, y, 0.0))
        .with_rotation(Quat::from_rotation_z(heading_rad))
}
