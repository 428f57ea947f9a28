//! The texts in a pane: the name of the policy, and badges that say how its episodes ended.

use bevy_egui::egui::text::{LayoutJob, TextWrapping};
use bevy_egui::egui::{
    Color32, FontId, Painter, Pos2, Rect, Stroke, StrokeKind, TextFormat, Vec2, pos2, vec2,
};

use super::scene::SceneEpisode;
use super::short_text::fit_name;
use super::theme::{Palette, mix};
use evenkeel_sim::env::Outcome;

/// Text size, pixels.
const TEXT_SIZE: f32 = 15.0;
/// Height of a badge, pixels.
const HEIGHT: f32 = 26.0;
/// Distance from the sides of the pane, pixels.
const INSET: f32 = 12.0;
/// Least width of a badge with words, pixels.
const MIN_WIDTH_FOR_WORDS: f32 = 200.0;

/// Draws the outcomes of a pane's episodes, and the policy's name if there are `several` panes.
pub(super) fn draw(
    painter: &Painter,
    pane: Rect,
    palette: &Palette,
    episodes: &[SceneEpisode],
    several: bool,
) {
    let painter = painter.with_clip_rect(pane);
    let top = pane.min.y + 6.0;
    let width = pane.width() - 2.0 * INSET;
    if let ([episode], true) = (episodes, several) {
        let at = pos2(pane.min.x + INSET, top);
        draw_name(&painter, at, palette, episode, width);
    }
    let ended: Vec<(&SceneEpisode, Outcome)> = episodes
        .iter()
        .filter_map(|episode| Some((episode, episode.view.outcome?)))
        // The world that is shown may lie before the end.
        .filter(|(episode, _)| episode.world.time_secs >= episode.view.snapshot().time_secs)
        .collect();
    let max_width = width / if several { 2.0 } else { episodes.len() as f32 };
    let badges: Vec<OutcomeBadge> = ended
        .iter()
        .map(|(episode, outcome)| {
            let arm_color = (episodes.len() > 1).then_some(episode.arm_color);
            OutcomeBadge::new(
                &painter,
                palette,
                &outcome_text(episode, *outcome, max_width),
                *outcome,
                arm_color,
                max_width,
            )
        })
        .collect();
    let total: f32 = badges.iter().map(|badge| badge.size.x + 8.0).sum::<f32>() - 8.0;
    let mut left = if several {
        pane.max.x - INSET - total
    } else {
        pane.center().x - total / 2.0
    };
    for badge in badges {
        left += badge.draw(&painter, pos2(left, top), palette) + 8.0;
    }
}

/// Draws a policy's name and its colour.
fn draw_name(painter: &Painter, at: Pos2, palette: &Palette, episode: &SceneEpisode, width: f32) {
    let ended = episode.view.outcome.is_some();
    let width = if ended { width / 2.0 } else { width } - 20.0;
    let name = fit_name(painter, &episode.view.policy, TEXT_SIZE, width);
    let galley = painter.layout_job(text_line(&name, palette.ink, width));
    let middle = at.y + HEIGHT / 2.0;
    painter.circle_filled(pos2(at.x + 5.0, middle), 5.0, episode.arm_color);
    let corner = pos2(at.x + 18.0, middle - galley.size().y / 2.0);
    painter.galley(corner, galley, palette.ink);
}

/// One line of text, truncated at `max_width`.
fn text_line(text: &str, color: Color32, max_width: f32) -> LayoutJob {
    let format = TextFormat::simple(FontId::proportional(TEXT_SIZE), color);
    let mut job = LayoutJob::single_section(text.to_owned(), format);
    job.wrap = TextWrapping::truncate_at_width(max_width.max(1.0));
    job
}

