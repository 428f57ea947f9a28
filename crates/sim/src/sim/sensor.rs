//! The lidar as its owner has it: mounted somewhere, noisy, late, slow. The caster gives what is
//! true; this makes of it what is read.

use nalgebra::Vector2;
use rand::Rng as _;
use rand::RngExt as _;

use super::lidar::{Beams, Distances, Ranges, SensorPose};
use super::scene::Scene;
use crate::scenario::spec::LidarSpec;
use crate::scenario::{EpisodeKey, LidarParameters};
use crate::seed::{Purpose, Rng, normal};

/// Draws of a beam's direction beyond so many deviations are cut off there.
const MAX_DEVIATIONS: f32 = 4.0;

/// A lidar in one episode.
#[derive(Debug)]
pub(super) struct Sensor {
    /// Where the beams should point.
    beams: Beams,
    /// The last scan as it was cast.
    scan: Ranges,
    range: f32,
    /// Whether every scan is exact, new, and cast from the robot's origin along its heading.
    is_plain: bool,
    /// Where the beams do point in one scan, where that is another direction.
    jittered: Option<Box<Beams>>,
    /// No beams: distances are measured with them. What a plain lidar has no use for is kept out
    /// of its way, for the worlds that are stepped in turn share a cache.
    distance_only: Box<(Beams, Ranges)>,
    numbers: LidarParameters,
    /// Cosine and sine of `numbers.yaw_rad`.
    yaw: [f32; 2],
    noise: Box<Noise>,
    /// Control steps from one scan to the next.
    period: u32,
    /// Scans on their way, `[latency + 1, beams]`, that of step n in row n modulo their number;
    /// empty where what is cast is what is read.
    delay_line: Vec<f32>,
}

/// Streams for one kind of noise each, so that switching one on shifts no other.
#[derive(Debug, Default)]
struct Noise {
    bearing: Option<Rng>,
    range: Option<Rng>,
    dropout: Option<Rng>,
}

impl Noise {
    fn new(numbers: &LidarParameters, key: EpisodeKey) -> Self {
        if numbers.bearing_noise <= 0.0 && numbers.range_noise <= 0.0 && numbers.dropout <= 0.0 {
            return Self::default();
        }
        let mut root = key.stream(Purpose::Sensor);
        let mut stream = |amount: f32| {
            let (high, low) = (u128::from(root.next_u64()), u128::from(root.next_u64()));
            (amount > 0.0).then(|| Rng::new((high << 64) | low))
        };
        Self {
            bearing: stream(numbers.bearing_noise),
            range: stream(numbers.range_noise),
            dropout: stream(numbers.dropout),
        }
    }
}

impl Sensor {
    pub(super) fn new(spec: &LidarSpec) -> Self {
        let angle = spec.field_of_view_deg.to_radians() as f32;
        let beams = Beams::new(spec.beams as usize, angle);
        let widest = MAX_DEVIATIONS * spec.bearing_noise_rad.max() as f32;
        Self {
            jittered: (widest > 0.0).then(|| Box::new(beams.with_slack(widest))),
            distance_only: Box::new((Beams::none(), Ranges::new(&Beams::none()))),
            scan: Ranges::new(&beams),
            beams,
            range: 0.0,
            is_plain: true,
            numbers: LidarParameters::default(),
            yaw: [1.0, 0.0],
            noise: Box::default(),
            period: 1,
            delay_line: Vec::new(),
        }
    }

    /// Begins an episode; a look at step 0 has to follow.
    pub(super) fn reset(
        &mut self,
        numbers: LidarParameters,
        range: f32,
        key: EpisodeKey,
        dt_secs: f32,
    ) {
        let steps = |secs: f32| (secs / dt_secs).round() as u32;
        let latency = steps(numbers.latency_secs) as usize;
        self.period = steps(numbers.period_secs).max(1);
        *self.noise = Noise::new(&numbers, key);
        let (sin, cos) = libm::sincosf(numbers.yaw_rad);
        self.yaw = [cos, sin];
        self.range = range;
        let exact = numbers.range_noise <= 0.0
            && numbers.dropout <= 0.0
            && numbers.resolution <= 0.0
            && latency == 0;
        self.numbers = numbers;
        self.delay_line.clear();
        if !exact {
            self.delay_line
                .resize((latency + 1) * self.beams.count(), 0.0);
        }
        self.is_plain = exact
            && self.period == 1
            && numbers.bearing_noise <= 0.0
            && numbers.position == Vector2::zeros()
            && numbers.yaw_rad == 0.0;
    }

