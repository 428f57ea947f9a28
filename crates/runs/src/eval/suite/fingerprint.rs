//! A hash over the bits of held-out layouts.

use nalgebra::{Point2, Vector2};

use super::super::{EvalError, EvalOptions};
use evenkeel_sim::scenario::{
    AlternativeGoal, EpisodeKey, Layout, LayoutSampler, MoverGroup, MoverMotion, MoverPlacement,
    Obstacle, RobotPlacement, Scenario, Shape,
};
use evenkeel_sim::seed::{RootSeed, Split};

/// The hash of the layouts of the first `episodes` held-out episodes: where everything stands,
/// moves from, starts and is to go, to the last bit. 32 hexadecimal digits.
///
/// # Errors
/// If one of the layouts cannot be placed.
pub fn fingerprint(
    scenario: &Scenario,
    seed: RootSeed,
    episodes: u64,
) -> Result<String, EvalError> {
    let mut hash = LayoutHasher::new();
    let mut sampler = LayoutSampler::default();
    let mut layout = Layout::default();
    for episode in 0..episodes {
        let key = EpisodeKey {
            root: seed,
            split: Split::Eval,
            env: 0,
            episode,
        };
        sampler
            .sample(scenario, key, &mut layout)
            .map_err(|reason| {
                let options = EvalOptions {
                    seed,
                    ..EvalOptions::for_report("", episodes)
                };
                EvalError::unplaceable(scenario, &options, episode, reason)
            })?;
        hash.layout(&layout);
    }
    Ok(format!("{:032x}", hash.0))
}

/// FNV-1a with 128 bits: not against forgery, but no two layouts are mixed up by chance.
struct LayoutHasher(u128);

impl LayoutHasher {
    fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn number(&mut self, number: f32) {
        self.bytes(number.to_bits());
    }

    fn bytes(&mut self, word: u32) {
        for byte in word.to_le_bytes() {
            self.0 ^= u128::from(byte);
            self.0 = self.0.wrapping_mul(0x0100_0000_0000_0000_0000_013b);
        }
    }

    fn point(&mut self, point: Point2<f32>) {
        self.vector(point.coords);
    }

    fn vector(&mut self, vector: Vector2<f32>) {
        self.number(vector.x);
        self.number(vector.y);
    }

    /// A field that is new in a layout has to be thought of here, too.
    fn layout(&mut self, layout: &Layout) {
        let Layout {
            arena,
            // Both are among all that stands.
            map: _,
            obstacles: _,
            movers,
            mover_groups,
            robots,
            alternative_goals,
            // Physical numbers, which come from a stream of their own.
            sampled_parameters: _,
        } = layout;
        self.point(arena.min);
        self.point(arena.max);
        let standing = layout.all_obstacles().count();
        for count in [
            standing,
            movers.len(),
            robots.len(),
            alternative_goals.len(),
        ] {
            self.bytes(count as u32);
        }
        for obstacle in layout.all_obstacles() {
            self.obstacle(obstacle);
        }
        for mover in movers {
            let MoverPlacement {
                position,
                velocity,
                radius,
            } = mover;
            self.point(*position);
            self.vector(*velocity);
            self.number(*radius);
        }
        for MoverGroup { members: _, motion } in mover_groups {
            // How they move is the scenario's to say; here is where each is going.
            match motion {
                MoverMotion::Bouncing | MoverMotion::Linear(_) => {}
                MoverMotion::Waypoints { route, next } => {
                    for &point in next {
                        self.point(route[point]);
                    }
                }
                MoverMotion::Crowd(crowd) => {
                    for &goal in &crowd.goals {
                        self.point(goal);
                    }
                }
            }
        }
        for robot in robots {
            // What the robot is is the scenario's to say; here is where it starts and goes.
            let RobotPlacement {
                start,
                heading_rad,
                goal,
                goal_radius,
                ..
            } = robot;
            self.point(*start);
            self.number(*heading_rad);
            self.point(*goal);
            self.number(*goal_radius);
        }
        for alternative_goal in alternative_goals {
            let AlternativeGoal { position, radius } = alternative_goal;
            self.point(*position);
            self.number(*radius);
        }
    }

    fn obstacle(&mut self, obstacle: &Obstacle) {
        let Obstacle {
            shape,
            position,
            axis,
        } = obstacle;
        self.point(*position);
        self.vector(*axis);
        match shape {
            Shape::Disc { radius } => {
                self.bytes(0);
                self.number(*radius);
            }
            Shape::Box { half_extents } => {
                self.bytes(1);
                self.vector(*half_extents);
            }
            Shape::Polygon { vertices } => {
                self.bytes(2);
                self.bytes(vertices.len() as u32);
                for vertex in vertices {
                    self.vector(*vertex);
                }
            }
            Shape::Segment { half } => {
                self.bytes(3);
                self.vector(*half);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sim::config::Override;
    use evenkeel_sim::scenario::resolve;

    #[test]
    fn a_hash_is_of_the_layouts_and_of_nothing_else() {
        let of = |set: &[&str], seed, episodes| {
            let set: Vec<_> = set
                .iter()
                .map(|flag| Override::parse(flag).unwrap())
                .collect();
            fingerprint(&resolve("reference", &set).unwrap(), seed, episodes).unwrap()
        };
        let plain = of(&[], 0, 5);
        assert_eq!(
            plain,
            of(&["robot.lidar.beams=32"], 0, 5),
            "the lidar is no layout"
        );
        assert_ne!(plain, of(&[], 1, 5));
        assert_ne!(plain, of(&[], 0, 6));
        assert_ne!(plain, of(&["generate.0.discs.count=9"], 0, 5));
    }

    #[test]
    fn it_is_fnv() {
        // Of four zero bytes, worked out by the definition.
        let mut hash = LayoutHasher::new();
        hash.bytes(0);
        let prime = 0x0100_0000_0000_0000_0000_013b_u128;
        let expect = (0..4).fold(LayoutHasher::new().0, |hash, _| hash.wrapping_mul(prime));
        assert_eq!(hash.0, expect);
    }
}
