//! Our statistics against the reference implementations: `fixtures/statistics.json` was made with
//! scipy, numpy and rliable, `fixtures/aggregates.json` by `aggregates.py` beside it with rliable,
//! lifelines, scipy and numpy. What is deterministic must agree to 1e-6, what is resampled within
//! the noise of resampling.

use evenkeel::stats::{
    Bootstrap, Estimate, Lifetime, Moments, RISK_TAIL, Reliability, SurvivalPoint, cvar_lowest,
    dispersion_across_runs, interquartile_mean, kaplan_meier, probability_greater,
    probability_greater_interval, probability_of_improvement, quantile, wilson,
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

#[derive(Deserialize)]
struct Aggregates {
    performance_profile: ProfileCase,
    probability_of_improvement: StrataPairCase,
    kaplan_meier: Vec<SurvivalCase>,
    reliability: ReliabilityCase,
}

#[derive(Deserialize)]
struct ProfileCase {
    strata: Vec<Vec<f64>>,
    thresholds: Vec<f64>,
    points: Vec<Estimate>,
}

#[derive(Deserialize)]
struct StrataPairCase {
    a: Vec<Vec<f64>>,
    b: Vec<Vec<f64>>,
    #[serde(flatten)]
    expect: Estimate,
}

#[derive(Deserialize)]
struct SurvivalCase {
    lifetimes: Vec<Lifetime>,
    points: Vec<SurvivalPoint>,
    median: Option<f64>,
}

#[derive(Deserialize)]
struct ReliabilityCase {
    times: Vec<f64>,
    curves: Vec<CurveCase>,
    dispersion_across_runs: Vec<f64>,
}

#[derive(Deserialize)]
struct CurveCase {
    values: Vec<f64>,
    lowest_tenth: f64,
    #[serde(flatten)]
    expect: Reliability,
}

fn aggregates() -> Aggregates {
    serde_json::from_str(include_str!("fixtures/aggregates.json")).expect("the fixture is ours")
}

fn slices(strata: &[Vec<f64>]) -> Vec<&[f64]> {
    strata.iter().map(Vec::as_slice).collect()
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
    alike(
        how.interquartile_mean(&slices(&middle.strata)),
        middle.expect,
    );
    let pair = fixture.bootstrap_probability_greater;
    alike(
        probability_greater_interval(&pair.a, &pair.b, how),
        pair.expect,
    );
}

#[test]
fn performance_profiles_are_rliables() {
    let case = aggregates().performance_profile;
    let how = Bootstrap {
        root: 0,
        resamples: 50_000,
    };
    let ours = how
        .performance_profile(&slices(&case.strata), &case.thresholds)
        .expect("there are values");
    assert_eq!(ours.len(), case.points.len());
    let one_value = 1.0 / case.strata.concat().len() as f64;
    for (ours, theirs) in ours.into_iter().zip(case.points) {
        same(ours.value, theirs.value);
        // Shares are multiples of one over 24: an end that is drawn about as often on either side
        // of a percentile may lie one apart.
        for (ours, theirs) in [(ours.low, theirs.low), (ours.high, theirs.high)] {
            assert!((ours - theirs).abs() < one_value + 1e-9, "{ours} {theirs}");
        }
    }
}

#[test]
fn the_chance_to_improve_over_tasks_is_rliables() {
    let case = aggregates().probability_of_improvement;
    let (a, b) = (slices(&case.a), slices(&case.b));
    same(
        probability_of_improvement(&a, &b).expect("there are values"),
        case.expect.value,
    );
    let how = Bootstrap {
        root: 0,
        resamples: 50_000,
    };
    alike(how.probability_of_improvement(&a, &b), case.expect);
}

#[test]
fn survival_curves_are_lifelines() {
    for case in aggregates().kaplan_meier {
        let ours = kaplan_meier(&case.lifetimes).expect("there are runs");
        assert_eq!(ours.median(), case.median);
        assert_eq!(ours.points.len(), case.points.len());
        for (ours, theirs) in ours.points.iter().zip(case.points) {
            same(ours.time, theirs.time);
            let counts = |point: &SurvivalPoint| (point.at_risk, point.failed, point.censored);
            assert_eq!(counts(ours), counts(&theirs), "at {}", ours.time);
            same(ours.variance, theirs.variance);
            same(ours.survival.value, theirs.survival.value);
            same(ours.survival.low, theirs.survival.low);
            same(ours.survival.high, theirs.survival.high);
        }
    }
}

#[test]
fn reliability_is_what_chan_et_al_compute() {
    let case = aggregates().reliability;
    for curve in &case.curves {
        let ours = Reliability::of(&case.times, &curve.values).expect("a curve");
        same(
            ours.dispersion_across_time,
            curve.expect.dispersion_across_time,
        );
        same(ours.short_term_risk, curve.expect.short_term_risk);
        same(ours.long_term_risk, curve.expect.long_term_risk);
        same(
            cvar_lowest(&curve.values, 2.0 * RISK_TAIL).expect("there are values"),
            curve.lowest_tenth,
        );
    }
    let curves: Vec<&[f64]> = case.curves.iter().map(|c| c.values.as_slice()).collect();
    let ours = dispersion_across_runs(&curves).expect("there are curves");
    assert_eq!(ours.len(), case.dispersion_across_runs.len());
    for (ours, theirs) in ours.into_iter().zip(case.dispersion_across_runs) {
        same(ours, theirs);
    }
}
