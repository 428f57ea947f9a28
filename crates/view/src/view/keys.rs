//! Keyboard input of the windows on simulations and recordings, and the texts of the list of keys.

use bevy_egui::egui::{Context, FocusDirection, InputState, Key};

use super::camera::Camera;
use super::scene::SceneLayers;
use super::screen::{Arrangement, ControlSource, Screen, StickInput, UserRequest};
use crate::bevy_env::NavClock;

/// The speeds to choose from, simulated seconds per second.
const SPEEDS: [f32; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];

/// The keys of every window, and what they do.
const COMMON_KEYS: [(&str, &str); 16] = [
    ("Space", "pause or resume"),
    (".", "one control step"),
    ("+  −", "faster, slower"),
    ("N  B", "next, previous episode"),
    ("R", "restart the episode"),
    ("F", "follow the robot"),
    ("Tab, click", "select the next robot, this robot"),
    ("0", "fit the room (or double-click)"),
    ("wheel, drag", "zoom at the cursor, pan"),
    ("G", "side by side, or in one room"),
    ("L", "lidar rays"),
    ("P", "shortest path"),
    ("T", "trail"),
    ("H", "panel beside the scene"),
    ("C", "light or dark colours"),
    ("Esc", "close this list; close the window"),
];

/// The keys that only the window on recordings has.
const REPLAY_KEYS: [(&str, &str); 5] = [
    ("Left  Right", "one control step back, forward"),
    ("[  ]", "previous, next recording"),
    ("PgUp  PgDn", "optimiser step of an incident"),
    ("E", "list of episodes"),
    ("M", "timelines"),
];

/// The list of keys of a window, `(key, meaning)`.
pub(super) fn key_list(control: ControlSource) -> Vec<(&'static str, &'static str)> {
    let own: &[_] = match control {
        ControlSource::Policies | ControlSource::Video => &[],
        ControlSource::Person => &[("arrows, W A S D", "drive")],
        ControlSource::Recording => &REPLAY_KEYS,
    };
    // A replay shows one episode, so that there is nothing to arrange.
    let single = control == ControlSource::Recording;
    let common = COMMON_KEYS
        .iter()
        .filter(|(key, _)| !(single && *key == "G"));
    own.iter().chain(common).copied().collect()
}

/// Handles the keys that were pressed. Returns what the screen cannot do by itself.
pub(super) fn handle_keys(
    screen: &mut Screen,
    ctx: &Context,
    nav_clock: &mut NavClock,
    robots: usize,
) -> Vec<UserRequest> {
    select_next_robot(&mut screen.layers, ctx, robots);
    ctx.input(|input| {
        let mut requests = Vec::new();
        let pressed = |key| input.key_pressed(key);
        if pressed(Key::Escape) {
            if screen.help {
                screen.help = false;
            } else {
                requests.push(UserRequest::Quit);
            }
        }
        if pressed(Key::Questionmark) || pressed(Key::F1) {
            screen.help = !screen.help;
        }
        for (key, request) in [
            (Key::N, UserRequest::Next),
            (Key::B, UserRequest::Previous),
            (Key::R, UserRequest::Restart),
        ] {
            if pressed(key) {
                requests.push(request);
            }
        }
        handle_view_keys(screen, input);
        handle_time_keys(nav_clock, input);
        requests
    })
}

/// Selects the next of `robots` robots for each press of Tab.
pub(super) fn select_next_robot(layers: &mut SceneLayers, ctx: &Context, robots: usize) {
    for _ in 0..ctx.input(|input| input.num_presses(Key::Tab)) {
        layers.select_robot(layers.selected_robot + 1, robots);
    }
    // Tab would also move the focus to the next button, which Space then presses.
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

/// Pauses, and requests one control step.
pub(super) fn step(nav_clock: &mut NavClock) {
    nav_clock.paused = true;
    nav_clock.step_once();
}

/// Selects the next higher speed.
pub(super) fn faster(nav_clock: &mut NavClock) {
    let higher = SPEEDS.iter().find(|&&speed| speed > nav_clock.speed);
    nav_clock.speed = *higher.unwrap_or(&nav_clock.speed);
}

/// Selects the next lower speed.
pub(super) fn slower(nav_clock: &mut NavClock) {
    let lower = SPEEDS.iter().rev().find(|&&speed| speed < nav_clock.speed);
    nav_clock.speed = *lower.unwrap_or(&nav_clock.speed);
}

/// The stick position that the pressed keys stand for; centred unless a person drives.
pub(super) fn stick(control: ControlSource, ctx: &Context) -> StickInput {
    if control != ControlSource::Person {
        return [0.0; 2];
    }
    ctx.input(|input| {
        let down = |keys: [Key; 2]| f32::from(keys.iter().any(|&key| input.key_down(key)));
        [
            down([Key::ArrowUp, Key::W]) - down([Key::ArrowDown, Key::S]),
            down([Key::ArrowLeft, Key::A]) - down([Key::ArrowRight, Key::D]),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_stops_at_the_slowest_and_the_fastest() {
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
