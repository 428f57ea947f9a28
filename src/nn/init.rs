//! Initial weights, drawn from our own random streams.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::normal_pair;
use crate::seed::Rng;

/// How initial weights are drawn. Biases start at 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Init {
    /// A random matrix with orthonormal rows or columns, times a gain (Saxe et al. 2014,
    /// <https://arxiv.org/abs/1312.6120>).
    Orthogonal(OrthogonalSpec),
}

impl Default for Init {
    fn default() -> Self {
        Self::Orthogonal(OrthogonalSpec::default())
    }
}

/// Gains of orthogonal initialisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrthogonalSpec {
    /// Gain of the hidden layers.
    pub hidden_gain: f64,
    /// Gain of the actor's last layer; small, so that the first actions are all noise.
    pub actor_gain: f64,
    /// Gain of the critic's last layer.
    pub critic_gain: f64,
}

impl Default for OrthogonalSpec {
    fn default() -> Self {
        Self {
            hidden_gain: std::f64::consts::SQRT_2,
            actor_gain: 0.01,
            critic_gain: 1.0,
        }
    }
}

/// A `[rows, cols]` matrix, row by row, whose shorter side is orthonormal, times `gain`.
///
/// Gram–Schmidt on a matrix of normal numbers: the result is uniform over all such matrices.
pub(super) fn orthogonal(rows: usize, cols: usize, gain: f64, rng: &mut Rng) -> Vec<f32> {
    let (count, length) = (rows.min(cols), rows.max(cols));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut vector = Vec::with_capacity(length + 1);
        while vector.len() < length {
            let (a, b) = normal_pair(rng);
            vector.extend([a, b]);
        }
        vector.truncate(length);
        // Twice is enough to be orthogonal to the last bit (Giraud et al. 2005).
        for _ in 0..2 {
            for other in &basis {
                let along: f64 = vector.iter().zip(other).map(|(v, o)| v * o).sum();
                vector
                    .iter_mut()
                    .zip(other)
                    .for_each(|(v, o)| *v -= along * o);
            }
        }
        let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm > 1e-6 {
            basis.push(vector.iter().map(|v| v / norm).collect());
        }
    }
    let entry = |row: usize, col: usize| {
        if rows <= cols {
            basis[row][col]
        } else {
            basis[col][row]
        }
    };
    (0..rows)
        .flat_map(|row| (0..cols).map(move |col| (row, col)))
        .map(|(row, col)| (gain * entry(row, col)) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Split, stream};

    fn gram(matrix: &[f32], rows: usize, cols: usize, i: usize, j: usize) -> f32 {
        if rows <= cols {
            (0..cols)
                .map(|k| matrix[i * cols + k] * matrix[j * cols + k])
                .sum()
        } else {
            (0..rows)
                .map(|k| matrix[k * cols + i] * matrix[k * cols + j])
                .sum()
        }
    }

    #[test]
    fn the_shorter_side_is_orthonormal_times_the_gain() {
        for (rows, cols, gain) in [(64, 72, 1.5), (64, 64, 1.0), (5, 3, 0.01), (1, 7, 1.0)] {
            let mut rng = stream(1, Split::Train, 0, 0, Purpose::Init);
            let matrix = orthogonal(rows, cols, gain, &mut rng);
            assert_eq!(matrix.len(), rows * cols);
            for i in 0..rows.min(cols) {
                for j in 0..rows.min(cols) {
                    let expected = if i == j { (gain * gain) as f32 } else { 0.0 };
                    let found = gram(&matrix, rows, cols, i, j);
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{rows}×{cols} {i},{j}: {found}"
                    );
                }
            }
        }
    }
}
