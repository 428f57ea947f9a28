//! Descriptors of messages: the part of `descriptor.proto` that plain messages need.

use std::collections::BTreeSet;

use super::{FieldType, MessageType, ProtoType, messages};

/// The files that describe a message and its dependencies, dependencies first.
pub(super) fn files(of: &MessageType) -> FileDescriptorSet {
    let mut set = FileDescriptorSet::default();
    describe(of, &mut BTreeSet::new(), &mut set);
    set
}

/// Adds the file of a message to a set, after its dependencies.
fn describe(of: &MessageType, done: &mut BTreeSet<&'static str>, set: &mut FileDescriptorSet) {
    if !done.insert(of.file) {
        return;
    }
    let fields = (of.fields)();
    let mut dependencies = BTreeSet::new();
    let mut enums = Vec::new();
    for field in &fields {
        match field.kind {
            ProtoType::Message(dependency) => {
                describe(&dependency, done, set);
                dependencies.insert(dependency.file.to_owned());
            }
            ProtoType::Enum(name, values) => enums.push(EnumDescriptorProto {
                name: name.to_owned(),
                value: values.iter().map(enum_value).collect(),
            }),
            ProtoType::Plain(_) => {}
        }
    }
    set.file.push(FileDescriptorProto {
        name: of.file.to_owned(),
        package: of.package.to_owned(),
        dependency: dependencies.into_iter().collect(),
        message_type: vec![DescriptorProto {
            name: of.name.to_owned(),
            field: fields
                .iter()
                .map(|field| field_descriptor(field, of))
                .collect(),
            enum_type: enums,
        }],
        syntax: "proto3".to_owned(),
    });
}

fn enum_value(&(name, number): &(&str, i32)) -> EnumValueDescriptorProto {
    EnumValueDescriptorProto {
        name: name.to_owned(),
        number,
    }
}

fn field_descriptor(field: &FieldType, of: &MessageType) -> FieldDescriptorProto {
    let (kind, type_name) = match field.kind {
        ProtoType::Plain(kind) => (kind, String::new()),
        ProtoType::Message(of) => (11, format!(".{}", of.full_name())),
        ProtoType::Enum(name, _) => (14, format!(".{}.{name}", of.full_name())),
    };
    FieldDescriptorProto {
        name: field.name.to_owned(),
        number: field.number as i32,
        // LABEL_REPEATED and LABEL_OPTIONAL.
        label: if field.repeated { 3 } else { 1 },
        r#type: kind,
        type_name,
    }
}

messages! {
    in "google.protobuf":

    /// The part of `descriptor.proto` that plain messages need.
    FileDescriptorSet "google/protobuf/descriptor.proto" {
        /// Dependencies first.
        file: Vec<FileDescriptorProto> = 1,
    }

    /// One file.
    FileDescriptorProto "google/protobuf/descriptor.proto" {
        /// Its path.
        name: String = 1,
        /// The package of its messages.
        package: String = 2,
        /// Paths of the files that it imports.
        dependency: Vec<String> = 3,
        /// Its messages.
        message_type: Vec<DescriptorProto> = 4,
        /// `proto3`.
        syntax: String = 12,
    }

    /// A message.
    DescriptorProto "google/protobuf/descriptor.proto" {
        /// Its name.
        name: String = 1,
        /// Its fields.
        field: Vec<FieldDescriptorProto> = 2,
        /// Its enums.
        enum_type: Vec<EnumDescriptorProto> = 4,
    }

    /// A field.
    FieldDescriptorProto "google/protobuf/descriptor.proto" {
        /// Its name.
        name: String = 1,
        /// Its number.
        number: i32 = 3,
        /// `LABEL_OPTIONAL` or `LABEL_REPEATED`.
        label: i32 = 4,
        /// Number of its type.
        r#type: i32 = 5,
        /// Name of its message or enum type.
        type_name: String = 6,
    }

    /// An enum.
    EnumDescriptorProto "google/protobuf/descriptor.proto" {
        /// Its name.
        name: String = 1,
        /// Its values.
        value: Vec<EnumValueDescriptorProto> = 2,
    }

    /// A value of an enum.
    EnumValueDescriptorProto "google/protobuf/descriptor.proto" {
        /// Its name.
        name: String = 1,
        /// Its number.
        number: i32 = 2,
    }
}
