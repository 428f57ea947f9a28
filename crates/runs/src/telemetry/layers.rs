//! Readable names of network layers.

/// Readable name of a parameter: `actor.0.weight` becomes `actor layer 1, weights`. The last
/// numbered layer of a network is its output: `actor output, weights`. `all` are the names of all
/// parameters.
pub fn layer_name(name: &str, all: &[&str]) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let network = parts[0];
    let layer_number = |name: &str| -> Option<usize> {
        let mut parts = name.split('.');
        (parts.next()? == network).then(|| parts.next()?.parse().ok())?
    };
    let last = all.iter().filter_map(|name| layer_number(name)).max();
    let mut words = vec![network.to_owned()];
    let mut kind = None;
    for (index, part) in parts.iter().enumerate().skip(1) {
        match (*part, part.parse::<usize>()) {
            ("weight", _) => kind = Some("weights"),
            ("bias", _) => kind = Some("biases"),
            ("log_std", _) => words.push("action noise".into()),
            (_, Ok(number)) if index == 1 && Some(number) == last && network != "trunk" => {
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
    fn parameter_names_become_readable() {
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
        assert_eq!(names.map(|name| layer_name(name, &names)), expect);
    }
}
