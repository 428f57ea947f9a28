//! What the keys mean.

use bevy_egui::egui::{Context, FocusDirection, InputState, Key};

use super::eye::Eye;
use super::replay;
use super::scene::Layers;
use super::screen::{Arrangement, Screen, Wheel};
use crate::bevy_env::NavPace;

/// Something that a screen cannot do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
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
pub type Stick = [f32; 2];

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
pub(super) fn of(wheel: Wheel) -> Vec<(&'static str, &'static str)> {
    let own: &[_] = match wheel {
        Wheel::Policies | Wheel::Film => &[],
        Wheel::Person => &[("arrows, W A S D", "drive")],
        Wheel::Recording => &replay::KEYS,
    };
    let alone = wheel == Wheel::Recording;
    let usual = KEYS.iter().filter(|(key, _)| !(alone && *key == "G"));
    own.iter().chain(usual).copied().collect()
}

/// Heeds the keys that were pressed.
pub(super) fn take(
    screen: &mut Screen,
    ctx: &Context,
    pace: &mut NavPace,
    robots: usize,
) -> Vec<Ask> {
    next_robot(&mut screen.layers, ctx, robots);
    ctx.input(|input| {
        let mut asks = Vec::new();
        let hit = |key| input.key_pressed(key);
        if hit(Key::Escape) {
            if screen.help {
                screen.help = false;
            } else {
                asks.push(Ask::Quit);
            }
        }
        if hit(Key::Questionmark) || hit(Key::F1) {
            screen.help = !screen.help;
        }
        for (key, ask) in [
            (Key::N, Ask::Next),
            (Key::B, Ask::Previous),
            (Key::R, Ask::Restart),
        ] {
            if hit(key) {
                asks.push(ask);
            }
        }
        look(screen, input);
        time(pace, input);
        asks
    })
}

/// Tab looks at the next of so many robots.
pub(super) fn next_robot(layers: &mut Layers, ctx: &Context, robots: usize) {
    for _ in 0..ctx.input(|input| input.num_presses(Key::Tab)) {
        layers.choose(layers.robot + 1, robots);
    }
    // It would go on to the next button, which Space then presses.
    ctx.memory_mut(|memory| memory.move_focus(FocusDirection::None));
}

fn look(screen: &mut Screen, input: &InputState) {
    let layers = &mut screen.layers;
    for (key, switch) in [
        (Key::L, &mut layers.rays),
        (Key::P, &mut layers.ways),
        (Key::T, &mut layers.trails),
        (Key::H, &mut screen.bare),
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
        screen.eye = match screen.eye {
            Eye::Follow { .. } => Eye::Fit,
            Eye::Fit | Eye::Free { .. } => Eye::Follow { scale: None },
        };
    }
    if input.key_pressed(Key::Num0) || input.key_pressed(Key::Home) {
        screen.eye = Eye::Fit;
    }
}

fn time(pace: &mut NavPace, input: &InputState) {
    if input.key_pressed(Key::Space) {
        pace.paused = !pace.paused;
    }
    if input.key_pressed(Key::Period) {
        step(pace);
    }
    if input.key_pressed(Key::Plus) || input.key_pressed(Key::Equals) {
        faster(pace);
    }
    if input.key_pressed(Key::Minus) {
        slower(pace);
    }
}

/// One control step, and no more.
pub(super) fn step(pace: &mut NavPace) {
    pace.paused = true;
    pace.step_once();
}

/// The next higher speed.
pub(super) fn faster(pace: &mut NavPace) {
    let higher = SPEEDS.iter().find(|&&speed| speed > pace.speed);
    pace.speed = *higher.unwrap_or(&pace.speed);
}

/// The next lower speed.
pub(super) fn slower(pace: &mut NavPace) {
    let lower = SPEEDS.iter().rev().find(|&&speed| speed < pace.speed);
    pace.speed = *lower.unwrap_or(&pace.speed);
}

/// Where the keys that are held push the robot.
pub(super) fn stick(wheel: Wheel, ctx: &Context) -> Stick {
    if wheel != Wheel::Person {
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
        let mut pace = NavPace::default();
        let is = |pace: &NavPace, speed: f32| (pace.speed - speed).abs() < 1e-6;
        for _ in 0..20 {
            faster(&mut pace);
        }
        assert!(is(&pace, 16.0));
        for _ in 0..20 {
            slower(&mut pace);
        }
        assert!(is(&pace, 0.25));
        faster(&mut pace);
        assert!(is(&pace, 0.5));
    }
}
