//! The smallest program that steps an environment: ten episodes with random actions.
//!
//!     cargo run --release --example random_agent [SCENARIO]

use std::sync::Arc;

use evenkeel::env::NavEnv;
use evenkeel::scenario;
use evenkeel::seed::{Purpose, Split, stream};
use rand::RngExt as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "reference".to_owned());
    let scenario = Arc::new(scenario::resolve(&name, &[])?);
    let seed = 0;
    let mut env = NavEnv::new(scenario, seed, Split::Train, 0)?;
    let mut observation = vec![0.0; env.obs_layout().dim()];

    for episode in 0..10 {
        env.reset(episode);
        // Random numbers come from streams with a seed, an episode and a purpose.
        let mut rng = stream(seed, Split::Train, 0, episode, Purpose::Action);
        let mut action = [0.0; 2];
        let outcome = loop {
            env.observe(&mut observation); // the input of a policy
            if env.steps() % 10 == 0 {
                action = [rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0)];
            }
            if let Some(outcome) = env.step(&action).outcome {
                break outcome;
            }
        };
        println!(
            "episode {episode}: {} after {} steps, return {:.2}",
            outcome.name(),
            env.steps(),
            env.episode_return(),
        );
    }
    Ok(())
}
