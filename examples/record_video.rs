//! An episode as a film, without a window and without a display: the screen is yours to arrange, and
//! frames are drawn off-screen, in order.
//!
//!     cargo run --release --no-default-features --features view --example film_an_episode -- out.gif
//!
//! It says how many frames a second were drawn.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use evenkeel::env::NavEnv;
use evenkeel::seed::Split;
use evenkeel::view::{
    EpisodeCounts, EpisodeView, OffscreenRenderer, OffscreenScene, Screen, VideoFormat, VideoWriter,
};
use evenkeel::{planners, scenario};

fn main() -> Result<(), Box<dyn Error>> {
    let path: PathBuf = std::env::args()
        .nth(1)
        .ok_or("which file? as in: out.gif")?
        .into();
    let scenario = Arc::new(scenario::resolve("movers", &[])?);
    let mut planner = planners::by_name("straight", &scenario, 0)?;
    let mut env = NavEnv::new(scenario, 0, Split::Eval, 0)?;
    let mut picture = EpisodeView::of_env(&env, "planner:straight", 0);

    // Ten control steps a second make three frames each.
    let frames_a_step = 3;
    let mut stills = Vec::new();
    while picture.outcome.is_none() {
        let next = picture.snapshot().time_secs + picture.control_step_secs;
        picture.play(&mut env, planner.as_mut(), next);
        stills.extend((1..=frames_a_step).map(|part| OffscreenScene {
            screen: Screen::default(),
            pictures: vec![(picture.clone(), EpisodeCounts::default())],
            share: part as f32 / frames_a_step as f32,
            ..OffscreenScene::default()
        }));
    }

    let format = VideoFormat {
        size: [640, 480],
        fps: 30,
        frames: stills.len() as u32,
    };
    let mut film = VideoWriter::create(&path, format)?;
    let mut studio = OffscreenRenderer::open(format.size[0], format.size[1])?;
    let begun = Instant::now();
    let mut written = Ok(());
    studio.render_each(stills, |pixels| {
        if written.is_ok() {
            written = film.add(&pixels);
        }
    })?;
    let secs = begun.elapsed().as_secs_f64();
    written?;
    film.finish()?;
    println!(
        "{} frames in {secs:.1} s: {:.0} frames/s",
        format.frames,
        f64::from(format.frames) / secs
    );
    Ok(())
}
