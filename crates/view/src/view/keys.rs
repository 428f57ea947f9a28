//! What the keys mean.

use bevy_egui::egui::{Context, FocusDirection, InputState, Key};

use super::camera::Camera;
use super::replay;
use super::scene::SceneLayers;
use super::screen::{Arrangement, ControlSource, Screen};
use crate::bevy_env::NavClock;

/// Something that a screen cannot do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRequest {
    /// To close the window.
    Quit,
    /// To go on to the next episode.
    Next,
    /// To go back to the episode before.
    Previous,
    /// To begin the episode anew.
    Restart,
}

/// Where a person pushes the robot: forwards and to the left, each -1 to 1.
pub type StickInput = [f32; 2];

/// Simulated seconds per second that one can choose from.
const SPEEDS: [f32; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];

/// What every key does.
const KEYS: [(&str, &str); 16] = [
    ("Space", "pause or go on"),
    (".", "one control step"),
    ("+  −", "faster, slower"),
    ("N  B", "next episode, the one before"),
    ("R", "the episode from its beginning"),
    ("F", "follow the robot"),
    ("Tab, click", "the next of several robots, this one"),
    ("0", "fit the room (or double-click)"),
    ("wheel, drag", "zoom to the cursor, pan"),
    ("G", "side by side, or in one room"),
    ("L", "lidar rays"),
    ("P", "shortest path"),
    ("T", "trail"),
    ("H", "panel beside the scene"),
    ("C", "light or dark colours"),
    ("Esc", "close this list; close the window"),
];

/// The list of keys of a window, by who moves the robot in it.
pub(super) fn key_list(control: ControlSource) -> Vec<(&'static str, &'static str)> {
    let own: &[_] = match control {
        ControlSource::Policies | ControlSource::Video => &[],
        ControlSource::Person => &[("arrows, W A S D", "drive")],
        ControlSource::Recording => &replay::KEYS,
    };
    let alone = control == ControlSource::Recording;
    let usual = KEYS.iter().filter(|(key, _)| !(alone && *key == "G"));
    own.iter().chain(usual).copied().collect()
}

/// Heeds the keys that were pressed.
pub(super) fn handle_keys(
    screen: &mut Screen,
    ctx: &Context,
    nav_clock: &mut NavClock,
    robots: usize,
) -> Vec<UserRequest> {
    select_next_robot(&mut screen.layers, ctx, robots);
    ctx.input(|input| {
        let mut requests = Vec::new();
        let hit = |key| input.key_pressed(key);
        if hit(Key::Escape) {
            if screen.help {
                screen.help = false;
            } else {
                requests.push(UserRequest::Quit);
            }
        }
        if hit(Key::Questionmark) || hit(Key::F1) {
            screen.help = !screen.help;
        }
        for (key, ask) in [
            (Key::N, UserRequest::Next),
            (Key::B, UserRequest::Previous),
            (Key::R, UserRequest::Restart),
        ] {
            if hit(key) {
                requests.push(ask);
            }
        }
        handle_view_keys(screen, input);
        handle_time_keys(nav_clock, input);
        requests
    })
}

/// Tab looks at the next of so many robots.
pub(super) fn select_next_robot(layers: &mut SceneLayers, ctx: &Context, robots: usize) {
    for _ in 0..ctx.input(|input| input.num_presses(Key::Tab)) {
        layers.select_robot(layers.selected_robot + 1, robots);
    }
    // It would go on to the next button, which Space then presses.
    ctx.memory_mut(|memory| memory.move_focus(FocusDirection::None));
}

fn handle_view_keys(screen: &mut Screen, input: &InputState) {
    let layers = &mut screen.layers;
    for (key, switch) in [
        (Key::L, &mut layers.rays),
        (Key::P, &mut layers.shortest_paths),
        (Key::T, &mut layers.trails),
        (Key::H, &mut screen.hide_side_panel),
    ] {
        if input.key_pressed(key) {
            *switch = !*switch;
        }
    }
    if input.key_pressed(Key::C) {
        screen.theme = screen.theme.other();
    }
    if input.key_pressed(Key::G) {
        screen.arrangement = match screen.arrangement {
            Arrangement::Split => Arrangement::Ghosts,
            Arrangement::Ghosts => Arrangement::Split,
        };
    }
    if input.key_pressed(Key::F) {
        screen.camera = match screen.camera {
            Camera::Follow { .. } => Camera::Fit,
            Camera::Fit | Camera::Free { .. } => Camera::Follow { scale: None },
        };
    }
    if input.key_pressed(Key::Num0) || input.key_pressed(Key::Home) {
        screen.camera = Camera::Fit;
    }
}

fn handle_time_keys(nav_clock: &mut NavClock, input: &InputState) {
    if input.key_pressed(Key::Space) {
        nav_clock.paused = !nav_clock.paused;
    }
    if input.key_pressed(Key::Period) {
        step(nav_clock);
    }
    if input.key_pressed(Key::Plus) || input.key_pressed(Key::Equals) {
        faster(nav_clock);
    }
    if input.key_pressed(Key::Minus) {
        slower(nav_clock);
    }
}

/// One control step, and no more.
pub(super) fn step(nav_clock: &mut NavClock) {
    nav_clock.paused = true;
    nav_clock.step_once();
}

/// The next higher speed.
pub(super) fn faster(nav_clock: &mut NavClock) {
    let higher = SPEEDS.iter().find(|&&speed| speed > nav_clock.speed);
    nav_clock.speed = *higher.unwrap_or(&nav_clock.speed);
}

/// The next lower speed.
pub(super) fn slower(nav_clock: &mut NavClock) {
    let lower = SPEEDS.iter().rev().find(|&&speed| speed < nav_clock.speed);
    nav_clock.speed = *lower.unwrap_or(&nav_clock.speed);
}

/// Where the keys that are held push the robot.
pub(super) fn stick(control: ControlSource, ctx: &Context) -> StickInput {
    if control != ControlSource::Person {
        return [0.0; 2];
    }
    ctx.input(|input| {
        let held = |keys: [Key; 2]| f32::from(keys.iter().any(|&key| input.key_down(key)));
        [
            held([Key::ArrowUp, Key::W]) - held([Key::ArrowDown, Key::S]),
            held([Key::ArrowLeft, Key::A]) - held([Key::ArrowRight, Key::D]),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_end_at_the_slowest_and_the_fastest() {
        let mut nav_clock = NavClock::default();
        let is = |nav_clock: &NavClock, speed: f32| (nav_clock.speed - speed).abs() < 1e-6;
        for _ in 0..20 {
            faster(&mut nav_clock);
        }
        assert!(is(&nav_clock, 16.0));
        for _ in 0..20 {
            slower(&mut nav_clock);
        }
        assert!(is(&nav_clock, 0.25));
        faster(&mut nav_clock);
        assert!(is(&nav_clock, 0.5));
    }
}
