//! Residual blocks with layer normalisation, in place of a network's hidden layers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::onnx::{GraphBuilder, ValueName};

use super::layer::{HiddenLayer, LayerOptions, push_linear};
use super::norm::{BufferLayout, Norm, NormLayer};
use super::params::{NetworkPart, ParamLayout, ParamRole, Weights};

/// Width of the inner layer of a block, as a multiple of the block's width.
const EXPANSION: i64 = 4;

/// What the hidden layers of a network are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HiddenBlock {
    /// Linear maps, each followed by its normalisation and its activation.
    #[default]
    Layer,
    /// The residual blocks of `SimBa` (Lee et al. 2024, <https://arxiv.org/abs/2410.09754>): a linear
    /// map of the inputs to the width of the blocks; in each block layer normalisation, a linear map
    /// to four times the width, the activation (the paper's is `relu`), a linear map back, and the
    /// block's input added; layer normalisation at the end. Each number of `hidden` is a block; all
    /// are the same. `norm`, `residual` and `spectral_norm` must be off.
    Simba,
}

/// The blocks of one network. It holds indices of parameters, not their values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SimbaBlocks {
    /// Index of the weight `[width, in]` that maps the inputs; its bias follows.
    embedding: usize,
    blocks: Vec<SimbaBlock>,
    /// Normalises the features.
    norm: Norm,
}

/// x + contract(activation(expand(norm(x)))).
#[derive(Clone, Debug, PartialEq)]
struct SimbaBlock {
    norm: Norm,
    /// Linear map `[4 · width, width]` and activation.
    expand: HiddenLayer,
    /// Index of the weight `[width, 4 · width]`; its bias follows.
    contract: usize,
}

impl SimbaBlocks {
    /// Adds the parameters: `<name>.embedding.weight`, `.bias`; for each block
    /// `<name>.<block>.norm.…`, `.expand.…`, `.contract.…`; `<name>.norm.…`.
    pub(super) fn build(
        layout: &mut ParamLayout,
        buffers: &mut BufferLayout,
        name: &str,
        part: NetworkPart,
        (inputs, width, blocks): (i64, i64, usize),
        options: LayerOptions,
    ) -> Self {
        let linear = |layout: &mut ParamLayout, name: &str, inputs: i64, outputs: i64| {
            push_linear(layout, name, part, ParamRole::Weight, inputs, outputs)
        };
        let embedding = linear(layout, &format!("{name}.embedding"), inputs, width);
        let norm = |layout: &mut ParamLayout, buffers: &mut BufferLayout, name: &str| {
            let norm = NormLayer::Layer.build(layout, buffers, name, part, width);
            norm.expect("layer normalisation has parameters")
        };
        let blocks = (0..blocks).map(|block| {
            let name = format!("{name}.{block}");
            let norm = norm(layout, buffers, &name);
            let (expand, inner) = (format!("{name}.expand"), EXPANSION * width);
            let expand = HiddenLayer::build(layout, buffers, &expand, part, options, width, inner);
            let contract = format!("{name}.contract");
            let contract = linear(layout, &contract, expand.width(), width);
            SimbaBlock {
                norm,
                expand,
                contract,
            }
        });
        let blocks = blocks.collect();
        Self {
            embedding,
            blocks,
            norm: norm(layout, buffers, name),
        }
    }

    /// Index of each weight, from input to output.
    pub(super) fn weights(&self) -> impl Iterator<Item = usize> {
        let blocks = self.blocks.iter();
        let blocks = blocks.flat_map(|block| [block.expand.weight(), block.contract]);
        std::iter::once(self.embedding).chain(blocks)
    }

    /// Index of the gain of each normalisation layer.
    pub(super) fn norm_gains(&self) -> impl Iterator<Item = usize> {
        let blocks = self.blocks.iter().map(|block| block.norm.gain());
        blocks.chain([self.norm.gain()])
    }

