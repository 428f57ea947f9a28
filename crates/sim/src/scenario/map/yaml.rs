//! As much of YAML as map files need: a flat table of words, numbers and lists of numbers.

use std::ops::Range;

use super::MapError;

/// A key with what stands behind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct YamlEntry {
    pub(super) key: String,
    /// One value, or the elements of a list.
    pub(super) values: Vec<String>,
    /// Where the value is.
    pub(super) span: Range<usize>,
}

/// Reads the entries of a flat table.
pub(super) fn parse(text: &str) -> Result<Vec<YamlEntry>, MapError> {
    let mut entries: Vec<YamlEntry> = Vec::new();
    let mut start = 0;
    for raw in text.split_inclusive('\n') {
        let line = without_comment(raw.trim_end());
        let at = start + (line.len() - line.trim_start().len());
        let span = at..(start + line.trim_end().len()).max(at);
        start += raw.len();
        let line = line.trim();
        if line.is_empty() || line == "---" || line == "..." || line.starts_with('%') {
            continue;
        }
        let open_list = entries.last_mut().filter(|entry| entry.values.is_empty());
        if let Some(item) = line.strip_prefix("- ") {
            // A list with an element a line.
            let Some(entry) = entries.last_mut() else {
                return Err(MapError::new(
                    span,
                    "a list without a key",
                    "write 'key: value'",
                ));
            };
            entry.values.push(unquoted(item));
            entry.span.end = span.end;
            continue;
        }
        if let Some(entry) = open_list {
            let message = format!("'{}' has no value", entry.key);
            return Err(MapError::new(
                entry.span.clone(),
                message,
                "write 'key: value'",
            ));
        }
        let Some((key, value)) = line
            .split_once(':')
            .filter(|(_, value)| value.is_empty() || value.starts_with([' ', '\t']))
        else {
            return Err(MapError::new(
                span,
                "no 'key: value'",
                "write one in each line",
            ));
        };
        let value = value.trim();
        let values = match value.strip_prefix('[') {
            _ if value.is_empty() => Vec::new(),
            None => vec![unquoted(value)],
            Some(list) => {
                let Some(list) = list.strip_suffix(']') else {
                    let help = "close the list with ']' in the same line";
                    return Err(MapError::new(span, "the list has no end", help));
                };
                list.split(',').map(unquoted).collect()
            }
        };
        let value_at = span.end - value.len();
        entries.push(YamlEntry {
            key: unquoted(key),
            values,
            span: if value.is_empty() {
                span
            } else {
                value_at..span.end
            },
        });
    }
    Ok(entries)
}

/// A line up to its comment, which a `#` begins at the start or after a blank.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return &line[..at],
            (None, '\'' | '"') if !before.is_alphanumeric() => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

fn unquoted(word: &str) -> String {
    let word = word.trim();
    ['"', '\'']
        .iter()
        .find_map(|&quote| word.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(word)
        .to_owned()
}
