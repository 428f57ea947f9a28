//! All parameters of a policy as views of one flat tensor. So a norm, a clip or an optimiser step
//! takes a few tensor operations in total, not a few for each layer.

use std::ops::Range;

use tch::{Device, Tensor};

/// The network that a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkPart {
    /// The network that chooses actions.
    Actor,
    /// The network that estimates values.
    Critic,
    /// The layers that both share.
    Trunk,
}

/// The role of a parameter in its network. Weight decay and unit-wise clipping skip some roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamRole {
    /// Weights of a hidden layer, `[out, …]`: one row for each unit.
    Weight,
    /// Weights of a network's output layer, `[out, in]`.
    Output,
    /// Bias of a layer, `[out]`.
    Bias,
    /// Gain or offset of a normalisation layer, `[out]`.
    Norm,
    /// Logarithms of the standard deviations of the action distribution, `[act]`.
    LogStd,
}

/// One named parameter and its range in the flat tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamEntry {
    /// `actor.0.weight`, `actor.log_std`, …
    pub name: String,
    /// The network that it belongs to.
    pub part: NetworkPart,
    /// Its role there.
    pub role: ParamRole,
    /// Its shape.
    pub shape: Vec<i64>,
    /// The range of its entries in the flat tensor.
    pub range: Range<usize>,
    /// Whether training leaves it as it is.
    pub frozen: bool,
}

/// The layout of the flat tensor: the parameters of a shared trunk, then those of the actor, then
/// those of the critic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamLayout {
    entries: Vec<ParamEntry>,
}

impl ParamLayout {
    /// Adds a parameter at the end and returns its index.
    pub fn push(
        &mut self,
        name: String,
        part: NetworkPart,
        role: ParamRole,
        shape: &[i64],
    ) -> usize {
        let start = self.len();
        let length = shape.iter().product::<i64>() as usize;
        self.entries.push(ParamEntry {
            name,
            part,
            role,
            shape: shape.to_vec(),
            range: start..start + length,
            frozen: false,
        });
        self.entries.len() - 1
    }

    /// The parameters, in order.
    pub fn entries(&self) -> &[ParamEntry] {
        &self.entries
    }

