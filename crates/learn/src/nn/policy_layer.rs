//! How the layers of a policy are connected.

/// A layer of a policy: its parameters, and the weights that read its units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLayer {
    /// Indices of its parameters in the layout; the weight is first. Row j of each belongs to unit j,
    /// except in a recurrent cell.
    pub parameters: Vec<usize>,
    /// Indices of the weights `[out, in]` whose columns read the units of this layer, one column for
    /// each unit. Empty for output layers and recurrent cells.
    pub readers: Vec<usize>,
    /// Layers between it and the output of its network; 0 for an output layer.
    pub from_output: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{
        GruSpec, MlpConfig, NormLayer, Policy, PolicyConfig, RecurrentConfig, TrunkSharing,
    };

    /// Each layer as the names of its parameters, its readers and its place.
    fn layers(config: &PolicyConfig) -> Vec<String> {
        let policy = Policy::new(config, 3, 2);
        let names = |indices: &[usize]| {
            let entries = policy.layout().entries();
            let names: Vec<&str> = indices.iter().map(|&i| entries[i].name.as_str()).collect();
            names.join(" ")
        };
        let layers = policy.layers().into_iter().map(|layer: PolicyLayer| {
            let (own, readers) = (names(&layer.parameters), names(&layer.readers));
            format!("{}: {own} > {readers}", layer.from_output)
        });
        layers.collect()
    }

    #[test]
    fn a_layer_is_read_by_the_next_one() {
        let config = PolicyConfig {
            actor: MlpConfig { hidden: vec![4, 4] },
            critic: MlpConfig { hidden: vec![5] },
            norm: NormLayer::Layer,
            ..PolicyConfig::default()
        };
        let norm =
            |name: &str| format!("{name}.weight {name}.bias {name}.norm.gain {name}.norm.offset");
        let expected = [
            format!("2: {} > actor.1.weight", norm("actor.0")),
            format!("1: {} > actor.2.weight", norm("actor.1")),
            format!("1: {} > critic.1.weight", norm("critic.0")),
            "0: actor.2.weight actor.2.bias > ".into(),
            "0: critic.1.weight critic.1.bias > ".into(),
        ];
        assert_eq!(layers(&config), expected);
    }

    #[test]
    fn a_shared_trunk_has_two_readers_and_a_memory_reads_the_hidden_layers() {
        let config = PolicyConfig {
            actor: MlpConfig { hidden: vec![4] },
            trunk: TrunkSharing::Shared,
            ..PolicyConfig::default()
        };
        let expected = [
            "1: trunk.0.weight trunk.0.bias > actor.1.weight critic.1.weight",
            "0: actor.1.weight actor.1.bias > ",
            "0: critic.1.weight critic.1.bias > ",
        ];
        assert_eq!(layers(&config), expected);
        let config = PolicyConfig {
            memory: Some(RecurrentConfig::Gru(GruSpec::default())),
            ..config
        };
        let cell = ["input.weight", "recurrent.weight", "bias", "reset.bias"];
        let cell = cell.map(|name| format!("trunk.memory.{name}")).join(" ");
        let expected = [
            "2: trunk.0.weight trunk.0.bias > trunk.memory.input.weight".to_owned(),
            format!("1: {cell} > "),
        ];
        assert_eq!(layers(&config)[..2], expected);
    }
}
