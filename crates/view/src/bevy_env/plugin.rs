//! The plugin: its sets, its messages, its systems.

// Bevy hands systems what they ask for by value.
#![allow(clippy::needless_pass_by_value)]

use bevy::prelude::{
    App, Entity, FixedUpdate, IntoScheduleConfigs as _, Message, MessageWriter, Plugin, Query, Res,
    ResMut, SystemSet, Time,
};

use super::sim::SimAdvance;
use super::{NavClock, NavSim, entities};
use evenkeel_sim::env::Outcome;

/// Steps every [`NavSim`] in `FixedUpdate` and lets its entities follow.
///
/// The app's own fixed timestep is left as it is: control steps are taken as they fall due by the
/// scenario's `task.control_step_secs`, several in one `FixedUpdate` if need be.
#[derive(Clone, Copy, Debug, Default)]
pub struct NavPlugin;

/// What [`NavPlugin`] does in `FixedUpdate`, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, SystemSet)]
pub enum NavSystems {
    /// New simulations get their robots and movers.
    Spawn,
    /// Actors are asked, environments stepped, messages written.
    Step,
    /// Robots and movers are moved to where they are now.
    Sync,
}

/// An episode has begun: its layout is there to be drawn.
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
    /// How it ended; of several robots see [`NavEnv::ending`](evenkeel_sim::env::NavEnv::ending).
    pub outcome: Outcome,
    /// Its length, control steps.
    pub steps: u32,
    /// Undiscounted sum of its rewards, those of the first robot where there are several.
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
    let (passes, pending) = (
        nav_clock.sim_delta(time.delta()),
        nav_clock.take_pending_steps(),
    );
    for (entity, mut sim) in &mut sims {
        if passes.is_zero() && pending == 0 && !sim.is_unannounced() {
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
        sim.advance_clock(passes);
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
