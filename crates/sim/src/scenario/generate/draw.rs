//! The random draws of generators.

use rand::RngExt as _;

use crate::seed::Rng;

/// Draws a number from `low` to `high`. Returns `low` if `high` is smaller.
pub(super) fn uniform_between(low: f32, high: f32, rng: &mut Rng) -> f32 {
    low + (high - low).max(0.0) * rng.random::<f32>()
}

/// Draws an index below `count`, which must be at least 1.
pub(super) fn random_index_below(count: usize, rng: &mut Rng) -> usize {
    rng.random_range(0..count as u32) as usize
}

/// Returns true with this probability.
pub(super) fn random_bool(probability: f32, rng: &mut Rng) -> bool {
    rng.random::<f32>() < probability
}
