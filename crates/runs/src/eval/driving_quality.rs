//! Driving quality of a robot in an episode: distance to obstacles and movers, path irregularity,
//! and failures that are not outcomes.

use std::f64::consts::{PI, TAU};

use nalgebra::{Point2, Vector2};

use super::{DrivingQuality, FailureKind};
use evenkeel_sim::scenario::{Footprint, RobotParameters};
use evenkeel_sim::sim::{RobotSnapshot, WorldSnapshot};

/// Safety margin: smallest sufficient clearance, metres.
pub const SAFETY_MARGIN_M: f64 = 0.2;

/// Bounds of the intimate, personal and social distance from a mover, surface to surface, metres
/// (Hall 1966).
pub const PROXEMIC_M: [f64; 3] = [0.45, 1.2, 3.6];

/// Shortest path for which the path irregularity is defined, metres.
const MIN_PATH_M: f64 = 0.1;

/// Time window of the failures, seconds.
const WINDOW_SECS: f64 = 10.0;
/// Largest distance of a stuck robot from its position at the start of the window, metres.
const STUCK_M: f64 = 0.2;
/// Largest change of heading of a stuck robot within the window, radians.
const STUCK_RAD: f64 = PI / 12.0;
/// Largest distance of a spinning or oscillating robot from its position at the start of the
/// window, metres.
const STAY_RADIUS_M: f64 = 1.0;
/// Net change of heading of a spinning robot, radians: two turns.
const SPIN_RAD: f64 = 2.0 * TAU;
/// Largest number of reversals in the window that is not an oscillation.
const MAX_REVERSALS: u32 = 10;
/// Smallest speed that has a direction, metres per second.
const MIN_SPEED_MPS: f64 = 0.05;
/// Smallest turn rate that has a direction, radians per second.
const MIN_TURN_RATE_RADPS: f64 = 0.1;

/// The robot at one control step. Units are metres, seconds and radians.
#[derive(Clone, Copy, Debug)]
struct RobotSample {
    position: Point2<f64>,
    /// Unwrapped heading: it is continuous and counts full turns.
    heading: f64,
    speed: f64,
    turn_rate: f64,
    clearance: f64,
    contact: bool,
    /// Distance to the nearest mover or other robot, surface to surface; `None` without one.
    mover_gap: Option<f64>,
}

/// Records how one robot drives in an episode.
#[derive(Debug)]
pub(super) struct DrivingRecorder {
    dt_secs: f64,
    /// Index of the robot in `robots`.
    index: usize,
    /// All robots of the episode.
    robots: Vec<RobotParameters>,
    /// One sample for the start and for each control step.
    samples: Vec<RobotSample>,
}

impl DrivingRecorder {
    /// Starts a recording with the snapshot at the start of an episode.
    pub(super) fn begin(
        dt_secs: f64,
        robots: &[RobotParameters],
        index: usize,
        snapshot: &WorldSnapshot,
    ) -> Self {
        let mut recorder = Self {
            dt_secs,
            index,
            robots: robots.to_vec(),
            samples: Vec::new(),
        };
        recorder.step(snapshot);
        recorder
    }

    /// Records the snapshot after a control step.
    pub(super) fn step(&mut self, snapshot: &WorldSnapshot) {
        let (robot, parameters) = (&snapshot.robots[self.index], &self.robots[self.index]);
        let point = |[x, y]: [f32; 2]| Point2::new(f64::from(x), f64::from(y));
        let position = point(robot.position);
        let heading = f64::from(robot.heading_rad);
        let footprint = world_footprint(robot, parameters);
        let gap = |centre: [f32; 2], radius: f32| {
            if let Some(footprint) = &footprint {
                return f64::from(footprint.distance_to_disc(centre.into(), radius));
            }
            let distance = (point(centre) - position).norm();
            distance - f64::from(radius) - f64::from(parameters.radius)
        };
        let movers = snapshot.movers.iter();
        let mover_gaps = movers.map(|mover| gap(mover.position, mover.radius_m));
        // For this robot, the other robots are movers, too.
        let robots = snapshot.robots.iter().zip(&self.robots).enumerate();
        let others = robots.filter(|(other, _)| *other != self.index);
        let robot_gaps = others.map(|(_, (other, other_parameters))| {
            match (&footprint, world_footprint(other, other_parameters)) {
                (Some(footprint), Some(other)) => {
                    f64::from(footprint.distance_to_footprint(&other))
                }
                _ => gap(other.position, other_parameters.radius),
            }
        });
        let gaps = mover_gaps.chain(robot_gaps);
        self.push(RobotSample {
            position,
            heading,
            speed: f64::from(robot.speed_mps),
            turn_rate: f64::from(robot.turn_rate_radps),
            clearance: f64::from(robot.clearance_m),
            contact: robot.contact,
            mover_gap: gaps.reduce(f64::min),
        });
    }

