//! Maps are read correctly in all supported formats.

use evenkeel::scenario::{ImportedMap, LayoutSampler, Scenario, resolve};

use super::{GAZEBO_WORLD, OWN_MAP, PGM, YAML, data_path, key, png_image, read, read_or_error};

/// Which cells of a map are occupied, `[rows][columns]` from the lowest row.
fn rasterised(map: &ImportedMap, cell_m: f64) -> Vec<Vec<bool>> {
    let count = |axis: usize| (map.size_m[axis] / cell_m).round() as usize;
    let solid = |x: f64, y: f64| {
        map.shapes
            .boxes_m
            .iter()
            .any(|[cx, cy, half_x, half_y, yaw]| {
                assert!(yaw.abs() < 1e-12, "{yaw}");
                (x - cx).abs() < *half_x && (y - cy).abs() < *half_y
            })
    };
    (0..count(1))
        .map(|row| {
            let at = |axis: usize, cell: usize| map.origin_m[axis] + (cell as f64 + 0.5) * cell_m;
            (0..count(0))
                .map(|column| solid(at(0, column), at(1, row)))
                .collect()
        })
        .collect()
}

/// Compares a map with the rows of its file (top row first, true where free).
fn assert_free_cells(map: &ImportedMap, cell_m: f64, origin_m: [f64; 2], file: &[Vec<bool>]) {
    let cells = rasterised(map, cell_m);
    let free: usize = cells.iter().flatten().filter(|solid| !**solid).count();
    let expected = file.iter().flatten().filter(|free| **free).count();
    assert_eq!(free, expected, "free cells");
    let offset = |axis: usize| ((map.origin_m[axis] - origin_m[axis]) / cell_m).round() as usize;
    for (row, line) in cells.iter().enumerate() {
        for (column, solid) in line.iter().enumerate() {
            let (y, x) = (file.len() - 1 - row - offset(1), column + offset(0));
            assert_eq!(*solid, !file[y][x], "cell ({x}, {y}) of the file");
        }
    }
}

#[test]
fn moving_ai_map_has_the_free_cells_of_its_file() {
    let Some(path) = data_path("movingai/random-32-32-20.map") else {
        return;
    };
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<Vec<bool>> = text
        .lines()
        .skip(4)
        .map(|line| line.chars().map(|cell| cell == '.').collect())
        .collect();
    let map = read(&path);
    assert_free_cells(&map, 1.0, [0.0; 2], &rows);
    let solid = rows.iter().flatten().filter(|free| !**free).count();
    assert!(map.shapes.boxes_m.len() < solid, "cells are merged");
}

#[test]
fn ros_map_has_the_free_cells_of_its_image() {
    let Some(path) = data_path("ros_map/map.yaml") else {
        return;
    };
    let image = std::fs::read(path.with_extension("pgm")).unwrap();
    let pixels = &image[image.len() - 384 * 384..];
    // map_server's own arithmetic, with the thresholds of the file.
    let rows: Vec<Vec<bool>> = pixels
        .chunks(384)
        .map(|row| {
            row.iter()
                .map(|grey| f64::from(255 - grey) / 255.0 < 0.196)
                .collect()
        })
        .collect();
    let map = read(&path);
    assert_free_cells(&map, 0.05, [-10.0, -10.0], &rows);
    let boxes = map.shapes.boxes_m.len();
    assert!(boxes < 300, "{boxes} boxes for 384 × 384 cells");
}

#[test]
fn gazebo_world_is_projected_with_nested_poses() {
    // The box spans (0.5, 2) to (1.5, 4), the disc (1.75, 1.75) to (2.25, 2.25), with a margin of
    // one metre around both.
    assert_eq!(
        read_or_error("m.world", GAZEBO_WORLD.as_bytes(), b""),
        "ImportedMap { origin_m: [-0.5, 0.75], size_m: [3.75, 4.25], shapes: ShapesSpec { boxes_m: \
         [[1.0, 3.0, 1.0, 0.5, 1.570796327]], discs_m: [[2.0, 2.0, 0.25]] } }"
    );
}

#[test]
fn pgm_and_yaml_variants_give_the_same_map() {
    let plain = read_or_error("m.yaml", YAML.as_bytes(), PGM.as_bytes());
    assert_eq!(
        plain,
        "ImportedMap { origin_m: [-1.0, 2.0], size_m: [1.5, 1.0], shapes: ShapesSpec { boxes_m: \
         [[-0.75, 2.25, 0.25, 0.25, 0.0], [0.25, 2.75, 0.25, 0.25, 0.0]], discs_m: [] } }"
    );
    let pixels =
        |white: &str, bytes: &[u8]| [format!("P5 3 2 {white}\n").as_bytes(), bytes].concat();
    let binary = pixels("255", &[254, 254, 0, 205, 254, 254]);
    assert_eq!(read_or_error("m.yaml", YAML.as_bytes(), &binary), plain);
    let wide = pixels("65535", &[254, 0, 254, 0, 0, 0, 205, 0, 254, 0, 254, 0]);
    assert_eq!(read_or_error("m.yaml", YAML.as_bytes(), &wide), plain);
    let negated = YAML.replace("negate: 0", "negate: true # a comment");
    let dark = pixels("255", &[1, 1, 255, 50, 1, 1]);
    assert_eq!(read_or_error("m.yaml", negated.as_bytes(), &dark), plain);
    // Other YAML styles, as nav2 and people write them.
    let block = YAML
        .replace("[-1.0, 2.0, 0.0]", "\n- -1.0\n- 2.0\n- 0")
        .replace("m.pgm", "\"m.pgm\"");
    let text = format!("---\nmode: trinary\r\n{block}");
    assert_eq!(
        read_or_error("m.yaml", text.as_bytes(), PGM.as_bytes()),
        plain
    );
}

