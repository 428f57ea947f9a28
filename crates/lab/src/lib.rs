//! Experiments on training: arms, paired comparisons, grids, sweeps, autopsies of incidents, and
//! the HTML reports on them. This crate starts training runs as child processes and reads their
//! logs.

pub mod lab;

pub mod report;
