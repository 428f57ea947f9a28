//! The held-out episodes that the trajectory player shows: a map and the trajectories of all arms.
//! Positions are delta-coded whole centimetres, a third of the size of decimal metres.

use serde::Serialize;

use super::arm_runs::ArmRuns;
use evenkeel_runs::eval::{EpisodeTrace, ObstacleOutline};
use evenkeel_sim::env::Outcome;

/// Maximum number of episodes.
const MAX_EPISODES: usize = 8;
/// A note on trajectories of a diverged run. It counts as 0 % success, whatever they show.
const DIVERGED_NOTE: &str = "best checkpoint; the run later diverged";
/// Maximum number of seeds.
const MAX_SEEDS: usize = 5;

/// One held-out episode, as the player reads it.
#[derive(Debug, Serialize)]
pub(super) struct PlayerEpisode {
    number: u64,
    dt: f64,
    arena: [f32; 4],
    obstacles: Vec<ObstacleOutline>,
    goal: [f32; 3],
    alternative_goals: Vec<[f32; 3]>,
    radius: f32,
    footprint: Vec<[f32; 2]>,
    mover_radii: Vec<f32>,
    /// For each mover x and y in centimetres, interleaved and delta-coded.
    movers: Vec<Vec<i32>>,
    trajectories: Vec<PlayerTrajectory>,
}

/// One run's trajectory in the episode.
#[derive(Debug, Serialize)]
struct PlayerTrajectory {
    arm: usize,
    seed: u64,
    outcome: Outcome,
    /// A remark.
    note: Option<&'static str>,
    /// x and y in centimetres and heading in hundredths of a radian, interleaved and delta-coded.
    poses: Vec<i32>,
}

/// The first episodes, with the trajectories of each arm for the first seeds.
pub(super) fn episodes(arms: &[ArmRuns]) -> Vec<PlayerEpisode> {
    let runs = || {
        arms.iter()
            .flat_map(|arm| arm.runs.iter().map(move |run| (arm.index, *run)))
    };
    let mut seeds: Vec<u64> = runs()
        .filter(|(_, run)| run.evaluation.is_some())
        .map(|(_, run)| run.info.seed)
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    seeds.truncate(MAX_SEEDS);
    let traces = || {
        runs()
            .filter(|(_, run)| seeds.contains(&run.info.seed))
            .flat_map(|(arm, run)| {
                let traces = run
                    .evaluation
                    .iter()
                    .flat_map(|evaluation| &evaluation.traces);
                traces.map(move |trace| (arm, run, trace))
            })
    };
    let mut numbers: Vec<u64> = traces().map(|(_, _, trace)| trace.episode).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.truncate(MAX_EPISODES);
    numbers
        .into_iter()
        .filter_map(|number| {
            let of_episode = || traces().filter(|(_, _, trace)| trace.episode == number);
            // Movers do not depend on the robot, so the longest trace contains all the others.
            let (_, _, map) = of_episode().max_by_key(|(_, _, trace)| trace.poses.len())?;
            let same_map = |trace: &EpisodeTrace| {
                trace.obstacles == map.obstacles
                    && trace.goal.map(f32::to_bits) == map.goal.map(f32::to_bits)
            };
            let trajectories =
                of_episode()
                    .filter(|(_, _, trace)| same_map(trace))
                    .map(|(arm, run, trace)| {
                        let poses = trace.poses.iter().copied();
                        PlayerTrajectory {
                            arm,
                            seed: run.info.seed,
                            outcome: trace.outcome,
                            note: run.diverged.as_ref().map(|_| DIVERGED_NOTE),
                            poses: deltas(poses),
                        }
                    });
            Some(PlayerEpisode {
                number,
                dt: map.dt_secs,
                arena: map.arena,
                obstacles: map.obstacles.iter().map(rounded).collect(),
                goal: map.goal,
                alternative_goals: map.alternative_goals.clone(),
                radius: map.robot_radius,
                footprint: map.robot_footprint.clone(),
                mover_radii: map.mover_radii.clone(),
                movers: (0..map.mover_radii.len())
                    .map(|mover| {
                        deltas(
                            map.mover_positions
                                .iter()
                                .filter_map(|all| all.get(mover).copied()),
                        )
                    })
                    .collect(),
                trajectories: trajectories.collect(),
            })
        })
        .collect()
}

/// Delta-codes rows in hundredths, flat: each row minus the row before.
fn deltas<const N: usize>(rows: impl Iterator<Item = [f32; N]>) -> Vec<i32> {
    let mut before = [0_i32; N];
    rows.flat_map(|row| {
        let now = row.map(|value| (value * 100.0).round() as i32);
        let change = std::array::from_fn::<i32, N, _>(|i| now[i] - before[i]);
        before = now;
        change
    })
    .collect()
}

/// Rounds to the millimetre.
fn rounded(shape: &ObstacleOutline) -> ObstacleOutline {
    let round = |value: f32| (value * 1000.0).round() / 1000.0;
    match shape {
        ObstacleOutline::Disc(disc) => ObstacleOutline::Disc(disc.map(round)),
        ObstacleOutline::Polygon(corners) => {
            ObstacleOutline::Polygon(corners.iter().map(|corner| corner.map(round)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_add_up_to_the_rounded_positions() {
        let rows = [[1.004_f32, -2.0], [1.012, -2.5], [0.0, 0.003]];
        let coded = deltas(rows.into_iter());
        assert_eq!(coded, [100, -200, 1, -50, -101, 250]);
        let sums = coded
            .chunks(2)
            .fold([0, 0], |sum, d| [sum[0] + d[0], sum[1] + d[1]]);
        assert_eq!(sums, [0, 0]);
    }
}
