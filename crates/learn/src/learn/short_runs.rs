//! Runs with few iterations. A policy improves once per iteration, so a small budget of steps is better
//! spent on more iterations with fewer environments.

use super::{RunConfig, TrainConfig};

/// Fewest iterations in which the default settings learn well. The default of 512 environments has as
/// many from a budget of a million steps on.
pub const FEW_ITERATIONS: u64 = 30;

/// From this budget of steps on, the number of environments is the default one.
const FULL_BUDGET: u64 = 1_000_000;

/// Fewest environments that are chosen.
const MIN_ENVS: u32 = 32;

impl TrainConfig {
    /// The number of environments for this budget of steps, where none is set: the default, halved
    /// until the run has [`FEW_ITERATIONS`] iterations of the default horizon, but at least 32. A budget
    /// of a million steps or more has the default. It depends on the budget alone, so that runs which
    /// differ in another setting, such as the horizon, have as many.
    pub(super) fn envs_for_budget(&self) -> u32 {
        let Self {
            num_envs, horizon, ..
        } = Self::default();
        let mut envs = num_envs;
        let iterations = |envs: u32| self.total_steps / (u64::from(envs) * u64::from(horizon));
        while self.total_steps < FULL_BUDGET && envs > MIN_ENVS && iterations(envs) < FEW_ITERATIONS
        {
            envs /= 2;
        }
        envs
    }
}

impl RunConfig {
    /// What to change where the run has fewer than [`FEW_ITERATIONS`] iterations; else `None`.
    pub fn short_run_advice(&self) -> Option<String> {
        let iterations = self.iterations();
        if iterations >= FEW_ITERATIONS {
            return None;
        }
        let train = &self.train;
        let needed = FEW_ITERATIONS * self.steps_per_iteration();
        let fewer = (1..u32::BITS)
            .map(|halvings| train.num_envs >> halvings)
            .take_while(|&envs| envs >= MIN_ENVS)
            .find(|&envs| {
                train.total_steps >= FEW_ITERATIONS * u64::from(envs) * u64::from(train.horizon)
            });
        let envs = fewer.map_or(String::new(), |envs| format!("--envs {envs} or "));
        Some(format!(
            "this run has {iterations} iterations ({} steps / ({} environments × {} steps)), and a \
             policy improves once in each; for {FEW_ITERATIONS} or more set {envs}--steps {needed}",
            train.total_steps, train.num_envs, train.horizon
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(total_steps: u64) -> RunConfig {
        let mut config = RunConfig::default();
        config.train.total_steps = total_steps;
        config
    }

    #[test]
    fn small_budgets_have_fewer_environments_and_large_ones_the_default() {
        let envs = |steps: u64| config(steps).train.envs_for_budget();
        let budgets = [
            50_000, 100_000, 300_000, 600_000, 999_999, 1_000_000, 10_000_000,
        ];
        assert_eq!(budgets.map(envs), [32, 32, 128, 256, 512, 512, 512]);
        let mut long = config(300_000);
        long.train.horizon = 128;
        assert_eq!(long.train.envs_for_budget(), 128);
    }

    #[test]
    fn advice_is_given_for_short_runs_only() {
        assert_eq!(config(1_000_000).short_run_advice(), None);
        let advice = config(300_000).short_run_advice().unwrap();
        assert!(advice.contains("10 iterations"), "{advice}");
        assert!(
            advice.ends_with("set --envs 128 or --steps 983040"),
            "{advice}"
        );
        let tiny = config(20_000).short_run_advice().unwrap();
        assert!(tiny.ends_with("or more set --steps 983040"), "{tiny}");
    }
}
