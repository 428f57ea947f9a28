//! The environments: nine small ones, or one of them large.

use std::collections::VecDeque;

use bevy_egui::egui::{
    Align2, CursorIcon, FontId, Id, Painter, Pos2, Rect, Sense, Stroke, StrokeKind, Ui, Vec2, pos2,
    vec2,
};

use super::TILES;
use super::screen::LiveScreen;
use crate::view::axis::short_number;
use crate::view::camera::PaneTransform;
use crate::view::episode_view::EpisodeView;
use crate::view::outcome_badge::OutcomeIcon;
use crate::view::scene::{self, SceneEpisode, SceneLayers};
use crate::view::theme::{Palette, mix};
use evenkeel_sim::env::{EnvSnapshot, Outcome};

/// In a row.
const COLUMNS: usize = 3;
/// Points.
const GAP: f32 = 8.0;
const CAPTION: f32 = 24.0;
const ROUND: u8 = 6;
/// Between two ends of episodes.
const END: f32 = 15.0;

/// One environment.
pub(super) struct EnvTile {
    picture: EpisodeView,
    outcomes: VecDeque<Outcome>,
    /// The episode whose shortest ways the picture has.
    paths_of_episode: Option<u64>,
}

impl EnvTile {
    pub(super) fn new(picture: EpisodeView) -> Self {
        Self {
            picture,
            outcomes: VecDeque::new(),
            paths_of_episode: None,
        }
    }

    /// Takes what a tap showed.
    pub(super) fn update_from_probe(&mut self, probed: &EnvSnapshot) {
        self.picture.update_from_probe(probed);
        self.outcomes.clone_from(&probed.outcomes);
        self.paths_of_episode = None;
    }

    fn find_shortest_paths(&mut self) {
        if self.paths_of_episode != Some(self.picture.episode) {
            self.picture.find_shortest_paths();
            self.paths_of_episode = Some(self.picture.episode);
        }
    }

    /// How many robots were seen in it.
    pub(super) fn robots(&self) -> usize {
        self.picture.snapshot().robots.len()
    }

    /// Whether nothing has been seen of it yet.
    fn is_blank(&self) -> bool {
        self.robots() == 0
    }

    /// What is to be drawn of it.
    fn actor(&self, palette: &Palette) -> SceneEpisode<'_> {
        SceneEpisode {
            picture: &self.picture,
            moment: self.picture.interpolate(1.0),
            arm: palette.arms[0],
        }
    }
}

/// Shows all, or the one that is enlarged.
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
        return enlarged(ui, area, palette, screen, index, tile);
    }
    let layers = SceneLayers {
        shortest_paths: false,
        metres: false,
        ..screen.layers
    };
    for (index, (tile, rect)) in tiles.iter().zip(places(area)).enumerate() {
        let response = ui.interact(rect, Id::new(("tile", index)), Sense::click());
        let pane = card(ui, rect, palette, index, tile);
        let view = PaneTransform::fitted(pane, &tile.picture.layout.arena, Vec2::splat(9.0));
        draw(ui, view, palette, tile, layers);
        if response.hovered() {
            let stroke = Stroke::new(2.0, palette.arms[0]);
            ui.painter()
                .rect_stroke(rect, ROUND, stroke, StrokeKind::Inside);
        }
        let response = response.on_hover_cursor(CursorIcon::PointingHand);
        if response.clicked() {
            screen.toggle(index);
        }
    }
}

