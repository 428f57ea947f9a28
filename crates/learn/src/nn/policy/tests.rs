use super::*;
use crate::nn::{Activation, LidarConv};
use evenkeel_sim::hash::fnv1a_64;

#[test]
fn initial_weights_depend_on_the_seed_alone() {
    let policy = Policy::new(&PolicyConfig::default(), 7, 2);
    let first = policy.initial_parameters(4);
    assert_eq!(first, policy.initial_parameters(4));
    assert_ne!(first, policy.initial_parameters(5));
    assert_eq!(
        first.len(),
        7 * 64 + 64 + 64 * 64 + 64 + 2 * 64 + 2 + 2 + 7 * 64 + 64 + 64 * 64 + 64 + 64 + 1
    );
}

#[test]
fn initial_weights_match_published_runs() {
    // A frozen FNV-1a hash over their bits: a published seed must give the same weights again.
    let policy = Policy::new(&PolicyConfig::default(), 7, 2);
    let weights = policy.initial_parameters(4);
    let hash = fnv1a_64(weights.iter().flat_map(|weight| weight.to_le_bytes()));
    assert_eq!(
        (hash, weights[0].to_bits()),
        (0x6cb4_0f1b_e0ff_1a24, 0xbe33_5ae4)
    );
}

#[test]
fn any_depth_and_width_gives_the_right_shapes() {
    for (actor, critic) in [
        (vec![], vec![3]),
        (vec![5, 4, 3], vec![]),
        (vec![1], vec![9, 9]),
    ] {
        let config = PolicyConfig {
            actor: MlpConfig { hidden: actor },
            critic: MlpConfig { hidden: critic },
            activation: Activation::Relu,
            ..PolicyConfig::default()
        };
        let policy = Policy::new(&config, 6, 3);
        let parameters = Tensor::from_slice(&policy.initial_parameters(1));
        let params = policy.weights(&parameters, &Tensor::from_slice::<f32>(&[]));
        let obs = Tensor::ones([4, 6], tch::kind::FLOAT_CPU);
        assert_eq!(policy.actor_outputs(&params, &obs).size(), [4, 3]);
        assert_eq!(policy.value(&params, &obs).size(), [4]);
        assert_eq!(policy.distribution(&params).dim(), 3);
    }
}

#[test]
fn each_network_has_its_own_convolutions_unless_the_trunk_is_shared() {
    let inputs = InputLayout {
        len: 15,
        lidar: Some(3..15),
    };
    for (trunk, expected) in [
        (TrunkSharing::Separate, &["actor", "critic"][..]),
        (TrunkSharing::Shared, &["trunk"]),
    ] {
        let config = PolicyConfig {
            lidar_conv: Some(LidarConv {
                channels: vec![3, 5],
                kernel: 3,
                stride: 2,
            }),
            trunk,
            ..PolicyConfig::default()
        };
        let policy = Policy::new(&config, inputs.clone(), 2);
        let flat = Tensor::from_slice(&policy.initial_parameters(1));
        let weights = policy.weights(&flat, &Tensor::from_slice(policy.initial_buffers()));
        // A unit of a convolution is a channel, at all positions.
        let obs = Tensor::ones([3, 15], tch::kind::FLOAT_CPU);
        let units = policy.activity(&weights, &obs, None);
        let named: Vec<&str> = units.iter().map(|units| units.name.as_str()).collect();
        let layers = ["lidar.0", "lidar.1", "0", "1"];
        let both = expected
            .iter()
            .flat_map(|network| layers.map(|layer| format!("{network}.{layer}.weight")));
        assert_eq!(named, both.collect::<Vec<_>>());
        let first = &policy.layout().entries()[0];
        assert_eq!(first.name, format!("{}.lidar.0.weight", expected[0]));
        // Orthogonal: three rows of three.
        let square: f32 = entries(&weights.parameters()[0])
            .iter()
            .map(|w| w * w)
            .sum();
        assert!((square - 6.0).abs() < 1e-4, "{square}");
        // Twelve beams become three positions of five channels.
        for network in expected {
            let name = format!("{network}.0.weight");
            let mut entries = policy.layout().entries().iter();
            let dense = entries.find(|entry| entry.name == name).unwrap();
            assert_eq!(dense.shape, [64, 3 + 15]);
        }
    }
}