    /// Whether every scan is exact, new, and cast from the robot's origin along its heading.
    pub(super) fn is_ideal(&self) -> bool {
        self.is_plain
    }

    /// Looks around at a control step, and measures the distances from the robot's origin.
    #[inline]
    pub(super) fn sense(&mut self, scene: &Scene, robot: SensorPose, step: u32) -> Distances {
        if self.is_plain {
            return scene.sense(&self.beams, robot, self.range, &mut self.scan);
        }
        self.sense_with_noise(scene, robot, step)
    }

    fn sense_with_noise(&mut self, scene: &Scene, robot: SensorPose, step: u32) -> Distances {
        let due = step.is_multiple_of(self.period);
        let aside = self.numbers.position != Vector2::zeros();
        let mut distances = None;
        if due {
            let pose = self.pose(robot);
            let beams = match (&mut self.jittered, &mut self.noise.bearing) {
                (Some(jittered), Some(rng)) => {
                    jitter(jittered, &self.beams, self.numbers.bearing_noise, rng);
                    &**jittered
                }
                _ => &self.beams,
            };
            let from_sensor = scene.sense(beams, pose, self.range, &mut self.scan);
            distances = (!aside).then_some(from_sensor);
        }
        if !self.delay_line.is_empty() {
            self.queue(step, due);
        }
        distances.unwrap_or_else(|| {
            let (beams, ranges) = &mut *self.distance_only;
            scene.sense(beams, robot, self.range, ranges)
        })
    }

    /// Readings, metres, `[beams]`, of the last look, which was at this control step.
    #[inline]
    pub(super) fn ranges(&self, step: u32) -> &[f32] {
        if self.delay_line.is_empty() {
            return self.scan.readings();
        }
        // The row that the next scan will take is the oldest.
        &self.delay_line[self.row(step + 1)]
    }

    fn row(&self, step: u32) -> std::ops::Range<usize> {
        let beams = self.beams.count();
        let row = step as usize % (self.delay_line.len() / beams);
        row * beams..(row + 1) * beams
    }

    /// Where the sensor is when the robot is there.
    fn pose(&self, robot: SensorPose) -> SensorPose {
        let [x, y] = self.numbers.position.into();
        if self.numbers.yaw_rad == 0.0 && x == 0.0 && y == 0.0 {
            return robot;
        }
        let SensorPose { cos, sin, .. } = robot;
        let [yaw_cos, yaw_sin] = self.yaw;
        SensorPose {
            x: robot.x + cos * x - sin * y,
            y: robot.y + sin * x + cos * y,
            cos: cos * yaw_cos - sin * yaw_sin,
            sin: sin * yaw_cos + cos * yaw_sin,
        }
    }

    /// Puts the scan of a step in line: the new one as it is read, or the last one again.
    fn queue(&mut self, step: u32, due: bool) {
        let here = self.row(step);
        if !due {
            let last = self.row(step - 1);
            self.delay_line.copy_within(last, here.start);
            return;
        }
        let readings = &mut self.delay_line[here.clone()];
        readings.copy_from_slice(self.scan.readings());
        apply_noise(readings, &self.numbers, self.range, &mut self.noise);
        if step == 0 {
            // The first stands in for those before it.
            let beams = self.beams.count();
            for row in 1..self.delay_line.len() / beams {
                self.delay_line.copy_within(here.clone(), row * beams);
            }
        }
    }
}

/// Points every beam where it happens to point in this scan.
fn jitter(jittered: &mut Beams, beams: &Beams, deviation: f32, rng: &mut Rng) {
    jittered.rotate_each(beams, || {
        let draw = normal(rng).clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS);
        let (sin, cos) = libm::sincosf(draw * deviation);
        [cos, sin]
    });
}

/// Makes of true distances what is read of them.
fn apply_noise(readings: &mut [f32], numbers: &LidarParameters, range: f32, noise: &mut Noise) {
    if let Some(rng) = &mut noise.range {
        for reading in &mut *readings {
            let noise = numbers.range_noise * normal(rng);
            if *reading < range {
                *reading = (*reading + noise).clamp(0.0, range);
            }
        }
    }
    let step = numbers.resolution;
    if step > 0.0 {
        for reading in &mut *readings {
            if *reading < range {
                *reading = ((*reading / step).round() * step).min(range);
            }
        }
    }
    if let Some(rng) = &mut noise.dropout {
        for reading in readings {
            if rng.random::<f32>() < numbers.dropout {
                *reading = range;
            }
        }
    }
}
