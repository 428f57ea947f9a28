//! How two robots differ: for a policy that drives another robot than the one it was trained with.

use serde_json::Value;

use super::spec::RobotSpec;

/// Keys of a robot that say how many there are and where they start, which is no property of the
/// robot.
const PLACEMENT: [&str; 6] = [
    "count",
    "arrangement",
    "passage_radius_m",
    "start",
    "start_heading_rad",
    "goal",
];

/// What differs between the robot that a policy was trained with and another: drive, sensors,
/// footprint and so on, each as `robot.lidar.field_of_view_deg: 360, here 180`. Empty if nothing
/// does.
///
/// # Panics
/// Never: a robot is plain data.
pub fn robot_differences(trained: &RobotSpec, here: &RobotSpec) -> Vec<String> {
    let mut found = Vec::new();
    let [trained, here] = [trained, here].map(|robot| {
        let mut value = serde_json::to_value(robot).expect("a robot is plain data");
        if let Value::Object(entries) = &mut value {
            entries.retain(|key, _| !PLACEMENT.contains(&key.as_str()));
        }
        value
    });
    collect(&trained, &here, "robot", &mut found);
    found
}

fn collect(trained: &Value, here: &Value, path: &str, found: &mut Vec<String>) {
    match (trained, here) {
        (Value::Object(one), Value::Object(other)) => {
            // Of two kinds, as in `drive`, only the names are compared.
            if let ([kind], [other_kind]) = (&keys(one)[..], &keys(other)[..])
                && kind != other_kind
            {
                found.push(format!("{path}: {kind}, here {other_kind}"));
                return;
            }
            let new = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(new) {
                let [one, other] = [one, other].map(|side| side.get(key).unwrap_or(&Value::Null));
                collect(one, other, &format!("{path}.{key}"), found);
            }
        }
        _ if trained == here => {}
        _ => {
            let text = |value: &Value| match value {
                Value::Null => "none".to_owned(),
                Value::String(text) => text.clone(),
                Value::Number(number) => number.as_f64().unwrap_or(f64::NAN).to_string(),
                other => other.to_string(),
            };
            found.push(format!("{path}: {}, here {}", text(trained), text(here)));
        }
    }
}

fn keys(entries: &serde_json::Map<String, Value>) -> Vec<&String> {
    entries.keys().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;
    use crate::scenario;

    fn robot(name: &str, set: &[&str]) -> RobotSpec {
        let set: Vec<Override> = set
            .iter()
            .map(|text| Override::parse(text).unwrap())
            .collect();
        scenario::resolve(name, &set).unwrap().spec.robot[0].clone()
    }

    #[test]
    fn every_difference_of_robots_is_named_with_both_sides() {
        let trained = robot("open_field", &[]);
        let narrow = robot(
            "open_field",
            &[
                "robot.lidar.field_of_view_deg=180",
                "robot.footprint.disc.radius_m=0.125",
            ],
        );
        assert_eq!(robot_differences(&trained, &trained), [""; 0]);
        let found = robot_differences(&trained, &narrow);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("robot.footprint.disc.radius_m: "),
            "{found:?}"
        );
        assert!(found[0].ends_with(", here 0.125"), "{found:?}");
        assert_eq!(found[1], "robot.lidar.field_of_view_deg: 360, here 180");
    }

    #[test]
    fn another_drive_is_one_difference_and_another_start_is_none() {
        let trained = robot("open_field", &[]);
        let mut car = trained.clone();
        car.start_heading_rad = crate::scenario::Quantity::Fixed(1.0);
        assert_eq!(robot_differences(&trained, &car), [""; 0]);
        let text = "{ max_speed_mps = 1.0, max_accel_mps2 = 1.0, wheelbase_m = 0.3, max_steering_rad = 0.5, max_steering_rate_radps = 1.0 }";
        let set = format!("robot.drive={{ ackermann = {text} }}");
        car.drive = robot("open_field", &[&set]).drive;
        assert_eq!(
            robot_differences(&trained, &car),
            ["robot.drive: differential, here ackermann"]
        );
    }
}