    /// Adds a sample with a wrapped heading, and unwraps it.
    fn push(&mut self, mut sample: RobotSample) {
        if let Some(last) = self.samples.last() {
            sample.heading = last.heading + wrap_angle(sample.heading - last.heading);
        }
        self.samples.push(sample);
    }

    /// Computes the driving quality. `geodesic` is the shortest path as a polyline, if computed.
    pub(super) fn finish(&self, geodesic: Option<&[Point2<f32>]>) -> DrivingQuality {
        // The sample at the end of a control step stands for the whole step.
        let steps = &self.samples[1..];
        let share_within = |limit: f64| {
            let near = |sample: &&RobotSample| sample.mover_gap.is_some_and(|gap| gap < limit);
            steps.iter().filter(near).count() as f64 / steps.len() as f64
        };
        let has_movers = steps
            .first()
            .is_some_and(|sample| sample.mover_gap.is_some());
        let below_margin = steps
            .iter()
            .filter(|sample| sample.clearance < SAFETY_MARGIN_M);
        DrivingQuality {
            below_margin_secs: below_margin.count() as f64 * self.dt_secs,
            proxemics: has_movers.then(|| PROXEMIC_M.map(share_within)),
            irregularity_radpm: geodesic.and_then(|points| self.irregularity(points)),
            failures: FailureKind::ALL
                .into_iter()
                .filter(|&kind| self.failed(kind))
                .collect(),
        }
    }

    /// Path irregularity: turning per metre driven minus turning per metre of the shortest path.
    fn irregularity(&self, geodesic: &[Point2<f32>]) -> Option<f64> {
        let mut path_m = 0.0;
        let mut turned_rad = 0.0;
        for pair in self.samples.windows(2) {
            path_m += (pair[1].position - pair[0].position).norm();
            turned_rad += (pair[1].heading - pair[0].heading).abs();
        }
        let irregularity = turned_rad / path_m - turning_per_metre(geodesic);
        // Not finite if the simulation produced non-finite poses.
        (path_m >= MIN_PATH_M && irregularity.is_finite()).then_some(irregularity)
    }

    fn failed(&self, kind: FailureKind) -> bool {
        let window = (WINDOW_SECS / self.dt_secs).round().max(1.0) as usize;
        let samples = &self.samples;
        let starts = || samples.iter().enumerate();
        // The samples in the window after a start, if the episode lasts until its end.
        let complete_window = |start: usize| {
            let end = start + window;
            (end < samples.len()).then(|| &samples[start + 1..=end])
        };
        match kind {
            FailureKind::Stuck => starts().any(|(start, from)| {
                complete_window(start).is_some_and(|window| {
                    window.iter().all(|sample| {
                        sample.is_within(STUCK_M, from)
                            && (sample.heading - from.heading).abs() <= STUCK_RAD
                    })
                })
            }),
            FailureKind::Spinning => starts().any(|(start, from)| {
                samples[start + 1..]
                    .iter()
                    .take(window)
                    .take_while(|sample| sample.is_within(STAY_RADIUS_M, from))
                    .any(|sample| (sample.heading - from.heading).abs() >= SPIN_RAD)
            }),
            FailureKind::Oscillating => {
                let speeds =
                    cumulative_reversals(samples.iter().map(|sample| sample.speed), MIN_SPEED_MPS);
                let turn_rates = cumulative_reversals(
                    samples.iter().map(|sample| sample.turn_rate),
                    MIN_TURN_RATE_RADPS,
                );
                starts().any(|(start, from)| {
                    let too_many = |count: &[u32]| {
                        let end = start + window;
                        end < count.len() && count[end] - count[start] > MAX_REVERSALS
                    };
                    (too_many(&speeds) || too_many(&turn_rates))
                        && complete_window(start).is_some_and(|window| {
                            window
                                .iter()
                                .all(|sample| sample.is_within(STAY_RADIUS_M, from))
                        })
                })
            }
            FailureKind::Grazing => samples[..samples.len() - 1]
                .iter()
                .any(|sample| sample.contact),
        }
    }
}

impl RobotSample {
    fn is_within(&self, distance_m: f64, other: &Self) -> bool {
        (self.position - other.position).norm() <= distance_m
    }
}

/// The footprint in world coordinates; `None` for a round robot.
fn world_footprint(robot: &RobotSnapshot, parameters: &RobotParameters) -> Option<Footprint> {
    let (sin, cos) = libm::sincosf(robot.heading_rad);
    let footprint = parameters.footprint.as_ref()?;
    Some(footprint.placed(robot.position.into(), Vector2::new(cos, sin)))
}

