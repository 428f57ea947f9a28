//! Poses of `SDFormat` elements in the world.

use nalgebra::{Matrix3, Vector3};
use roxmltree::Node;

use super::{MapError, error_at, name_of, numbers, only_child};

/// Smaller angles to upright or flat count as 0, radians: a millimetre per metre.
pub(super) const TILT_TOLERANCE: f64 = 1e-3;

/// The pose of an element in the world: a turn about its own axes if it is tilted, then one about
/// the vertical, then a shift in metres.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pose<'a> {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) z: f64,
    /// Turn about the vertical, radians.
    pub(super) yaw: f64,
    /// `None` if no enclosing element has roll or pitch.
    pub(super) tilt: Option<Tilt<'a>>,
}

/// A turn with roll or pitch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tilt<'a> {
    pub(super) rotation: Matrix3<f64>,
    /// The first pose with roll or pitch, and these, radians.
    node: Node<'a, 'a>,
    roll_pitch: [f64; 2],
}

impl<'a> Pose<'a> {
    /// Composes this pose with that of an element inside it. `own_frame` is the name of the frame in
    /// which that element's pose is given by default.
    pub(super) fn compose(self, node: Node<'a, 'a>, own_frame: &str) -> Result<Self, MapError> {
        let Some(pose) = only_child(node, "pose")? else {
            return Ok(self);
        };
        for attribute in ["frame", "relative_to"] {
            let frame = pose.attribute(attribute).unwrap_or_default();
            if !frame.is_empty() && frame != own_frame {
                let message = format!("the pose is relative to '{}'", frame.escape_default());
                let help = "write it relative to the enclosing element";
                return Err(error_at(pose, message, help));
            }
        }
        let Some((offset, turn)) = read(pose)? else {
            return Ok(self);
        };
        let [x, y, z] = match self.tilt {
            None => offset,
            Some(tilt) => (tilt.rotation * Vector3::from(offset)).into(),
        };
        let (sin, cos) = libm::sincos(self.yaw);
        let mut composed = Self {
            x: self.x + cos * x - sin * y,
            y: self.y + sin * x + cos * y,
            z: self.z + z,
            ..self
        };
        match (turn, self.tilt) {
            (Turn::Upright(yaw), None) => composed.yaw += yaw,
            (turn, tilt) => {
                let rotation = turn.matrix();
                composed.tilt = Some(match tilt {
                    Some(tilt) => Tilt {
                        rotation: tilt.rotation * rotation,
                        ..tilt
                    },
                    None => Tilt {
                        rotation,
                        node: pose,
                        roll_pitch: turn.roll_pitch(),
                    },
                });
            }
        }
        Ok(composed)
    }

    /// A direction of the element, in the world.
    pub(super) fn direction(&self, own: [f64; 3]) -> Vector3<f64> {
        let own = Vector3::from(own);
        let own = self.tilt.map_or(own, |tilt| tilt.rotation * own);
        turn_about_z(self.yaw) * own
    }

    /// An error about an element that is neither upright nor flat.
    pub(super) fn tilt_error(&self, shape: Node) -> MapError {
        let help = "only upright and lying shapes are read: write roll and pitch as 0";
        let Some(tilt) = self.tilt else {
            return error_at(shape, format!("<{}> is tilted", name_of(shape)), help);
        };
        let [roll, pitch] = tilt.roll_pitch;
        let message = format!("tilted by {roll} and {pitch} rad");
        error_at(tilt.node, message, help)
    }
}

/// A turn as it is written.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// Yaw only, radians.
    Upright(f64),
    /// Roll, pitch and yaw, radians.
    Euler([f64; 3]),
    /// A unit quaternion: x, y, z, w.
    Quaternion([f64; 4]),
}

