//! The report: runs → one HTML file that works offline. Pure functions of logged data; this room
//! must never run anything.
//!
//! The page is written here; its charts and the trajectory player are drawn in the browser by
//! `report.js`, from the data that is embedded in the page, so that they fit any width, follow
//! the reader's colour scheme and answer to the pointer.

mod charts;
mod html;
mod page;
mod traces;

use crate::lab::{RunRecord, Scorecard, Verdict};

/// Renders the report on runs. Arms come in the order of `order`, others after them.
pub fn render(runs: &[RunRecord], order: &[String]) -> String {
    let card = Scorecard::new(runs, order);
    let verdict = Verdict::new(&card);
    page::page(runs, order, &card, &verdict)
}
