//! The window on a training run: some of its environments, and its figures, as they happen.
//!
//! Whoever trains does so on a thread of its own and knows nothing of the window. The window asks a
//! tap for frames and a feed for figures when it is about to draw, and draws as seldom as it takes
//! to leave the trainer its time.

mod bars;
mod chart;
mod cost;
mod dashboard;
mod governor;
mod heat;
mod keys;
mod news;
mod screen;
mod tiles;
mod training;
mod window;

pub use training::{Stage, Training};
pub use window::LiveWindow;

/// Environments in the grid.
const TILES: usize = 9;
