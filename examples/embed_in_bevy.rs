//! evenkeel's environment in a minimal Bevy app, without window or GPU.
//!
//!     cargo run --release --no-default-features --features bevy --example embed_in_bevy
//!
//! A planner drives three episodes, with the simulation a hundred times as fast as the app's clock. The
//! app receives a message at the end of each episode, and reads the robot's pose from its entity.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bevy::app::ScheduleRunnerPlugin;
use bevy::prelude::*;
use evenkeel::bevy_env::{EpisodeEnded, NavClock, NavPlugin, NavRobot, NavSim, NavSystems};
use evenkeel::{env::NavEnv, planners, scenario, seed::Split};

fn main() -> Result<(), Box<dyn Error>> {
    let scenario = Arc::new(scenario::resolve("movers", &[])?);
    let planner = planners::by_name("straight", &scenario, 0)?;
    let env = NavEnv::new(scenario, 0, Split::Eval, 0)?;

    let sixty_times_a_second = Duration::from_secs(1) / 60;
    let mut app = App::new();
    app.add_plugins((
        MinimalPlugins.set(ScheduleRunnerPlugin::run_loop(sixty_times_a_second)),
        NavPlugin,
    ))
    .insert_resource(NavClock {
        speed: 100.0,
        ..NavClock::default()
    })
    .add_systems(FixedUpdate, print_results.after(NavSystems::Sync));
    app.world_mut().spawn(NavSim::new(env, planner));
    app.run();
    Ok(())
}

fn print_results(
    mut ended: MessageReader<EpisodeEnded>,
    robots: Query<&Transform, With<NavRobot>>,
    mut exit: MessageWriter<AppExit>,
) {
    for end in ended.read() {
        println!(
            "episode {}: {} after {} control steps, return {:.2}",
            end.episode,
            end.outcome.name(),
            end.steps,
            end.episode_return
        );
        for pose in &robots {
            println!("  the robot is now at {:.2}", pose.translation.truncate());
        }
        if end.episode == 2 {
            exit.write(AppExit::Success);
        }
    }
}
