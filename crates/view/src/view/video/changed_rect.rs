//! The part of an image that differs from the previous one.

use crate::view::rendered_image::PIXEL;

/// The rectangle in which an image differs from the previous one: `[first, end)` of its columns and
/// rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChangedRect {
    pub(super) x: [usize; 2],
    pub(super) y: [usize; 2],
}

impl ChangedRect {
    /// The smallest rectangle with every pixel that differs; one pixel if none does. Both images are
    /// RGBA, `[height · width · 4]`.
    pub(super) fn between(previous: &[u8], current: &[u8], width: usize) -> Self {
        let stride = width * PIXEL;
        let rows = previous
            .chunks_exact(stride)
            .zip(current.chunks_exact(stride));
        let mut found: Option<Self> = None;
        for (y, (previous, current)) in rows.enumerate() {
            if previous == current {
                continue;
            }
            let differs = |x: &usize| pixel(previous, *x) != pixel(current, *x);
            let (Some(first), Some(last)) =
                ((0..width).find(differs), (0..width).rev().find(differs))
            else {
                continue;
            };
            let area = found.get_or_insert(Self {
                x: [first, last + 1],
                y: [y, y + 1],
            });
            area.x = [area.x[0].min(first), area.x[1].max(last + 1)];
            area.y[1] = y + 1;
        }
        found.unwrap_or(Self {
            x: [0, 1],
            y: [0, 1],
        })
    }

    /// The rectangle of a whole image.
    pub(super) fn all([width, height]: [u32; 2]) -> Self {
        Self {
            x: [0, width as usize],
            y: [0, height as usize],
        }
    }

    pub(super) fn width(self) -> usize {
        self.x[1] - self.x[0]
    }

    pub(super) fn height(self) -> usize {
        self.y[1] - self.y[0]
    }

    /// Indices of its pixels in an image of that width, row by row.
    pub(super) fn pixel_indices(self, width: usize) -> impl Iterator<Item = usize> {
        (self.y[0]..self.y[1]).flat_map(move |y| (self.x[0]..self.x[1]).map(move |x| y * width + x))
    }
}

/// `[red, green, blue]` of a pixel.
pub(super) fn pixel(rgba: &[u8], index: usize) -> [u8; 3] {
    let at = index * PIXEL;
    [rgba[at], rgba[at + 1], rgba[at + 2]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_changed_rectangle_is_found() {
        let previous = vec![0; 5 * 4 * PIXEL];
        let mut current = previous.clone();
        assert_eq!(
            ChangedRect::between(&previous, &current, 5)
                .pixel_indices(5)
                .count(),
            1,
            "one pixel if nothing changes"
        );
        for (x, y) in [(3, 1), (1, 2)] {
            current[(y * 5 + x) * PIXEL + 1] = 9;
        }
        let changed = ChangedRect::between(&previous, &current, 5);
        assert_eq!((changed.x, changed.y), ([1, 4], [1, 3]));
        let pixels: Vec<usize> = changed.pixel_indices(5).collect();
        assert_eq!(pixels, [6, 7, 8, 11, 12, 13]);
    }
}
