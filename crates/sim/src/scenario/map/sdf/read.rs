//! Reads elements: their children, names, text and numbers.

use roxmltree::Node;

use crate::scenario::map::error::MapError;
use crate::scenario::map::grid::MAX_COORDINATE_M;

/// An error at an element.
pub(super) fn error_at(
    node: Node,
    message: impl Into<String>,
    help: impl Into<String>,
) -> MapError {
    MapError::new(node.range(), message, help)
}

/// The elements in `node` with a name.
pub(super) fn children<'a>(
    node: Node<'a, 'a>,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'a>> {
    let namespace = node.tag_name().namespace();
    node.children()
        .filter(move |child| child.has_tag_name(name) && child.tag_name().namespace() == namespace)
}

/// The only element in `node` with a name, or none.
pub(super) fn only_child<'a>(
    node: Node<'a, 'a>,
    name: &'a str,
) -> Result<Option<Node<'a, 'a>>, MapError> {
    let mut found = children(node, name);
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(second) => {
            let message = format!("a second <{name}> in <{}>", name_of(node));
            Err(error_at(second, message, "leave one of them"))
        }
    }
}

pub(super) fn child<'a>(node: Node<'a, 'a>, name: &'a str) -> Result<Node<'a, 'a>, MapError> {
    only_child(node, name)?.ok_or_else(|| {
        let message = format!("<{}> without <{name}>", name_of(node));
        error_at(node, message, format!("write <{name}> in it"))
    })
}

pub(super) fn name_of<'a>(node: Node<'a, 'a>) -> &'a str {
    node.tag_name().name()
}

/// The name that an element has in the file, with escapes.
pub(super) fn label(node: Node) -> String {
    let name = node.attribute("name").unwrap_or_default();
    name.escape_default().to_string()
}

/// The text in an element, without comments.
pub(super) fn text_of(node: Node) -> String {
    let texts = node.children().filter(Node::is_text);
    texts.filter_map(|text| text.text()).collect()
}

/// Reads exactly `N` finite numbers, separated by whitespace.
pub(super) fn numbers<const N: usize>(node: Node) -> Result<[f64; N], MapError> {
    let text = text_of(node);
    let found: Vec<f64> = text
        .split_whitespace()
        .map_while(|word| {
            word.parse()
                .ok()
                .filter(|number: &f64| number.abs() <= MAX_COORDINATE_M)
        })
        .collect();
    let complete = text.split_whitespace().count() == N;
    found.try_into().ok().filter(|_| complete).ok_or_else(|| {
        let short: String = text.trim().chars().take(60).collect();
        let message = format!("<{}> is '{}'", name_of(node), short.escape_default());
        let help = if N == 1 {
            format!("write a number, at most {MAX_COORDINATE_M}")
        } else {
            format!("write {N} numbers, at most {MAX_COORDINATE_M}, separated by spaces")
        };
        error_at(node, message, help)
    })
}

/// Reads `N` positive sizes, metres.
pub(super) fn sizes<const N: usize>(node: Node) -> Result<[f64; N], MapError> {
    let sizes: [f64; N] = numbers(node)?;
    match sizes.iter().find(|size| **size <= 0.0) {
        None => Ok(sizes),
        Some(size) => {
            let message = format!("<{}> has {size}", name_of(node));
            Err(error_at(node, message, "write a size above 0"))
        }
    }
}
