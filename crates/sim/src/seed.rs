//! Random streams. Every random number of a run comes from a stream that is derived from
//! *what it is for*, never from the order of calls, so that switching one source of noise on
//! shifts no other. This room must never read the clock or use ambient randomness.

mod normal;

use rand_pcg::Pcg64Mcg;

pub use normal::{normal, normal_pair};

/// The generator behind every stream: portable, small and fast (PCG XSL-RR 128/64, O'Neill 2014).
pub type Rng = Pcg64Mcg;

/// The root seed of a run.
pub type RootSeed = u64;

/// Which population of episodes a stream belongs to. The three never share a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Split {
    /// Episodes that a policy learns from.
    Train = 0,
    /// Held-out episodes that choose between checkpoints.
    Validation = 1,
    /// Held-out episodes whose figures are reported.
    Eval = 2,
}

/// What a stream is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// Obstacles, starts and goals.
    Layout = 0,
    /// Movers' starts, headings and speeds.
    Movers = 1,
    /// Sensor noise.
    Sensor = 2,
    /// Physical numbers given as ranges.
    Randomisation = 3,
    /// Action noise of a stochastic policy.
    Action = 4,
    /// Initial weights.
    Init = 5,
    /// The order of minibatches.
    Minibatch = 6,
    /// Actions of a benchmark.
    Bench = 7,
    /// Resampling in statistics.
    Bootstrap = 8,
    /// Slip of the wheels.
    Slip = 9,
    /// Drift of odometry.
    Odometry = 10,
    /// How hard a generated layout is to be.
    LayoutDifficulty = 11,
    /// Which levels a curriculum gives to which environment.
    Curriculum = 12,
}

/// The stream for one purpose in one episode of one environment.
///
/// `env` and `episode` are 0 for streams that belong to the run as a whole.
pub fn stream(root: RootSeed, split: Split, env: u64, episode: u64, purpose: Purpose) -> Rng {
    let mut state = root;
    for word in [split as u64, env, episode, purpose as u64] {
        state = mix(state ^ mix(word.wrapping_add(GOLDEN)));
    }
    let high = mix(state.wrapping_add(GOLDEN));
    Pcg64Mcg::new((u128::from(high) << 64) | u128::from(state))
}

/// A root for one of several that are alike; the first of them has the root itself.
pub fn derive_seed(root: RootSeed, index: u64) -> RootSeed {
    match index {
        0 => root,
        _ => mix(root ^ mix(index.wrapping_add(GOLDEN))),
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014), applied after one golden-ratio step.
fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(GOLDEN);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng as _;
    use std::collections::HashSet;

    #[test]
    fn streams_differ_in_every_coordinate() {
        let mut seen = HashSet::new();
        for root in [0, 1, 42] {
            for split in [Split::Train, Split::Validation, Split::Eval] {
                for env in 0..4 {
                    for episode in 0..4 {
                        for purpose in [Purpose::Layout, Purpose::Movers, Purpose::Action] {
                            let first = stream(root, split, env, episode, purpose).next_u64();
                            assert!(seen.insert(first), "two streams begin alike");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn branches_differ_and_the_first_is_the_root() {
        assert_eq!(derive_seed(7, 0), 7);
        let branches = |root| (0..100).map(move |index| derive_seed(root, index));
        let all: HashSet<RootSeed> = branches(0).chain(branches(1)).chain(branches(7)).collect();
        assert_eq!(all.len(), 300);
    }

    #[test]
    fn streams_are_the_same_on_every_machine() {
        // Frozen: recordings and published layouts depend on these numbers.
        let mut rng = stream(7, Split::Eval, 3, 11, Purpose::Layout);
        let drawn = [rng.next_u64(), rng.next_u64()];
        assert_eq!(drawn, [0x4394_5669_b091_526f, 0x8722_a4b3_5107_842e]);
    }
}
