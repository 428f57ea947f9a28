//! The lidar of a robot: its mount, noise, latency and scan period. The scene gives exact
//! distances; this file turns them into readings.

use nalgebra::Vector2;
use rand::Rng as _;
use rand::RngExt as _;

use super::lidar::{Beams, Clearances, Pose2, ScanReadings};
use super::scene::Scene;
use crate::scenario::spec::LidarSpec;
use crate::scenario::{EpisodeKey, LidarParameters};
use crate::seed::{Purpose, Rng, normal};

/// Bearing noise is clamped to this many standard deviations.
const MAX_DEVIATIONS: f32 = 4.0;

/// A lidar in one episode.
#[derive(Debug)]
pub(super) struct Sensor {
    /// The nominal beams.
    beams: Beams,
    /// The last scan as it was cast, without noise.
    scan: ScanReadings,
    /// Whether each scan is exact, of the current step, and cast from the robot's origin along its
    /// heading.
    pub(super) is_ideal: bool,
    /// The beams of one scan with bearing noise.
    jittered: Option<Box<Beams>>,
    /// Zero beams, with which a scene measures distances only. Boxed, like all that an ideal lidar
    /// does not use, because the worlds that are stepped in turn share a cache.
    distance_only: Box<(Beams, ScanReadings)>,
    parameters: LidarParameters,
    /// Cosine and sine of `parameters.yaw_rad`.
    yaw: [f32; 2],
    noise: Box<NoiseStreams>,
    /// Control steps from one scan to the next.
    period: u32,
    /// Readings, `[latency + 1, beams]`, a ring: those of step n are in row n modulo the number of
    /// rows. Empty if the readings are the last scan.
    delay_line: Vec<f32>,
}

/// A random stream for each kind of noise, so that enabling one kind does not change the draws of
/// another.
#[derive(Debug, Default)]
struct NoiseStreams {
    bearing: Option<Rng>,
    range: Option<Rng>,
    dropout: Option<Rng>,
}

impl NoiseStreams {
    fn new(parameters: &LidarParameters, key: EpisodeKey) -> Self {
        if parameters.bearing_noise <= 0.0
            && parameters.range_noise <= 0.0
            && parameters.dropout <= 0.0
        {
            return Self::default();
        }
        let mut root = key.stream(Purpose::Sensor);
        let mut stream = |amount: f32| {
            let (high, low) = (u128::from(root.next_u64()), u128::from(root.next_u64()));
            (amount > 0.0).then(|| Rng::new((high << 64) | low))
        };
        Self {
            bearing: stream(parameters.bearing_noise),
            range: stream(parameters.range_noise),
            dropout: stream(parameters.dropout),
        }
    }
}

impl Sensor {
    pub(super) fn new(spec: &LidarSpec) -> Self {
        let beams = Beams::of(spec);
        let widest = MAX_DEVIATIONS * spec.bearing_noise_rad.max() as f32;
        Self {
            jittered: (widest > 0.0).then(|| Box::new(beams.with_slack(widest))),
            distance_only: Box::new((Beams::none(), ScanReadings::new(&Beams::none()))),
            scan: ScanReadings::new(&beams),
            beams,
            is_ideal: true,
            parameters: LidarParameters::default(),
            yaw: [1.0, 0.0],
            noise: Box::default(),
            period: 1,
            delay_line: Vec::new(),
        }
    }

    /// Starts an episode. [`Self::sense`] at step 0 must follow.
    pub(super) fn reset(&mut self, parameters: LidarParameters, key: EpisodeKey, dt_secs: f32) {
        let steps = |secs: f32| (secs / dt_secs).round() as u32;
        let latency = steps(parameters.latency_secs) as usize;
        self.period = steps(parameters.period_secs).max(1);
        *self.noise = NoiseStreams::new(&parameters, key);
        let (sin, cos) = libm::sincosf(parameters.yaw_rad);
        self.yaw = [cos, sin];
        let exact = parameters.range_noise <= 0.0
            && parameters.dropout <= 0.0
            && parameters.resolution <= 0.0
            && latency == 0;
        self.parameters = parameters;
        self.delay_line.clear();
        if !exact {
            self.delay_line
                .resize((latency + 1) * self.beams.count(), 0.0);
        }
        self.is_ideal = exact
            && self.period == 1
            && parameters.bearing_noise <= 0.0
            && parameters.position == Vector2::zeros()
            && parameters.yaw_rad == 0.0;
    }

    /// Takes the scan of a control step, and measures the distances from the robot's origin.
    #[inline]
    pub(super) fn sense(&mut self, scene: &Scene, robot: Pose2, step: u32) -> Clearances {
        if self.is_ideal {
            return scene.sense(&self.beams, robot, self.parameters.range, &mut self.scan);
        }
        self.sense_with_noise(scene, robot, step)
    }

    fn sense_with_noise(&mut self, scene: &Scene, robot: Pose2, step: u32) -> Clearances {
        let is_due = step.is_multiple_of(self.period);
        let is_off_origin = self.parameters.position != Vector2::zeros();
        let mut clearances = None;
        if is_due {
            let pose = self.pose(robot);
            let beams = match (&mut self.jittered, &mut self.noise.bearing) {
                (Some(jittered), Some(rng)) => {
                    jitter(jittered, &self.beams, self.parameters.bearing_noise, rng);
                    &**jittered
                }
                _ => &self.beams,
            };
            let from_sensor = scene.sense(beams, pose, self.parameters.range, &mut self.scan);
            clearances = (!is_off_origin).then_some(from_sensor);
        }
        if !self.delay_line.is_empty() {
            self.queue(step, is_due);
        }
        clearances.unwrap_or_else(|| self.measure(scene, robot))
    }

