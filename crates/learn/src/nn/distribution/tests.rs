#![allow(clippy::float_cmp, reason = "these numbers are exact")]

use super::*;
use evenkeel_sim::seed::{Purpose, Split, stream};

const MEAN: [f32; 2] = [0.3, -0.7];
const LOG_STD: [f32; 2] = [-0.5, 0.2];
const SAMPLE: [f32; 2] = [0.9, 0.1];
const RANGE: LogStdRange = LogStdRange {
    min: -3.0,
    max: 0.5,
};

fn gaussian(state_dependent_std: bool, log_std_bound: LogStdBound) -> ActionHead {
    ActionHead::Gaussian(GaussianSpec {
        log_std_bound,
        state_dependent_std,
        ..GaussianSpec::default()
    })
}

/// Every kind of head.
fn heads() -> [ActionHead; 7] {
    let [off, clamp, tanh] = [
        LogStdBound::Off,
        LogStdBound::Clamp(RANGE),
        LogStdBound::Tanh(RANGE),
    ];
    [
        gaussian(false, off),
        gaussian(false, clamp),
        gaussian(false, tanh),
        gaussian(true, off),
        gaussian(true, clamp),
        gaussian(true, tanh),
        ActionHead::Beta,
    ]
}

/// Outputs of the actor, parameters of the standard deviations, and a draw.
fn example(head: &ActionHead) -> (Vec<f32>, Vec<f32>) {
    let numbers = [MEAN, LOG_STD].concat();
    let outputs = head.outputs(2);
    if head.initial_std_parameter().is_some() {
        (numbers[..outputs].to_vec(), numbers[outputs..].to_vec())
    } else {
        (numbers, Vec::new())
    }
}

/// ln p(SAMPLE) under a normal distribution, in double precision.
fn normal_log_prob(mean: [f32; 2], log_std: [f32; 2]) -> f64 {
    let entry = |i: usize| {
        let std = f64::from(log_std[i]).exp();
        let z = f64::from(SAMPLE[i] - mean[i]) / std;
        -0.5 * z * z - (std * (2.0 * std::f64::consts::PI).sqrt()).ln()
    };
    entry(0) + entry(1)
}

#[test]
fn normal_log_probability_matches_the_formula() {
    for state_dependent_std in [false, true] {
        let head = gaussian(state_dependent_std, LogStdBound::Off);
        let (outputs, parameters) = example(&head);
        let found = head
            .distribution(&parameters, 2)
            .log_prob(&outputs, &SAMPLE);
        assert!((f64::from(found) - normal_log_prob(MEAN, LOG_STD)).abs() < 1e-6);
    }
}

#[test]
fn the_score_is_the_slope_of_the_log_probability() {
    const STEP: f32 = 1e-2;
    for head in heads() {
        let (outputs, parameters) = example(&head);
        let distribution = head.distribution(&parameters, 2);
        let mut score = distribution.zero_score();
        let found = distribution.log_prob_and_score(&outputs, &SAMPLE, &mut score);
        assert!((found - distribution.log_prob(&outputs, &SAMPLE)).abs() < 1e-6);
        let log_prob = |outputs: &[f32], parameters: &[f32]| {
            let distribution = head.distribution(parameters, 2);
            f64::from(distribution.log_prob(outputs, &SAMPLE))
        };
        let moved = |numbers: &[f32], i: usize, by: f32| {
            let mut numbers = numbers.to_vec();
            numbers[i] += by;
            numbers
        };
        let slope = |f: &dyn Fn(f32) -> f64| (f(STEP) - f(-STEP)) / f64::from(2.0 * STEP);
        for (i, found) in score.by_output.iter().enumerate() {
            let expected = slope(&|by| log_prob(&moved(&outputs, i, by), &parameters));
            assert!(
                (f64::from(*found) - expected).abs() < 1e-3,
                "{head:?} {i}: {found} {expected}"
            );
        }
        for (i, found) in score.by_parameter.iter().enumerate() {
            let expected = slope(&|by| log_prob(&outputs, &moved(&parameters, i, by)));
            assert!(
                (f64::from(*found) - expected).abs() < 1e-3,
                "{head:?} {i}: {found} {expected}"
            );
        }
    }
}

#[test]
fn the_slopes_of_the_entropy_are_those_of_differences() {
    const STEP: f32 = 1e-2;
    for head in heads() {
        let (outputs, parameters) = example(&head);
        let distribution = head.distribution(&parameters, 2);
        let mut found = vec![0.0; outputs.len()];
        let entropy = distribution.entropy_and_score(&outputs, &mut found);
        if let Some(fixed) = distribution.fixed_entropy() {
            assert_eq!(entropy, fixed);
        }
        let mut unused = vec![0.0; outputs.len()];
        let mut difference = |outputs: [&[f32]; 2], parameters: [&[f32]; 2]| {
            let [after, before] = [0, 1].map(|side| {
                let distribution = head.distribution(parameters[side], 2);
                distribution.entropy_and_score(outputs[side], &mut unused)
            });
            (after - before) / f64::from(2.0 * STEP)
        };
        let sides = |numbers: &[f32], i: usize| {
            [STEP, -STEP].map(|by| {
                let mut numbers = numbers.to_vec();
                numbers[i] += by;
                numbers
            })
        };
        for (i, found) in found.iter().enumerate() {
            let [after, before] = sides(&outputs, i);
            let expected = difference([&after, &before], [&parameters, &parameters]);
            assert!((f64::from(*found) - expected).abs() < 1e-3, "{head:?} {i}");
        }
        for (i, found) in distribution.entropy_slopes().iter().enumerate() {
            let [after, before] = sides(&parameters, i);
            let expected = difference([&outputs, &outputs], [&after, &before]);
            assert!((f64::from(*found) - expected).abs() < 1e-3, "{head:?} {i}");
        }
    }
}

