//! The pixels of a map's image.

/// A grey image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GreyImage {
    pub(super) columns: usize,
    /// `[rows][columns]`, top row first: the sum of a pixel's channels, the alpha channel included.
    /// 0 is black.
    pub(super) values: Vec<u32>,
    /// The value of white.
    pub(super) white: u32,
    /// The alpha channel, if there is one.
    pub(super) alpha: Option<Alpha>,
}

/// The alpha channel of an image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alpha {
    /// `[rows][columns]`: 0 is transparent. A part of the image's values.
    pub(super) values: Vec<u16>,
    /// The value of an opaque pixel.
    pub(super) opaque: u16,
}

impl GreyImage {
    /// How occupied a pixel is, from 0 to 1: black is 1, or white is 1 if `negate` is set.
    pub(super) fn occupancy(&self, pixel: usize, negate: bool) -> f64 {
        occupancy(self.values[pixel], self.white, negate)
    }

    /// How occupied a pixel's colour is, without its alpha. `None` if the image has no alpha channel.
    pub(super) fn colour_occupancy(&self, pixel: usize, negate: bool) -> Option<f64> {
        let alpha = self.alpha.as_ref()?;
        let colour = self.values[pixel] - u32::from(alpha.values[pixel]);
        Some(occupancy(
            colour,
            self.white - u32::from(alpha.opaque),
            negate,
        ))
    }
}

fn occupancy(value: u32, white: u32, negate: bool) -> f64 {
    let occupied = if negate { value } else { white - value };
    f64::from(occupied) / f64::from(white)
}
