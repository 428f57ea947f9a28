//! The plugin: system sets, messages and systems.

// Bevy passes system parameters by value.
#![allow(clippy::needless_pass_by_value)]

use bevy::prelude::{
    App, Entity, FixedUpdate, IntoScheduleConfigs as _, Message, MessageWriter, Plugin, Query, Res,
    ResMut, SystemSet, Time,
};

use super::sim::SimAdvance;
use super::{NavClock, NavSim, entities};
use evenkeel_sim::env::Outcome;

/// Steps every [`NavSim`] in `FixedUpdate` and moves its entities.
///
/// It does not change the app's fixed timestep: control steps are made when they are due by the
/// scenario's `task.control_step_secs`, several in one `FixedUpdate` if needed.
#[derive(Clone, Copy, Debug, Default)]
pub struct NavPlugin;

/// The system sets of [`NavPlugin`] in `FixedUpdate`, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SystemSet)]
pub enum NavSystems {
    /// Spawns the robots and movers of new simulations.
    Spawn,
    /// Steps the simulations and writes messages.
    Step,
    /// Moves robots and movers to their new poses.
    Sync,
}

/// An episode has started; its layout can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
pub struct EpisodeBegan {
    /// The [`NavSim`].
    pub sim: Entity,
    /// Number of the episode.
    pub episode: u64,
}

/// An episode has ended.
#[derive(Clone, Copy, Debug, PartialEq, Message)]
pub struct EpisodeEnded {
    /// The [`NavSim`].
    pub sim: Entity,
    /// Number of the episode.
    pub episode: u64,
    /// How it ended: see [`NavEnv::episode_outcome`](evenkeel_sim::env::NavEnv::episode_outcome).
    pub outcome: Outcome,
    /// Its length, control steps.
    pub steps: u32,
    /// Undiscounted sum of the rewards of the only or first robot.
    pub episode_return: f64,
}

impl Plugin for NavPlugin {
    fn build(&self, app: &mut App) {
        use NavSystems::{Spawn, Step, Sync};

        app.init_resource::<NavClock>()
            .add_message::<EpisodeBegan>()
            .add_message::<EpisodeEnded>()
            .configure_sets(FixedUpdate, (Spawn, Step, Sync).chain())
            .add_systems(
                FixedUpdate,
                (
                    entities::spawn.in_set(Spawn),
                    step.in_set(Step),
                    entities::sync.in_set(Sync),
                ),
            );
    }
}

fn step(
    time: Res<Time>,
    mut nav_clock: ResMut<NavClock>,
    mut sims: Query<(Entity, &mut NavSim)>,
    mut began: MessageWriter<EpisodeBegan>,
    mut ended: MessageWriter<EpisodeEnded>,
) {
    let (sim_delta, pending) = (
        nav_clock.sim_delta(time.delta()),
        nav_clock.take_pending_steps(),
    );
    for (entity, mut sim) in &mut sims {
        if sim_delta.is_zero() && pending == 0 && !sim.is_unannounced() {
            continue;
        }
        let mut announce = |sim: &mut NavSim| {
            if sim.take_unannounced() {
                began.write(EpisodeBegan {
                    sim: entity,
                    episode: sim.env().episode(),
                });
            }
        };
        announce(&mut sim);
        sim.advance_clock(sim_delta);
        let mut pending = pending;
        while pending > 0 || sim.step_is_due() {
            pending = pending.saturating_sub(1);
            match sim.step() {
                SimAdvance::Began => announce(&mut sim),
                SimAdvance::Advanced(Some(outcome)) => {
                    ended.write(EpisodeEnded {
                        sim: entity,
                        episode: sim.env().episode(),
                        outcome,
                        steps: sim.env().steps(),
                        episode_return: sim.env().episode_return(),
                    });
                }
                SimAdvance::Advanced(None) | SimAdvance::Idle => {}
            }
        }
    }
}
