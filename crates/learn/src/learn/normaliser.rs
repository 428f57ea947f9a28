//! Normalisation of observations by running moments. The applied mean and scale stay frozen until
//! [`Normaliser::advance`], which the training loop calls once per iteration.

use super::RunningNormaliser;

/// Smallest standard deviation to divide by. The simulator's observations lie within about ±1. If
/// those that vary little were scaled up, then the first moments, which come from an untrained
/// policy, would decide how much each counts, and all would jump whenever the moments move.
const MIN_STD: f64 = 1.0;

/// Normalised observations are clipped to this many standard deviations.
pub(super) const OBSERVATION_CLIP: f32 = 10.0;

/// Count, mean and sum of squared deviations of each entry of a vector, in double precision. The
/// moments of two sets merge into those of their union (Chan, Golub & `LeVeque` 1979).
#[derive(Clone, Debug, PartialEq)]
pub struct RunningMoments {
    /// Number of vectors.
    pub count: f64,
    /// Mean of each entry.
    pub mean: Vec<f64>,
    /// Sum of squared deviations from the mean, of each entry.
    pub squares: Vec<f64>,
}

impl RunningMoments {
    /// Moments of no vectors, of length `dim`.
    pub fn new(dim: usize) -> Self {
        Self {
            count: 0.0,
            mean: vec![0.0; dim],
            squares: vec![0.0; dim],
        }
    }

    /// Merges the moments of another set.
    pub fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        if other.count == 0.0 {
            return;
        }
        let share = other.count / count;
        for i in 0..self.mean.len() {
            let deviation = other.mean[i] - self.mean[i];
            self.mean[i] += deviation * share;
            self.squares[i] += other.squares[i] + deviation * deviation * self.count * share;
        }
        self.count = count;
    }

    /// Variance of each entry; 1 while there are no vectors.
    pub fn variance(&self) -> impl Iterator<Item = f64> {
        self.squares.iter().map(|sum| {
            if self.count > 0.0 {
                sum / self.count
            } else {
                1.0
            }
        })
    }
}

/// Sums of deviations from a guess of the mean, and of their squares, which give
/// [`RunningMoments`].
#[derive(Clone, Debug)]
pub(super) struct BatchSums {
    guess: Vec<f64>,
    count: f64,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl BatchSums {
    /// Empty sums. The nearer the guess is to the mean, the smaller the rounding error.
    pub(super) fn about(guess: &[f64]) -> Self {
        let zeros = vec![0.0; guess.len()];
        Self {
            guess: guess.to_vec(),
            count: 0.0,
            sum: zeros.clone(),
            squares: zeros,
        }
    }

    /// Adds one vector.
    pub(super) fn add(&mut self, vector: &[f32]) {
        self.count += 1.0;
        let sums = self.sum.iter_mut().zip(&mut self.squares);
        for ((&x, &guess), (sum, squares)) in vector.iter().zip(&self.guess).zip(sums) {
            let deviation = f64::from(x) - guess;
            *sum += deviation;
            *squares += deviation * deviation;
        }
    }

    /// The moments of all added vectors.
    pub(super) fn moments(&self) -> RunningMoments {
        let count = self.count.max(1.0);
        let offset = self.sum.iter().map(|sum| sum / count);
        RunningMoments {
            count: self.count,
            mean: self
                .guess
                .iter()
                .zip(offset.clone())
                .map(|(guess, off)| guess + off)
                .collect(),
            squares: self
                .squares
                .iter()
                .zip(offset)
                .map(|(squares, off)| (squares - off * off * count).max(0.0))
                .collect(),
        }
    }
}

/// Subtracts a frozen mean and divides by a frozen standard deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Normaliser {
    kind: RunningNormaliser,
    moments: RunningMoments,
    mean: Vec<f32>,
    scale: Vec<f32>,
}

impl Normaliser {
    /// Normalises by `moments`; without any vectors in them, it changes nothing.
    pub fn new(kind: RunningNormaliser, moments: RunningMoments) -> Self {
        let (mean, scale) = match kind {
            RunningNormaliser::Off => {
                (vec![0.0; moments.mean.len()], vec![1.0; moments.mean.len()])
            }
            RunningNormaliser::Moments if moments.count == 0.0 => {
                (vec![0.0; moments.mean.len()], vec![1.0; moments.mean.len()])
            }
            RunningNormaliser::Moments => (
                moments.mean.iter().map(|&mean| mean as f32).collect(),
                moments
                    .variance()
                    .map(|variance| (1.0 / variance.sqrt().max(MIN_STD)) as f32)
                    .collect(),
            ),
        };
        Self {
            kind,
            moments,
            mean,
            scale,
        }
    }

    /// The running moments.
    pub fn moments(&self) -> &RunningMoments {
        &self.moments
    }

