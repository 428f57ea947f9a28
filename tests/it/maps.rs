//! Maps of other programs: files and helpers that the tests share.

mod barn;
mod formats;
mod import;
mod malformed;
mod robots;

use std::path::{Path, PathBuf};

use evenkeel::scenario::{EpisodeKey, ImportedMap};
use evenkeel::seed::Split;

/// Path of a real map. These are not part of the repository; without them tests print a note and
/// check nothing.
fn data_path(path: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../shared/data", "../../shared/data"]
        .map(|folder| root.join(folder).join(path))
        .into_iter()
        .find(|path| path.exists());
    if found.is_none() {
        println!("skipped: no {path} in ../shared/data");
    }
    found
}

fn read(path: &Path) -> ImportedMap {
    ImportedMap::of_file(path).unwrap()
}

fn key(episode: u64) -> EpisodeKey {
    EpisodeKey {
        root: 5,
        split: Split::Eval,
        env: 0,
        episode,
    }
}

const OWN_MAP: &str = "type octile\nheight 6\nwidth 12\nmap\n\
@@@@@@@@@@@@\n@....T.....@\n@..........@\n@....T..WW.@\n@....T.....@\n@@@@@@@@@@@@\n";

const GAZEBO_WORLD: &str = r#"<?xml version="1.0"?>
<sdf version="1.6"><world name="w">
  <include><uri>model://sun</uri></include>
  <model name="turned"><pose>1 2 0.5 0 0 1.5707963267948966</pose>
    <link name="l"><pose>1 0 0 0 0 0</pose><collision name="c">
      <geometry><box><size>2 1 1</size></box></geometry></collision></link>
    <model name="inner"><link name="l"><collision name="c"><pose>0 -1 0 0 0 0</pose>
      <geometry><cylinder><radius>0.25</radius><length>1</length></cylinder></geometry>
    </collision></link></model>
  </model>
  <model name="ceiling"><pose>0 0 3 0 0 0</pose><link name="l"><collision name="c">
    <geometry><box><size>9 9 0.1</size></box></geometry></collision></link></model>
  <model name="ground"><link name="l"><collision name="c">
    <geometry><plane><normal>0 0 1</normal></plane></geometry></collision></link></model>
</world></sdf>
"#;

const YAML: &str = "image: m.pgm\nresolution: 0.5\norigin: [-1.0, 2.0, 0.0]\nnegate: 0\n\
occupied_thresh: 0.65\nfree_thresh: 0.196\n";

const PGM: &str = "P2\n# three by two\n3 2\n255\n254 254 0\n205 254 254\n";

/// Reads a map and returns it in debug format, or the error message.
fn read_or_error(name: &str, text: &[u8], image: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("m.pgm"), image).unwrap();
    match ImportedMap::of_file(&path) {
        Ok(ImportedMap {
            origin_m,
            size_m,
            shapes,
            ..
        }) => format!(
            "ImportedMap {{ origin_m: {origin_m:?}, size_m: {size_m:?}, shapes: {shapes:?} }}"
        ),
        Err(error) => error
            .to_string()
            .replace(&format!("{}/", folder.path().display()), ""),
    }
}

/// A PNG image of three by two pixels.
fn png_image(color: png::ColorType, depth: png::BitDepth, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 3, 2);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        encoder.set_palette(&[254, 254, 254, 0, 0, 0, 205, 205, 205][..]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    bytes
}
