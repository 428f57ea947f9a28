//! Hash over the bits of held-out layouts.

use nalgebra::{Point2, Vector2};

use super::super::{EvalError, EvalOptions};
use evenkeel_sim::hash::Fnv1a128;
use evenkeel_sim::scenario::{
    AlternativeGoal, EpisodeKey, Layout, LayoutSampler, MoverGroup, MoverMotion, MoverPlacement,
    Obstacle, RobotParameters, Scenario, Shape,
};
use evenkeel_sim::seed::{RootSeed, Split};

/// Hash of the layouts of the first `episodes` held-out episodes, as 32 hexadecimal digits. It
/// covers all bits of obstacles, movers, starts and goals.
///
/// # Errors
/// If one of the layouts cannot be placed.
pub fn fingerprint(
    scenario: &Scenario,
    seed: RootSeed,
    episodes: u64,
) -> Result<String, EvalError> {
    let mut hasher = LayoutHasher::default();
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
        hasher.layout(&layout);
    }
    Ok(format!("{:032x}", hasher.0.finish()))
}

/// A hash of layouts. 128 bits are enough that no two layouts collide by chance; it is not
/// cryptographic.
#[derive(Default)]
struct LayoutHasher(Fnv1a128);

impl LayoutHasher {
    fn float(&mut self, value: f32) {
        self.word(value.to_bits());
    }

    fn word(&mut self, word: u32) {
        self.0.write(&word.to_le_bytes());
    }

    fn point(&mut self, point: Point2<f32>) {
        self.vector(point.coords);
    }

    fn vector(&mut self, vector: Vector2<f32>) {
        self.float(vector.x);
        self.float(vector.y);
    }

    /// Destructures all structs, so that a new field of a layout does not compile before it is
    /// considered here.
    fn layout(&mut self, layout: &Layout) {
        let Layout {
            arena,
            // Both are included in `all_obstacles`.
            map: _,
            obstacles: _,
            movers,
            mover_groups,
            robots,
            alternative_goals,
            // Physical parameters, which have their own random stream.
            sampled_parameters: _,
            // Not part of what a robot meets.
            redraws: _,
        } = layout;
        self.point(arena.min);
        self.point(arena.max);
        let obstacles = layout.all_obstacles().count();
        for count in [
            obstacles,
            movers.len(),
            robots.len(),
            alternative_goals.len(),
        ] {
            self.word(count as u32);
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
            self.float(*radius);
        }
        for MoverGroup { members: _, motion } in mover_groups {
            // The kind of motion is defined by the scenario. The targets belong to the layout.
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
            // The robot itself is defined by the scenario. Start and goal belong to the layout.
            let RobotParameters {
                start,
                heading_rad,
                goal,
                goal_radius,
                ..
            } = robot;
            self.point(*start);
            self.float(*heading_rad);
            self.point(*goal);
            self.float(*goal_radius);
        }
        for alternative_goal in alternative_goals {
            let AlternativeGoal { position, radius } = alternative_goal;
            self.point(*position);
            self.float(*radius);
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
                self.word(0);
                self.float(*radius);
            }
            Shape::Box { half_extents } => {
                self.word(1);
                self.vector(*half_extents);
            }
            Shape::Polygon { vertices } => {
                self.word(2);
                self.word(vertices.len() as u32);
                for vertex in vertices {
                    self.vector(*vertex);
                }
            }
            Shape::Segment { half } => {
                self.word(3);
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
    fn a_hash_depends_only_on_the_layouts() {
        let hash = |set: &[&str], seed, episodes| {
            let set: Vec<_> = set
                .iter()
                .map(|flag| Override::parse(flag).unwrap())
                .collect();
            fingerprint(&resolve("reference", &set).unwrap(), seed, episodes).unwrap()
        };
        let original = hash(&[], 0, 5);
        assert_eq!(
            original,
            hash(&["robot.lidar.beams=32"], 0, 5),
            "the lidar is not part of a layout"
        );
        assert_ne!(original, hash(&[], 1, 5));
        assert_ne!(original, hash(&[], 0, 6));
        assert_ne!(original, hash(&["generate.0.discs.count=9"], 0, 5));
    }
}
