//! An episode as a film, without a window and without a display: frames drawn off-screen go to
//! ffmpeg, in order.
//!
//!     cargo run --release --no-default-features --features view --example film_an_episode -- out.mp4
//!
//! It says how many frames a second were drawn.

use std::error::Error;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use evenkeel::env::NavEnv;
use evenkeel::seed::Split;
use evenkeel::view::{Picture, Screen, Still, Studio, Tally};
use evenkeel::{drivers, scenario};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;
/// Frames a second of the film.
const RATE: u32 = 30;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args()
        .nth(1)
        .ok_or("which file? as in: out.mp4")?;
    let scenario = Arc::new(scenario::resolve("movers", &[])?);
    let mut driver = drivers::by_name("straight", &scenario, 0)?;
    let mut env = NavEnv::new(scenario, 0, Split::Eval, 0)?;
    let mut picture = Picture::begin(&env, "driver:straight", 0);

    // Ten control steps a second make three frames each.
    let frames_a_step = (picture.control_step_secs * RATE as f32).round() as u32;
    let mut stills = Vec::new();
    while picture.outcome.is_none() {
        let next = picture.frame().time_secs + picture.control_step_secs;
        picture.play(&mut env, driver.as_mut(), next);
        stills.extend((1..=frames_a_step).map(|part| Still {
            screen: Screen::default(),
            pictures: vec![(picture.clone(), Tally::default())],
            share: part as f32 / frames_a_step as f32,
        }));
    }

    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-y", "-f", "rawvideo"])
        .args(["-pixel_format", "rgba", "-video_size"])
        .arg(format!("{WIDTH}x{HEIGHT}"))
        .args(["-framerate", &RATE.to_string(), "-i", "-"])
        .args(["-pix_fmt", "yuv420p", &file])
        .stdin(Stdio::piped())
        .spawn()?;
    let mut pipe = ffmpeg.stdin.take().ok_or("ffmpeg takes no frames")?;
    let mut studio = Studio::open(WIDTH, HEIGHT)?;
    let begun = Instant::now();
    let mut written = Ok(());
    let count = stills.len();
    studio.film(stills, |pixels| {
        if written.is_ok() {
            written = pipe.write_all(&pixels.rgba);
        }
    })?;
    let secs = begun.elapsed().as_secs_f64();
    written?;
    drop(pipe);
    if !ffmpeg.wait()?.success() {
        return Err("ffmpeg failed".into());
    }
    println!(
        "{count} frames in {secs:.1} s: {:.0} frames/s",
        count as f64 / secs
    );
    Ok(())
}
