//! A graph that grows node by node.

use evenkeel_runs::proto::Bytes;
use tch::{Device, Kind, Tensor};

use super::messages::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Number of the type float in ONNX.
const FLOAT: i32 = 1;
/// Number of the type int64 in ONNX.
const INT64: i32 = 7;

/// The name of a tensor in a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueName(String);

impl ValueName {
    /// Stands for an input that is left out.
    pub fn none() -> Self {
        Self(String::new())
    }
}

/// One dimension of an input or output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Any number of rows.
    Batch,
    /// This number.
    Fixed(usize),
}

/// A graph that grows node by node.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    /// Adds an input of floats.
    pub fn input(&mut self, name: &str, shape: &[Dimension], doc: &str) -> ValueName {
        self.graph.input.push(value_info(name, shape, doc));
        ValueName(name.to_owned())
    }

    /// Makes a value an output of floats with this name.
    pub fn output(&mut self, value: &ValueName, name: &str, shape: &[Dimension], doc: &str) {
        self.push_node("Identity", &[value], vec![name.to_owned()], Vec::new());
        self.graph.output.push(value_info(name, shape, doc));
    }

    /// Adds a constant with the entries of a tensor. `name` is made unique.
    pub fn constant(&mut self, name: &str, tensor: &Tensor) -> ValueName {
        let tensor = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float);
        let mut entries = vec![0.0_f32; tensor.numel()];
        let length = entries.len();
        tensor.contiguous().copy_data(&mut entries, length);
        let bytes = entries.iter().flat_map(|entry| entry.to_le_bytes());
        self.push_constant(name, tensor.size(), FLOAT, bytes.collect())
    }

    /// Adds a constant vector.
    pub fn vector(&mut self, name: &str, entries: &[f32]) -> ValueName {
        let bytes = entries.iter().flat_map(|entry| entry.to_le_bytes());
        self.push_constant(name, vec![entries.len() as i64], FLOAT, bytes.collect())
    }

    /// Adds a constant number.
    pub fn scalar(&mut self, name: &str, value: f64) -> ValueName {
        self.push_constant(name, Vec::new(), FLOAT, (value as f32).to_le_bytes().into())
    }

    /// Adds a constant vector of whole numbers: axes, bounds, shapes.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> ValueName {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        self.push_constant(name, vec![values.len() as i64], INT64, bytes.collect())
    }

    /// Adds an operation with one output.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&ValueName],
        attributes: Vec<Attribute>,
    ) -> ValueName {
        let [output] = self.node_with_outputs(operator, inputs, attributes);
        output
    }

    /// Adds an operation with `N` outputs.
    pub fn node_with_outputs<const N: usize>(
        &mut self,
        operator: &str,
        inputs: &[&ValueName],
        attributes: Vec<Attribute>,
    ) -> [ValueName; N] {
        let node = format!("{operator}_{}", self.graph.node.len());
        let outputs: [String; N] = std::array::from_fn(|index| format!("{node}_{index}"));
        self.push_node(operator, inputs, outputs.to_vec(), attributes);
        outputs.map(ValueName)
    }

    /// The product of two values, entry by entry, with broadcasting.
    pub fn mul(&mut self, a: &ValueName, b: &ValueName) -> ValueName {
        self.node("Mul", &[a, b], Vec::new())
    }

    /// The sum of two values, entry by entry, with broadcasting.
    pub fn add(&mut self, a: &ValueName, b: &ValueName) -> ValueName {
        self.node("Add", &[a, b], Vec::new())
    }

    /// A range of the last axis.
    pub fn slice(&mut self, value: &ValueName, first: i64, end: i64, axis: i64) -> ValueName {
        let bounds = [("starts", first), ("ends", end), ("axes", axis)];
        let [starts, ends, axes] = bounds.map(|(name, bound)| self.integers(name, &[bound]));
        self.node("Slice", &[value, &starts, &ends, &axes], Vec::new())
    }

    /// Values one after another along an axis.
    pub fn concat(&mut self, values: &[&ValueName], axis: i64) -> ValueName {
        self.node("Concat", values, vec![Attribute::int("axis", axis)])
    }

    /// input · weightᵀ + bias, for rows `[rows, in]`, a weight `[out, in]` and a bias `[out]`.
    pub fn linear(
        &mut self,
        input: &ValueName,
        name: &str,
        weight: &Tensor,
        bias: &Tensor,
    ) -> ValueName {
        let weight = self.constant(&format!("{name}.weight"), weight);
        let bias = self.constant(&format!("{name}.bias"), bias);
        self.node(
            "Gemm",
            &[input, &weight, &bias],
            vec![Attribute::int("transB", 1)],
        )
    }

    /// The graph.
    pub fn finish(mut self, name: &str) -> GraphProto {
        name.clone_into(&mut self.graph.name);
        self.graph
    }

    fn push_node(
        &mut self,
        operator: &str,
        inputs: &[&ValueName],
        output: Vec<String>,
        attributes: Vec<Attribute>,
    ) {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|input| input.0.clone()).collect(),
            output,
            name: format!("{operator}_{}", self.graph.node.len()),
            op_type: operator.to_owned(),
            attribute: attributes
                .into_iter()
                .map(|attribute| attribute.0)
                .collect(),
        });
    }

    fn push_constant(
        &mut self,
        name: &str,
        dims: Vec<i64>,
        data_type: i32,
        bytes: Vec<u8>,
    ) -> ValueName {
        let taken = |name: &str| self.graph.initializer.iter().any(|one| one.name == name);
        let name = if taken(name) {
            format!("{name}_{}", self.graph.initializer.len())
        } else {
            name.to_owned()
        };
        self.graph.initializer.push(TensorProto {
            dims,
            data_type,
            name: name.clone(),
            raw_data: Bytes(bytes),
        });
        ValueName(name)
    }
}

/// A setting of an operation.
#[derive(Clone, Debug)]
pub struct Attribute(AttributeProto);

impl Attribute {
    /// A number.
    pub fn float(name: &str, value: f64) -> Self {
        Self(AttributeProto {
            name: name.to_owned(),
            f: value as f32,
            r#type: 1,
            ..AttributeProto::default()
        })
    }

    /// A whole number.
    pub fn int(name: &str, value: i64) -> Self {
        Self(AttributeProto {
            name: name.to_owned(),
            i: value,
            r#type: 2,
            ..AttributeProto::default()
        })
    }

    /// Whole numbers.
    pub fn ints(name: &str, values: &[i64]) -> Self {
        Self(AttributeProto {
            name: name.to_owned(),
            ints: values.to_vec(),
            r#type: 7,
            ..AttributeProto::default()
        })
    }

    /// A list of one text.
    pub fn strings(name: &str, value: &str) -> Self {
        Self(AttributeProto {
            name: name.to_owned(),
            strings: vec![value.to_owned()],
            r#type: 8,
            ..AttributeProto::default()
        })
    }
}

fn value_info(name: &str, shape: &[Dimension], doc: &str) -> ValueInfoProto {
    let dim = shape.iter().map(|dimension| match *dimension {
        Dimension::Batch => DimensionProto {
            dim_param: "batch".to_owned(),
            ..DimensionProto::default()
        },
        Dimension::Fixed(length) => DimensionProto {
            dim_value: length as i64,
            ..DimensionProto::default()
        },
    });
    let tensor_type = TensorTypeProto {
        elem_type: FLOAT,
        shape: Some(TensorShapeProto { dim: dim.collect() }),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor_type),
        }),
        doc_string: doc.to_owned(),
    }
}
