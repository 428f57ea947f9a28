//! Beta distributions of actions.

use rand::Rng as _;

use super::Score;
use super::special_functions::{digamma, trigamma};
use evenkeel_sim::seed::{Rng, normal_pair};

/// Smallest distance of an action from -1 and 1. At the bounds themselves a density may be 0.
const MARGIN: f32 = 1e-6;

/// An independent beta distribution, stretched to [-1, 1], for each entry of the action (Chou et al.
/// 2017, <https://proceedings.mlr.press/v70/chou17a.html>). The actor outputs k numbers for α, then k
/// for β; each is 1 + softplus(output), so that the density has one maximum and is finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BetaDistribution {
    dim: usize,
}

/// The beta distribution of one entry of an action.
#[derive(Clone, Copy, Debug)]
struct Entry {
    alpha: f64,
    beta: f64,
    /// Derivatives of α and β with respect to their outputs.
    slopes: [f64; 2],
}

impl Entry {
    fn new(outputs: [f32; 2]) -> Self {
        let [(alpha, alpha_slope), (beta, beta_slope)] = outputs.map(shape);
        Self {
            alpha,
            beta,
            slopes: [alpha_slope, beta_slope],
        }
    }

    /// Logarithm of the beta function, plus ln 2 for the stretched interval.
    fn log_norm(self) -> f64 {
        let of = libm::lgamma;
        of(self.alpha) + of(self.beta) - of(self.alpha + self.beta) + std::f64::consts::LN_2
    }

    fn log_prob(self, action: f32) -> f64 {
        let [above, below] = log_distances(action);
        (self.alpha - 1.0) * above + (self.beta - 1.0) * below - self.log_norm()
    }

    /// Derivatives of the log probability with respect to both outputs.
    fn score(self, action: f32) -> [f64; 2] {
        let [above, below] = log_distances(action);
        let common = digamma(self.alpha + self.beta);
        [
            (above - digamma(self.alpha) + common) * self.slopes[0],
            (below - digamma(self.beta) + common) * self.slopes[1],
        ]
    }

    /// Differential entropy, with its derivatives with respect to both outputs.
    fn entropy(self) -> (f64, [f64; 2]) {
        let (alpha, beta) = (self.alpha, self.beta);
        let excess = alpha + beta - 2.0;
        let entropy =
            self.log_norm() - (alpha - 1.0) * digamma(alpha) - (beta - 1.0) * digamma(beta)
                + excess * digamma(alpha + beta);
        let common = excess * trigamma(alpha + beta);
        let slope = |shape: f64, slope: f64| (common - (shape - 1.0) * trigamma(shape)) * slope;
        (
            entropy,
            [slope(alpha, self.slopes[0]), slope(beta, self.slopes[1])],
        )
    }

    fn mean(self) -> f32 {
        ((self.alpha - self.beta) / (self.alpha + self.beta)) as f32
    }

    fn std(self) -> f32 {
        let sum = self.alpha + self.beta;
        (2.0 * (self.alpha * self.beta / (sum + 1.0)).sqrt() / sum) as f32
    }

    fn sample(self, rng: &mut Rng) -> f32 {
        let (above, below) = (sample_gamma(rng, self.alpha), sample_gamma(rng, self.beta));
        let action = ((above - below) / (above + below)) as f32;
        action.clamp(MARGIN - 1.0, 1.0 - MARGIN)
    }
}

impl BetaDistribution {
    /// The distribution of actions of length `dim`.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    /// Length of an action.
    pub fn dim(self) -> usize {
        self.dim
    }

    fn entry(self, outputs: &[f32], i: usize) -> Entry {
        Entry::new([outputs[i], outputs[self.dim + i]])
    }

    /// Samples an action into `action` `[act]`.
    pub(super) fn sample(self, rng: &mut Rng, outputs: &[f32], action: &mut [f32]) {
        for (i, action) in action.iter_mut().enumerate() {
            *action = self.entry(outputs, i).sample(rng);
        }
    }

    /// ln p(action).
    pub(super) fn log_prob(self, outputs: &[f32], action: &[f32]) -> f32 {
        let entries = action.iter().enumerate();
        let log_probs = entries.map(|(i, &action)| self.entry(outputs, i).log_prob(action));
        log_probs.sum::<f64>() as f32
    }

    /// [`Self::log_prob`], with its gradient.
    pub(super) fn log_prob_and_score(
        self,
        outputs: &[f32],
        action: &[f32],
        score: &mut Score,
    ) -> f32 {
        let mut log_prob = 0.0;
        for (i, &action) in action.iter().enumerate() {
            let entry = self.entry(outputs, i);
            log_prob += entry.log_prob(action);
            self.write(entry.score(action), i, &mut score.by_output);
        }
        log_prob as f32
    }

    /// Differential entropy, nats, with its gradient with respect to the outputs.
    pub(super) fn entropy_and_score(self, outputs: &[f32], by_output: &mut [f32]) -> f64 {
        let mut total = 0.0;
        for i in 0..self.dim {
            let (entropy, slopes) = self.entry(outputs, i).entropy();
            total += entropy;
            self.write(slopes, i, by_output);
        }
        total
    }

