//! What a pane says about its episodes: who drives, and how they ended.

use bevy_egui::egui::text::{LayoutJob, TextWrapping};
use bevy_egui::egui::{
    Color32, FontId, Painter, Pos2, Rect, Stroke, StrokeKind, TextFormat, Vec2, pos2, vec2,
};

use super::scene::SceneEpisode;
use super::theme::{Palette, mix};
use evenkeel_sim::env::Outcome;

/// Pixels.
const SIZE: f32 = 15.0;
const HEIGHT: f32 = 26.0;
const INSET: f32 = 12.0;
const ROOM_FOR_WORDS: f32 = 200.0;

/// Draws a pane's name, where there are several, and the ends of its episodes.
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
    if let ([actor], true) = (episodes, several) {
        let at = pos2(pane.min.x + INSET, top);
        name(&painter, at, palette, actor, width);
    }
    let ended: Vec<(&SceneEpisode, Outcome)> = episodes
        .iter()
        .filter_map(|actor| Some((actor, actor.picture.outcome?)))
        // Not before what is shown has come there.
        .filter(|(actor, _)| actor.moment.time_secs >= actor.picture.snapshot().time_secs)
        .collect();
    let share = width / if several { 2.0 } else { episodes.len() as f32 };
    let pills: Vec<OutcomeBadge> = ended
        .iter()
        .map(|(actor, outcome)| {
            let arm = (episodes.len() > 1).then_some(actor.arm);
            OutcomeBadge::new(
                &painter,
                palette,
                &outcome_text(actor, *outcome, share),
                *outcome,
                arm,
                share,
            )
        })
        .collect();
    let total: f32 = pills.iter().map(|pill| pill.size.x + 8.0).sum::<f32>() - 8.0;
    let mut left = if several {
        pane.max.x - INSET - total
    } else {
        pane.center().x - total / 2.0
    };
    for pill in pills {
        left += pill.draw(&painter, pos2(left, top), palette) + 8.0;
    }
}

fn name(painter: &Painter, at: Pos2, palette: &Palette, actor: &SceneEpisode, width: f32) {
    let ended = actor.picture.outcome.is_some();
    let width = if ended { width / 2.0 } else { width } - 20.0;
    let galley = painter.layout_job(line(&actor.picture.policy, palette.ink, width));
    let middle = at.y + HEIGHT / 2.0;
    painter.circle_filled(pos2(at.x + 5.0, middle), 5.0, actor.arm);
    let corner = pos2(at.x + 18.0, middle - galley.size().y / 2.0);
    painter.galley(corner, galley, palette.ink);
}

/// One line of text that is cut where it would be wider.
fn line(text: &str, color: Color32, width: f32) -> LayoutJob {
    let format = TextFormat::simple(FontId::proportional(SIZE), color);
    let mut job = LayoutJob::single_section(text.to_owned(), format);
    job.wrap = TextWrapping::truncate_at_width(width.max(1.0));
    job
}

/// How an episode ended; where there is little room, only when.
fn outcome_text(actor: &SceneEpisode, outcome: Outcome, width: f32) -> String {
    let secs = actor.picture.snapshot().time_secs;
    match outcome {
        _ if width < ROOM_FOR_WORDS => format!("{secs:.1} s"),
        Outcome::Goal => format!("at the goal after {secs:.1} s"),
        Outcome::CollisionStatic => format!("collision after {secs:.1} s"),
        Outcome::CollisionMover => format!("collision with a mover after {secs:.1} s"),
        Outcome::OutOfBounds => format!("left the room after {secs:.1} s"),
        Outcome::TimeLimit => format!("out of time, {secs:.0} s"),
        Outcome::NonFinite => format!("not finite after {secs:.1} s"),
    }
}

/// How an episode ended, with a sign that needs no colour.
struct OutcomeBadge {
    galley: std::sync::Arc<bevy_egui::egui::Galley>,
    size: Vec2,
    color: Color32,
    arm: Option<Color32>,
    sign: OutcomeIcon,
}

/// How an episode ended, without words.
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
        arm: Option<Color32>,
        width: f32,
    ) -> Self {
        let (sign, color) = OutcomeIcon::of(outcome, palette);
        let extra = 42.0 + if arm.is_some() { 16.0 } else { 0.0 };
        let galley = painter.layout_job(line(text, palette.ink, width - extra));
        Self {
            size: vec2(galley.size().x + extra, HEIGHT),
            galley,
            color,
            arm,
            sign,
        }
    }

    /// Its width comes back.
    fn draw(self, painter: &Painter, at: Pos2, palette: &Palette) -> f32 {
        let rect = Rect::from_min_size(at, self.size);
        let fill = mix(palette.card, self.color, 0.12);
        let stroke = Stroke::new(1.5, self.color);
        painter.rect(rect, 13, fill, stroke, StrokeKind::Inside);
        let middle = rect.center().y;
        let mut x = at.x + 17.0;
        if let Some(arm) = self.arm {
            painter.circle_filled(pos2(x, middle), 5.0, arm);
            x += 16.0;
        }
        self.sign.draw(painter, pos2(x, middle), self.color);
        let corner = pos2(x + 12.0, middle - self.galley.size().y / 2.0);
        painter.galley(corner, self.galley, palette.ink);
        self.size.x
    }
}

impl OutcomeIcon {
    /// The sign of an outcome, and its colour.
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

    /// Draws it, some ten pixels wide, around a point.
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