#[test]
fn normal_entropy_is_minus_the_mean_log_probability() {
    // E[z²] = 1, which is z² of a sample one standard deviation from the mean.
    let gaussian = DiagonalGaussian::new(&LOG_STD, LogStdBound::Off);
    let sample = LOG_STD.map(f32::exp);
    let expected = -f64::from(gaussian.log_prob(&[0.0; 2], &sample));
    assert!((gaussian.entropy() - expected).abs() < 1e-6);
    let state = StateGaussian::new(2, LogStdBound::Off);
    let (entropy, mut unused) = (gaussian.entropy(), [0.0; 4]);
    let found = state.entropy_and_score(&[0.0, 0.0, -0.5, 0.2], &mut unused);
    assert!((found - entropy).abs() < 1e-6);
}

#[test]
fn bounds_match_hand_computed_numbers() {
    let clamp = LogStdBound::Clamp(RANGE);
    assert_eq!(
        [-4.0, -1.0, 0.5, 0.6].map(|x| clamp.apply(x)),
        [(-3.0, 0.0), (-1.0, 1.0), (0.5, 1.0), (0.5, 0.0)]
    );
    // The middle is −1.25 and half the width 1.75: x = 0.5 is one half-width above the middle.
    let (value, slope) = LogStdBound::Tanh(RANGE).apply(0.5);
    assert!(
        (value - (-1.25 + 1.75 * 0.761_594_2)).abs() < 1e-6,
        "{value}"
    );
    assert!((slope - 0.419_974_3).abs() < 1e-6, "{slope}");
    for x in [-1e9, -20.0, 20.0, 1e9] {
        let (value, slope) = LogStdBound::Tanh(RANGE).apply(x);
        assert!((-3.0..=0.5).contains(&value) && slope < 1e-6);
    }
}

#[test]
fn the_initial_deviation_is_the_one_that_is_set() {
    for head in heads().into_iter().take(6) {
        let parameter = head.initial_std_parameter();
        let outputs = head.initial_bias(2);
        let parameters = vec![parameter.unwrap_or_default(); 2];
        let mut std = [0.0; 2];
        head.distribution(&parameters, 2).std(&outputs, &mut std);
        let expected = (-0.5_f32).exp();
        assert!((std[0] - expected).abs() < 1e-6 && (std[1] - expected).abs() < 1e-6);
    }
}

#[test]
fn samples_have_the_mean_and_deviation_that_are_given() {
    for head in heads() {
        let (outputs, parameters) = example(&head);
        let distribution = head.distribution(&parameters, 2);
        let (mut mean, mut std, mut draw) = ([0.0; 2], [0.0; 2], [0.0; 2]);
        distribution.mean(&outputs, &mut mean);
        distribution.std(&outputs, &mut std);
        let mut rng = stream(1, Split::Train, 0, 0, Purpose::Action);
        let (mut sums, mut squares) = ([0.0; 2], [0.0; 2]);
        let count = 20_000;
        for _ in 0..count {
            distribution.sample(&mut rng, &outputs, &mut draw);
            for i in 0..2 {
                let deviation = f64::from(draw[i] - mean[i]);
                sums[i] += deviation / f64::from(count);
                squares[i] += deviation * deviation / f64::from(count);
            }
        }
        for i in 0..2 {
            let std = f64::from(std[i]);
            assert!(sums[i].abs() < 0.03 * std, "{head:?}: {sums:?}");
            assert!((squares[i].sqrt() / std - 1.0).abs() < 0.03, "{head:?}");
        }
    }
}

#[test]
fn actions_stay_in_bounds() {
    for squash in [Squash::Clamp, Squash::Tanh] {
        for sample in [-30.0, -1.0, -0.2, 0.0, 0.4, 1.5, 30.0] {
            let action = squash.apply(sample);
            assert!((-1.0..=1.0).contains(&action));
            assert!(action * sample >= 0.0);
        }
    }
    assert_eq!(Squash::Clamp.apply(0.4), 0.4);
    assert_eq!(ActionHead::Beta.action(0.4), 0.4);
}

#[test]
fn invalid_bounds_are_refused() {
    for (range, log_std_init, path) in [
        ((0.5, -3.0), -0.5, "gaussian.log_std_bound.tanh.max"),
        ((f64::NAN, 0.5), -0.5, "gaussian.log_std_bound.tanh.min"),
        ((-3.0, 0.5), 0.5, "gaussian.log_std_init"),
    ] {
        let (min, max) = range;
        let head = ActionHead::Gaussian(GaussianSpec {
            log_std_init,
            log_std_bound: LogStdBound::Tanh(LogStdRange { min, max }),
            ..GaussianSpec::default()
        });
        assert_eq!(head.check().unwrap_err().path, path);
    }
}