/// Number of sign changes up to each value. Values below `threshold` in magnitude have no sign.
fn cumulative_reversals(values: impl Iterator<Item = f64>, threshold: f64) -> Vec<u32> {
    let mut sign = 0.0;
    let mut count = 0;
    values
        .map(|value| {
            if value.abs() >= threshold {
                count += u32::from(sign * value < 0.0);
                sign = value.signum();
            }
            count
        })
        .collect()
}

/// Turning of a polyline per metre, radians; 0 for one without length.
fn turning_per_metre(points: &[Point2<f32>]) -> f64 {
    /// Shortest segment whose direction is accurate in single precision, metres.
    const MIN_SEGMENT_M: f64 = 1e-3;
    let mut length_m = 0.0;
    let mut turned_rad = 0.0;
    let mut last_direction: Option<f64> = None;
    let mut points = points.iter().map(|point| point.cast::<f64>());
    let Some(mut from) = points.next() else {
        return 0.0;
    };
    for to in points {
        let segment = to - from;
        if segment.norm() < MIN_SEGMENT_M {
            continue;
        }
        let direction = segment.y.atan2(segment.x);
        turned_rad += last_direction.map_or(0.0, |last| wrap_angle(direction - last).abs());
        length_m += segment.norm();
        last_direction = Some(direction);
        from = to;
    }
    if length_m > 0.0 {
        turned_rad / length_m
    } else {
        0.0
    }
}

/// The equivalent angle in [−π, π].
fn wrap_angle(angle: f64) -> f64 {
    (angle + PI).rem_euclid(TAU) - PI
}

#[cfg(test)]
mod tests {
    use super::*;

    const DT: f64 = 0.1;

    fn sample(x: f64, y: f64, heading: f64) -> RobotSample {
        RobotSample {
            position: Point2::new(x, y),
            heading,
            speed: 0.0,
            turn_rate: 0.0,
            clearance: 1.0,
            contact: false,
            mover_gap: None,
        }
    }

    fn recorder(samples: impl IntoIterator<Item = RobotSample>) -> DrivingRecorder {
        let mut recorder = DrivingRecorder {
            dt_secs: DT,
            index: 0,
            robots: Vec::new(),
            samples: Vec::new(),
        };
        for mut sample in samples {
            sample.heading = wrap_angle(sample.heading);
            recorder.push(sample);
        }
        recorder
    }

    fn failures(samples: impl IntoIterator<Item = RobotSample>) -> Vec<FailureKind> {
        recorder(samples).finish(None).failures
    }

    /// Indices of the samples of an episode of this length.
    fn steps(seconds: f64) -> impl Iterator<Item = f64> {
        (0..=(seconds / DT).round() as u32).map(f64::from)
    }

    fn near(actual: f64, expected: f64) {
        assert!(
            (actual - expected).abs() < 1e-9,
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn time_below_the_margin_and_near_movers_is_counted_in_steps() {
        // The sample at the start does not count. A clearance of 0.2 m is not below the margin.
        let clearances = [0.1, 0.1, 0.2, 0.3, 0.19];
        let gaps = [0.0, 0.4, 1.0, 2.0, 4.0];
        let samples = clearances
            .into_iter()
            .zip(gaps)
            .map(|(clearance, gap)| RobotSample {
                clearance,
                mover_gap: Some(gap),
                ..sample(0.0, 0.0, 0.0)
            });
        let quality = recorder(samples).finish(None);
        near(quality.below_margin_secs, 0.2);
        assert_eq!(quality.proxemics, Some([0.25, 0.5, 0.75]));
        let alone = recorder(steps(1.0).map(|_| sample(0.0, 0.0, 0.0))).finish(None);
        assert_eq!(alone.proxemics, None);
    }

    #[test]
    fn irregularity_is_turning_in_excess_of_the_shortest_path() {
        // A path of two metres with a quarter turn, compared with a corner and with a straight
        // line.
        let corner = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)].map(|(x, y)| Point2::new(x, y));
        let straight = [Point2::new(0.0, 0.0), Point2::new(2.0, 0.0)];
        let turning = || {
            recorder([
                sample(0.0, 0.0, 0.0),
                sample(1.0, 0.0, PI / 2.0),
                sample(1.0, 1.0, PI / 2.0),
            ])
        };
        let irregularity = |recorder: DrivingRecorder, geodesic: &[Point2<f32>]| {
            recorder.finish(Some(geodesic)).irregularity_radpm
        };
        near(irregularity(turning(), &corner).unwrap(), 0.0);
        near(irregularity(turning(), &straight).unwrap(), PI / 4.0);
        // Across ±π, the smaller angle counts.
        let across = recorder([sample(0.0, 0.0, PI - 0.1), sample(-1.0, 0.0, -PI + 0.1)]);
        near(irregularity(across, &straight).unwrap(), 0.2);
        // A driven path without length has no irregularity. A shortest path without length has no
        // turning.
        let still = recorder(steps(5.0).map(|k| sample(0.0, 0.0, k)));
        assert_eq!(irregularity(still, &straight), None);
        near(irregularity(turning(), &straight[..1]).unwrap(), PI / 4.0);
        assert_eq!(turning().finish(None).irregularity_radpm, None);
    }

