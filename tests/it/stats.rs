//! Statistics against reference implementations. `fixtures/statistics.json` was computed with scipy,
//! numpy and rliable, `fixtures/aggregates.json` by `aggregates.py` with rliable, lifelines, scipy and
//! numpy. Deterministic values must agree to 1e-6, resampled ones within resampling noise.

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

fn assert_close(ours: f64, expected: f64) {
    assert!((ours - expected).abs() < 1e-6, "{ours} is not {expected}");
}

fn assert_interval_close(ours: Option<Estimate>, expected: Estimate) {
    const NOISE: f64 = 0.008;
    let ours = ours.expect("there are values");
    assert_close(ours.value, expected.value);
    for (ours, expected) in [(ours.low, expected.low), (ours.high, expected.high)] {
        assert!(
            (ours - expected).abs() < NOISE,
            "{ours} is far from {expected}"
        );
    }
}

#[test]
fn wilson_intervals_match_scipy() {
    for (successes, trials, low, high) in fixture().wilson {
        let ours = wilson(successes, trials);
        assert_close(ours.value, successes as f64 / trials as f64);
        assert_close(ours.low, low);
        assert_close(ours.high, high);
    }
}

#[test]
fn quantiles_and_interquartile_means_match_numpy_and_scipy() {
    let fixture = fixture();
    for (mut values, expect) in fixture.interquartile_mean {
        assert_close(interquartile_mean(&mut values).unwrap(), expect);
    }
    for (mut values, q, expect) in fixture.quantile {
        values.sort_unstable_by(f64::total_cmp);
        assert_close(quantile(&values, q).unwrap(), expect);
    }
}

#[test]
fn moments_match_numpy() {
    let case = fixture().moments;
    let moments: Moments = case.values.into_iter().collect();
    assert_close(moments.mean(), case.mean);
    assert_close(moments.variance(), case.variance);
    assert_close(moments.sample_variance(), case.sample_variance);
}

#[test]
fn probability_greater_matches_rliable() {
    for (a, b, expect) in fixture().probability_greater {
        assert_close(probability_greater(&a, &b).unwrap(), expect);
    }
}

#[test]
fn bootstrap_intervals_match_rliable() {
    let bootstrap = Bootstrap {
        root: 0,
        resamples: 50_000,
    };
    let fixture = fixture();
    let mean = fixture.bootstrap_mean;
    assert_interval_close(bootstrap.mean(&mean.values), mean.expect);
    let iqm = fixture.bootstrap_interquartile_mean;
    assert_interval_close(
        bootstrap.interquartile_mean(&slices(&iqm.strata)),
        iqm.expect,
    );
    let pair = fixture.bootstrap_probability_greater;
    assert_interval_close(
        probability_greater_interval(&pair.a, &pair.b, bootstrap),
        pair.expect,
    );
}

#[test]
fn performance_profiles_match_rliable() {
    let case = aggregates().performance_profile;
    let bootstrap = Bootstrap {
        root: 0,
        resamples: 50_000,
    };
    let ours = bootstrap
        .performance_profile(&slices(&case.strata), &case.thresholds)
        .expect("there are values");
    assert_eq!(ours.len(), case.points.len());
    let one_value = 1.0 / case.strata.concat().len() as f64;
    for (ours, expected) in ours.into_iter().zip(case.points) {
        assert_close(ours.value, expected.value);
        // Shares are multiples of 1/24, so a bound close to a percentile may differ by one multiple.
        for (ours, expected) in [(ours.low, expected.low), (ours.high, expected.high)] {
            assert!(
                (ours - expected).abs() < one_value + 1e-9,
                "{ours} {expected}"
            );
        }
    }
}

#[test]
fn probability_of_improvement_matches_rliable() {
    let case = aggregates().probability_of_improvement;
    let (a, b) = (slices(&case.a), slices(&case.b));
    assert_close(
        probability_of_improvement(&a, &b).expect("there are values"),
        case.expect.value,
    );
    let bootstrap = Bootstrap {
        root: 0,
        resamples: 50_000,
    };
    assert_interval_close(bootstrap.probability_of_improvement(&a, &b), case.expect);
}

#[test]
fn survival_curves_match_lifelines() {
    for case in aggregates().kaplan_meier {
        let ours = kaplan_meier(&case.lifetimes).expect("there are runs");
        assert_eq!(ours.median(), case.median);
        assert_eq!(ours.points.len(), case.points.len());
        for (ours, expected) in ours.points.iter().zip(case.points) {
            assert_close(ours.time, expected.time);
            let counts = |point: &SurvivalPoint| (point.at_risk, point.failed, point.censored);
            assert_eq!(counts(ours), counts(&expected), "at {}", ours.time);
            assert_close(ours.variance, expected.variance);
            assert_close(ours.survival.value, expected.survival.value);
            assert_close(ours.survival.low, expected.survival.low);
            assert_close(ours.survival.high, expected.survival.high);
        }
    }
}

#[test]
fn reliability_matches_chan_et_al() {
    let case = aggregates().reliability;
    for curve in &case.curves {
        let ours = Reliability::of(&case.times, &curve.values).expect("a curve");
        assert_close(
            ours.dispersion_across_time,
            curve.expect.dispersion_across_time,
        );
        assert_close(ours.short_term_risk, curve.expect.short_term_risk);
        assert_close(ours.long_term_risk, curve.expect.long_term_risk);
        assert_close(
            cvar_lowest(&curve.values, 2.0 * RISK_TAIL).expect("there are values"),
            curve.lowest_tenth,
        );
    }
    let curves: Vec<&[f64]> = case.curves.iter().map(|c| c.values.as_slice()).collect();
    let ours = dispersion_across_runs(&curves).expect("there are curves");
    assert_eq!(ours.len(), case.dispersion_across_runs.len());
    for (ours, expected) in ours.into_iter().zip(case.dispersion_across_runs) {
        assert_close(ours, expected);
    }
}
