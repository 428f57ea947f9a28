//! The elements of `SDFormat` that the reader knows: those that it reads, and those that change
//! nothing on the map (lights, physics settings, what only cameras see). All others get a note.

use roxmltree::Node;

/// Elements of a world or of the file that are read, or about which the reader says something.
pub(super) const WORLD_READ: &[&str] = &[
    "world",
    "model",
    "include",
    "plugin",
    "actor",
    "population",
    "state",
];

/// Elements of a world that change nothing on the map.
pub(super) const WORLD_HARMLESS: &[&str] = &[
    "atmosphere",
    "audio",
    "frame",
    "gravity",
    "gui",
    "joint",
    "light",
    "magnetic_field",
    "name",
    "physics",
    "road",
    "scene",
    "spherical_coordinates",
    "wind",
];

/// Elements of a model that are read, or about which the reader says something.
pub(super) const MODEL_READ: &[&str] = &["include", "link", "model", "plugin", "pose"];

/// Elements of a model that change nothing on the map. Everything stands where the file puts it, so
/// joints move nothing.
pub(super) const MODEL_HARMLESS: &[&str] = &[
    "allow_auto_disable",
    "enable_wind",
    "frame",
    "gripper",
    "joint",
    "name",
    "self_collide",
    "static",
];

/// Elements of a link that are read.
pub(super) const LINK_READ: &[&str] = &["collision", "pose"];

/// Elements of a link that change nothing on the map.
pub(super) const LINK_HARMLESS: &[&str] = &[
    "audio_sink",
    "audio_source",
    "battery",
    "enable_wind",
    "gravity",
    "inertial",
    "kinematic",
    "light",
    "must_be_base_link",
    "particle_emitter",
    "projector",
    "self_collide",
    "sensor",
    "velocity_decay",
    "visual",
];

/// Elements of a collision that are read.
pub(super) const COLLISION_READ: &[&str] = &["geometry", "pose", "surface"];

/// Elements of a collision that change nothing on the map.
pub(super) const COLLISION_HARMLESS: &[&str] = &[
    "auto_inertia_params",
    "density",
    "laser_retro",
    "max_contacts",
];

/// Parts of the file names of plugins that move nothing and add nothing.
const HARMLESS_PLUGINS: &[&str] = &[
    "air-pressure",
    "altimeter",
    "contact-system",
    "forcetorque",
    "gazebo_ros_api_plugin",
    "gazebo_ros_factory",
    "gazebo_ros_init",
    "gazebo_ros_paths",
    "gazebo_ros_state",
    "imu-system",
    "log-system",
    "magnetometer",
    "physics-system",
    "scene-broadcaster",
    "sensors-system",
    "user-commands",
];

/// Whether a plugin is known to move nothing and to add nothing.
pub(super) fn is_harmless_plugin(plugin: Node) -> bool {
    let file = plugin.attribute("filename").unwrap_or_default();
    HARMLESS_PLUGINS.iter().any(|part| file.contains(part))
}

/// Whether a URI names one of the two models that are no obstacles, wherever it comes from, such as
/// `model://sun` or `https://…/OpenRobotics/models/Ground Plane/2`.
pub(super) fn shipped_model(uri: &str) -> Option<ShippedModel> {
    let mut parts = uri.trim_end_matches('/').rsplit('/');
    let is_version = |part: &&str| *part == "tip" || part.bytes().all(|byte| byte.is_ascii_digit());
    let name = parts.find(|part| !is_version(part))?;
    let name = name.replace("%20", " ").to_lowercase();
    match name.replace([' ', '-'], "_").as_str() {
        "sun" => Some(ShippedModel::Sun),
        "ground_plane" => Some(ShippedModel::GroundPlane),
        _ => None,
    }
}

/// A model of Gazebo that is no obstacle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShippedModel {
    Sun,
    GroundPlane,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sun_and_ground_are_known_by_every_address() {
        let fuel = "https://fuel.gazebosim.org/1.0/OpenRobotics/models/";
        for uri in ["model://sun", "model://Sun/", &format!("{fuel}Sun/4")] {
            assert_eq!(shipped_model(uri), Some(ShippedModel::Sun), "{uri}");
        }
        for uri in [
            "model://ground_plane",
            &format!("{fuel}Ground Plane"),
            &format!("{fuel}Ground%20Plane/tip"),
        ] {
            assert_eq!(shipped_model(uri), Some(ShippedModel::GroundPlane), "{uri}");
        }
        for uri in ["", "model://sunflower", "model://house/sun_room", "7"] {
            assert_eq!(shipped_model(uri), None, "{uri}");
        }
    }
}
