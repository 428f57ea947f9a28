//! Our statistics against the reference implementations. `fixtures/statistics.json` was made with
//! scipy, numpy and rliable; what is deterministic must agree to 1e-6, what is resampled within
//! the noise of resampling.

use evenkeel::stats::{
    Bootstrap, Estimate, Moments, interquartile_mean, probability_greater,
    probability_greater_interval, quantile, wilson,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    wilson: Vec<(u64, u64, f64, f64)>,
    interquartile_mean: Vec<(Vec<f64>, f64)>,
    quantile: Vec<(Vec<f64>, f64, f64)>,
    probability_greater: Vec<(Vec<f64>, Vec<f64>, f64)>,
    moments: MomentsCase,
    bootstrap_mean: MeanCase,
    bootstrap_interquartile_mean: StrataCase,
    bootstrap_probability_greater: PairCase,
}

#[derive(Deserialize)]
struct MomentsCase {
    values: Vec<f64>,
    mean: f64,
    variance: f64,
    sample_variance: f64,
}

#[derive(Deserialize)]
struct MeanCase {
    values: Vec<f64>,
    #[serde(flatten)]
    expect: Estimate,
}

#[derive(Deserialize)]
struct StrataCase {
    strata: Vec<Vec<f64>>,
    #[serde(flatten)]
    expect: Estimate,
}

#[derive(Deserialize)]
struct PairCase {
    a: Vec<f64>,
    b: Vec<f64>,
    #[serde(flatten)]
    expect: Estimate,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/statistics.json")).expect("the fixture is ours")
}

fn same(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() < 1e-6, "{ours} is not {theirs}");
}

fn alike(ours: Option<Estimate>, theirs: Estimate) {
    const NOISE: f64 = 0.008;
    let ours = ours.expect("there are values");
    same(ours.value, theirs.value);
    for (ours, theirs) in [(ours.low, theirs.low), (ours.high, theirs.high)] {
        assert!((ours - theirs).abs() < NOISE, "{ours} is far from {theirs}");
    }
}

#[test]
fn intervals_of_shares_are_scipys() {
    for (successes, trials, low, high) in fixture().wilson {
        let ours = wilson(successes, trials);
        same(ours.value, successes as f64 / trials as f64);
        same(ours.low, low);
        same(ours.high, high);
    }
}

#[test]
fn quantiles_and_interquartile_means_are_numpys_and_scipys() {
    let fixture = fixture();
    for (mut values, expect) in fixture.interquartile_mean {
        same(interquartile_mean(&mut values).unwrap(), expect);
    }
    for (mut values, q, expect) in fixture.quantile {
        values.sort_unstable_by(f64::total_cmp);
        same(quantile(&values, q).unwrap(), expect);
    }
}

#[test]
fn moments_are_numpys() {
    let case = fixture().moments;
    let moments: Moments = case.values.into_iter().collect();
    same(moments.mean(), case.mean);
    same(moments.variance(), case.variance);
    same(moments.sample_variance(), case.sample_variance);
}

#[test]
fn the_chance_to_beat_is_rliables() {
    for (a, b, expect) in fixture().probability_greater {
        same(probability_greater(&a, &b).unwrap(), expect);
    }
}

#[test]
fn bootstrap_intervals_are_rliables() {
    let how = Bootstrap {
        root: 0,
        resamples: 50_000,
    };
    let fixture = fixture();
    let mean = fixture.bootstrap_mean;
    alike(how.mean(&mean.values), mean.expect);
    let middle = fixture.bootstrap_interquartile_mean;
    let strata: Vec<&[f64]> = middle.strata.iter().map(Vec::as_slice).collect();
    alike(how.interquartile_mean(&strata), middle.expect);
    let pair = fixture.bootstrap_probability_greater;
    alike(
        probability_greater_interval(&pair.a, &pair.b, how),
        pair.expect,
    );
}
