//! Draws the environments: all of them in a grid, or one enlarged.

use std::collections::VecDeque;

use bevy_egui::egui::{
    Align2, CursorIcon, FontId, Id, Painter, Pos2, Rect, Sense, Stroke, StrokeKind, Ui, Vec2, pos2,
    vec2,
};

use super::screen::LiveScreen;
use super::training::TILES;
use crate::view::axis::short_number;
use crate::view::camera::PaneTransform;
use crate::view::episode_view::EpisodeView;
use crate::view::outcome_badge::OutcomeIcon;
use crate::view::scene::{self, SceneEpisode, SceneLayers};
use crate::view::theme::{Palette, mix};
use evenkeel_sim::env::{EnvSnapshot, Outcome};

/// Number of tiles in a row.
const COLUMNS: usize = 3;
/// Distance between two tiles, points.
const GAP: f32 = 8.0;
/// Height of a tile's caption, points.
const CAPTION_HEIGHT: f32 = 24.0;
/// Radius of a tile's corners, points.
const CORNER_RADIUS: u8 = 6;
/// Distance between two outcome icons, points.
const ICON_PITCH: f32 = 15.0;

/// One environment.
pub(super) struct EnvTile {
    view: EpisodeView,
    /// Outcomes of its last episodes, the newest last.
    outcomes: VecDeque<Outcome>,
    /// Number of the episode whose shortest paths `view` has.
    paths_of_episode: Option<u64>,
}

impl EnvTile {
    pub(super) fn new(view: EpisodeView) -> Self {
        Self {
            view,
            outcomes: VecDeque::new(),
            paths_of_episode: None,
        }
    }

    /// Shows a new snapshot of the environment.
    pub(super) fn update_from_probe(&mut self, probed: &EnvSnapshot) {
        self.view.update_from_probe(probed);
        self.outcomes.clone_from(&probed.outcomes);
        self.paths_of_episode = None;
    }

    fn find_shortest_paths(&mut self) {
        if self.paths_of_episode != Some(self.view.episode) {
            self.view.find_shortest_paths();
            self.paths_of_episode = Some(self.view.episode);
        }
    }

    /// Number of robots; 0 before the first snapshot.
    pub(super) fn robots(&self) -> usize {
        self.view.snapshot().robots.len()
    }

    /// Whether there is no snapshot yet.
    fn is_blank(&self) -> bool {
        self.robots() == 0
    }

    /// The episode as the scene draws it.
    fn scene_episode(&self, palette: &Palette) -> SceneEpisode<'_> {
        SceneEpisode {
            view: &self.view,
            world: self.view.interpolate(1.0),
            arm_color: palette.arms[0],
        }
    }
}

/// Draws all tiles, or the enlarged one.
pub(super) fn show(
    ui: &mut Ui,
    area: Rect,
    palette: &Palette,
    screen: &mut LiveScreen,
    tiles: &mut [EnvTile],
) {
    if let Some(index) = screen.enlarged
        && let Some(tile) = tiles.get_mut(index)
    {
        return show_enlarged(ui, area, palette, screen, index, tile);
    }
    let layers = SceneLayers {
        shortest_paths: false,
        axis_labels: false,
        ..screen.layers
    };
    for (index, (tile, rect)) in tiles.iter().zip(tile_rects(area)).enumerate() {
        let response = ui.interact(rect, Id::new(("tile", index)), Sense::click());
        let pane = draw_card(ui, rect, palette, index, tile);
        let arena = &tile.view.layout.arena;
        let transform = PaneTransform::fitted(pane, arena, Vec2::splat(9.0));
        draw_scene(ui, transform, palette, tile, layers);
        if response.hovered() {
            let stroke = Stroke::new(2.0, palette.arms[0]);
            ui.painter()
                .rect_stroke(rect, CORNER_RADIUS, stroke, StrokeKind::Inside);
        }
        let response = response.on_hover_cursor(CursorIcon::PointingHand);
        if response.clicked() {
            screen.toggle(index);
        }
    }
}

fn show_enlarged(
    ui: &mut Ui,
    area: Rect,
    palette: &Palette,
    screen: &mut LiveScreen,
    index: usize,
    tile: &mut EnvTile,
) {
    if screen.layers.shortest_paths && !tile.is_blank() {
        tile.find_shortest_paths();
    }
    let id = Id::new(("enlarged", index));
    let response = ui.interact(area, id, Sense::click_and_drag());
    let pane = draw_card(ui, area, palette, index, tile);
    let selected = screen.layers.selected_robot;
    let arena = &tile.view.layout.arena;
    let robot = robot_position(tile, selected);
    let transform = screen.camera.transform(pane, arena, robot);
    draw_scene(ui, transform, palette, tile, screen.layers);
    if !tile.is_blank() {
        let snapshot = tile.view.snapshot();
        let robot = match tile.robots() {
            1 => String::new(),
            robots => format!("robot {selected} of 0 to {}   ", robots - 1),
        };
        let return_so_far = tile.view.returns.get(selected).copied();
        let text = format!(
            "{robot}{:.1} s of {:.0} s   return {:.2}",
            snapshot.time_secs,
            tile.view.time_limit_secs,
            return_so_far.unwrap_or_default()
        );
        draw_label(
            ui.painter(),
            pos2(pane.center().x, pane.max.y - 6.0),
            Align2::CENTER_BOTTOM,
            &text.replace('-', "−"),
            palette,
        );
    }
    screen.camera.handle_input(ui, &transform, &response);
    if response.clicked() {
        // A single robot is always selected, so that a click on it goes back to all tiles.
        let at = response
            .interact_pointer_pos()
            .filter(|_| tile.robots() > 1);
        match at.and_then(|at| tile.scene_episode(palette).robot_at(&transform, at)) {
            Some(robot) => screen.layers.selected_robot = robot,
            None => screen.toggle(index),
        }
    }
}

