//! What layers are called for people.

use super::ArmRuns;
use crate::lab::RunRecord;

/// Readable names of a run's parameters, in their order. A run that diverged before its first
/// iteration was over has not logged them: those of another with the same policy are its own.
pub(super) fn layer_names(run: &RunRecord, arms: &[ArmRuns]) -> Vec<String> {
    let all = logged(run, arms);
    all.iter().map(|name| readable(name, &all)).collect()
}

/// The readable name of one parameter of a run.
pub(super) fn layer_name(name: &str, run: &RunRecord, arms: &[ArmRuns]) -> String {
    readable(name, &logged(run, arms))
}

fn logged<'a>(run: &'a RunRecord, arms: &[ArmRuns<'a>]) -> Vec<&'a str> {
    let twins = arms.iter().flat_map(|arm| arm.runs.iter().copied());
    let alike = twins.filter(|twin| twin.config.get("policy") == run.config.get("policy"));
    std::iter::once(run)
        .chain(alike)
        .filter_map(|run| run.iterations.iter().find(|i| !i.layers.is_empty()))
        .map(|i| i.layers.iter().map(|layer| layer.name.as_str()).collect())
        .next()
        .unwrap_or_default()
}

/// `actor.0.weight` as `actor layer 1, weights`; of the last numbered layer of a network
/// `actor output`.
pub fn readable(name: &str, all: &[&str]) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let network = parts[0];
    let numbered = |name: &str| -> Option<usize> {
        let mut parts = name.split('.');
        (parts.next()? == network).then(|| parts.next()?.parse().ok())?
    };
    let last = all.iter().filter_map(|name| numbered(name)).max();
    let mut words = vec![network.to_owned()];
    let mut kind = None;
    for (place, part) in parts.iter().enumerate().skip(1) {
        match (*part, part.parse::<usize>()) {
            ("weight", _) => kind = Some("weights"),
            ("bias", _) => kind = Some("biases"),
            ("log_std", _) => words.push("action noise".into()),
            (_, Ok(number)) if place == 1 && Some(number) == last && network != "trunk" => {
                words.push("output".into());
            }
            (_, Ok(number)) => words.push(format!("layer {}", number + 1)),
            (word, Err(_)) => words.push(word.replace('_', " ")),
        }
    }
    let name = words.join(" ");
    kind.map_or(name.clone(), |kind| format!("{name}, {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable() {
        let names = [
            "actor.0.weight",
            "actor.0.norm.gain",
            "actor.memory.recurrent.weight",
            "actor.memory.bias",
            "actor.1.bias",
            "actor.log_std",
            "critic.0.weight",
        ];
        let expect = [
            "actor layer 1, weights",
            "actor layer 1 norm gain",
            "actor memory recurrent, weights",
            "actor memory, biases",
            "actor output, biases",
            "actor action noise",
            "critic output, weights",
        ];
        assert_eq!(names.map(|name| readable(name, &names)), expect);
    }
}
