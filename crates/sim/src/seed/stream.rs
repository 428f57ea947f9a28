//! The stream of random numbers of each purpose.

use rand_pcg::Pcg64Mcg;

/// The generator behind every stream: portable, small and fast (PCG XSL-RR 128/64, O'Neill 2014).
pub type Rng = Pcg64Mcg;

/// The root seed of a run.
pub type RootSeed = u64;

/// The set of episodes that a stream belongs to. No two sets share a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Split {
    /// Episodes that a policy learns from.
    Train = 0,
    /// Held-out episodes that select the best checkpoint.
    Validation = 1,
    /// Held-out episodes whose results are reported.
    Eval = 2,
}

/// What the numbers of a stream are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// Obstacles, starts and goals.
    Layout = 0,
    /// Starts, headings and speeds of movers.
    Movers = 1,
    /// Sensor noise.
    Sensor = 2,
    /// Physical parameters that are given as ranges.
    Randomisation = 3,
    /// Action noise of a stochastic policy.
    Action = 4,
    /// Initial weights.
    Init = 5,
    /// The order of minibatches.
    Minibatch = 6,
    /// Actions of a benchmark.
    Bench = 7,
    /// Bootstrap resampling in statistics.
    Bootstrap = 8,
    /// Wheel slip.
    Slip = 9,
    /// Odometry drift.
    Odometry = 10,
    /// Parameters of a generator that set how difficult a layout is.
    LayoutDifficulty = 11,
    /// Assignment of curriculum levels to environments.
    Curriculum = 12,
    /// Values of a sampled grid.
    Sweep = 13,
}

/// Returns the stream for one purpose in one episode of one environment.
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

/// Derives the root seed of one of several copies, such as robots. Copy 0 has `root` itself.
pub fn derive_seed(root: RootSeed, index: u64) -> RootSeed {
    match index {
        0 => root,
        _ => mix(root ^ mix(index.wrapping_add(GOLDEN))),
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One golden-ratio step and the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
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
                            assert!(seen.insert(first), "two streams start with the same number");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn derived_seeds_differ_and_the_first_is_the_root() {
        assert_eq!(derive_seed(7, 0), 7);
        let seeds = |root| (0..100).map(move |index| derive_seed(root, index));
        let all: HashSet<RootSeed> = seeds(0).chain(seeds(1)).chain(seeds(7)).collect();
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
