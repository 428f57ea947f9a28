//! The reference of `metrics.jsonl` in `docs/metrics.md`, made from the doc comments of the reports.
//! A test compares the page with it; run the test with `INSTA_UPDATE=always` to write the page.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use super::{
    CheckpointReport, DivergedReport, EvaluationReport, GuardReport, HealthEvent, IncidentReport,
    IterationReport, UpdateReport,
};
use evenkeel_sim::config::schema_of;

/// The heading at which the reference begins; it goes to the end of the page.
const HEADING: &str = "## Every field of `metrics.jsonl`\n";

const INTRODUCTION: &str = "
Each line is a JSON object, and `event` says which. `[]` stands for a place in a list, a dot for a key of an
object. A value that was not measured or is not finite is `null`, or its key is missing. An *estimate* is an
object with `value` and the ends of its 95 % interval, `low` and `high`. This section is made from the program's
source, and a test compares them.
";

/// The whole section.
fn log_markdown() -> String {
    let mut page = HEADING.to_owned() + INTRODUCTION;
    event::<UpdateReport>(&mut page, "step");
    event::<IterationReport>(&mut page, "iteration");
    event::<EvaluationReport>(&mut page, "evaluation");
    event::<HealthEvent>(&mut page, "health");
    event::<GuardReport>(&mut page, "guard");
    event::<IncidentReport>(&mut page, "incident");
    event::<CheckpointReport>(&mut page, "checkpoint");
    event::<DivergedReport>(&mut page, "diverged");
    page
}

/// Writes the section of one kind of event.
fn event<T: JsonSchema>(page: &mut String, name: &str) {
    let schema = schema_of::<T>();
    let description = plain(schema["description"].as_str().unwrap_or_default());
    write!(
        page,
        "\n### `{name}`\n\n{description}\n\n| field | type | meaning |\n|---|---|---|\n"
    )
    .expect("a string takes all");
    let none = Map::new();
    let definitions = schema["definitions"].as_object().unwrap_or(&none);
    fields(page, "", &schema, definitions);
}

/// Writes a row for each field of an object, and for the fields of what it contains.
fn fields(page: &mut String, path: &str, schema: &Value, definitions: &Map<String, Value>) {
    for (key, field) in schema["properties"].as_object().into_iter().flatten() {
        let field_path = format!("{path}{key}");
        let type_of = FieldType::of(field, definitions);
        let meaning = plain(field["description"].as_str().unwrap_or_default());
        writeln!(page, "| `{field_path}` | {} | {meaning} |", type_of.text)
            .expect("a string takes all");
        if let Some(inner) = type_of.inner {
            let list = if type_of.is_list { "[]" } else { "" };
            fields(page, &format!("{field_path}{list}."), inner, definitions);
        }
    }
}

/// The type of a field.
struct FieldType<'a> {
    /// In words.
    text: String,
    /// The object that it is or that its list contains, if that gets rows of its own.
    inner: Option<&'a Value>,
    is_list: bool,
}

impl<'a> FieldType<'a> {
    fn of(field: &'a Value, definitions: &'a Map<String, Value>) -> Self {
        // An optional type is `anyOf` the type and null.
        let reference = field["$ref"]
            .as_str()
            .or_else(|| field["allOf"][0]["$ref"].as_str())
            .or_else(|| field["anyOf"][0]["$ref"].as_str());
        if let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) {
            return Self::named(name, &definitions[name]);
        }
        // The type of an optional key is a list: its type and null.
        let kind = &field["type"];
        let kind = kind.as_str().or_else(|| kind[0].as_str());
        if kind == Some("array") {
            return Self::list(field, definitions);
        }
        let text = match kind {
            Some("integer") => "whole number",
            Some("number") => "number",
            Some("boolean") => "true or false",
            _ => "text",
        };
        Self::plain(text.to_owned())
    }

    fn plain(text: String) -> Self {
        Self {
            text,
            inner: None,
            is_list: false,
        }
    }

    fn named(name: &str, definition: &'a Value) -> Self {
        match name {
            "Estimate" | "Average" => Self::plain("estimate".to_owned()),
            "UpdateReport" => Self::plain("object with the fields of `step`".to_owned()),
            _ => match definition["oneOf"].as_array() {
                Some(choices) => Self::plain(choices_text(choices)),
                None if definition["enum"].is_array() => {
                    let words = definition["enum"].as_array().into_iter().flatten();
                    Self::plain(one_of(words.filter_map(Value::as_str)))
                }
                None => Self {
                    text: "object".to_owned(),
                    inner: Some(definition),
                    is_list: false,
                },
            },
        }
    }

    fn list(field: &'a Value, definitions: &'a Map<String, Value>) -> Self {
        let Some(length) = field["minItems"].as_u64() else {
            let item = Self::of(&field["items"], definitions);
            let text = match item.text.as_str() {
                "whole number" => "list of whole numbers".to_owned(),
                "number" => "list of numbers".to_owned(),
                "object" => "list of objects".to_owned(),
                "[text, number]" => "list of [text, number]".to_owned(),
                other => format!("list, each {other}"),
            };
            return Self {
                text,
                inner: item.inner,
                is_list: true,
            };
        };
        let text = match &field["items"] {
            Value::Array(items) => {
                let items = items.iter().map(|item| Self::of(item, definitions).text);
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
            item => format!("list of {length}: {}", Self::of(item, definitions).text),
        };
        Self::plain(text)
    }
}

/// What can be written for an enum.
fn choices_text(choices: &[Value]) -> String {
    let mut written: Vec<String> = Vec::new();
    for choice in choices {
        if let Some(word) = choice["const"].as_str() {
            written.push(format!("`{word}`"));
        } else if let Some(words) = choice["enum"].as_array() {
            let words = words.iter().filter_map(Value::as_str);
            written.extend(words.map(|word| format!("`{word}`")));
        } else {
            let entries = choice["properties"].as_object().into_iter().flatten();
            for (key, inner) in entries {
                let keys = inner["properties"].as_object();
                let keys = keys.map(|keys| keys.keys().cloned().collect::<Vec<_>>().join(", "));
                let keys = keys.map_or("…".to_owned(), |keys| format!("{{{keys}}}"));
                written.push(format!("`{{{key}: {keys}}}`"));
            }
        }
    }
    format!("one of {}", written.join(", "))
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    format!("one of {}", words.join(", "))
}

/// A doc comment in a cell of a table: without links to items, and `None` as JSON has it.
fn plain(text: &str) -> String {
    text.replace("[`", "`")
        .replace("`]", "`")
        .replace("`None`", "`null`")
        .replace('|', "\\|")
}

fn page_path() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md")
}

#[test]
fn the_metrics_page_lists_every_field_of_the_log() {
    let page = std::fs::read_to_string(page_path()).unwrap();
    let rest = page
        .split_once(HEADING)
        .map_or(&*page, |(before, _)| before);
    let expected = format!("{}\n\n{}", rest.trim_end(), log_markdown());
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(page_path(), &expected).unwrap();
    } else {
        assert!(
            page == expected,
            "docs/metrics.md differs from the reports; run this test with INSTA_UPDATE=always"
        );
    }
}

#[test]
fn every_event_has_a_section() {
    let schema = schema_of::<super::Event>();
    let choices = schema["oneOf"].as_array().expect("events are choices");
    let page = log_markdown();
    assert!(choices.len() >= 8);
    for choice in choices {
        let name = choice["properties"]["event"]["const"].as_str();
        let name = name.unwrap_or_else(|| panic!("{choice}"));
        assert!(page.contains(&format!("### `{name}`\n")), "{name}");
    }
}
