//! The temporal-order problem of Pascanu, Mikolov & Bengio 2013 (<https://arxiv.org/abs/1211.5063>,
//! section 4.1 and figure 7) with this library's networks and optimisers: the success rate of gradient
//! descent with and without a clip of the gradient's norm, over the length of the sequences.
//! `docs/findings-temporal-order.md` has the results.
//!
//!     cargo run --release --example temporal_order
//!     cargo run --release --example temporal_order -- --lengths 10,20,30 --runs 8 --updates 20000
//!
//! A sequence consists of symbols of {c, d, e, f}, except for one of {A, B} near its start and another
//! in its middle. The network must classify the sequence as AA, AB, BA or BB at its end, so it must
//! remember a bit over half of the sequence. The classifier is a policy with memory; the actor's means
//! are the scores of the four classes.

use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use evenkeel::nn::{
    Init, MlpConfig, NormalSpec, Policy, PolicyConfig, RecurrentConfig, RecurrentInit, RnnSpec,
    TrunkSharing, UnrollInput,
};
use evenkeel::optim::{
    ClipStage, GlobalNorm, Optimiser, OptimiserState, Sgd, apply_clip_stages, norm,
};
use evenkeel::seed::{Purpose, Rng, Split, normal_pair, stream};
use evenkeel::stats::wilson;
use rand::RngExt as _;
use tch::{Device, Kind, Tensor};

/// Number of symbols: A, B, c, d, e and f, one-hot encoded.
const SYMBOLS: usize = 6;
/// AA, BA, AB, BB.
const CLASSES: usize = 4;
/// Units of the recurrent layer.
const UNITS: usize = 50;
/// Sequences per gradient.
const BATCH: usize = 20;
/// Held-out sequences for evaluation.
const HELD_OUT: usize = 1000;
/// A run has solved the problem when its error rate on held-out sequences is below this.
const ALLOWED_ERRORS: f64 = 0.01;
/// Updates between two evaluations.
const EVAL_EVERY: u32 = 200;

/// Plain and clipped gradient descent on the temporal-order problem.
#[derive(Parser)]
struct Args {
    /// Lengths of the sequences, each at least 10
    #[arg(long, value_delimiter = ',', default_values_t = [10, 20], value_parser = clap::value_parser!(u32).range(10..=1000))]
    lengths: Vec<u32>,
    /// Number of runs per length, with the clip and without
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1000))]
    runs: u64,
    /// Largest number of updates of a run
    #[arg(long, default_value_t = 4000)]
    updates: u32,
    /// Learning rate
    #[arg(long, default_value_t = 0.1)]
    learning_rate: f64,
    /// Largest gradient norm with the clip
    #[arg(long, default_value_t = 1.0)]
    clip: f64,
    /// Initial weights
    #[arg(long, value_enum, default_value_t = Start::BasicTanh)]
    start: Start,
    /// The first run's seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// SVG file to draw the success rates in
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// The paper's initial weights for a tanh layer.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Start {
    /// All weights normal with deviation 0.1
    BasicTanh,
    /// Deviation 0.01, and 15 recurrent weights per unit, scaled to a spectral radius of 0.95
    SmartTanh,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BasicTanh => "basic-tanh",
            Self::SmartTanh => "smart-tanh",
        })
    }
}

/// Sequences and their classes.
struct Batch {
    /// `[length · count, SYMBOLS]`, time-major.
    inputs: Tensor,
    /// `[count]`: class of each sequence.
    classes: Vec<usize>,
}

impl Batch {
    /// Samples sequences like the authors' code (<https://github.com/pascanur/trainingRNNs>): one of
    /// A and B in the second tenth of the sequence, another in the sixth tenth.
    fn draw(length: usize, count: usize, rng: &mut Rng) -> Self {
        let tenth = length / 10;
        let mut inputs = vec![0.0_f32; length * count * SYMBOLS];
        let classes = (0..count).map(|sequence| {
            let within = |from: usize, rng: &mut Rng| from + rng.random_range(0..tenth);
            let positions = [within(tenth, rng), within(length / 2, rng)];
            let relevant = [rng.random_range(0..2), rng.random_range(0..2)];
            for step in 0..length {
                let index = positions.iter().position(|&position| position == step);
                let symbol = index.map_or_else(|| rng.random_range(2..SYMBOLS), |at| relevant[at]);
                inputs[(step * count + sequence) * SYMBOLS + symbol] = 1.0;
            }
            relevant[0] + 2 * relevant[1]
        });
        let classes = classes.collect();
        Self {
            inputs: Tensor::from_slice(&inputs).view([-1, SYMBOLS as i64]),
            classes,
        }
    }

