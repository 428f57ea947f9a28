//! The saved state of a world (`<state>`). Classic Gazebo shows models where the state has them;
//! the map shows them where their own poses put them. Differences get a note.

use roxmltree::Node;

use super::pose::Pose;
use super::{MapError, children, error_at, name_of, text_of};

/// Smaller differences are those of a simulation that has settled, metres and radians.
const TOLERANCE: f64 = 0.01;

/// Returns notes on a state: models that have moved, changed their size, come or gone. `models` are
/// those of the world.
pub(super) fn differences<'a>(
    state: Node<'a, 'a>,
    models: &[Node<'a, 'a>],
) -> Result<Vec<MapError>, MapError> {
    let mut notes = Vec::new();
    for name in ["insertions", "deletions"] {
        let lists = children(state, name).filter(|list| list.children().any(|n| n.is_element()));
        notes.extend(lists.map(|list| {
            let message = format!("<{}> of the saved state is not read", name_of(list));
            error_at(list, message, "save the world again")
        }));
    }
    for saved in children(state, "model") {
        let name = saved.attribute("name").unwrap_or_default();
        let same = models
            .iter()
            .find(|model| model.attribute("name") == Some(name));
        let Some(model) = same else { continue };
        let own = Pose::default().compose(*model, "world")?;
        let pose = Pose::default().compose(saved, "world")?;
        let turned = own.direction([1.0, 0.0, 0.0]) - pose.direction([1.0, 0.0, 0.0]);
        let moved = [own.x - pose.x, own.y - pose.y, own.z - pose.z];
        let is_far = moved
            .iter()
            .chain(turned.iter())
            .any(|d| d.abs() > TOLERANCE);
        if is_far {
            let message = format!(
                "the saved state has '{}' at ({}, {}, {}), the model is at ({}, {}, {})",
                name.escape_default(),
                pose.x,
                pose.y,
                pose.z,
                own.x,
                own.y,
                own.z
            );
            notes.push(error_at(saved, message, "the model's own pose is read"));
        }
        let scales = children(saved, "scale");
        notes.extend(scales.filter(|scale| is_scaled(*scale)).map(|scale| {
            let message = format!("the saved state scales '{}'", name.escape_default());
            error_at(scale, message, "the model's own size is read")
        }));
    }
    Ok(notes)
}

/// Whether a `<scale>` has another number than 1.
fn is_scaled(scale: Node) -> bool {
    let text = text_of(scale);
    let mut factors = text.split_whitespace();
    factors.any(|factor| factor.parse() != Ok(1.0_f64))
}
