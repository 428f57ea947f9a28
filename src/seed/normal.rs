//! Normal numbers from our own random streams, never from a library's generator.

use std::f64::consts::TAU;

use rand::Rng as _;

use super::Rng;

/// Two independent standard normal numbers (Box & Muller 1958).
pub fn normal_pair(rng: &mut Rng) -> (f64, f64) {
    // 53 random bits each; the first in (0, 1], so that its logarithm is finite.
    let scale = 1.0 / (1u64 << 53) as f64;
    let u = ((rng.next_u64() >> 11) + 1) as f64 * scale;
    let v = (rng.next_u64() >> 11) as f64 * scale;
    let radius = (-2.0 * libm::log(u)).sqrt();
    let (sin, cos) = libm::sincos(TAU * v);
    (radius * cos, radius * sin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Split, stream};

    #[test]
    fn moments_are_those_of_a_standard_normal() {
        let mut rng = stream(3, Split::Train, 0, 0, Purpose::Action);
        let draws: Vec<f64> = (0..50_000)
            .flat_map(|_| {
                let (a, b) = normal_pair(&mut rng);
                [a, b]
            })
            .collect();
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / draws.len() as f64;
        assert!(moment(1).abs() < 0.015);
        assert!((moment(2) - 1.0).abs() < 0.02);
        assert!(moment(3).abs() < 0.05);
        assert!((moment(4) - 3.0).abs() < 0.12);
        let covariance = draws.chunks(2).map(|p| p[0] * p[1]).sum::<f64>() / 50_000.0;
        assert!(covariance.abs() < 0.02);
    }
}
