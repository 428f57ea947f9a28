//! Mutations of settings that are valid most of the time, so that most cases train.

use rand::RngExt as _;
use rand_pcg::Pcg32;

/// The valid values of a setting, for a short training in the small room.
enum Values {
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A number between two positive ones, even on a logarithmic scale.
    Number(f64, f64),
    /// A whole number between two, both included.
    Whole(u64, u64),
}
use Values::{Number, OneOf, Whole};

/// Largest number of settings in one input.
pub(crate) const MAX_LINES: usize = 8;

const CHOICES: &[(&str, Values)] = &[
    ("train.learning_rate", Number(1e-6, 1e6)),
    ("train.gamma", OneOf(&["0.0", "0.5", "0.9", "0.995", "1.0"])),
    ("train.gae_lambda", OneOf(&["0.0", "0.9", "0.95", "1.0"])),
    ("train.schedule", OneOf(&["\"constant\"", "\"linear\""])),
    ("train.num_envs", OneOf(&["1", "2", "4", "8", "16", "20"])),
    ("train.horizon", OneOf(&["1", "2", "8", "16", "32"])),
    ("train.epochs", Whole(1, 4)),
    ("train.minibatches", OneOf(&["1", "2", "4"])),
    ("train.total_steps", Whole(1, 300)),
    ("train.threads", Whole(1, 3)),
    ("train.eval_every", Whole(0, 3)),
    ("train.eval_episodes", Whole(1, 4)),
    ("train.checkpoint_every", Whole(1, 3)),
    ("train.record_every", Whole(0, 2)),
    ("train.bptt_steps", OneOf(&["0", "1", "2"])),
    (
        "train.ratio_clip",
        OneOf(&["\"off\"", "0.1", "0.2", "0.01", "0.9"]),
    ),
    (
        "train.value_clip",
        OneOf(&["\"off\"", "0.2", "1e-6", "100.0"]),
    ),
    ("train.target_kl", OneOf(&["\"off\"", "0.01", "1e-6"])),
    ("train.entropy_coef", OneOf(&["0.0", "0.01", "10.0"])),
    ("train.value_coef", OneOf(&["0.0", "0.5", "1e3"])),
    (
        "train.curriculum",
        OneOf(&[
            "\"uniform\"",
            "{ difficulty = { levels = 4, stages = 2, promote_at = 0.1, window = 2 } }",
            "{ difficulty = { levels = 8, stages = 1 } }",
            "{ learnability = { candidates = 4, keep = 2, rollouts = 2, refresh_every = 1 } }",
            "{ learnability = { candidates = 3, keep = 1, rollouts = 1, share = 1.0 } }",
        ]),
    ),
    (
        "train.optimiser",
        OneOf(&[
            "{ sgd = {} }",
            "{ sgd = { momentum = 0.9, nesterov = true } }",
            "{ rmsprop = {} }",
            "{ rmsprop = { momentum = 0.9, decay = 0.5 } }",
            "{ adam = { beta1 = 0.0 } }",
            "{ adam = { epsilon = 1e-12, beta2 = 0.5 } }",
        ]),
    ),
    (
        "policy.actor.hidden",
        OneOf(&["[]", "[1]", "[4, 4]", "[8]", "[3, 5, 2]"]),
    ),
    (
        "policy.critic.hidden",
        OneOf(&["[]", "[1]", "[4, 4]", "[16]"]),
    ),
    ("policy.trunk", OneOf(&["\"separate\"", "\"shared\""])),
    (
        "policy.activation",
        OneOf(&[
            "\"tanh\"",
            "\"relu\"",
            "\"leaky_relu\"",
            "\"elu\"",
            "\"gelu\"",
            "\"silu\"",
            "\"sigmoid\"",
        ]),
    ),
    (
        "policy.norm",
        OneOf(&["\"off\"", "\"layer\"", "\"rms\"", "\"batch\""]),
    ),
    ("policy.residual", OneOf(&["true", "false"])),
    ("policy.spectral_norm", OneOf(&["true", "false"])),
    (
        "policy.memory",
        OneOf(&[
            "{ rnn = { size = 3 } }",
            "{ rnn = { size = 4, activation = \"relu\", recurrent_init = { identity = {} } } }",
            "{ gru = { size = 4 } }",
            "{ gru = { size = 2, recurrent_init = { orthogonal = { gain = 10.0 } } } }",
            "{ lstm = { size = 4, forget_bias = -3.0 } }",
        ]),
    ),
    (
        "policy.lidar_conv",
        OneOf(&[
            "{ channels = [2], kernel = 3, stride = 1 }",
            "{ channels = [3, 2], kernel = 1, stride = 2 }",
        ]),
    ),
    (
        "policy.head",
        OneOf(&[
            "{ gaussian = { squash = \"tanh\" } }",
            "{ gaussian = { log_std_init = -5.0 } }",
            "{ gaussian = { log_std_init = 2.0, squash = \"clamp\" } }",
        ]),
    ),
    (
        "policy.init",
        OneOf(&[
            "{ orthogonal = { hidden_gain = 10.0 } }",
            "{ xavier_uniform = {} }",
            "{ xavier_normal = { actor_gain = 1.0 } }",
            "{ he_uniform = {} }",
            "{ he_normal = { critic_gain = 100.0 } }",
            "{ lecun_normal = {} }",
            "{ normal = { std = 0.1 } }",
            "{ normal = { std = 1e10 } }",
        ]),
    ),
    (
        "stability.clip",
        OneOf(&[
            "[]",
            "[{ global_norm = { max = 0.5 } }]",
            "[{ per_layer = { max = 1e-3 } }, { value = { max = 0.1 } }]",
            "[{ actor_critic = { max = 1.0, critic_max = 1e9 } }]",
            "[{ agc = {} }]",
            "[{ agc = { factor = 1.0, epsilon = 1e-9 } }, \"centralised\"]",
            "[{ autoclip = { percentile = 50.0, window = 3 } }]",
            "[{ zclip = { warmup_steps = 2 } }]",
            "[{ normalised = { scale = 1e3 } }]",
            "[{ smooth = { max = 0.1 } }]",
        ]),
    ),
    (
        "stability.decay",
        OneOf(&[
            "[]",
            "[{ l1 = { rate = 1e-4 } }]",
            "[{ l2 = { rate = 0.1 } }]",
            "[{ decoupled = { rate = 0.01 } }, { l2 = { rate = 1e-6 } }]",
        ]),
    ),
    (
        "stability.normalise.observation",
        OneOf(&["\"off\"", "\"moments\""]),
    ),
    (
        "stability.normalise.return",
        OneOf(&["\"off\"", "\"moments\""]),
    ),
    (
        "stability.normalise.advantage",
        OneOf(&["\"off\"", "\"standardise\""]),
    ),
    (
        "stability.guard.action",
        OneOf(&[
            "\"off\"",
            "\"halt\"",
            "\"skip\"",
            "{ rollback = {} }",
            "{ rollback = { learning_rate_factor = 0.01 } }",
        ]),
    ),
    ("stability.guard.norm_factor", Number(1.1, 1e3)),
    ("stability.guard.patience", Whole(1, 5)),
    ("stability.recorder.steps", Whole(1, 6)),
    ("stability.recorder.max_incidents", Whole(0, 3)),
    ("stability.health.warm_up_steps", Whole(1, 8)),
    ("stability.health.rearm_steps", Whole(1, 8)),
    ("robot.0.count", Whole(1, 3)),
    ("robot.0.lidar.beams", OneOf(&["4", "8", "16", "32"])),
    (
        "robot.0.lidar.range_noise_m",
        OneOf(&["0.01", "[0.0, 0.1]"]),
    ),
    ("robot.0.lidar.dropout", OneOf(&["0.1", "1.0"])),
    ("robot.0.lidar.latency_secs", OneOf(&["0.1", "[0.0, 0.3]"])),
    ("robot.0.actuation.delay_secs", OneOf(&["0.1", "0.35"])),
    ("task.time_limit_secs", Number(0.1, 5.0)),
    ("task.contact_ends_episode", OneOf(&["true", "false"])),
    ("reward.progress", Number(1e-3, 1e6)),
    ("reward.goal", Number(1e-3, 1e6)),
    ("reward.collision", OneOf(&["-10.0", "-1e6", "0.0"])),
    ("observation.stack", Whole(1, 4)),
];

