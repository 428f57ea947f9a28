//! Reports: HTML pages on runs, suites and autopsies, each one file that works offline. Pure
//! functions of logged data; this module must not run anything.
//!
//! Rust writes the page and embeds the data. The scripts in `assets/report/` draw the charts and
//! the trajectory player in the browser, so that they fit any width, follow the reader's colour
//! scheme and react to the pointer.

mod arm_runs;
#[cfg(feature = "learn")]
mod autopsy;
mod charts;
mod events;
mod html;
mod layer_names;
#[cfg(feature = "learn")]
mod margin;
mod page;
mod player_data;
mod scenario_section;
mod suite;
mod tables;
#[cfg(test)]
mod test_runs;
mod verdict;

#[cfg(feature = "learn")]
pub use autopsy::render_autopsy;
#[cfg(feature = "learn")]
pub use margin::render_margins;
pub use page::{marked_page, render_report, subject_mark};
pub use suite::render_suite;
