//! The median rule: a run of a comparison is given up if it is behind the median of earlier runs
//! (Golovin et al. 2017, <https://doi.org/10.1145/3097983.3098043>, section 3.2). To be the same for any
//! number of simultaneous runs, the arms are trained in rounds, and the rules of a round come from the
//! runs of the rounds before it.

use evenkeel_runs::runs::StopRule;
use evenkeel_runs::stats::quantile;

/// Arms of a round.
pub(super) const ARMS_PER_ROUND: usize = 5;

/// Shares of the budget after which a run may be given up.
const RUNGS: [f64; 2] = [0.5, 0.75];

/// The rules of a round: at each rung, the median success of the earlier runs that came so far. No
/// rule where that is 0. `curves` are the success of each earlier run's evaluations during training by
/// environment steps, `budget` the steps of a run.
pub(super) fn median_rules(curves: &[Vec<(u64, f64)>], budget: u64) -> Vec<StopRule> {
    let rule = |share: f64| {
        let step = (budget as f64 * share) as u64;
        let reached = curves
            .iter()
            .filter_map(|curve| Some(curve.iter().find(|point| point.0 >= step)?.1));
        let mut reached: Vec<f64> = reached.collect();
        reached.sort_unstable_by(f64::total_cmp);
        let success = quantile(&reached, 0.5)?;
        (success > 0.0).then_some(StopRule { step, success })
    };
    RUNGS.into_iter().filter_map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_the_median_of_the_runs_that_came_so_far() {
        let curves = [
            vec![(40, 0.1), (60, 0.2), (100, 0.4)],
            vec![(50, 0.6), (80, 0.8)],
            vec![(55, 0.3)],
            vec![(10, 0.9)],
        ];
        let rules = median_rules(&curves, 100);
        let rule = |step, success| StopRule { step, success };
        // At 50 steps 0.2, 0.6 and 0.3, at 75 steps 0.4 and 0.8.
        assert_eq!(rules[0], rule(50, 0.3));
        assert!((rules[1].success - 0.6).abs() < 1e-12 && rules[1].step == 75);
        assert!(median_rules(&[], 100).is_empty());
        assert!(median_rules(&[vec![(60, 0.0), (80, 0.0)]], 100).is_empty());
    }
}
