//! The guard in training: what is done about a step that is refused, and that a run under guard is
//! gone on with bit for bit.

use evenkeel::health::{GuardConfig, GuardMode, Rollback};
use evenkeel::learn::{Checkpoint, RunConfig, RunOutcome, TinyEnv, Trainer};
use evenkeel::telemetry::{
    DivergenceReason, Event, GuardAction, GuardFault, GuardReport, IterationReport,
};

use crate::learning::{Kept, config, run, run_for, trainer};

/// Refuses what is a little above the usual, which happens in every run.
fn wary(action: GuardMode) -> RunConfig {
    let mut config = config(12);
    config.stability.guard = GuardConfig {
        action,
        norm_factor: Some(1.8),
        patience: 1000,
    };
    config
}

fn wild(action: GuardMode) -> RunConfig {
    let mut config = config(40);
    config.stability.clip = Vec::new();
    config.train.learning_rate = 1e4;
    config.stability.guard.action = action;
    config
}

fn rulings(kept: &Kept) -> Vec<&GuardReport> {
    let rulings = kept.0.iter().filter_map(|event| match event {
        Event::Guard(ruled) => Some(ruled),
        _ => None,
    });
    rulings.collect()
}

fn iterations(kept: &Kept) -> Vec<&IterationReport> {
    let iterations = kept.0.iter().filter_map(|event| match event {
        Event::Iteration(iteration) => Some(iteration),
        _ => None,
    });
    iterations.collect()
}

#[test]
fn a_step_that_is_skipped_leaves_no_trace_but_in_the_log() {
    let mut kept = Kept::default();
    let mut trainer = trainer(&wary(GuardMode::Skip), 3);
    assert_eq!(run(&mut trainer, &mut kept, None), RunOutcome::Finished);
    let rulings = rulings(&kept);
    assert!(!rulings.is_empty(), "no step was refused");
    let steps = kept.steps();
    let numbers: Vec<u64> = steps.iter().map(|step| step.optimiser_step).collect();
    assert_eq!(numbers, (0..12 * 16).collect::<Vec<u64>>());
    for ruled in &rulings {
        assert_eq!(ruled.action, GuardAction::Skip);
        let GuardFault::GradNorm {
            grad_norm,
            threshold,
        } = ruled.fault
        else {
            panic!("{ruled:?} is not about a norm")
        };
        let step = steps[ruled.optimiser_step as usize];
        assert!(grad_norm > threshold && step.grad_norm == Some(grad_norm));
    }
    let taken = trainer.checkpoint().policy.state.steps_taken;
    assert_eq!(taken, 12 * 16 - rulings.len() as u64);
}

#[test]
fn a_rollback_gives_back_the_weights_of_before_and_lowers_the_learning_rate() {
    let halve = GuardMode::Rollback(Rollback {
        learning_rate_factor: 0.5,
    });
    let mut kept = Kept::default();
    let mut trainer = trainer(&wary(halve), 3);
    let mut rollbacks = 0;
    for _ in 0..12 {
        let before = trainer.parameters();
        let seen = rulings(&kept).len();
        trainer.iterate(&mut kept).unwrap();
        let rulings = rulings(&kept);
        let rolled_back = rulings.len() > seen;
        assert_eq!(trainer.parameters() == before, rolled_back);
        rollbacks += i32::from(rolled_back);
        if rolled_back {
            assert_eq!(rulings.len(), seen + 1, "the iteration went on");
            let learning_rate_scale = 0.5f64.powi(rollbacks);
            assert_eq!(
                rulings[seen].action,
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
    let last = iterations(&kept).len() - 1;
    let lowered = rate(iterations(&kept)[last], last);
    assert!(
        lowered <= 0.5f64.powi(rollbacks - 1) + 1e-12,
        "{lowered} after {rollbacks}"
    );
}

#[test]
fn with_the_guard_off_a_run_burns_and_is_told_to_have_diverged_once() {
    let (halted, off) = (wild(GuardMode::Halt), wild(GuardMode::Off));
    let mut ends = [halted, off].map(|config| {
        let mut kept = Kept::default();
        let mut trainer = trainer(&config, 2);
        let ended = run(&mut trainer, &mut kept, None);
        let RunOutcome::Diverged(diverged) = ended else {
            panic!("it survived a learning rate of 10,000")
        };
        assert!(trainer.parameters().iter().all(|weight| weight.is_finite()));
        (diverged, kept)
    });
    assert_eq!(ends[0].0, ends[1].0, "they diverged at one step");
    assert_eq!(ends[0].0.reason, DivergenceReason::ParameterNorm);
    let told = |kept: &Kept| {
        let diverged = |event: &&Event| matches!(event, Event::Diverged(_));
        kept.0.iter().filter(diverged).count()
    };
    assert_eq!(ends.each_mut().map(|(_, kept)| told(kept)), [1, 1]);
    let [halted, off] = ends.map(|(_, kept)| kept.steps().len());
    assert!(off > halted, "it went on no further: {off}, {halted}");
}

#[test]
fn patience_ends_a_run_that_is_refused_again_and_again() {
    let mut config = wary(GuardMode::Skip);
    config.stability.guard.patience = 1;
    let mut kept = Kept::default();
    let ended = run(&mut trainer(&config, 3), &mut kept, None);
    let RunOutcome::Diverged(diverged) = ended else {
        panic!("patience of one step did not end: {ended:?}")
    };
    assert_eq!(diverged.reason, DivergenceReason::UpdatesRefused);
    assert_eq!(rulings(&kept).last().unwrap().action, GuardAction::Halt);
}

#[test]
fn a_run_under_guard_is_resumed_bit_for_bit() {
    for action in [GuardMode::Skip, GuardMode::Rollback(Rollback::default())] {
        let config = wary(action);
        let mut alone = Kept::default();
        let mut whole = trainer(&config, 3);
        run(&mut whole, &mut alone, None);

        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::default();
        let ended = run_for(&mut trainer(&config, 3), &mut kept, Some(folder.path()), 5);
        assert_eq!(ended, RunOutcome::Stopped);
        let checkpoint = Checkpoint::load(&folder.path().join("last")).unwrap();
        let mut resumed = Trainer::resume(&config, &checkpoint, TinyEnv::new(3, 64)).unwrap();
        run(&mut resumed, &mut kept, None);
        let bare = |kept: &Kept| -> Vec<Event> {
            let kept = kept.0.iter().cloned();
            kept.filter(|event| !matches!(event, Event::Checkpoint(_)))
                .collect()
        };
        assert_eq!(bare(&kept), bare(&alone));
        assert_eq!(resumed.parameters(), whole.parameters());
    }
}