    fn count(&self) -> usize {
        self.classes.len()
    }
}

/// The network with its parameters and buffers.
struct Classifier {
    policy: Policy,
    parameters: Tensor,
    buffers: Tensor,
}

impl Classifier {
    fn new(start: Start, seed: u64) -> Self {
        let deviation = match start {
            Start::BasicTanh => 0.1,
            Start::SmartTanh => 0.01,
        };
        let rnn = RnnSpec {
            size: UNITS as u32,
            recurrent_init: RecurrentInit::AsHidden,
            ..RnnSpec::default()
        };
        let config = PolicyConfig {
            actor: MlpConfig { hidden: Vec::new() },
            trunk: TrunkSharing::Shared,
            memory: Some(RecurrentConfig::Rnn(rnn)),
            init: Init::Normal(NormalSpec {
                std: deviation,
                actor_gain: 1.0,
                critic_gain: 1.0,
            }),
            ..PolicyConfig::default()
        };
        let policy = Policy::new(&config, SYMBOLS, CLASSES);
        let mut parameters = policy.initial_parameters(seed);
        if start == Start::SmartTanh {
            let recurrent = policy
                .layout()
                .entries()
                .iter()
                .find(|entry| entry.shape == [UNITS as i64, UNITS as i64])
                .expect("a recurrent layer has a square matrix");
            let mut rng = stream(seed, Split::Train, 0, 0, Purpose::Init);
            parameters[recurrent.range.clone()].copy_from_slice(&sparse_matrix(&mut rng));
        }
        Self {
            parameters: Tensor::from_slice(&parameters),
            buffers: Tensor::from_slice(policy.initial_buffers()),
            policy,
        }
    }

    /// The initial hidden state, zeros `[sequences, state_len]`.
    fn initial_state(&self, sequences: usize) -> Tensor {
        let shape = [sequences as i64, self.policy.state_len() as i64];
        Tensor::zeros(shape, (Kind::Float, Device::Cpu))
    }

    /// Computes the gradient of the mean cross-entropy at the end of the sequences, flat.
    fn gradient(&self, batch: &Batch) -> Tensor {
        let weights = self.policy.weights(&self.parameters, &self.buffers);
        let unroll_input = UnrollInput {
            hidden: self.initial_state(batch.count()),
            episode_starts: None,
        };
        let outputs = self
            .policy
            .forward(&weights, &batch.inputs, Some(&unroll_input));
        let mut by_actor = vec![0.0; outputs.actor.len()];
        let last = outputs.actor.len() - batch.count() * CLASSES;
        let scores = outputs.actor[last..].chunks_exact(CLASSES);
        let slopes = by_actor[last..].chunks_exact_mut(CLASSES);
        for ((scores, slopes), &class) in scores.zip(slopes).zip(&batch.classes) {
            let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f32 = scores.iter().map(|score| (score - highest).exp()).sum();
            for (slope, score) in slopes.iter_mut().zip(scores) {
                *slope = (score - highest).exp() / total / batch.count() as f32;
            }
            slopes[class] -= 1.0 / batch.count() as f32;
        }
        // The policy's value and action deviations are not trained.
        let by_critic = vec![0.0; outputs.critic.len()];
        let gradient =
            self.policy
                .backward(&weights, &outputs, &by_actor, &by_critic, &[0.0; CLASSES]);
        gradient.flat
    }

    /// Returns the share of sequences that are classified wrongly.
    fn errors(&self, batch: &Batch) -> f64 {
        let weights = self.policy.weights(&self.parameters, &self.buffers);
        let mut hidden = self.initial_state(batch.count());
        let mut scores = Tensor::new();
        for symbols in batch.inputs.split(batch.count() as i64, 0) {
            let acted = self.policy.act(&weights, &symbols, hidden);
            (hidden, scores) = (acted.hidden, acted.actor);
        }
        let classes: Vec<i64> = batch.classes.iter().map(|&class| class as i64).collect();
        let wrong = scores
            .argmax(1, false)
            .ne_tensor(&Tensor::from_slice(&classes));
        wrong
            .to_kind(Kind::Double)
            .mean(Kind::Double)
            .double_value(&[])
    }
}