    /// The mean that is subtracted and the factor that is applied then, `[obs]` each; `None` if
    /// observations stay as they are.
    pub(super) fn mean_and_scale(&self) -> Option<(&[f32], &[f32])> {
        (self.kind == RunningNormaliser::Moments).then_some((&self.mean, &self.scale))
    }

    /// Merges new moments, and applies the result from now on. Moments that are not finite are left
    /// out.
    pub fn advance(&mut self, new: &RunningMoments) {
        let finite = |numbers: &[f64]| numbers.iter().all(|number| number.is_finite());
        if !finite(&new.mean) || !finite(&new.squares) {
            return;
        }
        if self.kind == RunningNormaliser::Moments {
            self.moments.merge(new);
            *self = Self::new(
                self.kind,
                std::mem::replace(&mut self.moments, RunningMoments::new(0)),
            );
        }
    }

    /// Normalises an observation, clipped to ±10. `raw` and `out` are `[obs]`.
    pub fn normalise_observation(&self, raw: &[f32], out: &mut [f32]) {
        if self.kind == RunningNormaliser::Off {
            out.copy_from_slice(raw);
            return;
        }
        let statistics = self.mean.iter().zip(&self.scale);
        for ((out, &raw), (&mean, &scale)) in out.iter_mut().zip(raw).zip(statistics) {
            *out = ((raw - mean) * scale).clamp(-OBSERVATION_CLIP, OBSERVATION_CLIP);
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    fn moments(rows: &[[f32; 2]], guess: [f64; 2]) -> RunningMoments {
        let mut sums = BatchSums::about(&guess);
        for row in rows {
            sums.add(row);
        }
        sums.moments()
    }

    const ROWS: [[f32; 2]; 4] = [[1.0, 100.0], [2.0, 104.0], [3.0, 96.0], [6.0, 100.0]];

    #[test]
    fn moments_equal_those_worked_out_by_hand() {
        let all = moments(&ROWS, [0.0, 99.0]);
        assert_eq!(all.count, 4.0);
        assert_eq!(all.mean, [3.0, 100.0]);
        assert_eq!(all.squares, [14.0, 32.0]);
    }

    #[test]
    fn merged_moments_are_those_of_all_rows() {
        let mut merged = moments(&ROWS[..1], [0.0, 0.0]);
        merged.merge(&moments(&ROWS[1..], [5.0, 50.0]));
        merged.merge(&RunningMoments::new(2));
        let all = moments(&ROWS, [0.0, 0.0]);
        for i in 0..2 {
            assert!((merged.mean[i] - all.mean[i]).abs() < 1e-12);
            assert!((merged.squares[i] - all.squares[i]).abs() < 1e-9);
        }
    }

    #[test]
    fn nothing_changes_until_it_advances() {
        let mut normaliser = Normaliser::new(RunningNormaliser::Moments, RunningMoments::new(2));
        let mut out = [0.0; 2];
        normaliser.normalise_observation(&[3.0, 4.0], &mut out);
        assert_eq!(out, [3.0, 4.0]);
        normaliser.advance(&moments(&ROWS, [0.0, 0.0]));
        normaliser.normalise_observation(&[3.0, 100.0 + 8.0f32.sqrt()], &mut out);
        assert_eq!(out[0], 0.0);
        assert!((out[1] - 1.0).abs() < 1e-4);
        normaliser.normalise_observation(&[1e9, -1e9], &mut out);
        assert_eq!(out, [10.0, -10.0]);
    }

    #[test]
    fn an_entry_that_varies_little_is_only_centred() {
        let mut normaliser = Normaliser::new(RunningNormaliser::Moments, RunningMoments::new(2));
        let rows = [[0.25, 3.0], [0.75, 7.0]];
        normaliser.advance(&moments(&rows, [0.0, 0.0]));
        let mut out = [0.0; 2];
        normaliser.normalise_observation(&[1.0, 9.0], &mut out);
        assert_eq!(out, [0.5, 2.0]);
    }

    #[test]
    fn moments_that_are_not_finite_are_left_out() {
        let mut normaliser = Normaliser::new(RunningNormaliser::Moments, RunningMoments::new(2));
        normaliser.advance(&moments(&ROWS, [0.0, 0.0]));
        let before = normaliser.clone();
        normaliser.advance(&moments(&[[f32::NAN, 1.0]], [0.0, 0.0]));
        normaliser.advance(&moments(&[[0.0, f32::INFINITY]], [0.0, 0.0]));
        assert_eq!(normaliser, before);
    }

    #[test]
    fn a_normaliser_that_is_off_changes_nothing() {
        let mut normaliser = Normaliser::new(RunningNormaliser::Off, RunningMoments::new(2));
        normaliser.advance(&moments(&ROWS, [0.0, 0.0]));
        let mut out = [0.0; 2];
        normaliser.normalise_observation(&[1e9, -3.0], &mut out);
        assert_eq!(out, [1e9, -3.0]);
    }
}
