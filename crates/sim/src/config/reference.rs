//! Documentation of a settings type, generated from its doc comments: a JSON Schema for editors and a
//! page in Markdown.

use std::collections::HashSet;
use std::fmt::Write as _;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Returns a Markdown page with an introduction and every key of a type.
///
/// # Panics
/// If the type defines no other types.
pub fn type_markdown<T: JsonSchema>(introduction: &str) -> String {
    let schema = schema_of::<T>();
    let definitions = schema["definitions"]
        .as_object()
        .expect("the schema defines types");
    let mut page = MarkdownPage {
        definitions,
        out: introduction.to_owned(),
        documented: HashSet::new(),
    };
    page.section("", "Every key", &schema);
    page.out
}

/// Returns the JSON Schema (draft 7) of a type. Each description is on one line.
pub fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    unwrap_lines(&mut schema);
    schema
}

/// Joins the lines of each description: doc comments are wrapped, the schema is not.
fn unwrap_lines(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            for (key, entry) in entries {
                match entry {
                    Value::String(text) if key == "description" => *text = text.replace('\n', " "),
                    _ => unwrap_lines(entry),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(unwrap_lines),
        _ => {}
    }
}

struct MarkdownPage<'a> {
    definitions: &'a Map<String, Value>,
    out: String,
    /// Types that already have a section.
    documented: HashSet<&'a str>,
}

/// A type that gets its own section.
struct Section<'a> {
    path: String,
    name: &'a str,
}

impl<'a> MarkdownPage<'a> {
    /// Writes the section of a type and the sections of the types that it contains.
    fn section(&mut self, path: &str, heading: &str, schema: &'a Value) {
        let level = if path.is_empty() { "##" } else { "###" };
        let description = schema["description"].as_str().unwrap_or_default();
        writeln!(self.out, "\n{level} {heading}\n\n{description}").ok();
        let mut subsections = Vec::new();
        if let Some(properties) = schema["properties"].as_object() {
            self.keys(path, schema, properties, &mut subsections);
        } else if let Some(choices) = schema["oneOf"].as_array() {
            self.choices(path, choices, &mut subsections);
        }
        for Section { path, name } in subsections {
            if self.documented.insert(name) {
                self.section(&path, &format!("`{path}`"), &self.definitions[name]);
            }
        }
    }

    fn keys(
        &mut self,
        path: &str,
        schema: &'a Value,
        properties: &'a Map<String, Value>,
        subsections: &mut Vec<Section<'a>>,
    ) {
        let required: Vec<_> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        self.out
            .push_str("\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
        for (key, property) in properties {
            let (kind, name) = self.type_name(property);
            let list = if property["type"] == "array" && name.is_some() {
                "[]"
            } else {
                ""
            };
            let inner = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            subsections.extend(name.map(|name| Section {
                path: format!("{inner}{list}"),
                name,
            }));
            let default = match &property["default"] {
                _ if required.contains(&key.as_str()) => "**required**".to_owned(),
                Value::Null if property["type"] == "object" => "empty".to_owned(),
                Value::Null => "none".to_owned(),
                Value::Object(_) if name.is_some() => "see below".to_owned(),
                value => format!("`{}`", toml_value(value)),
            };
            let meaning = property["description"]
                .as_str()
                .unwrap_or_default()
                .replace('|', "\\|");
            writeln!(self.out, "| `{key}` | {kind} | {default} | {meaning} |").ok();
        }
    }

    fn choices(&mut self, path: &str, choices: &'a [Value], subsections: &mut Vec<Section<'a>>) {
        self.out.push_str("\n| write | meaning |\n| --- | --- |\n");
        for choice in choices {
            let meaning = choice["description"].as_str().unwrap_or_default();
            let written = if let Some(word) = choice["const"].as_str() {
                format!("\"{word}\"")
            } else {
                let (key, property) = choice["properties"]
                    .as_object()
                    .and_then(|properties| properties.iter().next())
                    .expect("a choice is a word or a table with one key");
                let (_, name) = self.type_name(property);
                subsections.extend(name.map(|name| Section {
                    path: format!("{path}.{key}"),
                    name,
                }));
                match property["type"].as_str() {
                    Some("array") => format!("{{ {key} = [ … ] }}"),
                    _ => format!("{{ {key} = {{ … }} }}"),
                }
            };
            writeln!(self.out, "| `{written}` | {meaning} |").ok();
        }
    }

    /// Describes a type in words. The second value is its definition's name if it gets a section.
    fn type_name(&self, schema: &'a Value) -> (String, Option<&'a str>) {
        // An optional type is `anyOf` the type and null.
        let reference = schema["$ref"]
            .as_str()
            .or_else(|| schema["allOf"][0]["$ref"].as_str())
            .or_else(|| schema["anyOf"][0]["$ref"].as_str());
        if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) {
            return match self.definitions[name] {
                _ if name == "Quantity" => ("quantity".into(), None),
                _ if name == "Limit" => ("number or \"off\"".into(), None),
                ref definition if definition["oneOf"].is_array() => ("choice".into(), Some(name)),
                _ => ("table".into(), Some(name)),
            };
        }
        // The type of an optional key is a list: its type and null.
        let kind = &schema["type"];
        match kind.as_str().or_else(|| kind[0].as_str()) {
            Some("integer") => ("whole number".into(), None),
            Some("number") => ("number".into(), None),
            Some("boolean") => ("true or false".into(), None),
            Some("string") => ("text".into(), None),
            Some("array") => {
                let (item, name) = self.type_name(&schema["items"]);
                match (schema["minItems"].as_u64(), item.as_str()) {
                    (Some(count), _) => {
                        (format!("[{}]", vec![item; count as usize].join(", ")), name)
                    }
                    (None, "choice" | "table") => (format!("list of {item}s"), name),
                    (None, _) => (format!("list of {item}"), name),
                }
            }
            _ => ("table".into(), None),
        }
    }
}

/// Writes a JSON value as TOML.
fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            format!(
                "[{}]",
                values.iter().map(toml_value).collect::<Vec<_>>().join(", ")
            )
        }
        Value::Object(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{key} = {}", toml_value(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}
