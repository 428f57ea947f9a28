//! What a policy computes for a batch of observations, and what its backward pass needs.

use tch::{Device, Kind, Tensor};

use super::dot;
use super::network::Tape;
#[cfg(doc)]
use super::{ActionHead, CriticHead};

/// The output of one control step of a policy with memory.
#[derive(Debug)]
pub struct ActOutput {
    /// Outputs of the actor, `[rows, outputs]`: see [`ActionHead::outputs`].
    pub actor: Tensor,
    /// Values, `[rows]`.
    pub value: Tensor,
    /// Hidden state after the step, `[rows, state]`.
    pub hidden: Tensor,
}

/// Outputs of actor and critic for a batch of observations.
#[derive(Debug)]
pub struct PolicyOutput {
    /// Outputs of the actor, `[rows, outputs]`: see [`ActionHead::outputs`].
    pub actor: Vec<f32>,
    /// Outputs of the critic, `[rows, outputs]`: see [`CriticHead::outputs`].
    pub critic: Vec<f32>,
    pub(super) context: BackwardContext,
}

impl PolicyOutput {
    /// Drops the hidden states. The backward pass then reports no
    /// [`Gradient::hidden_grad_squares`].
    pub fn discard_hidden_states(&mut self) {
        if let BackwardContext::Graph { unroll, .. } = &mut self.context {
            unroll.hidden.clear();
        }
    }
}

/// What the backward pass needs from the forward pass.
#[derive(Debug)]
pub(super) enum BackwardContext {
    /// Plain networks: the gradient is computed by hand-written code.
    Tapes { actor: Tape, critic: Tape },
    /// All other networks: torch's graph. The leaf holds the parameters, flat.
    Graph { leaf: Tensor, unroll: PolicyUnroll },
}

/// Both networks, unrolled over sequences.
#[derive(Debug)]
pub(super) struct PolicyUnroll {
    /// Outputs of the actor, `[rows, outputs]`.
    pub(super) actor: Tensor,
    /// Outputs of the critic, `[rows, outputs]`.
    pub(super) critic: Tensor,
    /// Hidden state after the last step, `[M, state]`.
    pub(super) state: Tensor,
    /// h after each step, for each trunk. Empty without a memory.
    pub(super) hidden: Vec<Vec<Tensor>>,
}

impl PolicyUnroll {
    /// The gradient of the leaf, flat, and ‖∂L/∂h‖² after each step, given the gradients of
    /// the outputs of actor and critic, each `[rows, outputs]`.
    pub(super) fn backward(
        &self,
        leaf: &Tensor,
        actor: &Tensor,
        critic: &Tensor,
    ) -> (Tensor, Vec<f64>) {
        let sum = tch::with_grad(|| {
            (&self.actor * actor).sum(Kind::Float) + (&self.critic * critic).sum(Kind::Float)
        });
        let mut inputs = vec![leaf];
        inputs.extend(self.hidden.iter().flatten());
        let mut gradients = Tensor::run_backward(&[sum], &inputs, false, false).into_iter();
        let flat = gradients.next().expect("the leaf has a gradient");
        let by_hidden: Vec<Tensor> = gradients.collect();
        (flat, self.squares_through_time(by_hidden))
    }

    /// ‖∂L/∂h‖² after each step, given the gradient with respect to each of [`Self::hidden`], one
    /// trunk after the other.
    ///
    /// On the CPU, the gradients are read through one small buffer. Concatenating them would
    /// allocate at every optimiser step, which takes a fifth of the backward pass's time. From
    /// another device they are copied in one piece.
    fn squares_through_time(&self, by_hidden: Vec<Tensor>) -> Vec<f64> {
        let Some(first) = by_hidden.first() else {
            return Vec::new();
        };
        let mut buffer = vec![0.0_f32; first.numel()];
        let by_hidden = if first.device() == Device::Cpu {
            by_hidden
        } else {
            let rows = first.size()[0];
            let all = Tensor::cat(&by_hidden, 0).to_device(Device::Cpu);
            all.split(rows, 0)
        };
        let mut squares = vec![0.0; self.hidden[0].len()];
        for of_trunk in by_hidden.chunks_exact(squares.len()) {
            for (square, gradient) in squares.iter_mut().zip(of_trunk) {
                let length = buffer.len();
                gradient.copy_data(&mut buffer, length);
                *square += dot(&buffer, &buffer);
            }
        }
        squares
    }
}

/// The gradient of a loss.
#[derive(Debug)]
pub struct Gradient {
    /// With respect to every parameter, flat.
    pub flat: Tensor,
    /// ‖∂L/∂h‖² after each step of the sequences, summed over all units and sequences of actor and
    /// critic. Empty without a memory.
    pub hidden_grad_squares: Vec<f64>,
}