/// Mutates settings, one a line: adds, removes and changes some, or writes new ones.
pub(crate) fn mutate(input: &[u8], rng: &mut Pcg32) -> Vec<u8> {
    let text = String::from_utf8_lossy(input);
    let mut lines: Vec<String> = if rng.random_range(0..2) == 0 {
        Vec::new()
    } else {
        let known = text.lines().filter(|line| setting(line).is_some());
        known.take(MAX_LINES).map(str::to_owned).collect()
    };
    // Other values than those of the table are mostly left by mutations of words.
    for line in &mut lines {
        if !is_valid(line) && rng.random_range(0..4) != 0 {
            *line = draw(setting(line).expect("known settings are kept"), rng);
        }
    }
    for _ in 0..rng.random_range(1..5) {
        match rng.random_range(0..4) {
            0 if !lines.is_empty() => {
                lines.remove(rng.random_range(0..lines.len()));
            }
            1 if !lines.is_empty() => {
                let index = rng.random_range(0..lines.len());
                lines[index] = draw(
                    setting(&lines[index]).expect("known settings are kept"),
                    rng,
                );
            }
            _ => {
                let line = draw(&CHOICES[rng.random_range(0..CHOICES.len())], rng);
                // A later line overrides an earlier one of the same setting.
                lines.retain(|other| key(other) != key(&line));
                lines.push(line);
            }
        }
    }
    lines.truncate(MAX_LINES);
    lines.join("\n").into_bytes()
}

fn key(line: &str) -> &str {
    line.split_once('=').map_or(line, |(key, _)| key)
}

/// The entry of the table for a line.
fn setting(line: &str) -> Option<&'static (&'static str, Values)> {
    CHOICES.iter().find(|(name, _)| *name == key(line))
}

/// Whether a line has one of the values of the table.
fn is_valid(line: &str) -> bool {
    let Some((_, values)) = setting(line) else {
        return false;
    };
    let value = line.split_once('=').map_or("", |(_, value)| value);
    match values {
        OneOf(values) => values.contains(&value),
        Number(low, high) => value
            .parse()
            .is_ok_and(|value: f64| (*low..=*high).contains(&value)),
        Whole(low, high) => value
            .parse()
            .is_ok_and(|value: u64| (*low..=*high).contains(&value)),
    }
}

/// A line with a valid value.
fn draw((name, values): &(&str, Values), rng: &mut Pcg32) -> String {
    let value = match values {
        OneOf(values) => values[rng.random_range(0..values.len())].to_owned(),
        Number(low, high) => {
            let exponent = rng.random_range(low.log10()..=high.log10());
            format!("{:?}", 10_f64.powf(exponent).clamp(*low, *high))
        }
        Whole(low, high) => rng.random_range(*low..=*high).to_string(),
    };
    format!("{name}={value}")
}
