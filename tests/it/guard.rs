//! The update guard in training: its actions on refused steps, and bit-exact resumption.

use evenkeel::health::{GuardConfig, GuardMode, Rollback};
use evenkeel::learn::{RunConfig, RunOutcome, TinyEnv, TrainState, Trainer};
use evenkeel::optim::{AdaptiveKl, Schedule};
use evenkeel::telemetry::{
    DivergenceReason, Event, GuardAction, GuardFault, GuardReport, IterationReport,
};

use crate::learning::{EventLog, config, run, run_for, trainer};

/// Refuses gradient norms slightly above the usual, which occur in every run.
fn strict_guard(action: GuardMode) -> RunConfig {
    let mut config = config(12);
    config.stability.guard = GuardConfig {
        action,
        norm_factor: Some(1.8),
        patience: 1000,
    };
    config
}

fn diverging(action: GuardMode) -> RunConfig {
    let mut config = config(40);
    config.stability.clip = Vec::new();
    config.train.learning_rate = 1e4;
    config.stability.guard.action = action;
    config
}

fn guard_reports(log: &EventLog) -> Vec<&GuardReport> {
    let guard_reports = log.0.iter().filter_map(|event| match event {
        Event::Guard(report) => Some(report),
        _ => None,
    });
    guard_reports.collect()
}

fn iterations(log: &EventLog) -> Vec<&IterationReport> {
    let iterations = log.0.iter().filter_map(|event| match event {
        Event::Iteration(iteration) => Some(iteration),
        _ => None,
    });
    iterations.collect()
}

#[test]
fn skipped_step_changes_nothing() {
    let mut log = EventLog::default();
    let mut trainer = trainer(&strict_guard(GuardMode::Skip), 3);
    assert_eq!(run(&mut trainer, &mut log, None), RunOutcome::Finished);
    let guard_reports = guard_reports(&log);
    assert!(!guard_reports.is_empty(), "no step was refused");
    let steps = log.steps();
    let numbers: Vec<u64> = steps.iter().map(|step| step.optimiser_step).collect();
    assert_eq!(numbers, (0..12 * 16).collect::<Vec<u64>>());
    for report in &guard_reports {
        assert_eq!(report.action, GuardAction::Skip);
        let GuardFault::GradNorm {
            grad_norm,
            threshold,
        } = report.fault
        else {
            panic!("{report:?} is not about the gradient norm")
        };
        let step = steps[report.optimiser_step as usize];
        assert!(grad_norm > threshold && step.grad_norm == Some(grad_norm));
    }
    let taken = trainer.state().optimiser.steps;
    assert_eq!(taken, 12 * 16 - guard_reports.len() as u64);
}

#[test]
fn rollback_restores_weights_and_lowers_the_learning_rate() {
    let halve = GuardMode::Rollback(Rollback {
        learning_rate_factor: 0.5,
    });
    let mut log = EventLog::default();
    let mut trainer = trainer(&strict_guard(halve), 3);
    let mut rollbacks = 0;
    for _ in 0..12 {
        let before = trainer.parameters();
        let before_count = guard_reports(&log).len();
        trainer.iterate(&mut log).unwrap();
        let guard_reports = guard_reports(&log);
        let rolled_back = guard_reports.len() > before_count;
        assert_eq!(trainer.parameters() == before, rolled_back);
        rollbacks += i32::from(rolled_back);
        if rolled_back {
            assert_eq!(
                guard_reports.len(),
                before_count + 1,
                "the iteration continued"
            );
            let learning_rate_scale = 0.5f64.powi(rollbacks);
            assert_eq!(
                guard_reports[before_count].action,
                GuardAction::Rollback {
                    learning_rate_scale
                }
            );
        }
    }
    assert!(rollbacks > 0, "no step was refused");
    let rate = |report: &IterationReport, index: usize| {
        report.learning_rate / (1.0 - index as f64 / 12.0) / 3e-3
    };
    let last = iterations(&log).len() - 1;
    let lowered = rate(iterations(&log)[last], last);
    assert!(
        lowered <= 0.5f64.powi(rollbacks - 1) + 1e-12,
        "{lowered} after {rollbacks}"
    );
}

