//! Keyboard input of the window on a training run, and the texts of its list of keys.

use bevy_egui::egui::{Context, Key};

use super::screen::LiveScreen;
use super::training::TILES;
use crate::view::camera::Camera;
use crate::view::keys::select_next_robot;

/// The keys and what they do.
pub(super) const KEYS: [(&str, &str); 11] = [
    ("1 – 9, click", "enlarge one environment, or show all"),
    ("wheel, drag", "zoom, pan"),
    ("0", "fit the room"),
    ("Tab, click", "select the next robot, this robot"),
    ("L", "lidar rays"),
    ("P", "shortest path, in one environment"),
    ("T", "trail"),
    ("C", "light or dark colours"),
    ("?", "this list"),
    ("Esc", "close this list; show all environments"),
    ("Q", "close the window; training continues"),
];

/// The key of each tile.
const TILE_KEYS: [Key; TILES] = [
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

/// Handles the keys that were pressed. Returns whether to close the window.
pub(super) fn handle_keys(screen: &mut LiveScreen, ctx: &Context, robots: usize) -> bool {
    select_next_robot(&mut screen.layers, ctx, robots);
    ctx.input(|input| {
        // The window is drawn seldom, so that a key may be pressed several times within a frame.
        let toggled = |key| input.num_presses(key) % 2 == 1;
        for _ in 0..input.num_presses(Key::Escape) {
            if screen.help {
                screen.help = false;
            } else {
                screen.enlarged = None;
            }
        }
        if toggled(Key::Questionmark) || toggled(Key::F1) {
            screen.help = !screen.help;
        }
        if toggled(Key::C) {
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
            if toggled(key) {
                *switch = !*switch;
            }
        }
        for (tile, &key) in TILE_KEYS.iter().enumerate() {
            if toggled(key) {
                screen.toggle(tile);
            }
        }
        input.key_pressed(Key::Q)
    })
}