fn enlarged(
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
    let pane = card(ui, area, palette, index, tile);
    let at = pane.center();
    let view = screen.camera.view(
        pane,
        &tile.picture.layout.arena,
        robot(tile, screen.layers.selected_robot),
    );
    draw(ui, view, palette, tile, screen.layers);
    if !tile.is_blank() {
        let frame = tile.picture.snapshot();
        let chosen = screen.layers.selected_robot;
        let which = match tile.robots() {
            1 => String::new(),
            robots => format!("robot {chosen} of 0 to {}   ", robots - 1),
        };
        let so_far = tile.picture.returns.get(chosen).copied();
        let text = format!(
            "{which}{:.1} s of {:.0} s   return {:.2}",
            frame.time_secs,
            tile.picture.time_limit_secs,
            so_far.unwrap_or_default()
        );
        let corner = pos2(at.x, pane.max.y - 6.0);
        label(
            ui.painter(),
            corner,
            Align2::CENTER_BOTTOM,
            &text.replace('-', "−"),
            palette,
        );
    }
    screen.camera.handle_input(ui, &view, &response);
    if response.clicked() {
        // Alone it is its environment.
        let at = response
            .interact_pointer_pos()
            .filter(|_| tile.robots() > 1);
        match at.and_then(|at| tile.actor(palette).robot_at(&view, at)) {
            Some(robot) => screen.layers.selected_robot = robot,
            None => screen.toggle(index),
        }
    }
}

fn robot(tile: &EnvTile, robot: usize) -> nalgebra::Point2<f32> {
    let robot = tile.picture.snapshot().robots.get(robot);
    robot.map_or_else(nalgebra::Point2::origin, |robot| robot.position.into())
}

fn draw(ui: &Ui, view: PaneTransform, palette: &Palette, tile: &EnvTile, layers: SceneLayers) {
    if tile.is_blank() {
        return;
    }
    scene::draw(ui.painter(), view, palette, &[tile.actor(palette)], layers);
}

/// An environment's frame with its number, its episode and how the last few ended; where its room
/// goes comes back.
fn card(ui: &Ui, rect: Rect, palette: &Palette, index: usize, tile: &EnvTile) -> Rect {
    let painter = ui.painter().with_clip_rect(rect);
    let stroke = Stroke::new(1.0, palette.line);
    painter.rect(rect, ROUND, palette.card, stroke, StrokeKind::Inside);
    let (caption, pane) = rect.split_top_bottom_at_y(rect.min.y + CAPTION);
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
    let text = format!("episode {}", short_number(tile.picture.episode as f64));
    let left = pos2(badge.max.x + 8.0, middle);
    let font = FontId::proportional(12.5);
    let said = painter.text(left, Align2::LEFT_CENTER, text, font, palette.soft);
    // As many as there is room for; the newest end is the rightmost.
    let room = (rect.max.x - 10.0 - said.max.x) / END;
    for (place, &outcome) in tile.outcomes.iter().rev().take(room as usize).enumerate() {
        let (sign, color) = OutcomeIcon::of(outcome, palette);
        let at = pos2(rect.max.x - 14.0 - END * place as f32, middle);
        sign.draw(&painter, at, color);
    }
    Rect::from_min_max(pane.min + vec2(2.0, 0.0), pane.max - vec2(2.0, 2.0))
}

/// Text on a plate, so that it can be read over whatever is below.
fn label(painter: &Painter, at: Pos2, anchor: Align2, text: &str, palette: &Palette) {
    let color = palette.ink;
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(13.0), color);
    let place = anchor.anchor_size(at, galley.size());
    painter.rect_filled(place.expand2(vec2(7.0, 3.0)), 4, palette.card);
    painter.galley(place.min, galley, color);
}

/// Where the tiles are, row by row.
fn places(area: Rect) -> impl Iterator<Item = Rect> {
    let rows = TILES.div_ceil(COLUMNS);
    let gaps = vec2(COLUMNS as f32 - 1.0, rows as f32 - 1.0) * GAP;
    let size = (area.size() - gaps) / vec2(COLUMNS as f32, rows as f32);
    (0..TILES).map(move |index| {
        let place = vec2((index % COLUMNS) as f32, (index / COLUMNS) as f32);
        Rect::from_min_size(area.min + place * (size + Vec2::splat(GAP)), size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_lie_beside_one_another_within_their_area() {
        let area = Rect::from_min_size(pos2(10.0, 56.0), vec2(560.0, 640.0));
        let places: Vec<Rect> = places(area).collect();
        assert_eq!(places.len(), TILES);
        for (index, place) in places.iter().enumerate() {
            assert!(area.expand(0.01).contains_rect(*place), "{place}");
            for other in &places[..index] {
                assert!(!place.intersect(*other).is_positive(), "{place}, {other}");
            }
        }
    }
}
