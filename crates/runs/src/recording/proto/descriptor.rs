//! What messages look like, as a message: the part of `descriptor.proto` that they need.

use std::collections::BTreeSet;

use super::{FieldType, MessageType, ProtoType, messages};

/// The files that describe a message, those first that others need.
pub(super) fn files(of: &MessageType) -> FileDescriptorSet {
    let mut set = FileDescriptorSet::default();
    describe(of, &mut BTreeSet::new(), &mut set);
    set
}

/// Adds the file of a message to a set, after those that it needs.
fn describe(of: &MessageType, done: &mut BTreeSet<&'static str>, set: &mut FileDescriptorSet) {
    if !done.insert(of.file) {
        return;
    }
    let fields = (of.fields)();
    let mut needs = BTreeSet::new();
    let mut enums = Vec::new();
    for field in &fields {
        match field.kind {
            ProtoType::Message(needed) => {
                describe(&needed, done, set);
                needs.insert(needed.file.to_owned());
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
        dependency: needs.into_iter().collect(),
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
        /// Those that others need first.
        file: Vec<FileDescriptorProto> = 1,
    }

    /// One file.
    FileDescriptorProto "google/protobuf/descriptor.proto" {
        /// Its path.
        name: String = 1,
        /// The package of its messages.
        package: String = 2,
        /// The files that it needs.
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
        /// Whether there are many.
        label: i32 = 4,
        /// Its type's number.
        r#type: i32 = 5,
        /// The name of a message or an enum.
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