    /// Measures the clearances of the robot's origin without a scan.
    pub(super) fn measure(&mut self, scene: &Scene, robot: Pose2) -> Clearances {
        let (beams, ranges) = &mut *self.distance_only;
        scene.sense(beams, robot, self.parameters.range, ranges)
    }

    /// Readings, metres, `[beams]`, at control step `step`, which must be the last that was sensed.
    #[inline]
    pub(super) fn ranges(&self, step: u32) -> &[f32] {
        if self.delay_line.is_empty() {
            return self.scan.readings();
        }
        // The row that the next step will overwrite is the oldest.
        &self.delay_line[self.row(step + 1)]
    }

    /// Indices of the row of a step in the delay line.
    fn row(&self, step: u32) -> std::ops::Range<usize> {
        let beams = self.beams.count();
        let row = step as usize % (self.delay_line.len() / beams);
        row * beams..(row + 1) * beams
    }

    /// Pose of the sensor for a pose of the robot.
    fn pose(&self, robot: Pose2) -> Pose2 {
        let [x, y] = self.parameters.position.into();
        if self.parameters.yaw_rad == 0.0 && x == 0.0 && y == 0.0 {
            return robot;
        }
        let Pose2 { cos, sin, .. } = robot;
        let [yaw_cos, yaw_sin] = self.yaw;
        Pose2 {
            x: robot.x + cos * x - sin * y,
            y: robot.y + sin * x + cos * y,
            cos: cos * yaw_cos - sin * yaw_sin,
            sin: sin * yaw_cos + cos * yaw_sin,
        }
    }

    /// Writes the readings of a step to the delay line: those of the new scan if one is due, and
    /// else those of the step before.
    fn queue(&mut self, step: u32, is_due: bool) {
        let here = self.row(step);
        if !is_due {
            let last = self.row(step - 1);
            self.delay_line.copy_within(last, here.start);
            return;
        }
        let readings = &mut self.delay_line[here.clone()];
        readings.copy_from_slice(self.scan.readings());
        apply_noise(readings, &self.parameters, &mut self.noise);
        if step == 0 {
            // The first scan fills the whole delay line.
            let beams = self.beams.count();
            for row in 1..self.delay_line.len() / beams {
                self.delay_line.copy_within(here.clone(), row * beams);
            }
        }
    }
}

/// Adds bearing noise to the beams of one scan.
fn jitter(jittered: &mut Beams, beams: &Beams, deviation: f32, rng: &mut Rng) {
    jittered.rotate_each(beams, || {
        let draw = normal(rng).clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS);
        let (sin, cos) = libm::sincosf(draw * deviation);
        [cos, sin]
    });
}

/// Turns exact distances, metres, `[beams]`, into readings.
fn apply_noise(readings: &mut [f32], parameters: &LidarParameters, noise: &mut NoiseStreams) {
    let range = parameters.range;
    if let Some(rng) = &mut noise.range {
        for reading in &mut *readings {
            let noise = parameters.range_noise * normal(rng);
            if *reading < range {
                *reading = (*reading + noise).clamp(0.0, range);
            }
        }
    }
    let step = parameters.resolution;
    if step > 0.0 {
        for reading in &mut *readings {
            if *reading < range {
                *reading = ((*reading / step).round() * step).min(range);
            }
        }
    }
    if let Some(rng) = &mut noise.dropout {
        for reading in readings {
            if rng.random::<f32>() < parameters.dropout {
                *reading = range;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_users_of_beam_directions_agree() {
        for view in [
            0.5,
            90.0,
            180.0,
            270.0,
            359.0,
            359.99,
            359.9942,
            359.9943,
            359.999,
            359.999_999,
            360.0,
        ] {
            for count in [1, 2, 3, 8, 64] {
                let lidar = format!(
                    "robot.lidar={{ beams = {count}, range_m = 5.0, field_of_view_deg = {view} }}"
                );
                let lidar = crate::config::Override::parse(&lidar).unwrap();
                let scenario = crate::scenario::resolve("open_field", &[lidar]).unwrap();
                let spec = &scenario.spec.robot[0].lidar;
                let beams = Beams::of(spec);
                let (first, step, full) = beams.spacing();
                assert_eq!(full, spec.is_full_circle(), "{view}");
                // Those of a recording, which gives the outer beams only.
                let [low, high] = spec.outer_bearings_rad();
                for beam in 0..count as usize {
                    let share = beam as f64 / (count as f64 - 1.0).max(1.0);
                    let recorded = low + (high - low) * share;
                    let simulated = f64::from(first) + f64::from(step) * beam as f64;
                    let [x, y] = beams.direction(beam).map(f64::from);
                    let (sin, cos) = (libm::sin(recorded), libm::cos(recorded));
                    let off = (x - cos).abs().max((y - sin).abs());
                    assert!(
                        off < 1e-5,
                        "{count} beams over {view}°: beam {beam} is {off} off"
                    );
                    assert!((recorded - simulated).abs() < 1e-5);
                }
            }
        }
    }
}
