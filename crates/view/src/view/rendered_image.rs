//! An image that was drawn, and its conversion to PNG.

use std::io::Cursor;

use bevy::asset::RenderAssetUsages;
use bevy::image::{Image, ImageFormat};
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};

/// Bytes of a pixel.
pub(super) const PIXEL: usize = 4;

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedImage {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Red, green, blue and alpha of each pixel, row by row from the top, `[height · width · 4]`.
    pub rgba: Vec<u8>,
}

impl RenderedImage {
    /// Encodes the image as a PNG file, without the alpha channel.
    ///
    /// # Panics
    /// If `rgba` does not have `height · width · 4` bytes.
    pub fn png(self) -> Vec<u8> {
        let format = ImageFormat::Png.as_image_crate_format();
        let mut file = Cursor::new(Vec::new());
        bevy_image(self.width, self.height, self.rgba)
            .try_into_dynamic()
            .expect("8 bits per channel")
            .into_rgb8()
            .write_to(&mut file, format.expect("PNG is built in"))
            .expect("memory can be written to");
        file.into_inner()
    }
}

/// A Bevy image with these pixels, `[height · width · 4]`.
pub(super) fn bevy_image(width: u32, height: u32, rgba: Vec<u8>) -> Image {
    let size = Extent3d {
        width,
        height,
        depth_or_array_layers: 1,
    };
    let format = TextureFormat::Rgba8UnormSrgb;
    let usage = RenderAssetUsages::default();
    Image::new(size, TextureDimension::D2, rgba, format, usage)
}