/// How and when an episode ended; only when, if `max_width` is small.
fn outcome_text(episode: &SceneEpisode, outcome: Outcome, max_width: f32) -> String {
    let secs = episode.view.snapshot().time_secs;
    match outcome {
        _ if max_width < MIN_WIDTH_FOR_WORDS => format!("{secs:.1} s"),
        Outcome::Goal => format!("at the goal after {secs:.1} s"),
        Outcome::CollisionStatic => format!("collision with an obstacle after {secs:.1} s"),
        Outcome::CollisionMover => format!("collision with a mover after {secs:.1} s"),
        Outcome::OutOfBounds => format!("left the room after {secs:.1} s"),
        Outcome::TimeLimit => format!("time limit, {secs:.0} s"),
        Outcome::NonFinite => format!("not finite after {secs:.1} s"),
    }
}

/// A badge that says how an episode ended, by icon, colour and words.
struct OutcomeBadge {
    galley: std::sync::Arc<bevy_egui::egui::Galley>,
    size: Vec2,
    color: Color32,
    /// The colour of the policy, if the pane shows several.
    arm_color: Option<Color32>,
    icon: OutcomeIcon,
}

/// The icon of an outcome. The icons differ in shape, so that they can be told apart without colour.
#[derive(Clone, Copy)]
pub(super) enum OutcomeIcon {
    Tick,
    Cross,
    Bar,
}

impl OutcomeBadge {
    fn new(
        painter: &Painter,
        palette: &Palette,
        text: &str,
        outcome: Outcome,
        arm_color: Option<Color32>,
        max_width: f32,
    ) -> Self {
        let (icon, color) = OutcomeIcon::of(outcome, palette);
        let extra = 42.0 + if arm_color.is_some() { 16.0 } else { 0.0 };
        let galley = painter.layout_job(text_line(text, palette.ink, max_width - extra));
        Self {
            size: vec2(galley.size().x + extra, HEIGHT),
            galley,
            color,
            arm_color,
            icon,
        }
    }

    /// Draws the badge and returns its width, pixels.
    fn draw(self, painter: &Painter, at: Pos2, palette: &Palette) -> f32 {
        let rect = Rect::from_min_size(at, self.size);
        let fill = mix(palette.card, self.color, 0.12);
        let stroke = Stroke::new(1.5, self.color);
        painter.rect(rect, 13, fill, stroke, StrokeKind::Inside);
        let middle = rect.center().y;
        let mut x = at.x + 17.0;
        if let Some(arm_color) = self.arm_color {
            painter.circle_filled(pos2(x, middle), 5.0, arm_color);
            x += 16.0;
        }
        self.icon.draw(painter, pos2(x, middle), self.color);
        let corner = pos2(x + 12.0, middle - self.galley.size().y / 2.0);
        painter.galley(corner, self.galley, palette.ink);
        self.size.x
    }
}

impl OutcomeIcon {
    /// The icon of an outcome, and its colour.
    pub(super) fn of(outcome: Outcome, palette: &Palette) -> (Self, Color32) {
        match outcome {
            Outcome::Goal => (Self::Tick, palette.goal),
            Outcome::TimeLimit => (Self::Bar, palette.path),
            Outcome::CollisionStatic
            | Outcome::CollisionMover
            | Outcome::OutOfBounds
            | Outcome::NonFinite => (Self::Cross, palette.bad),
        }
    }

    /// Draws the icon around a point, about ten pixels wide.
    pub(super) fn draw(self, painter: &Painter, at: Pos2, color: Color32) {
        let stroke = Stroke::new(2.5, color);
        let strokes: &[&[Vec2]] = match self {
            Self::Tick => &[&[vec2(-5.0, 0.0), vec2(-1.5, 4.0), vec2(5.0, -4.5)]],
            Self::Cross => &[
                &[vec2(-4.0, -4.0), vec2(4.0, 4.0)],
                &[vec2(-4.0, 4.0), vec2(4.0, -4.0)],
            ],
            Self::Bar => &[&[vec2(-5.0, 0.0), vec2(5.0, 0.0)]],
        };
        for points in strokes {
            painter.line(points.iter().map(|&offset| at + offset).collect(), stroke);
        }
    }
}