    fn write(self, slopes: [f64; 2], i: usize, by_output: &mut [f32]) {
        [by_output[i], by_output[self.dim + i]] = slopes.map(|slope| slope as f32);
    }

    /// The mean of entry `i`.
    pub(super) fn mean(self, outputs: &[f32], i: usize) -> f32 {
        self.entry(outputs, i).mean()
    }

    /// The standard deviation of entry `i`.
    pub(super) fn std(self, outputs: &[f32], i: usize) -> f32 {
        self.entry(outputs, i).std()
    }
}

/// 1 + softplus(output), and its derivative.
fn shape(output: f32) -> (f64, f64) {
    let output = f64::from(output);
    let tail = (-output.abs()).exp();
    let slope = if output < 0.0 { tail } else { 1.0 } / (1.0 + tail);
    (1.0 + output.max(0.0) + tail.ln_1p(), slope)
}

/// Logarithms of an action's distances from -1 and from 1, as shares of the interval.
fn log_distances(action: f32) -> [f64; 2] {
    let action = f64::from(action);
    [0.5 * (1.0 + action), 0.5 * (1.0 - action)].map(f64::ln)
}

/// Samples from the gamma distribution with this shape, at least 1, and scale 1 (Marsaglia & Tsang
/// 2000, <https://doi.org/10.1145/358407.358414>). NaN if the shape is not finite.
fn sample_gamma(rng: &mut Rng, shape: f64) -> f64 {
    if !shape.is_finite() {
        return f64::NAN;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let (x, _) = normal_pair(rng);
        // In (0, 1], so that its logarithm is finite.
        let u = ((rng.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let v = (1.0 + c * x).powi(3);
        // `1 − v + ln v` first: d may be so large that d and d v would cancel.
        if v > 0.0 && u.ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sim::seed::{Purpose, Split, stream};

    /// The output that gives 1 + softplus = `shape`.
    fn output(shape: f64) -> f32 {
        (shape - 1.0).exp_m1().ln() as f32
    }

    fn entry(alpha: f64, beta: f64) -> Entry {
        Entry::new([output(alpha), output(beta)])
    }

    #[test]
    fn density_and_moments_match_a_hand_computed_example() {
        // Beta(2, 3) has the density 12 x (1 − x)², the mean 2/5 and the variance 1/25. At x = 3/4,
        // where the action is 1/2, the density is 9/16; the stretched one is half of it.
        let entry = entry(2.0, 3.0);
        assert!((entry.log_prob(0.5) - (9.0_f64 / 32.0).ln()).abs() < 1e-6);
        assert!((entry.mean() + 0.2).abs() < 1e-6, "{}", entry.mean());
        assert!((entry.std() - 0.4).abs() < 1e-6, "{}", entry.std());
    }

    #[test]
    fn the_uniform_distribution_has_the_largest_entropy() {
        let nearly_uniform = Entry::new([-30.0, -30.0]);
        let (entropy, _) = nearly_uniform.entropy();
        assert!((entropy - std::f64::consts::LN_2).abs() < 1e-9);
        assert!((nearly_uniform.log_prob(0.3) + std::f64::consts::LN_2).abs() < 1e-9);
        assert!(entry(1.5, 1.2).entropy().0 < entropy);
    }

    #[test]
    fn entropy_is_minus_the_mean_log_probability() {
        let entry = entry(2.0, 3.5);
        let count = 100_000;
        let integral: f64 = (0..count)
            .map(|i| {
                let action = (2.0 * (f64::from(i) + 0.5) / f64::from(count) - 1.0) as f32;
                let log_prob = entry.log_prob(action);
                -log_prob * log_prob.exp() * 2.0 / f64::from(count)
            })
            .sum();
        assert!((entry.entropy().0 - integral).abs() < 1e-4, "{integral}");
    }

    #[test]
    fn samples_have_the_moments_of_the_distribution() {
        for (alpha, beta) in [(1.0001, 1.0001), (2.0, 3.0), (1.2, 40.0)] {
            let entry = entry(alpha, beta);
            let mut rng = stream(3, Split::Train, 0, 0, Purpose::Action);
            let samples: Vec<f64> = (0..50_000).map(|_| entry.sample(&mut rng).into()).collect();
            let count = samples.len() as f64;
            let mean = samples.iter().sum::<f64>() / count;
            let variance = samples.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            assert!((mean - f64::from(entry.mean())).abs() < 0.01, "{mean}");
            let std = f64::from(entry.std());
            assert!((variance.sqrt() / std - 1.0).abs() < 0.02, "{alpha} {beta}");
        }
    }

    #[test]
    fn extreme_shapes_are_sampled_and_lost_ones_are_not_a_number() {
        let mut rng = stream(3, Split::Train, 0, 0, Purpose::Action);
        for output in [1e6, 1e12, 1e20, 3e38] {
            let sample = Entry::new([output, output]).sample(&mut rng);
            assert!(sample.abs() < 0.1, "{output}: {sample}");
            let sample = Entry::new([output, -30.0]).sample(&mut rng);
            assert!(sample > 0.99 && sample < 1.0, "{output}: {sample}");
        }
        for output in [f32::NAN, f32::INFINITY] {
            assert!(Entry::new([output, 0.0]).sample(&mut rng).is_nan());
        }
    }
}
