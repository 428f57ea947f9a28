//! The window, and pictures without one: what a simulation looks like. Nothing headless needs
//! this room.
//!
//! A [`Picture`] is one episode as far as it has gone; sources fill it, and [`Screen`] draws it,
//! by egui's painter, whatever it is drawn on: a window ([`watch`]) or an image ([`Studio`]).
//! [`LiveWindow`] looks on while something trains.

mod axis;
mod banner;
mod bars;
mod capture;
mod error;
mod eye;
mod film;
mod gpu;
mod help;
mod keys;
mod live;
mod painter;
mod picture;
mod replay;
mod scene;
mod screen;
mod side;
mod theme;
mod window;

pub use capture::{Pixels, Still, Studio};
pub use error::ViewError;
pub use eye::Eye;
pub use film::{Film, FilmError, FilmFormat, FilmKind};
pub use keys::{Ask, Stick};
pub use live::{LiveWindow, Stage, Training};
pub use picture::{Hit, Moment, Picture, SeenRobot, TrailPoint};
pub use replay::{
    Filmed, GradientPoint, Gradients, Mark, Replay, Shooting, Sighting, Strip, Told, Twin, Volume,
    film as film_recording, film_twins, replay,
};
pub use scene::Layers;
pub use screen::{Arrangement, Screen, Shown, Tally, Wheel, Wishes};
pub use theme::Theme;
pub use window::{Subject, has_display, watch};
