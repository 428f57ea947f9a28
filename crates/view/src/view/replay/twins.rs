//! Two runs as one film: what their robots did in the same iterations of training, side by side,
//! with the gradients so far underneath.

use std::path::Path;
use std::sync::Arc;

use super::film::{Filmed, Shooting, Shot, Told, shoot};
use super::gradients::Gradients;
use super::reel::Reel;
use super::shelf::Volume;
use super::strip::Strip;
use crate::view::{Tally, ViewError};
use evenkeel_runs::record::{Episode, Reader};

/// For how long the end of an iteration stands still, seconds of the film, and the last one.
const HOLD_SECS: f64 = 0.35;
const LAST_SECS: f64 = 2.0;

/// A run, as far as a film is made of it.
#[derive(Clone, Debug)]
pub struct Twin {
    /// What it is called.
    pub name: String,
    /// Its recordings.
    pub volumes: Vec<Volume>,
    /// What it logged of its gradients.
    pub gradients: Gradients,
}

/// Films two runs into a file: of each iteration that was recorded of either, one episode that
/// environment 0 lived. A run that has ended shows its last to the end.
///
/// # Errors
/// If one of them has no recordings of training, they cannot be read, nothing here draws, or the
/// film cannot be written.
pub fn film_twins(
    twins: &[Twin; 2],
    path: &Path,
    how: &Shooting,
    told: &mut Told,
) -> Result<Filmed, ViewError> {
    let [one, other] = twins.each_ref().map(of_training);
    let (one, other) = (one?, other?);
    let mut iterations: Vec<u64> = one
        .iter()
        .chain(&other)
        .map(|(number, _)| *number)
        .collect();
    iterations.sort_unstable();
    iterations.dedup();
    let gradients = twins
        .each_ref()
        .map(|twin| Arc::new(twin.gradients.clone()));
    let both = || gradients.iter();
    let first = both()
        .filter_map(|all| all.span())
        .map(|(first, _)| first)
        .min();
    let last = both()
        .filter_map(|all| all.span())
        .map(|(_, last)| last)
        .max();
    let ranges = || both().filter_map(|all| all.range());
    let low = ranges().map(|(low, _)| low).fold(f64::INFINITY, f64::min);
    let high = ranges().map(|(_, high)| high).fold(0.0, f64::max);
    let (low, high) = if low < high { (low, high) } else { (0.1, 10.0) };
    let mut shots = Vec::new();
    for iteration in iterations {
        let mut shot = Shot {
            reels: Vec::new(),
            strips: Vec::new(),
            hold_secs: HOLD_SECS,
        };
        for ((twin, volumes), gradients) in twins.iter().zip([&one, &other]).zip(&gradients) {
            let so_far = volumes.partition_point(|(number, _)| *number <= iteration);
            let (_, volume) = volumes[so_far.max(1) - 1];
            let name = format!("{}, iteration {iteration}", twin.name);
            shot.reels.push((lived(volume, &name)?, Tally::default()));
            shot.strips.push(Strip {
                gradients: Arc::clone(gradients),
                at: volume.span().map_or(0, |(_, last)| last),
                span: (first.unwrap_or(0), last.unwrap_or(1)),
                range: (low, high),
            });
        }
        shots.push(shot);
    }
    if let Some(last) = shots.last_mut() {
        last.hold_secs = LAST_SECS;
    }
    shoot(shots, path, how, told)
}

/// The recordings of training, each with its iteration, in order.
fn of_training(twin: &Twin) -> Result<Vec<(u64, &Volume)>, ViewError> {
    let of = |volume: &'_ Volume| volume.is_of_training() && volume.about.env == 0;
    let volumes = twin.volumes.iter().filter(|volume| of(volume));
    let mut volumes: Vec<(u64, &Volume)> = volumes
        .filter_map(|volume| Some((volume.training.as_ref()?.iteration, volume)))
        .collect();
    volumes.sort_by_key(|(iteration, _)| *iteration);
    if volumes.is_empty() {
        let name = twin.name.clone();
        return Err(ViewError::NotRecorded { name });
    }
    Ok(volumes)
}

/// What the environment lived: the last episode that has an end, or else the last.
fn lived(volume: &Volume, name: &str) -> Result<Reel, ViewError> {
    let mut reader = Reader::open(&volume.path)?;
    let mut found: Option<Episode> = None;
    while let Some(episode) = reader.next_episode()? {
        if episode.end.is_some() || found.as_ref().is_none_or(|found| found.end.is_none()) {
            found = Some(episode);
        }
    }
    let mut env = reader.environment()?;
    let none = ViewError::NoEpisode { number: 0 };
    let episode = found.ok_or(none)?;
    Ok(Reel::new(episode, &mut env, name, volume.about.seed))
}
