//! Malformed maps give an error message with a position, and never panic.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::{GAZEBO_WORLD, OWN_MAP, PGM, YAML, png_image, read_or_error};

#[test]
fn malformed_map_errors() {
    let map = |from: &str, to: &str| {
        read_or_error("m.map", OWN_MAP.replacen(from, to, 1).as_bytes(), b"")
    };
    let yaml = |from: &str, to: &str| {
        read_or_error(
            "m.yaml",
            YAML.replacen(from, to, 1).as_bytes(),
            PGM.as_bytes(),
        )
    };
    let image = |from: &str, to: &str| {
        read_or_error(
            "m.yaml",
            YAML.as_bytes(),
            PGM.replacen(from, to, 1).as_bytes(),
        )
    };
    let world = |from: &str, to: &str| {
        read_or_error(
            "m.world",
            GAZEBO_WORLD.replacen(from, to, 1).as_bytes(),
            b"",
        )
    };
    let png = png_image(png::ColorType::Grayscale, png::BitDepth::Eight, &[9; 6]);
    let mut bad_sum = png.clone();
    bad_sum[20] ^= 1;
    let messages = [
        map("type octile", "octile"),
        map("height 6", "height six"),
        map("height 6", "width 6"),
        map("height 6", "height 7"),
        map("width 12", "width 11"),
        map("width 12", "width 99999999999"),
        map("..T", "..x"),
        map("map", "mapp"),
        read_or_error("m.map", b"type octile\nheight 1\nwidth 2\nmap\n@@\n", b""),
        read_or_error(
            "m.map",
            b"type octile\nheight 1\nwidth 2\nmap\n\xff.\n",
            b"",
        ),
        yaml("image: m.pgm\n", ""),
        yaml("m.pgm", "gone.pgm"),
        yaml("0.5", "half"),
        yaml("0.5", "0"),
        yaml("-1.0", "-100000"),
        yaml("0.0]", "0.0"),
        yaml(", 0.0]", "]"),
        yaml("negate: 0", "negate: maybe"),
        yaml("0.65", "0.1"),
        yaml("negate: 0", "mode: raw\nnegate: 0"),
        yaml("negate: 0", "negate"),
        yaml("resolution: 0.5", "resolution:"),
        read_or_error("m.yaml", YAML.as_bytes(), &png[..png.len() / 2]),
        read_or_error("m.yaml", YAML.as_bytes(), &bad_sum),
        read_or_error("m.txt", b"", b""),
        read_or_error(
            "m.map",
            format!(
                "type octile\nheight 1\nwidth 1001\nmap\n{}\n",
                ".".repeat(1001)
            )
            .as_bytes(),
            b"",
        ),
        image("P2", "P6"),
        image("3 2", "3 -2"),
        image("3 2", "0 2"),
        image("3 2", "9000000 9000000"),
        image("205", "256"),
        image("254 254\n", "254"),
        read_or_error("m.yaml", YAML.as_bytes(), b"P5\n3 2 255\n\xff\xff"),
        read_or_error("m.yaml", YAML.as_bytes(), b"P2 1 1 255 0"),
        world("<sdf", "<gazebo"),
        world("</sdf>", ""),
        world("1 2 0.5 0 0", "1 2 0.5 0.2 0"),
        world("1 2 0.5 0 0 1.57", "1 2 0.5 0 0 x"),
        world("<pose>1 0", "<pose relative_to='there'>1 0"),
        world("2 1 1", "2 1"),
        world("2 1 1", "2 -1 1"),
        world("<radius>0.25</radius>", ""),
        world("<plane>", "<mesh/><plane>"),
        world("model://sun", "model://house"),
        read_or_error("m.sdf", b"<sdf><world/></sdf>", b""),
    ];
    let mut text = String::new();
    for message in messages {
        assert!(!message.starts_with("ImportedMap"), "{message}");
        writeln!(text, "{message}\n").unwrap();
    }
    insta::assert_snapshot!(text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A file that is cut off and has changed bytes gives a map or an error.
    #[test]
    fn broken_maps_never_panic(
        which in 0..5_usize, keep in 0.0..=1.0_f64,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let png = png_image(png::ColorType::Grayscale, png::BitDepth::Eight, &[254, 254, 0, 9, 254, 254]);
        let mut files = [OWN_MAP.as_bytes().to_vec(), YAML.into(), PGM.into(), GAZEBO_WORLD.into(), png];
        let file = &mut files[which];
        file.truncate((keep * file.len() as f64) as usize);
        for (at, byte) in changes {
            if !file.is_empty() {
                let at = at.index(file.len());
                file[at] = byte;
            }
        }
        let [map, yaml, image, world, png] = &files;
        let text = match which {
            0 => read_or_error("m.map", map, b""),
            3 => read_or_error("m.world", world, b""),
            4 => read_or_error("m.yaml", yaml, png),
            _ => read_or_error("m.yaml", yaml, image),
        };
        prop_assert!(text.starts_with("ImportedMap") || text.starts_with("m."), "{}", text);
    }
}