#[test]
fn png_images_of_every_kind_are_read_as_grey() {
    use png::{BitDepth, ColorType};
    let grey = [254_u8, 254, 0, 205, 254, 254];
    let each = |f: fn(u8) -> Vec<u8>| grey.into_iter().flat_map(f).collect::<Vec<u8>>();
    let plain = read_or_error("m.yaml", YAML.as_bytes(), PGM.as_bytes());
    assert!(plain.starts_with("ImportedMap"), "{plain}");
    for (color, depth, pixels) in [
        (ColorType::Grayscale, BitDepth::Eight, grey.to_vec()),
        (
            ColorType::Grayscale,
            BitDepth::Sixteen,
            each(|g| vec![g, g]),
        ),
        // Different channels with the same mean.
        (
            ColorType::Rgb,
            BitDepth::Eight,
            each(|g| vec![g - u8::from(g > 0), g, g + u8::from(g > 0)]),
        ),
        (
            ColorType::Indexed,
            BitDepth::Two,
            vec![0b0000_0100, 0b1000_0000],
        ),
        // map_server counts opacity as a further channel, so opaque black is not fully black.
        (
            ColorType::GrayscaleAlpha,
            BitDepth::Eight,
            each(|g| vec![g, 255]),
        ),
        (
            ColorType::Rgba,
            BitDepth::Eight,
            each(|g| vec![g, g, g, 255]),
        ),
    ] {
        let image = png_image(color, depth, &pixels);
        let unknown_is_free = matches!(color, ColorType::GrayscaleAlpha | ColorType::Rgba);
        let expected = if unknown_is_free {
            let opaque = "P2 3 2 255 254 254 63 217 254 254";
            read_or_error("m.yaml", YAML.as_bytes(), opaque.as_bytes())
        } else {
            plain.clone()
        };
        assert_eq!(
            read_or_error("m.yaml", YAML.as_bytes(), &image),
            expected,
            "{color:?}"
        );
    }
}

/// Whether a point is inside one of the map's boxes.
fn is_solid(map: &ImportedMap, [x, y]: [f64; 2]) -> bool {
    map.shapes
        .boxes_m
        .iter()
        .any(|[cx, cy, half_x, half_y, yaw]| {
            let (dx, dy) = (x - cx, y - cy);
            let along = dx * yaw.cos() + dy * yaw.sin();
            let across = dy * yaw.cos() - dx * yaw.sin();
            along.abs() < *half_x && across.abs() < *half_y
        })
}

/// A rotated map has the same free cells, rotated about the map's corner. Everything else in its
/// bounding box is occupied.
#[test]
fn rotated_map_equals_the_upright_map_rotated() {
    let rotated_yaml = YAML.replace("0.0]", "0.6]");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.yaml"), rotated_yaml).unwrap();
    std::fs::write(folder.path().join("m.pgm"), PGM).unwrap();
    let turned = read(&folder.path().join("m.yaml"));
    std::fs::write(folder.path().join("m.yaml"), YAML).unwrap();
    let upright = read(&folder.path().join("m.yaml"));
    let (sin, cos) = 0.6_f64.sin_cos();
    let (mut free, mut count) = (0, 0);
    let steps = 200;
    for i in 0..steps {
        for k in 0..steps {
            let share = |i: i32| (f64::from(i) + 0.5) / f64::from(steps);
            let x = turned.origin_m[0] + share(i) * turned.size_m[0];
            let y = turned.origin_m[1] + share(k) * turned.size_m[1];
            let (dx, dy) = (x + 1.0, y - 2.0);
            let back = [-1.0 + cos * dx + sin * dy, 2.0 - sin * dx + cos * dy];
            let within = (0..2).all(|axis| {
                let from = back[axis] - upright.origin_m[axis];
                (0.0..=upright.size_m[axis]).contains(&from)
            });
            let expected = within && !is_solid(&upright, back);
            assert_eq!(!is_solid(&turned, [x, y]), expected, "({x}, {y})");
            free += i32::from(expected);
            count += 1;
        }
    }
    let area = f64::from(free) / f64::from(count) * turned.size_m[0] * turned.size_m[1];
    // Four free cells of half a metre.
    assert!((area - 1.0).abs() < 0.01, "{area} m² are free");
}

#[test]
fn scenario_with_a_map_file_is_written_with_its_shapes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.map"), OWN_MAP).unwrap();
    let file = folder.path().join("mine.toml");
    let reference = resolve("reference", &[]).unwrap().to_toml();
    let text = reference.replace(
        "size_m = [10.0, 10.0]",
        "map = { moving_ai = { file = \"own.map\", cell_m = 0.75 } }",
    );
    std::fs::write(&file, &text).unwrap();
    let scenario = Scenario::load(&file, &[]).unwrap();
    assert_eq!(scenario.map.as_ref().unwrap().obstacles().len(), 3);
    let reloaded =
        Scenario::from_text("mine", "elsewhere/mine.toml", &scenario.to_toml(), &[]).unwrap();
    assert_eq!(reloaded.spec, scenario.spec);
    assert_eq!(reloaded.map, scenario.map);
    let (mut sampler, mut one, mut other) = Default::default();
    for episode in 0..20 {
        LayoutSampler::sample(&mut sampler, &scenario, key(episode), &mut one).unwrap();
        LayoutSampler::default()
            .sample(&reloaded, key(episode), &mut other)
            .unwrap();
        assert_eq!(one, other);
    }
}
