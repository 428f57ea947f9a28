//! How a robot drove, beyond whether it arrived: nearness to things and to movers, superfluous
//! turning, and the ways of failing that no outcome names.

use std::f64::consts::{PI, TAU};

use nalgebra::{Point2, Vector2};

use super::{DrivingQuality, FailureKind};
use evenkeel_sim::scenario::{Footprint, RobotPlacement};
use evenkeel_sim::sim::{RobotSnapshot, WorldSnapshot};

/// Clearance below which a robot is counted as too near, metres.
pub const SAFETY_MARGIN_M: f64 = 0.2;

/// Distances from a mover, surface to surface, within which time is counted, metres: the bounds
/// of intimate, personal and social distance (Hall 1966).
pub const PROXEMIC_M: [f64; 3] = [0.45, 1.2, 3.6];

/// A path shorter than this has no turning per metre, metres.
const SHORTEST_PATH_M: f64 = 0.1;

/// Time that the failure kinds are about, seconds.
const WINDOW_SECS: f64 = 10.0;
/// A stuck robot stays within this far of where it was, metres.
const STUCK_M: f64 = 0.2;
/// A stuck robot stays within this of the heading that it had, radians.
const STUCK_RAD: f64 = PI / 12.0;
/// A spinning or oscillating robot stays within this far of where it was, metres.
const STAY_RADIUS_M: f64 = 1.0;
/// Net turning of a spinning robot: two turns, radians.
const SPIN_RAD: f64 = 2.0 * TAU;
/// An oscillating robot reverses more often than this.
const MAX_REVERSALS: u32 = 10;
/// Slower than this is no direction, metres per second.
const MIN_SPEED_MPS: f64 = 0.05;
/// Turning slower than this is no direction, radians per second.
const MIN_TURN_RATE_RADPS: f64 = 0.1;

/// The robot at one control step.
#[derive(Clone, Copy, Debug)]
struct RobotSample {
    position: Point2<f64>,
    /// Turned since the start, whole turns included, radians.
    heading: f64,
    speed: f64,
    turn_rate: f64,
    clearance: f64,
    contact: bool,
    /// To the nearest mover, surface to surface; absent without movers.
    mover_gap: Option<f64>,
}

/// Records how an episode is driven.
#[derive(Debug)]
pub(super) struct DrivingRecorder {
    dt_secs: f64,
    /// The robot's place among those of the episode, and all of them.
    index: usize,
    robots: Vec<RobotPlacement>,
    /// The start first.
    samples: Vec<RobotSample>,
}

impl DrivingRecorder {
    pub(super) fn begin(
        dt_secs: f64,
        robots: &[RobotPlacement],
        index: usize,
        frame: &WorldSnapshot,
    ) -> Self {
        let mut record = Self {
            dt_secs,
            index,
            robots: robots.to_vec(),
            samples: Vec::new(),
        };
        record.step(frame);
        record
    }

