//! The messages of ONNX that a network needs, from
//! <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.

use evenkeel_runs::proto::{Bytes, messages};

messages! {
    in "onnx":

    /// A file.
    ModelProto "onnx/onnx.proto" {
        /// Version of the file format.
        ir_version: i64 = 1,
        /// The program that wrote it.
        producer_name: String = 2,
        /// The version of that program.
        producer_version: String = 3,
        /// What is computed.
        graph: Option<GraphProto> = 7,
        /// What the file is for.
        doc_string: String = 6,
        /// Versions of the operators.
        opset_import: Vec<OperatorSetIdProto> = 8,
        /// Free text by name.
        metadata_props: Vec<StringStringEntryProto> = 14,
    }

    /// A set of operators. The standard ones have an empty domain.
    OperatorSetIdProto "onnx/onnx.proto" {
        /// Who defined it.
        domain: String = 1,
        /// Its version.
        version: i64 = 2,
    }

    /// A name and a text.
    StringStringEntryProto "onnx/onnx.proto" {
        /// The name.
        key: String = 1,
        /// The text.
        value: String = 2,
    }

    /// Nodes in an order in which each reads only what is there.
    GraphProto "onnx/onnx.proto" {
        /// The nodes.
        node: Vec<NodeProto> = 1,
        /// Its name.
        name: String = 2,
        /// Constants.
        initializer: Vec<TensorProto> = 5,
        /// Inputs.
        input: Vec<ValueInfoProto> = 11,
        /// Outputs.
        output: Vec<ValueInfoProto> = 12,
    }

    /// One operation.
    NodeProto "onnx/onnx.proto" {
        /// Names of what it reads; an empty name stands for an input that is left out.
        input: Vec<String> = 1,
        /// Names of what it computes.
        output: Vec<String> = 2,
        /// Its name.
        name: String = 3,
        /// The operator.
        op_type: String = 4,
        /// Settings.
        attribute: Vec<AttributeProto> = 5,
    }

    /// A setting of an operation.
    AttributeProto "onnx/onnx.proto" {
        /// Its name.
        name: String = 1,
        /// The value of a number.
        f: f32 = 2,
        /// The value of a whole number.
        i: i64 = 3,
        /// The values of whole numbers.
        ints: Vec<i64> = 8,
        /// The values of texts.
        strings: Vec<String> = 9,
        /// Which of the values it has: 1 `f`, 2 `i`, 7 `ints`, 8 `strings`.
        r#type: i32 = 20,
    }

    /// A constant.
    TensorProto "onnx/onnx.proto" {
        /// Its shape.
        dims: Vec<i64> = 1,
        /// 1 float, 7 int64.
        data_type: i32 = 2,
        /// Its name.
        name: String = 8,
        /// Entries row by row, little endian.
        raw_data: Bytes = 9,
    }

    /// An input or an output.
    ValueInfoProto "onnx/onnx.proto" {
        /// Its name.
        name: String = 1,
        /// Its type.
        r#type: Option<TypeProto> = 2,
        /// What it is.
        doc_string: String = 3,
    }

    /// A type.
    TypeProto "onnx/onnx.proto" {
        /// A tensor.
        tensor_type: Option<TensorTypeProto> = 1,
    }

    /// The type of a tensor (`TypeProto.Tensor`).
    TensorTypeProto "onnx/onnx.proto" {
        /// As in [`TensorProto::data_type`].
        elem_type: i32 = 1,
        /// Its shape.
        shape: Option<TensorShapeProto> = 2,
    }

    /// A shape.
    TensorShapeProto "onnx/onnx.proto" {
        /// The dimensions.
        dim: Vec<DimensionProto> = 1,
    }

    /// One dimension (`TensorShapeProto.Dimension`): a number or a name.
    DimensionProto "onnx/onnx.proto" {
        /// The number.
        dim_value: i64 = 1,
        /// The name, where any number will do.
        dim_param: String = 2,
    }
}
