//! The pixels of a map's image.

/// A grey image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GreyImage {
    pub(super) columns: usize,
    /// `[rows][columns]`, top row first. 0 is black.
    pub(super) values: Vec<f64>,
    /// The value of white.
    pub(super) white: f64,
}