    #[test]
    fn the_turning_of_an_arc_is_its_angle() {
        let arc = (0..=20).map(|index| {
            let angle = f64::from(index) / 20.0 * PI;
            Point2::new(angle.sin() as f32, -angle.cos() as f32)
        });
        let path = [Point2::new(-2.0, -1.0)].into_iter().chain(arc);
        let path: Vec<_> = path.chain([Point2::new(-2.0, 1.0)]).collect();
        let expected = PI / (PI + 4.0);
        assert!((turning_per_metre(&path) - expected).abs() < 1e-3);
    }

    #[test]
    fn a_robot_is_stuck_after_ten_seconds_on_the_spot() {
        let creep = |seconds| steps(seconds).map(|k| sample(0.0019 * k, 0.0, 0.0025 * k));
        assert_eq!(failures(creep(10.0)), [FailureKind::Stuck]);
        assert_eq!(failures(creep(9.9)), []);
        let driving = steps(10.0).map(|k| sample(0.0021 * k, 0.0, 0.0));
        assert_eq!(failures(driving), [], "0.21 m in 10 s");
        let turning = steps(10.0).map(|k| sample(0.0, 0.0, 0.0027 * k));
        assert_eq!(failures(turning), [], "15.5° in 10 s");
        let later = steps(5.0).map(|k| sample(-6.0 + 0.1 * k, 0.0, 0.0));
        let later = later.chain(steps(11.0).map(|_| sample(0.0, 0.0, 0.0)));
        assert_eq!(failures(later), [FailureKind::Stuck]);
    }

    #[test]
    fn a_robot_spins_with_two_net_turns_in_ten_seconds() {
        let spin = |rate: f64, speed: f64| {
            steps(12.0).map(move |k| sample(speed * k * DT, 0.0, rate * k * DT))
        };
        assert_eq!(failures(spin(1.3, 0.0)), [FailureKind::Spinning]);
        assert_eq!(failures(spin(-1.3, 0.09)), [FailureKind::Spinning]);
        assert_eq!(failures(spin(1.2, 0.0)), [], "12 rad in 10 s");
        assert_eq!(failures(spin(1.3, 0.2)), [], "moves two metres");
        // Alternating turns have no net turn.
        let sway = steps(12.0).map(|k| sample(0.0, 0.0, 3.0 * (0.3 * k).sin()));
        assert_eq!(failures(sway), []);
    }

    #[test]
    fn a_robot_oscillates_with_more_than_ten_reversals_in_ten_seconds() {
        // Reverses every `period` steps and drifts forward.
        let shuttle = |period: f64, speed: f64, drift: f64| {
            steps(12.0).map(move |k| {
                let forward = (k / period).floor() % 2.0 == 0.0;
                RobotSample {
                    speed: if forward { speed } else { -speed },
                    ..sample(0.3 * (k % 2.0) + drift * k, 0.0, 0.0)
                }
            })
        };
        assert_eq!(failures(shuttle(8.0, 0.3, 0.0)), [FailureKind::Oscillating]);
        assert_eq!(
            failures(shuttle(12.0, 0.3, 0.0)),
            [],
            "eight reversals in 10 s"
        );
        assert_eq!(failures(shuttle(8.0, 0.04, 0.0)), [], "hardly moves");
        assert_eq!(failures(shuttle(8.0, 0.3, 0.02)), [], "drifts away");
        let turning = steps(12.0).map(|k| RobotSample {
            turn_rate: if k % 4.0 < 2.0 { 1.0 } else { -1.0 },
            ..sample(0.3 * (k % 2.0), 0.0, 0.0)
        });
        assert_eq!(failures(turning), [FailureKind::Oscillating]);
    }

    #[test]
    fn contact_that_does_not_end_the_episode_is_grazing() {
        let touching = |step: f64| {
            steps(1.0).map(move |k| RobotSample {
                contact: (k - step).abs() < 0.5,
                ..sample(k * DT, 0.0, 0.0)
            })
        };
        assert_eq!(failures(touching(4.0)), [FailureKind::Grazing]);
        assert_eq!(failures(touching(10.0)), [], "the last step of the episode");
        assert_eq!(failures(touching(-1.0)), []);
    }
}