    /// Applies the blocks, `[rows, in]` → `[rows, width]`. Calls `observe` for the inner layer of
    /// each block.
    pub(super) fn forward(
        &self,
        weights: &Weights,
        input: &Tensor,
        observe: &mut impl FnMut(&HiddenLayer, &Tensor, &Tensor),
    ) -> Tensor {
        let params = &weights.params;
        let linear =
            |index: usize, input: &Tensor| params[index + 1].addmm(input, &params[index].tr());
        let normalise = |norm: Norm, input: &Tensor| norm.forward(params, &weights.buffers, input);
        let mut next = linear(self.embedding, input);
        for block in &self.blocks {
            let inner = block
                .expand
                .forward(weights, &normalise(block.norm, &next), observe);
            // Not in place: the graph of the normalisation reads `next`.
            next = linear(block.contract, &inner) + next;
        }
        normalise(self.norm, &next)
    }

    /// Adds the blocks to a graph, `[rows, in]` → `[rows, width]`, as [`Self::forward`].
    pub(super) fn export(
        &self,
        graph: &mut GraphBuilder,
        name: &str,
        weights: &Weights,
        input: &ValueName,
    ) -> ValueName {
        let params = &weights.params;
        let tensors = (params.as_slice(), weights.buffers.as_slice());
        let linear = |graph: &mut GraphBuilder, name: &str, index: usize, input: &ValueName| {
            graph.linear(input, name, &params[index], &params[index + 1])
        };
        let mut next = linear(graph, &format!("{name}.embedding"), self.embedding, input);
        for (index, block) in self.blocks.iter().enumerate() {
            let name = format!("{name}.{index}");
            let normalised = block.norm.export(graph, &name, tensors, &next);
            let expand = format!("{name}.expand");
            let inner = block.expand.export(graph, &expand, weights, &normalised);
            let contract = format!("{name}.contract");
            let contracted = linear(graph, &contract, block.contract, &inner);
            next = graph.add(&contracted, &next);
        }
        self.norm.export(graph, name, tensors, &next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Activation;

    #[test]
    fn a_block_matches_a_hand_computed_example() {
        let (mut layout, mut buffers) = (ParamLayout::default(), BufferLayout::default());
        let options = LayerOptions {
            norm: NormLayer::Off,
            spectral_norm: false,
            activation: Activation::Relu,
        };
        let (part, shape) = (NetworkPart::Actor, (1, 2, 1));
        let blocks = SimbaBlocks::build(&mut layout, &mut buffers, "actor", part, shape, options);
        let mut flat = vec![0.0_f32; layout.len()];
        let mut write = |name: &str, values: &[f32]| {
            let mut entries = layout.entries().iter();
            let entry = entries.find(|entry| entry.name == name).unwrap();
            flat[entry.range.clone()][..values.len()].copy_from_slice(values);
        };
        // The input 3 becomes (3, 9), whose mean is 6 and deviation 3: normalised, (−1, 1).
        write("actor.embedding.weight", &[1.0, 3.0]);
        for name in ["actor.0.norm.gain", "actor.norm.gain"] {
            write(name, &[1.0, 1.0]);
        }
        // The first inner unit is relu(−(−1) + 1) = 2, the second relu(−1) = 0, the others 0.
        write("actor.0.expand.weight", &[-1.0, 1.0, 1.0, 0.0]);
        // (3, 9) + (2, 0) · 4 = (11, 9): normalised, (1, −1).
        write("actor.0.contract.weight", &[4.0, 100.0]);
        let flat = Tensor::from_slice(&flat);
        let weights = Weights {
            params: layout.views(&flat),
            flat,
            buffers: Vec::new(),
        };
        let input = Tensor::from_slice(&[3.0_f32]).view([1, 1]);
        let mut inner_units = Vec::new();
        let output = blocks.forward(&weights, &input, &mut |_, _, output| {
            inner_units = Vec::try_from(&output.flatten(0, -1)).unwrap();
        });
        let expected = [2.0_f32, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let apart = inner_units
            .iter()
            .zip(expected)
            .map(|(a, b): (&f32, f32)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-4, "{inner_units:?}");
        let output = Vec::<f32>::try_from(&output.flatten(0, -1)).unwrap();
        assert!(
            (output[0] - 1.0).abs() < 1e-4 && (output[1] + 1.0).abs() < 1e-4,
            "{output:?}"
        );
        assert_eq!(blocks.weights().count(), 3);
        assert_eq!(blocks.norm_gains().count(), 2);
    }
}
