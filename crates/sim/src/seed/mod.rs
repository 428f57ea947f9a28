//! Random streams. Every random number of a run comes from a stream that is derived from its
//! *purpose*, not from the order of calls: switching on one source of noise changes no other. This
//! module must not read the clock or use the operating system's randomness.

mod normal;
mod stream;

pub use normal::{normal, normal_pair};
pub use stream::{Purpose, Rng, RootSeed, Split, derive_seed, stream};