impl Turn {
    fn matrix(self) -> Matrix3<f64> {
        match self {
            Self::Upright(yaw) => turn_about_z(yaw),
            Self::Euler([roll, pitch, yaw]) => {
                let (sin, cos) = libm::sincos(pitch);
                let pitch = Matrix3::new(cos, 0.0, sin, 0.0, 1.0, 0.0, -sin, 0.0, cos);
                let (sin, cos) = libm::sincos(roll);
                let roll = Matrix3::new(1.0, 0.0, 0.0, 0.0, cos, -sin, 0.0, sin, cos);
                turn_about_z(yaw) * pitch * roll
            }
            Self::Quaternion([x, y, z, w]) => Matrix3::new(
                1.0 - 2.0 * (y * y + z * z),
                2.0 * (x * y - z * w),
                2.0 * (x * z + y * w),
                2.0 * (x * y + z * w),
                1.0 - 2.0 * (x * x + z * z),
                2.0 * (y * z - x * w),
                2.0 * (x * z - y * w),
                2.0 * (y * z + x * w),
                1.0 - 2.0 * (x * x + y * y),
            ),
        }
    }

    /// Roll and pitch, radians.
    fn roll_pitch(self) -> [f64; 2] {
        match self {
            Self::Upright(_) => [0.0; 2],
            Self::Euler([roll, pitch, _]) => [roll, pitch],
            Self::Quaternion(_) => {
                let m = self.matrix();
                let sine = m[(2, 0)].clamp(-1.0, 1.0);
                [libm::atan2(m[(2, 1)], m[(2, 2)]), -libm::asin(sine)]
            }
        }
    }
}

fn turn_about_z(yaw: f64) -> Matrix3<f64> {
    let (sin, cos) = libm::sincos(yaw);
    Matrix3::new(cos, -sin, 0.0, sin, cos, 0.0, 0.0, 0.0, 1.0)
}

/// Reads a pose: the shift in metres, and the turn. `None` if it is empty, which is no shift and no
/// turn.
fn read(pose: Node) -> Result<Option<([f64; 3], Turn)>, MapError> {
    if super::text_of(pose).trim().is_empty() {
        return Ok(None);
    }
    match pose.attribute("rotation_format").unwrap_or("euler_rpy") {
        "euler_rpy" => {
            let [x, y, z, roll, pitch, yaw] = numbers(pose)?;
            let degrees = pose.attribute("degrees").unwrap_or_default();
            let unit = match degrees.to_lowercase().as_str() {
                "true" | "1" => f64::to_radians(1.0),
                _ => 1.0,
            };
            let [roll, pitch, yaw] = [roll, pitch, yaw].map(|angle| angle * unit);
            let is_zero = |angle: f64| {
                let (sin, cos) = libm::sincos(angle);
                sin.abs() <= TILT_TOLERANCE && cos > 0.0
            };
            let turn = if is_zero(roll) && is_zero(pitch) {
                Turn::Upright(yaw)
            } else {
                Turn::Euler([roll, pitch, yaw])
            };
            Ok(Some(([x, y, z], turn)))
        }
        "quat_xyzw" => {
            let [x, y, z, a, b, c, d] = numbers(pose)?;
            let length = (a * a + b * b + c * c + d * d).sqrt();
            if length <= 0.0 {
                let help = "write x y z and a quaternion x y z w";
                return Err(error_at(pose, "the quaternion is 0", help));
            }
            let quaternion = Turn::Quaternion([a, b, c, d].map(|part| part / length));
            let [roll, pitch] = quaternion.roll_pitch();
            let turn = if roll.abs().max(pitch.abs()) <= TILT_TOLERANCE {
                let matrix = quaternion.matrix();
                Turn::Upright(libm::atan2(matrix[(1, 0)], matrix[(0, 0)]))
            } else {
                quaternion
            };
            Ok(Some(([x, y, z], turn)))
        }
        other => {
            let message = format!("unknown rotation_format '{}'", other.escape_default());
            let help = "'euler_rpy' and 'quat_xyzw' are read";
            Err(error_at(pose, message, help))
        }
    }
}
