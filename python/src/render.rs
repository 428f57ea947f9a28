//! Pictures of a world: the SVG drawing of `evenkeel scenario show` with everything where it is
//! now, rasterised without a GPU or a display.

use nalgebra::{Point2, Vector2};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use evenkeel_sim::scenario::{Layout, draw_room};
use evenkeel_sim::sim::WorldSnapshot;

/// Largest image, pixels per side.
const MAX_SIDE: u32 = 8192;

/// An image without transparency.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// `[height, width, 3]`.
    pub(crate) rgb: Vec<u8>,
}

/// Why an image cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    /// The drawing cannot be read, which would be a bug.
    #[error("the drawing cannot be read: {0}")]
    Drawing(#[from] resvg::usvg::Error),
    /// An image of this size cannot be made.
    #[error("the longer side of an image is 1 to {MAX_SIDE} pixels, not {0}")]
    Size(u32),
}

/// Draws a world. `layout` is that of its episode.
pub(crate) fn image(
    mut layout: Layout,
    snapshot: &WorldSnapshot,
    max_side: u32,
) -> Result<Image, RenderError> {
    place(&mut layout, snapshot);
    let tree = Tree::from_str(&draw_room(&layout), &Options::default())?;
    let size = tree.size();
    let scale = max_side as f32 / size.width().max(size.height());
    let side = |length: f32| (length * scale).round().max(1.0) as u32;
    let pixmap = (1..=MAX_SIDE).contains(&max_side).then(|| {
        let (width, height) = (side(size.width()), side(size.height()));
        Pixmap::new(width, height)
    });
    let mut pixmap = pixmap.flatten().ok_or(RenderError::Size(max_side))?;
    let transform = Transform::from_scale(scale, scale);
    resvg::render(&tree, transform, &mut pixmap.as_mut());
    Ok(Image {
        width: pixmap.width() as usize,
        height: pixmap.height() as usize,
        rgb: opaque(pixmap.data()),
    })
}

/// Moves robots and movers of a layout to where they are.
fn place(layout: &mut Layout, snapshot: &WorldSnapshot) {
    for (robot, now) in layout.robots.iter_mut().zip(&snapshot.robots) {
        robot.start = Point2::from(now.position);
        robot.heading_rad = now.heading_rad;
    }
    for (mover, now) in layout.movers.iter_mut().zip(&snapshot.movers) {
        mover.position = Point2::from(now.position);
        mover.velocity = Vector2::from(now.velocity);
    }
}

/// Premultiplied RGBA over white, as RGB.
fn opaque(rgba: &[u8]) -> Vec<u8> {
    let pixels = rgba.chunks_exact(4);
    pixels
        .flat_map(|pixel| [0, 1, 2].map(|channel| pixel[channel].saturating_add(255 - pixel[3])))
        .collect()
}
