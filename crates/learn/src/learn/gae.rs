//! Generalised advantage estimation (GAE) on plain slices.

use evenkeel_sim::env::Outcome;

/// Input of [`advantages`]: `T` steps of `N` environments, step by step.
#[derive(Clone, Copy, Debug)]
pub struct GaeInput<'a> {
    /// `[T, N]`.
    pub rewards: &'a [f32],
    /// `[T, N]`: value of the observation before each step.
    pub values: &'a [f32],
    /// `[T, N]`: how the episode ended in the step, if it did.
    pub ends: &'a [Option<Outcome>],
    /// `[T, N]`: value of the episode's final observation; read only where it was truncated.
    pub final_values: &'a [f32],
    /// `[N]`: value of the observation after the last step.
    pub next_values: &'a [f32],
    /// Discount, γ.
    pub gamma: f32,
    /// Decay of the weight of longer returns, λ.
    pub lambda: f32,
}

/// Advantages, `[T, N]` (Schulman et al. 2016, <https://arxiv.org/abs/1506.02438>, equation 16);
/// advantage plus value is the return that the critic learns.
///
/// A truncated episode bootstraps from the value of its final observation, a terminated one from
/// 0. Rewards of the next episode count for neither.
pub fn advantages(input: &GaeInput) -> Vec<f32> {
    let envs = input.next_values.len();
    let mut advantages = vec![0.0; input.rewards.len()];
    let mut next_values = input.next_values.to_vec();
    let mut running = vec![0.0f32; envs];
    for start in (0..input.rewards.len()).step_by(envs.max(1)).rev() {
        for env in 0..envs {
            let row = start + env;
            let value = input.values[row];
            let (next_value, later) = match input.ends[row] {
                None => (next_values[env], running[env]),
                Some(end) if end.is_truncation() => (input.final_values[row], 0.0),
                Some(_) => (0.0, 0.0),
            };
            let delta = input.rewards[row] + input.gamma * next_value - value;
            running[env] = delta + input.gamma * input.lambda * later;
            next_values[env] = value;
            advantages[row] = running[env];
        }
    }
    advantages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ends: [Option<Outcome>; 3], expected: [f32; 3]) {
        let found = advantages(&GaeInput {
            rewards: &[1.0, 2.0, 3.0],
            values: &[10.0, 20.0, 30.0],
            ends: &ends,
            final_values: &[100.0, 200.0, 300.0],
            next_values: &[40.0],
            gamma: 0.5,
            lambda: 0.5,
        });
        assert_eq!(found, expected);
    }

    // With γ = λ = 1/2, γλ = 1/4. All numbers are sums of powers of two, hence exact.

    #[test]
    fn an_unbroken_rollout_bootstraps_from_the_next_value() {
        // δ2 = 3 + 20 − 30 = −7; δ1 = 2 + 15 − 20 = −3; δ0 = 1 + 10 − 10 = 1
        // A2 = −7; A1 = −3 − 7/4 = −4.75; A0 = 1 − 4.75/4 = −0.1875
        check([None; 3], [-0.1875, -4.75, -7.0]);
    }

    #[test]
    fn a_termination_bootstraps_from_zero() {
        // δ1 = 2 − 20 = −18 = A1; A0 = 1 − 18/4 = −3.5
        check([None, Some(Outcome::Goal), None], [-3.5, -18.0, -7.0]);
        check(
            [None, Some(Outcome::CollisionMover), None],
            [-3.5, -18.0, -7.0],
        );
    }

    #[test]
    fn a_truncation_bootstraps_from_the_final_observation() {
        // δ1 = 2 + 100 − 20 = 82 = A1; A0 = 1 + 82/4 = 21.5
        check([None, Some(Outcome::TimeLimit), None], [21.5, 82.0, -7.0]);
    }

    #[test]
    fn an_end_in_the_last_step_hides_the_next_value() {
        // δ2 = 3 + 150 − 30 = 123, then δ2 = 3 − 30 = −27.
        check(
            [None, None, Some(Outcome::TimeLimit)],
            [7.9375, 27.75, 123.0],
        );
        check(
            [None, None, Some(Outcome::CollisionStatic)],
            [-1.4375, -9.75, -27.0],
        );
    }

    #[test]
    fn environments_do_not_mix() {
        let found = advantages(&GaeInput {
            rewards: &[1.0, 5.0, 2.0, 6.0, 3.0, 7.0],
            values: &[10.0, 0.0, 20.0, 0.0, 30.0, 0.0],
            ends: &[
                None,
                Some(Outcome::Goal),
                None,
                Some(Outcome::Goal),
                None,
                None,
            ],
            final_values: &[0.0; 6],
            next_values: &[40.0, 2.0],
            gamma: 0.5,
            lambda: 0.5,
        });
        assert_eq!(found, [-0.1875, 5.0, -4.75, 6.0, -7.0, 8.0]);
    }
}
