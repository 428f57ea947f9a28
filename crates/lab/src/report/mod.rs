//! The report: runs → one HTML file that works offline. Pure functions of logged data; this room
//! must never run anything.
//!
//! The page is written here; its charts and the trajectory player are drawn in the browser by the
//! scripts in `web/`, from the data that is embedded in the page, so that they fit any width, follow
//! the reader's colour scheme and answer to the pointer.

#[cfg(feature = "learn")]
mod autopsy;
mod charts;
mod events;
mod html;
mod layer_names;
mod page;
mod player_data;
mod scenario_section;
mod suite;
mod tables;
#[cfg(test)]
mod test_runs;

use std::path::Path;

#[cfg(feature = "learn")]
pub use autopsy::autopsy;

use crate::lab::RunRecord;
use evenkeel_runs::eval::SuiteReport;

/// Renders the report on runs, each scenario by itself. Arms come in the order of `order`, others
/// after them. Links to incidents go from `folder`, where the report will lie.
pub fn render_report(runs: &[RunRecord], order: &[String], folder: &Path) -> String {
    page::page(runs, order, folder)
}

/// Renders the page on what policies came to over a suite: one file that works offline.
pub fn suite(report: &SuiteReport) -> String {
    suite::page(report)
}

/// The runs of one arm in one scenario.
struct ArmRuns<'a> {
    /// Its place among all arms of the page, and so its colour.
    index: usize,
    name: &'a str,
    /// In the order of seeds.
    runs: Vec<&'a RunRecord>,
}
