//! The window on a training run: some of its environments, and its figures, as they happen.
//!
//! Whoever trains does so on a thread of its own and knows nothing of the window. The window asks a
//! tap for frames and a feed for figures when it is about to draw, and draws as seldom as it takes
//! to leave the trainer its time.

mod chart;
mod cpu_meter;
mod dashboard;
mod event_list;
mod frame_limiter;
mod header_footer;
mod heat_map;
mod keys;
mod screen;
mod tiles;
mod training;
mod window;

pub use training::{LiveTraining, TrainingPhase};
pub use window::LiveWindow;

/// Environments in the grid.
const TILES: usize = 9;