/// Samples a recurrent matrix with 15 normally distributed weights in each row, scaled to a spectral
/// radius of 0.95. Returns it flat, `[UNITS · UNITS]`.
fn sparse_matrix(rng: &mut Rng) -> Vec<f32> {
    const NONZERO: usize = 15;
    let mut matrix = vec![0.0; UNITS * UNITS];
    for row in matrix.chunks_exact_mut(UNITS) {
        let mut columns: Vec<usize> = (0..UNITS).collect();
        for index in 0..NONZERO {
            columns.swap(index, rng.random_range(index..UNITS));
            row[columns[index]] = normal_pair(rng).0;
        }
    }
    let matrix = Tensor::from_slice(&matrix).view([UNITS as i64, UNITS as i64]);
    let radius = matrix.linalg_eigvals().abs().max().double_value(&[]);
    let scaled = (matrix * (0.95 / radius))
        .to_kind(Kind::Float)
        .flatten(0, -1);
    Vec::<f32>::try_from(scaled).expect("a vector of floats")
}

/// The result of a run.
struct RunResult {
    /// Number of updates after which the problem was solved.
    solved: Option<u32>,
    /// Whether a gradient was not finite.
    non_finite: bool,
    /// Largest gradient norm before the clip.
    largest_norm: f64,
}

/// Runs gradient descent until the problem is solved, the updates are used up, or a gradient is not
/// finite. The same seed gives the same initial weights and sequences with and without a clip.
fn descend(args: &Args, length: usize, seed: u64, clip: &[ClipStage]) -> RunResult {
    let mut classifier = Classifier::new(args.start, seed);
    let rng_of = |split| stream(seed, split, 0, length as u64, Purpose::Layout);
    let held_out = Batch::draw(length, HELD_OUT, &mut rng_of(Split::Eval));
    let mut rng = rng_of(Split::Train);
    let sgd = Optimiser::Sgd(Sgd::default());
    let mut state = OptimiserState::new(&sgd, &classifier.parameters);
    let mut largest_norm = 0.0_f64;
    for update in 1..=args.updates {
        let gradient = classifier.gradient(&Batch::draw(length, BATCH, &mut rng));
        let grad_norm = norm(&gradient);
        if !grad_norm.is_finite() {
            return RunResult {
                solved: None,
                non_finite: true,
                largest_norm,
            };
        }
        largest_norm = largest_norm.max(grad_norm);
        let (weights, layout) = (&classifier.parameters, classifier.policy.layout());
        let gradient = apply_clip_stages(clip, &[], gradient, grad_norm, weights, layout).gradient;
        (classifier.parameters, state) =
            sgd.step(weights, &gradient, &state, args.learning_rate, layout);
        if update % EVAL_EVERY == 0 && classifier.errors(&held_out) < ALLOWED_ERRORS {
            return RunResult {
                solved: Some(update),
                non_finite: false,
                largest_norm,
            };
        }
    }
    RunResult {
        solved: None,
        non_finite: false,
        largest_norm,
    }
}

/// All runs of one length, with the clip or without.
struct Row {
    length: u32,
    clipped: bool,
    runs: Vec<RunResult>,
}

impl Row {
    fn solved(&self) -> u64 {
        self.runs.iter().filter(|run| run.solved.is_some()).count() as u64
    }

    fn rate(&self) -> f64 {
        self.solved() as f64 / self.runs.len() as f64
    }