    /// Total number of entries.
    pub fn len(&self) -> usize {
        self.entries.last().map_or(0, |entry| entry.range.end)
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Freezes all parameters that these names cover: a parameter (`actor.0.weight`), or the start of
    /// its name up to a dot (`actor.0`, `actor`).
    pub fn freeze(&mut self, names: &[String]) {
        for entry in &mut self.entries {
            entry.frozen = names.iter().any(|name| covers(name, &entry.name));
        }
    }

    /// Whether a parameter is frozen.
    pub fn has_frozen(&self) -> bool {
        self.entries.iter().any(|entry| entry.frozen)
    }

    /// Sets the entries of frozen parameters in a flat tensor to 0, in place.
    pub(super) fn zero_frozen(&self, flat: &Tensor) {
        for entry in self.entries.iter().filter(|entry| entry.frozen) {
            let _ = slice(flat, entry).zero_();
        }
    }

    /// A flat tensor with the entries of frozen parameters taken from `before`. Returns `flat` itself
    /// where nothing is frozen.
    pub fn with_frozen_from(&self, flat: Tensor, before: &Tensor) -> Tensor {
        if !self.has_frozen() {
            return flat;
        }
        let kept = flat.copy();
        for entry in self.entries.iter().filter(|entry| entry.frozen) {
            slice(&kept, entry).copy_(&slice(before, entry));
        }
        kept
    }

    /// The slice of a flat tensor that belongs to one network; empty if it has no parameters.
    pub fn part(&self, flat: &Tensor, part: NetworkPart) -> Tensor {
        let entries = || self.entries.iter().filter(|entry| entry.part == part);
        let start = entries().map(|entry| entry.range.start).min().unwrap_or(0);
        let length: usize = entries().map(|entry| entry.range.len()).sum();
        flat.narrow(0, start as i64, length as i64)
    }

    /// Each parameter as a view of the flat tensor, in its shape.
    pub fn views(&self, flat: &Tensor) -> Vec<Tensor> {
        self.entries
            .iter()
            .map(|entry| {
                flat.narrow(0, entry.range.start as i64, entry.range.len() as i64)
                    .view(entry.shape.as_slice())
            })
            .collect()
    }
}

/// Whether a name given for freezing covers a parameter.
pub(super) fn covers(name: &str, parameter: &str) -> bool {
    let rest = parameter.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The view of one parameter in a flat tensor, flat.
fn slice(flat: &Tensor, entry: &ParamEntry) -> Tensor {
    flat.narrow(0, entry.range.start as i64, entry.range.len() as i64)
}

/// Parameters and buffers of a policy, as views of two flat tensors.
#[derive(Debug)]
pub struct Weights {
    /// The parameters, flat.
    pub(super) flat: Tensor,
    /// Each parameter in its shape, in the order of the layout.
    pub(super) params: Vec<Tensor>,
    /// Each buffer, a vector.
    pub(super) buffers: Vec<Tensor>,
}

impl Weights {
    /// Each parameter in its shape, in the order of the layout.
    pub fn parameters(&self) -> &[Tensor] {
        &self.params
    }

    /// The device that they are on.
    pub fn device(&self) -> Device {
        self.flat.device()
    }
}

/// Copies the entries of a tensor, row by row, from any device.
pub fn entries(tensor: &Tensor) -> Vec<f32> {
    let mut entries = vec![0.0; tensor.numel()];
    let length = entries.len();
    tensor
        .detach()
        .to_device(Device::Cpu)
        .contiguous()
        .copy_data(&mut entries, length);
    entries
}

/// The dot product in double precision. It does not overflow for finite `f32` entries.
///
/// It keeps eight partial sums: with a single one, each addition would wait for the one before.
pub fn dot<A: Copy + Into<f64>, B: Copy + Into<f64>>(a: &[A], b: &[B]) -> f64 {
    const LANES: usize = 8;
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(&a, &b)| a.into() * b.into()).sum();
    let mut sums = [0.0; LANES];
    for (a, b) in a.zip(b) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a.into() * b.into();
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn views_share_the_flat_tensor() {
        let mut layout = ParamLayout::default();
        layout.push(
            "actor.0.weight".into(),
            NetworkPart::Actor,
            ParamRole::Weight,
            &[2, 3],
        );
        layout.push(
            "actor.0.bias".into(),
            NetworkPart::Actor,
            ParamRole::Bias,
            &[2],
        );
        layout.push(
            "critic.0.weight".into(),
            NetworkPart::Critic,
            ParamRole::Output,
            &[1, 3],
        );
        assert_eq!(layout.len(), 11);
        let flat = Tensor::from_slice(&(0..11).map(|i| i as f32).collect::<Vec<_>>());
        let views = layout.views(&flat);
        assert_eq!(views[0].size(), [2, 3]);
        assert_eq!(views[2].double_value(&[0, 1]), 9.0);
        assert_eq!(layout.part(&flat, NetworkPart::Critic).size(), [3]);
        let _ = views[1].shallow_clone().fill_(5.0);
        assert_eq!(flat.double_value(&[6]), 5.0);
    }

    #[test]
    fn a_name_freezes_what_lies_below_it() {
        let mut layout = ParamLayout::default();
        for name in [
            "actor.1.weight",
            "actor.10.weight",
            "actor.log_std",
            "critic.1.weight",
        ] {
            layout.push(name.into(), NetworkPart::Actor, ParamRole::Weight, &[2]);
        }
        let mut frozen = |names: &[&str]| -> Vec<bool> {
            layout.freeze(&names.iter().map(|&name| name.into()).collect::<Vec<_>>());
            layout.entries().iter().map(|entry| entry.frozen).collect()
        };
        assert_eq!(frozen(&["actor.1"]), [true, false, false, false]);
        assert_eq!(frozen(&["actor"]), [true, true, true, false]);
        assert_eq!(
            frozen(&["critic.1.weight", "act"]),
            [false, false, false, true]
        );
        let (new, before) = (
            Tensor::from_slice(&[1.0f32; 8]),
            Tensor::from_slice(&[2.0f32; 8]),
        );
        let kept = entries(&layout.with_frozen_from(new, &before));
        assert_eq!(kept, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn a_dot_product_covers_every_entry() {
        for length in [0, 1, 7, 8, 9, 24, 31] {
            let numbers: Vec<f32> = (1..=length).map(|i| i as f32).collect();
            let expect: f64 = numbers.iter().map(|&n| f64::from(n).powi(2)).sum();
            assert_eq!(dot(&numbers, &numbers), expect);
        }
        assert_eq!(dot(&[1e30_f32], &[1e30_f32]), f64::from(1e30_f32).powi(2));
        assert!(dot(&[f32::NAN], &[1.0_f64]).is_nan());
    }
}
