//! A drawing of an episode from above, with the robot at one or more transitions.

use std::fmt::Write as _;

use crate::lab::AutopsyTransition;
use evenkeel_runs::eval::{EpisodeTrace, ObstacleOutline};
use evenkeel_runs::telemetry::format::percent;

/// Length of the longer side, pixels.
const SIDE: f32 = 320.0;

/// Draws an episode as SVG. `transitions` are those of the episode, each with its rank from 0. The
/// path is bold up to the first of them.
#[expect(clippy::too_many_lines, reason = "one drawing, from the floor up")]
pub(super) fn draw(transitions: &[(usize, &AutopsyTransition)], trace: &EpisodeTrace) -> String {
    let first = transitions[0].1;
    let [left, bottom, right, top] = trace.arena;
    let scale = SIDE / (right - left).max(top - bottom);
    let to_pixels = |x: f32, y: f32| ((x - left) * scale, (top - y) * scale);
    let (width, height) = ((right - left) * scale, (top - bottom) * scale);
    let mut svg = format!(
        "<svg viewBox=\"-4 -4 {:.1} {:.1}\" role=\"img\" aria-label=\"Episode {} from above\">\
         <rect class=\"floor\" width=\"{width:.1}\" height=\"{height:.1}\"/>",
        width + 8.0,
        height + 8.0,
        first.episode
    );
    for shape in &trace.obstacles {
        match shape {
            ObstacleOutline::Disc([x, y, radius]) => {
                circle(&mut svg, "wall", to_pixels(*x, *y), radius * scale);
            }
            ObstacleOutline::Polygon(corners) => {
                let points = corners.iter().map(|[x, y]| to_pixels(*x, *y));
                let _ = write!(
                    svg,
                    "<polygon class=\"wall\" points=\"{}\"/>",
                    point_list(points)
                );
            }
        }
    }
    for [x, y, radius] in &trace.alternative_goals {
        circle(
            &mut svg,
            "alternative_goal",
            to_pixels(*x, *y),
            radius * scale,
        );
    }
    let [x, y, radius] = trace.goal;
    circle(&mut svg, "goal", to_pixels(x, y), radius * scale);
    let step = (first.episode_step as usize).min(trace.poses.len() - 1);
    for (class, poses) in [
        ("later", &trace.poses[step..]),
        ("path", &trace.poses[..=step]),
    ] {
        let points = poses.iter().map(|[x, y, _]| to_pixels(*x, *y));
        let _ = write!(
            svg,
            "<polyline class=\"{class}\" points=\"{}\"/>",
            point_list(points)
        );
    }
    let movers = trace.mover_positions.get(step).into_iter().flatten();
    for ([x, y], radius) in movers.zip(&trace.mover_radii) {
        circle(&mut svg, "mover", to_pixels(*x, *y), radius * scale);
    }
    let size = (trace.robot_radius * scale).max(5.0);
    for (_, transition) in transitions.iter().rev() {
        let [x, y] = transition.position;
        let (x, y) = to_pixels(x, y);
        let class = if std::ptr::eq(*transition, first) {
            "robot"
        } else {
            "robot also"
        };
        let (sin, cos) = transition.heading_rad.sin_cos();
        if trace.robot_footprint.is_empty() {
            circle(&mut svg, class, (x, y), size);
        } else {
            // At least as large as a disc would be drawn.
            let scale = size / trace.robot_radius;
            let corners = trace.robot_footprint.iter().map(|[ahead, left]| {
                let (right, up) = (cos * ahead - sin * left, sin * ahead + cos * left);
                (x + right * scale, y - up * scale)
            });
            let points = point_list(corners);
            let _ = write!(svg, "<polygon class=\"{class}\" points=\"{points}\"/>");
        }
        let _ = write!(
            svg,
            "<line class=\"heading\" x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            x + cos * size,
            y - sin * size
        );
    }
    svg += "</svg>";
    let shares: Vec<String> = transitions
        .iter()
        .map(|(rank, transition)| {
            let share = transition
                .contribution
                .share
                .map_or("not finite".into(), percent);
            format!(
                "{}: {share} at control step {}",
                rank + 1,
                transition.episode_step
            )
        })
        .take(3)
        .collect();
    format!(
        "<figure class=\"arena\"><figcaption><b>environment {}, episode {}</b>{}</figcaption>{svg}\
         </figure>",
        first.env,
        first.episode,
        shares.join(" · ")
    )
}

fn circle(svg: &mut String, class: &str, (x, y): (f32, f32), radius: f32) {
    let _ = write!(
        svg,
        "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\"/>"
    );
}

fn point_list(points: impl Iterator<Item = (f32, f32)>) -> String {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    points.join(" ")
}