    /// Wilson's 95 % interval of the success rate, in per cent.
    fn success_interval(&self) -> RangeInclusive<f64> {
        let share = wilson(self.solved(), self.runs.len() as u64);
        100.0 * share.low..=100.0 * share.high
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut updates: Vec<u32> = self.runs.iter().filter_map(|run| run.solved).collect();
        updates.sort_unstable();
        let median = updates
            .get(updates.len() / 2)
            .map_or("–".into(), ToString::to_string);
        let norms = self.runs.iter().map(|run| run.largest_norm);
        let largest_norm = norms.fold(0.0, f64::max);
        let interval = self.success_interval();
        write!(
            f,
            "| {} | {} | {} of {} ({:.0}–{:.0} %) | {median} | {} | {largest_norm:.3} |",
            self.length,
            if self.clipped { "clipped" } else { "plain" },
            self.solved(),
            self.runs.len(),
            interval.start(),
            interval.end(),
            self.runs.iter().filter(|run| run.non_finite).count(),
        )
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    tch::set_num_threads(1);
    let _no_graph = tch::no_grad_guard();
    let start = Instant::now();
    let clip = [ClipStage::GlobalNorm(GlobalNorm { max: args.clip })];
    println!("| length | descent | solved | updates, median | not finite | largest norm |");
    println!("|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for &length in &args.lengths {
        for clipped in [false, true] {
            let stages: &[ClipStage] = if clipped { &clip } else { &[] };
            let seeds = args.seed..args.seed + args.runs;
            let runs = seeds.map(|seed| descend(&args, length as usize, seed, stages));
            let row = Row {
                length,
                clipped,
                runs: runs.collect(),
            };
            println!("{row}");
            std::io::stdout().flush()?;
            rows.push(row);
        }
    }
    eprintln!("{:.0} s", start.elapsed().as_secs_f64());
    if let Some(path) = &args.svg {
        std::fs::write(path, svg(&rows))?;
    }
    Ok(())
}

/// Draws success rates with their intervals over length, on a logarithmic scale as in the paper.
fn svg(rows: &[Row]) -> String {
    let grid_lines = [0.0, 50.0, 100.0].map(|percent| {
        let y = y_of(percent);
        format!(
            "<path d=\"M52 {y}H400\" stroke=\"#ddd\"/>\n\
             <text x=\"46\" y=\"{}\" text-anchor=\"end\" fill=\"#555\">{percent} %</text>",
            y + 4.0
        )
    });
    let x_of = |row: &Row| {
        let log = |row: &Row| f64::from(row.length).ln();
        let [first, last] = [&rows[0], &rows[rows.len() - 1]].map(log);
        64.0 + (log(row) - first) / (last - first).max(1e-9) * 324.0
    };
    let lengths = rows.iter().filter(|row| row.clipped).map(|row| {
        format!(
            "<text x=\"{:.1}\" y=\"238\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            x_of(row),
            row.length
        )
    });
    // The lines are shifted sideways, and their labels up and down, so that they do not overlap.
    let lines = [
        (false, "plain", "#c2410c", -2.5, 12.0),
        (true, "clipped", "#1d4ed8", 2.5, -3.0),
    ]
    .map(|(clipped, name, colour, shift, label_shift)| {
        let of_line: Vec<&Row> = rows.iter().filter(|row| row.clipped == clipped).collect();
        let point = |row: &&Row| (x_of(row) + shift, y_of(100.0 * row.rate()));
        let points = of_line.iter().map(|row| {
            let (x, y) = point(row);
            format!("{x:.1},{y:.1}")
        });
        let dots = of_line.iter().map(|row| {
            let ((x, y), interval) = (point(row), row.success_interval());
            let (low, high) = (y_of(*interval.start()), y_of(*interval.end()));
            format!(
                "<path d=\"M{x:.1} {low:.1}V{high:.1}\" stroke=\"{colour}\" opacity=\".45\"/>\n\
                 <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
            )
        });
        let end = of_line.last().map_or(0.0, |row| point(row).1 + label_shift);
        format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n{}\n\
             <text x=\"408\" y=\"{end:.1}\" fill=\"{colour}\">{name}</text>",
            points.collect::<Vec<_>>().join(" "),
            dots.collect::<Vec<_>>().join("\n"),
        )
    });
    let parts: Vec<String> = grid_lines.into_iter().chain(lengths).chain(lines).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 480 270\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"480\" height=\"270\" fill=\"#fff\"/>\n{}\n\
         <text x=\"226\" y=\"258\" text-anchor=\"middle\" fill=\"#222\">length of the sequences \
         (logarithmic)</text>\n</svg>\n",
        parts.join("\n")
    )
}

/// The y coordinate of a percentage.
fn y_of(percent: f64) -> f64 {
    220.0 - 2.0 * percent
}