    pub(super) fn step(&mut self, frame: &WorldSnapshot) {
        let (robot, placed) = (&frame.robots[self.index], &self.robots[self.index]);
        let place = |[x, y]: [f32; 2]| Point2::new(f64::from(x), f64::from(y));
        let position = place(robot.position);
        let heading = f64::from(robot.heading_rad);
        let footprint = world_footprint(robot, placed);
        let gap = |centre: [f32; 2], radius: f32| {
            if let Some(footprint) = &footprint {
                return f64::from(footprint.distance_to_disc(centre.into(), radius));
            }
            let centres = (place(centre) - position).norm();
            centres - f64::from(radius) - f64::from(placed.radius)
        };
        let movers = frame.movers.iter();
        let movers = movers.map(|mover| gap(mover.position, mover.radius_m));
        // Other robots move by themselves as far as this one is concerned.
        let others = frame.robots.iter().zip(&self.robots).enumerate();
        let others = others.filter(|(other, _)| *other != self.index);
        let others =
            others.map(
                |(_, (other, placed))| match (&footprint, world_footprint(other, placed)) {
                    (Some(mine), Some(other)) => f64::from(mine.distance_to_footprint(&other)),
                    _ => gap(other.position, placed.radius),
                },
            );
        let gaps = movers.chain(others);
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

    /// Takes a moment whose heading is still within one turn.
    fn push(&mut self, mut sample: RobotSample) {
        if let Some(before) = self.samples.last() {
            sample.heading = before.heading + wrapped(sample.heading - before.heading);
        }
        self.samples.push(sample);
    }

    /// The figures. `geodesic` is the shortest path as a polyline, where it was computed.
    pub(super) fn finish(&self, geodesic: Option<&[Point2<f32>]>) -> DrivingQuality {
        // Each step is `dt_secs` of time and is taken as it ended.
        let driven = &self.samples[1..];
        let within = |limit: f64| {
            let near = |sample: &&RobotSample| sample.mover_gap.is_some_and(|gap| gap < limit);
            driven.iter().filter(near).count() as f64 / driven.len() as f64
        };
        let movers = driven
            .first()
            .is_some_and(|sample| sample.mover_gap.is_some());
        let below = driven
            .iter()
            .filter(|sample| sample.clearance < SAFETY_MARGIN_M);
        DrivingQuality {
            below_margin_secs: below.count() as f64 * self.dt_secs,
            proxemics: movers.then(|| PROXEMIC_M.map(within)),
            irregularity_radpm: geodesic.and_then(|points| self.irregularity(points)),
            failures: FailureKind::ALL
                .into_iter()
                .filter(|&kind| self.failed(kind))
                .collect(),
        }
    }

    /// Turning per metre driven less turning per metre of the shortest path.
    fn irregularity(&self, geodesic: &[Point2<f32>]) -> Option<f64> {
        let mut path = 0.0;
        let mut turned = 0.0;
        for pair in self.samples.windows(2) {
            path += (pair[1].position - pair[0].position).norm();
            turned += (pair[1].heading - pair[0].heading).abs();
        }
        let irregularity = turned / path - turning_per_metre(geodesic);
        // A robot that the world has lost has none either.
        (path >= SHORTEST_PATH_M && irregularity.is_finite()).then_some(irregularity)
    }

    fn failed(&self, kind: FailureKind) -> bool {
        let window = (WINDOW_SECS / self.dt_secs).round().max(1.0) as usize;
        let samples = &self.samples;
        let starts = || samples.iter().enumerate();
        // The moments after a start that lie in its window, and whether the window is whole.
        let window_of = |start: usize| {
            let end = start + window;
            (end < samples.len()).then(|| &samples[start + 1..=end])
        };
        match kind {
            FailureKind::Stuck => starts().any(|(start, from)| {
                window_of(start).is_some_and(|window| {
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
                let speeds = reversals(samples.iter().map(|sample| sample.speed), MIN_SPEED_MPS);
                let turns = reversals(
                    samples.iter().map(|sample| sample.turn_rate),
                    MIN_TURN_RATE_RADPS,
                );
                starts().any(|(start, from)| {
                    let often = |count: &[u32]| {
                        let end = start + window;
                        end < count.len() && count[end] - count[start] > MAX_REVERSALS
                    };
                    (often(&speeds) || often(&turns))
                        && window_of(start).is_some_and(|window| {
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
    fn is_within(&self, metres: f64, of: &Self) -> bool {
        (self.position - of.position).norm() <= metres
    }
}

/// The outline of a robot that is not round, where it is.
fn world_footprint(robot: &RobotSnapshot, placed: &RobotPlacement) -> Option<Footprint> {
    let (sin, cos) = libm::sincosf(robot.heading_rad);
    let footprint = placed.footprint.as_ref()?;
    Some(footprint.placed(robot.position.into(), Vector2::new(cos, sin)))
}

/// How often the sign has changed up to each value; within ±`still` a value has none.
fn reversals(values: impl Iterator<Item = f64>, still: f64) -> Vec<u32> {
    let mut sign = 0.0;
    let mut count = 0;
    values
        .map(|value| {
            if value.abs() >= still {
                count += u32::from(sign * value < 0.0);
                sign = value.signum();
            }
            count
        })
        .collect()
}

/// Radians that a polyline turns per metre; 0 for one without length.
fn turning_per_metre(points: &[Point2<f32>]) -> f64 {
    /// Shorter lines have no direction in single precision, metres.
    const SHORTEST_LINE_M: f64 = 1e-3;
    let mut length = 0.0;
    let mut turned = 0.0;
    let mut direction: Option<f64> = None;
    let mut points = points.iter().map(|point| point.cast::<f64>());
    let Some(mut from) = points.next() else {
        return 0.0;
    };
    for to in points {
        let line = to - from;
        if line.norm() < SHORTEST_LINE_M {
            continue;
        }
        let now = line.y.atan2(line.x);
        turned += direction.map_or(0.0, |before| wrapped(now - before).abs());
        length += line.norm();
        direction = Some(now);
        from = to;
    }
    if length > 0.0 { turned / length } else { 0.0 }
}

/// The same angle in [-π, π].
fn wrapped(angle: f64) -> f64 {
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

    fn record(samples: impl IntoIterator<Item = RobotSample>) -> DrivingRecorder {
        let mut record = DrivingRecorder {
            dt_secs: DT,
            index: 0,
            robots: Vec::new(),
            samples: Vec::new(),
        };
        for mut sample in samples {
            sample.heading = wrapped(sample.heading);
            record.push(sample);
        }
        record
    }

    fn failures(samples: impl IntoIterator<Item = RobotSample>) -> Vec<FailureKind> {
        record(samples).finish(None).failures
    }

    fn steps(seconds: f64) -> impl Iterator<Item = f64> {
        (0..=(seconds / DT).round() as u32).map(f64::from)
    }

    fn near(found: f64, expect: f64) {
        assert!((found - expect).abs() < 1e-9, "{found} is not {expect}");
    }

    #[test]
    fn time_below_the_margin_and_near_movers_is_counted_in_steps() {
        // The start is no time; then 0.1, 0.2 (not below), 0.3 and 0.19 m of clearance.
        let clearances = [0.1, 0.1, 0.2, 0.3, 0.19];
        let gaps = [0.0, 0.4, 1.0, 2.0, 4.0];
        let conduct =
            record(
                clearances
                    .into_iter()
                    .zip(gaps)
                    .map(|(clearance, gap)| RobotSample {
                        clearance,
                        mover_gap: Some(gap),
                        ..sample(0.0, 0.0, 0.0)
                    }),
            )
            .finish(None);
        near(conduct.below_margin_secs, 0.2);
        assert_eq!(conduct.proxemics, Some([0.25, 0.5, 0.75]));
        let alone = record(steps(1.0).map(|_| sample(0.0, 0.0, 0.0))).finish(None);
        assert_eq!(alone.proxemics, None);
    }

    #[test]
    fn irregularity_is_turning_that_the_shortest_path_spares() {
        // Two metres with a quarter turn; a right angle of two metres is no worse.
        let corner = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)].map(|(x, y)| Point2::new(x, y));
        let straight = [Point2::new(0.0, 0.0), Point2::new(2.0, 0.0)];
        let turning = || {
            record([
                sample(0.0, 0.0, 0.0),
                sample(1.0, 0.0, PI / 2.0),
                sample(1.0, 1.0, PI / 2.0),
            ])
        };
        let irregularity = |record: DrivingRecorder, way: &[Point2<f32>]| {
            record.finish(Some(way)).irregularity_radpm
        };
        near(irregularity(turning(), &corner).unwrap(), 0.0);
        near(irregularity(turning(), &straight).unwrap(), PI / 4.0);
        // Across ±π the short way is meant.
        let across = record([sample(0.0, 0.0, PI - 0.1), sample(-1.0, 0.0, -PI + 0.1)]);
        near(irregularity(across, &straight).unwrap(), 0.2);
        // A path without length has none, and a shortest path without length turns not at all.
        let still = record(steps(5.0).map(|k| sample(0.0, 0.0, k)));
        assert_eq!(irregularity(still, &straight), None);
        near(irregularity(turning(), &straight[..1]).unwrap(), PI / 4.0);
        assert_eq!(turning().finish(None).irregularity_radpm, None);
    }

    #[test]
    fn a_geodesic_arc_turns_by_its_whole_angle() {
        let arc = (0..=20).map(|cut| {
            let angle = f64::from(cut) / 20.0 * PI;
            Point2::new(angle.sin() as f32, -angle.cos() as f32)
        });
        let way = [Point2::new(-2.0, -1.0)].into_iter().chain(arc);
        let way: Vec<_> = way.chain([Point2::new(-2.0, 1.0)]).collect();
        let expect = PI / (PI + 4.0);
        assert!((turning_per_metre(&way) - expect).abs() < 1e-3);
    }

    #[test]
    fn ten_seconds_on_the_spot_are_stuck_and_less_is_not() {
        let creep = |seconds| steps(seconds).map(|k| sample(0.0019 * k, 0.0, 0.0025 * k));
        assert_eq!(failures(creep(10.0)), [FailureKind::Stuck]);
        assert_eq!(failures(creep(9.9)), []);
        let driving = steps(10.0).map(|k| sample(0.0021 * k, 0.0, 0.0));
        assert_eq!(failures(driving), [], "0.21 m in 10 s");
        let looking = steps(10.0).map(|k| sample(0.0, 0.0, 0.0027 * k));
        assert_eq!(failures(looking), [], "15.5° in 10 s");
        let later = steps(5.0).map(|k| sample(-6.0 + 0.1 * k, 0.0, 0.0));
        let later = later.chain(steps(11.0).map(|_| sample(0.0, 0.0, 0.0)));
        assert_eq!(failures(later), [FailureKind::Stuck]);
    }

    #[test]
    fn two_net_turns_within_a_metre_and_ten_seconds_are_spinning() {
        let spin = |rate: f64, speed: f64| {
            steps(12.0).map(move |k| sample(speed * k * DT, 0.0, rate * k * DT))
        };
        assert_eq!(failures(spin(1.3, 0.0)), [FailureKind::Spinning]);
        assert_eq!(failures(spin(-1.3, 0.09)), [FailureKind::Spinning]);
        assert_eq!(failures(spin(1.2, 0.0)), [], "12 rad in 10 s");
        assert_eq!(failures(spin(1.3, 0.2)), [], "two metres on");
        // To and fro is no net turn.
        let sway = steps(12.0).map(|k| sample(0.0, 0.0, 3.0 * (0.3 * k).sin()));
        assert_eq!(failures(sway), []);
    }

    #[test]
    fn more_than_ten_reversals_in_ten_seconds_within_a_metre_are_oscillating() {
        // Reverses every `every` steps while drifting along.
        let shuttle = |every: f64, speed: f64, drift: f64| {
            steps(12.0).map(move |k| {
                let forward = (k / every).floor() % 2.0 == 0.0;
                RobotSample {
                    speed: if forward { speed } else { -speed },
                    ..sample(0.3 * (k % 2.0) + drift * k, 0.0, 0.0)
                }
            })
        };
        assert_eq!(failures(shuttle(8.0, 0.3, 0.0)), [FailureKind::Oscillating]);
        assert_eq!(failures(shuttle(12.0, 0.3, 0.0)), [], "eight in 10 s");
        assert_eq!(failures(shuttle(8.0, 0.04, 0.0)), [], "hardly moves");
        assert_eq!(failures(shuttle(8.0, 0.3, 0.02)), [], "gets on");
        let wavering = steps(12.0).map(|k| RobotSample {
            turn_rate: if k % 4.0 < 2.0 { 1.0 } else { -1.0 },
            ..sample(0.3 * (k % 2.0), 0.0, 0.0)
        });
        assert_eq!(failures(wavering), [FailureKind::Oscillating]);
    }

    #[test]
    fn contact_that_ends_nothing_is_grazing() {
        let touching = |at: f64| {
            steps(1.0).map(move |k| RobotSample {
                contact: (k - at).abs() < 0.5,
                ..sample(k * DT, 0.0, 0.0)
            })
        };
        assert_eq!(failures(touching(4.0)), [FailureKind::Grazing]);
        assert_eq!(failures(touching(10.0)), [], "the last step of the episode");
        assert_eq!(failures(touching(-1.0)), []);
    }
}