/// Position of a robot, metres; the origin if there is no such robot.
fn robot_position(tile: &EnvTile, robot: usize) -> nalgebra::Point2<f32> {
    let robot = tile.view.snapshot().robots.get(robot);
    robot.map_or_else(nalgebra::Point2::origin, |robot| robot.position.into())
}

fn draw_scene(
    ui: &Ui,
    transform: PaneTransform,
    palette: &Palette,
    tile: &EnvTile,
    layers: SceneLayers,
) {
    if tile.is_blank() {
        return;
    }
    let episodes = [tile.scene_episode(palette)];
    scene::draw(ui.painter(), transform, palette, &episodes, layers);
}

/// Draws a tile's frame and its caption: the number of the environment and of its episode, and the
/// last outcomes. Returns where the scene is drawn.
fn draw_card(ui: &Ui, rect: Rect, palette: &Palette, index: usize, tile: &EnvTile) -> Rect {
    let painter = ui.painter().with_clip_rect(rect);
    let stroke = Stroke::new(1.0, palette.line);
    painter.rect(
        rect,
        CORNER_RADIUS,
        palette.card,
        stroke,
        StrokeKind::Inside,
    );
    let (caption, pane) = rect.split_top_bottom_at_y(rect.min.y + CAPTION_HEIGHT);
    let middle = caption.center().y + 1.0;
    let badge = Rect::from_center_size(pos2(rect.min.x + 16.0, middle), vec2(18.0, 17.0));
    painter.rect_filled(badge, 4, mix(palette.card, palette.arms[0], 0.22));
    let number = (index + 1).to_string();
    let font = FontId::proportional(13.0);
    painter.text(
        badge.center(),
        Align2::CENTER_CENTER,
        number,
        font,
        palette.ink,
    );
    if tile.is_blank() {
        return pane.shrink(2.0);
    }
    let text = format!("episode {}", short_number(tile.view.episode as f64));
    let left = pos2(badge.max.x + 8.0, middle);
    let font = FontId::proportional(12.5);
    let text = painter.text(left, Align2::LEFT_CENTER, text, font, palette.soft);
    // As many outcomes as fit. The newest is the rightmost.
    let count = (rect.max.x - 10.0 - text.max.x) / ICON_PITCH;
    for (place, &outcome) in tile.outcomes.iter().rev().take(count as usize).enumerate() {
        let (icon, color) = OutcomeIcon::of(outcome, palette);
        let at = pos2(rect.max.x - 14.0 - ICON_PITCH * place as f32, middle);
        icon.draw(&painter, at, color);
    }
    Rect::from_min_max(pane.min + vec2(2.0, 0.0), pane.max - vec2(2.0, 2.0))
}

/// Draws text on a background of its own, so that it can be read on a scene.
fn draw_label(painter: &Painter, at: Pos2, anchor: Align2, text: &str, palette: &Palette) {
    let color = palette.ink;
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(13.0), color);
    let rect = anchor.anchor_size(at, galley.size());
    painter.rect_filled(rect.expand2(vec2(7.0, 3.0)), 4, palette.card);
    painter.galley(rect.min, galley, color);
}

/// Rectangles of the tiles, row by row.
fn tile_rects(area: Rect) -> impl Iterator<Item = Rect> {
    let rows = TILES.div_ceil(COLUMNS);
    let gaps = vec2(COLUMNS as f32 - 1.0, rows as f32 - 1.0) * GAP;
    let size = (area.size() - gaps) / vec2(COLUMNS as f32, rows as f32);
    (0..TILES).map(move |index| {
        let cell = vec2((index % COLUMNS) as f32, (index / COLUMNS) as f32);
        Rect::from_min_size(area.min + cell * (size + Vec2::splat(GAP)), size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_do_not_overlap_and_lie_within_their_area() {
        let area = Rect::from_min_size(pos2(10.0, 56.0), vec2(560.0, 640.0));
        let rects: Vec<Rect> = tile_rects(area).collect();
        assert_eq!(rects.len(), TILES);
        for (index, rect) in rects.iter().enumerate() {
            assert!(area.expand(0.01).contains_rect(*rect), "{rect}");
            for other in &rects[..index] {
                assert!(!rect.intersect(*other).is_positive(), "{rect}, {other}");
            }
        }
    }
}
