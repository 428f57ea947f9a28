//! Normally distributed numbers. They are computed here, because a library may change its algorithm
//! and with it the numbers of a seed.

use std::f64::consts::TAU;
use std::sync::LazyLock;

use rand::Rng as _;

use super::stream::Rng;

/// Draws two independent standard normal numbers (Box & Muller 1958).
pub fn normal_pair(rng: &mut Rng) -> (f64, f64) {
    // 53 random bits each. The first is in (0, 1], so that its logarithm is finite.
    let scale = 1.0 / (1u64 << 53) as f64;
    let u = ((rng.next_u64() >> 11) + 1) as f64 * scale;
    let v = (rng.next_u64() >> 11) as f64 * scale;
    let radius = (-2.0 * libm::log(u)).sqrt();
    let (sin, cos) = libm::sincos(TAU * v);
    (radius * cos, radius * sin)
}

/// Layers of the ziggurat.
const LAYERS: usize = 256;
/// The tail is everything beyond this.
const TAIL: f64 = 3.654_152_885_361_009;
/// Area of each layer.
const AREA: f64 = 0.004_928_673_233_992_336;

/// Right edges of the layers, from the widest to the narrowest. The first layer also stands for the
/// tail, so its edge is beyond [`TAIL`].
static EDGES: LazyLock<[f64; LAYERS + 1]> = LazyLock::new(|| {
    let density = |x: f64| libm::exp(-0.5 * x * x);
    let mut edges = [0.0; LAYERS + 1];
    edges[0] = AREA / density(TAIL);
    edges[1] = TAIL;
    for i in 2..LAYERS {
        let previous = edges[i - 1];
        edges[i] = (-2.0 * libm::log(AREA / previous + density(previous))).sqrt();
    }
    edges
});

/// Draws a standard normal number by the ziggurat method (Marsaglia & Tsang 2000). The layer and
/// the position in it come from separate bits (Doornik 2005). Several times as fast as
/// [`normal_pair`].
pub fn normal(rng: &mut Rng) -> f32 {
    let edges = &*EDGES;
    loop {
        let bits = rng.next_u64();
        let layer = (bits & 0xff) as usize;
        // 53 bits in [-1, 1).
        let position = (bits >> 11) as f64 * (2.0 / (1_u64 << 53) as f64) - 1.0;
        let x = position * edges[layer];
        if x.abs() < edges[layer + 1] {
            return x as f32;
        }
        if layer == 0 {
            return tail(rng).copysign(position) as f32;
        }
        // Densities at the layer's edges, relative to the density at x.
        let relative = |edge: f64| libm::exp(-0.5 * (edge * edge - x * x));
        let (low, high) = (relative(edges[layer]), relative(edges[layer + 1]));
        if low + unit(rng) * (high - low) < 1.0 {
            return x as f32;
        }
    }
}

/// Draws a normal number beyond [`TAIL`] (Marsaglia 1964).
fn tail(rng: &mut Rng) -> f64 {
    loop {
        let (x, y) = (-libm::log(unit(rng)) / TAIL, -libm::log(unit(rng)));
        if 2.0 * y > x * x {
            return TAIL + x;
        }
    }
}

/// Draws a number in (0, 1].
fn unit(rng: &mut Rng) -> f64 {
    ((rng.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Split, stream};

    #[test]
    fn the_ziggurat_has_the_normal_distribution() {
        let edges = &*EDGES;
        // With the right constants the last layer ends at the maximum of the density.
        let top = AREA / edges[LAYERS - 1] + libm::exp(-0.5 * edges[LAYERS - 1].powi(2));
        assert!((top - 1.0).abs() < 1e-9, "{top}");
        let mut rng = stream(5, Split::Train, 0, 0, Purpose::Sensor);
        let count = 2_000_000;
        let draws: Vec<f64> = (0..count).map(|_| f64::from(normal(&mut rng))).collect();
        let moment = |k: i32| draws.iter().map(|x| x.powi(k)).sum::<f64>() / f64::from(count);
        assert!(moment(1).abs() < 0.003);
        assert!((moment(2) - 1.0).abs() < 0.005);
        assert!(moment(3).abs() < 0.012);
        assert!((moment(4) - 3.0).abs() < 0.03);
        // Shares below some quantiles, in the layers and in the tail, within four standard deviations.
        for (x, share) in [
            (-4.0, 3.167_124e-5),
            (-3.7, 1.077_997e-4),
            (-2.0, 0.022_750_13),
            (-0.5, 0.308_537_54),
            (0.1, 0.539_827_84),
            (1.0, 0.841_344_75),
            (3.8, 1.0 - 7.234_804e-5),
        ] {
            let below = draws.iter().filter(|draw| **draw < x).count() as f64 / f64::from(count);
            let spread = f64::sqrt(share * (1.0 - share) / f64::from(count));
            assert!(
                (below - share).abs() < 4.0 * spread,
                "{below} below {x}, not {share}"
            );
        }
    }

    #[test]
    fn pairs_have_the_moments_of_a_standard_normal() {
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
