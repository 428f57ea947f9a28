//! Writes a video of an episode off-screen, without a window or a display.
//!
//!     cargo run --release --no-default-features --features view --example record_video -- out.gif
//!
//! Prints the number of frames per second that were rendered.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use evenkeel::env::{EpisodeRunner, NavEnv};
use evenkeel::seed::Split;
use evenkeel::view::{
    EpisodeCounts, EpisodeView, OffscreenRenderer, OffscreenScene, Screen, VideoFormat, VideoWriter,
};
use evenkeel::{planners, scenario};

fn main() -> Result<(), Box<dyn Error>> {
    let path: PathBuf = std::env::args()
        .nth(1)
        .ok_or("name the file to write, for example out.gif")?
        .into();
    let scenario = Arc::new(scenario::resolve("movers", &[])?);
    let mut planner = planners::by_name("straight", &scenario, 0)?;
    let env = NavEnv::new(scenario, 0, Split::Eval, 0)?;
    let mut episode = EpisodeView::of_env(&env, "planner:straight", 0);
    let mut runner = EpisodeRunner::new(env);

    // Ten control steps per second with three frames each make 30 frames per second.
    let frames_per_step = 3;
    let mut scenes = Vec::new();
    while episode.outcome.is_none() {
        let next = episode.snapshot().time_secs + episode.control_step_secs;
        episode.play(&mut runner, planner.as_mut(), next);
        scenes.extend((1..=frames_per_step).map(|frame| OffscreenScene {
            screen: Screen::default(),
            episodes: vec![(episode.clone(), EpisodeCounts::default())],
            interpolation: frame as f32 / frames_per_step as f32,
            ..OffscreenScene::default()
        }));
    }

    let format = VideoFormat {
        size: [640, 480],
        fps: 30,
        frames: scenes.len() as u32,
    };
    let mut video = VideoWriter::create(&path, format)?;
    let mut renderer = OffscreenRenderer::open(format.size[0], format.size[1])?;
    let start = Instant::now();
    let mut written = Ok(());
    renderer.render_each(scenes, |pixels| {
        if written.is_ok() {
            written = video.add(&pixels);
        }
    })?;
    let secs = start.elapsed().as_secs_f64();
    written?;
    video.finish()?;
    println!(
        "{} frames in {secs:.1} s: {:.0} frames/s",
        format.frames,
        f64::from(format.frames) / secs
    );
    Ok(())
}
