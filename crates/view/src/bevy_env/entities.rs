//! The child entities of a simulation.

use bevy::prelude::{
    Added, Changed, ChildOf, Commands, Component, Entity, Quat, Query, Transform, Vec3,
};

use super::NavSim;

/// A robot of the parent [`NavSim`]. Its `Transform` is the robot's pose: metres, the heading as a
/// rotation about z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Component)]
#[require(Transform)]
pub struct NavRobot {
    /// Index of the robot in the snapshot.
    pub index: usize,
}

/// A mover of the parent [`NavSim`]. Its `Transform` is the mover's position, metres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Component)]
#[require(Transform)]
pub struct NavMover {
    /// Index of the mover in the snapshot.
    pub index: usize,
}

/// Spawns the robots and movers of a new simulation. Their numbers are the scenario's, so they are the
/// same in all episodes.
pub(super) fn spawn(mut commands: Commands, sims: Query<(Entity, &NavSim), Added<NavSim>>) {
    for (entity, sim) in &sims {
        let snapshot = sim.snapshot();
        let robots = snapshot.robots.iter().enumerate().map(|(index, robot)| {
            let pose = pose(robot.position, robot.heading_rad);
            (NavRobot { index }, pose, ChildOf(entity))
        });
        commands.spawn_batch(robots.collect::<Vec<_>>());
        let movers = snapshot.movers.iter().enumerate().map(|(index, mover)| {
            let pose = pose(mover.position, 0.0);
            (NavMover { index }, pose, ChildOf(entity))
        });
        commands.spawn_batch(movers.collect::<Vec<_>>());
    }
}

/// Moves the entities to their poses in the snapshot.
pub(super) fn sync(
    sims: Query<&NavSim, Changed<NavSim>>,
    mut robots: Query<(&NavRobot, &ChildOf, &mut Transform)>,
    mut movers: Query<(&NavMover, &ChildOf, &mut Transform), bevy::prelude::Without<NavRobot>>,
) {
    for (robot, parent, mut transform) in &mut robots {
        let snapshot = sims.get(parent.parent()).map(NavSim::snapshot);
        if let Some(robot) = snapshot
            .ok()
            .and_then(|snapshot| snapshot.robots.get(robot.index))
        {
            *transform = pose(robot.position, robot.heading_rad);
        }
    }
    for (mover, parent, mut transform) in &mut movers {
        let snapshot = sims.get(parent.parent()).map(NavSim::snapshot);
        if let Some(mover) = snapshot
            .ok()
            .and_then(|snapshot| snapshot.movers.get(mover.index))
        {
            *transform = pose(mover.position, 0.0);
        }
    }
}

fn pose([x, y]: [f32; 2], heading_rad: f32) -> Transform {
    Transform::from_translation(Vec3::new(x, y, 0.0))
        .with_rotation(Quat::from_rotation_z(heading_rad))
}
