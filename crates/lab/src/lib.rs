//! Arms, comparisons, autopsies and reports.

pub mod lab;

pub mod report;
