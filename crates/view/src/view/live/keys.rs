//! What the keys of a live window mean.

use bevy_egui::egui::{Context, Key};

use super::TILES;
use super::screen::LiveScreen;
use crate::view::camera::Camera;
use crate::view::keys::select_next_robot;

/// What every key does, for the list of keys.
pub(super) const KEYS: [(&str, &str); 11] = [
    ("1 – 9, click", "one environment, or all nine again"),
    ("wheel, drag", "zoom into it, pan"),
    ("0", "fit the room"),
    ("Tab, click", "the next of several robots, this one"),
    ("L", "lidar rays"),
    ("P", "shortest path, in one environment"),
    ("T", "trail"),
    ("C", "light or dark colours"),
    ("?", "this list"),
    ("Esc", "close this list, then back to all nine"),
    ("Q", "close the window; training goes on"),
];

const NUMBERS: [Key; TILES] = [
    Key::Num1,
    Key::Num2,
    Key::Num3,
    Key::Num4,
    Key::Num5,
    Key::Num6,
    Key::Num7,
    Key::Num8,
    Key::Num9,
];

/// Heeds the keys that were pressed; whether the window is to be closed.
pub(super) fn handle_keys(screen: &mut LiveScreen, ctx: &Context, robots: usize) -> bool {
    select_next_robot(&mut screen.layers, ctx, robots);
    ctx.input(|input| {
        // A window that is seldom drawn sees several in one frame.
        let odd = |key| input.num_presses(key) % 2 == 1;
        for _ in 0..input.num_presses(Key::Escape) {
            if screen.help {
                screen.help = false;
            } else {
                screen.enlarged = None;
            }
        }
        if odd(Key::Questionmark) || odd(Key::F1) {
            screen.help = !screen.help;
        }
        if odd(Key::C) {
            screen.theme = screen.theme.other();
        }
        if input.key_pressed(Key::Num0) || input.key_pressed(Key::Home) {
            screen.camera = Camera::Fit;
        }
        for (key, switch) in [
            (Key::L, &mut screen.layers.rays),
            (Key::P, &mut screen.layers.shortest_paths),
            (Key::T, &mut screen.layers.trails),
        ] {
            if odd(key) {
                *switch = !*switch;
            }
        }
        for (tile, &key) in NUMBERS.iter().enumerate() {
            if odd(key) {
                screen.toggle(tile);
            }
        }
        input.key_pressed(Key::Q)
    })
}