#[test]
fn rollback_lowers_an_adapted_learning_rate() {
    let mut config = strict_guard(GuardMode::Rollback(Rollback {
        learning_rate_factor: 0.5,
    }));
    config.train.schedule = Schedule::AdaptiveKl(AdaptiveKl::default());
    let mut log = EventLog::default();
    let mut trainer = trainer(&config, 3);
    let mut rollbacks = 0;
    for _ in 0..12 {
        let before = trainer.state().adapted_rate.unwrap();
        let before_count = guard_reports(&log).len();
        trainer.iterate(&mut log).unwrap();
        if guard_reports(&log).len() > before_count {
            assert_eq!(trainer.state().adapted_rate, Some(before * 0.5));
            rollbacks += 1;
        }
    }
    assert!(rollbacks > 0, "no step was refused");
}

#[test]
fn without_guard_divergence_is_reported_once() {
    let (halted, off) = (diverging(GuardMode::Halt), diverging(GuardMode::Off));
    let mut ends = [halted, off].map(|config| {
        let mut log = EventLog::default();
        let mut trainer = trainer(&config, 2);
        let outcome = run(&mut trainer, &mut log, None);
        let RunOutcome::Diverged(diverged) = outcome else {
            panic!("the run did not diverge at a learning rate of 10,000")
        };
        assert!(trainer.parameters().iter().all(|weight| weight.is_finite()));
        (diverged, log)
    });
    assert_eq!(ends[0].0, ends[1].0, "they diverged at one step");
    assert_eq!(ends[0].0.reason, DivergenceReason::ParameterNorm);
    let divergence_count = |log: &EventLog| {
        let diverged = |event: &&Event| matches!(event, Event::Diverged(_));
        log.0.iter().filter(diverged).count()
    };
    assert_eq!(
        ends.each_mut().map(|(_, log)| divergence_count(log)),
        [1, 1]
    );
    let [halted, off] = ends.map(|(_, log)| log.steps().len());
    assert!(
        off > halted,
        "steps without guard {off}, with halt {halted}"
    );
}

#[test]
fn run_halts_when_patience_is_exhausted() {
    let mut config = strict_guard(GuardMode::Skip);
    config.stability.guard.patience = 1;
    let mut log = EventLog::default();
    let outcome = run(&mut trainer(&config, 3), &mut log, None);
    let RunOutcome::Diverged(diverged) = outcome else {
        panic!("patience of one step did not end: {outcome:?}")
    };
    assert_eq!(diverged.reason, DivergenceReason::UpdatesRefused);
    assert_eq!(
        guard_reports(&log).last().unwrap().action,
        GuardAction::Halt
    );
}

#[test]
fn guarded_run_resumes_bit_for_bit() {
    for action in [GuardMode::Skip, GuardMode::Rollback(Rollback::default())] {
        let config = strict_guard(action);
        let mut uninterrupted_log = EventLog::default();
        let mut uninterrupted = trainer(&config, 3);
        run(&mut uninterrupted, &mut uninterrupted_log, None);

        let folder = tempfile::tempdir().unwrap();
        let mut log = EventLog::default();
        let outcome = run_for(&mut trainer(&config, 3), &mut log, Some(folder.path()), 5);
        assert_eq!(outcome, RunOutcome::Stopped);
        let checkpoint = TrainState::load(&folder.path().join("last")).unwrap();
        let mut resumed = Trainer::resume(&config, &checkpoint, TinyEnv::new(3, 64)).unwrap();
        run(&mut resumed, &mut log, None);
        let without_checkpoints = |log: &EventLog| -> Vec<Event> {
            let log = log.0.iter().cloned();
            log.filter(|event| !matches!(event, Event::Checkpoint(_)))
                .collect()
        };
        assert_eq!(
            without_checkpoints(&log),
            without_checkpoints(&uninterrupted_log)
        );
        assert_eq!(resumed.parameters(), uninterrupted.parameters());
    }
}
