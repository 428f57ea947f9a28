use super::*;

const MAP: &str = "image: house.pgm
resolution: 0.05
origin: [-3.5, 1.25, 0.5]
negate: 0
occupied_thresh: 0.65
free_thresh: 0.196
";

fn house() -> MapMetadata {
    MapMetadata {
        image: "house.pgm".into(),
        spans: KeySpans::default(),
        resolution: 0.05,
        origin: [-3.5, 1.25, 0.5],
        negate: false,
        occupied_thresh: 0.65,
        free_thresh: 0.196,
    }
}

fn without_spans(text: &str) -> MapMetadata {
    MapMetadata {
        spans: KeySpans::default(),
        ..parse(text).unwrap()
    }
}

/// Moves every line of a file to the right.
fn indented(text: &str) -> String {
    text.split_inclusive('\n')
        .flat_map(|line| ["    ", line])
        .collect()
}

#[test]
fn styles_of_yaml_mean_the_same_map() {
    let flow = "{image: house.pgm, resolution: 5.0e-2, origin: [-3.5, 1.25, 0.5], \
                negate: 0, occupied_thresh: .65, free_thresh: 0.196}";
    let python = MAP
        .replace("house.pgm", "\"\\x68ouse.pgm\"")
        .replace("[-3.5, 1.25, 0.5]", "\n- -3.5\n- 1.25\n- 0.5");
    for text in [
        MAP,
        &MAP.replace('\n', "\r\n"),
        &format!("\u{feff}{MAP}"),
        &format!("%YAML 1.1\n---\n{MAP}...\n"),
        &format!("{MAP}mode: trinary # as always\n"),
        &format!("{MAP}site:\n  image: other.pgm\n  origin: [0, 0, 0]\n"),
        &format!("doors:\n- image: door.pgm\n  resolution: 9\n{MAP}"),
        flow,
        &python,
    ] {
        assert_eq!(without_spans(text), house(), "{text}");
    }
}

#[test]
fn parameter_files_of_ros_2_are_read() {
    let keys = indented(MAP);
    let planner = "planner:\n  ros__parameters:\n    rate: 5\n";
    for text in [
        format!("/**:\n  ros__parameters:\n{keys}"),
        format!("map_server:\n  ros__parameters:\n{keys}"),
        format!("{planner}map_server:\n  ros__parameters:\n{keys}"),
        format!("ros__parameters:\n{keys}"),
        format!("/home:\n map_server:\n  ros__parameters:\n{keys}"),
    ] {
        assert_eq!(without_spans(&text), house(), "{text}");
    }
    let twice = format!("a:\n  ros__parameters:\n{keys}b:\n  ros__parameters:\n{keys}");
    assert_eq!(
        parse(&twice).unwrap_err().message,
        "a second map in the file"
    );
    let empty = parse("/**:\n  ros__parameters:\n    rate: 5\n").unwrap_err();
    assert_eq!(empty.message, "missing key 'image'");
}

#[test]
fn booleans_of_yaml_1_1_are_read() {
    let negate = |word: &str| {
        let text = MAP.replace("negate: 0", &format!("negate: {word}"));
        parse(&text)
            .map(|map| map.negate)
            .map_err(|error| error.message)
    };
    for word in [
        "0", "false", "False", "FALSE", "no", "No", "off", "n", "'0'",
    ] {
        assert_eq!(negate(word), Ok(false), "{word}");
    }
    for word in ["1", "true", "True", "YES", "on", "Y"] {
        assert_eq!(negate(word), Ok(true), "{word}");
    }
    assert_eq!(negate("2"), Err("negate is '2'".into()));
    assert_eq!(negate("[1]"), Err("negate is a list".into()));
    assert_eq!(negate("~"), Err("'negate' has no value".into()));
}

#[test]
fn the_image_is_beside_the_file_or_in_the_home_folder() {
    let path = |image: &str| {
        let map = parse(&MAP.replace("house.pgm", image)).unwrap();
        map.image_path(Path::new("maps"))
    };
    assert_eq!(path("house.pgm"), Path::new("maps/house.pgm"));
    assert_eq!(path("../a b.pgm"), Path::new("maps/../a b.pgm"));
    assert_eq!(path("/data/house.pgm"), Path::new("/data/house.pgm"));
    let home = std::env::home_dir().expect("a home folder");
    assert_eq!(path("~/house.pgm"), home.join("house.pgm"));
    assert_eq!(path("~house.pgm"), Path::new("maps/~house.pgm"));
}

#[test]
fn a_missing_image_points_at_the_line_that_names_it() {
    let error = |image: &str| {
        let text = MAP.replace("house.pgm", image);
        let error = parse(&text)
            .unwrap()
            .image_error(&text, "gone".into(), "look");
        (text[error.span].to_owned(), error.help)
    };
    assert_eq!(error("a.pgm"), ("a.pgm".into(), "look".into()));
    assert_eq!(error("'a #2.pgm'").1, "look");
    let (name, help) = error("a #2.pgm");
    assert_eq!(name, "a");
    assert!(
        help.starts_with("a name with ' #' in it needs quotes"),
        "{help}"
    );
}

#[test]
fn mistakes_name_their_place() {
    let check = |from: &str, to: &str, place: &str, message: &str| {
        let text = MAP.replacen(from, to, 1);
        let error = parse(&text).unwrap_err();
        assert_eq!(
            (&text[error.span], error.message.as_str()),
            (place, message),
            "{text}"
        );
    };
    check(
        "free_thresh: 0.196",
        "origin: [0, 0, 0]",
        "origin",
        "the key 'origin' is given twice",
    );
    check("0.05", "fine", "fine", "resolution is 'fine'");
    check("0.05", "", "resolution", "'resolution' has no value");
    check("0.05", "0,05", "0,05", "resolution is '0,05'");
    check("0.05", "-0.05", "-0.05", "resolution is -0.05");
    check("0.05", ".nan", ".nan", "resolution is '.nan'");
    check(
        "0.65",
        "0.1",
        "0.1",
        "occupied_thresh is 0.1, free_thresh 0.196",
    );
    check("0.05", ".inf", ".inf", "resolution is '.inf'");
    check("0.05", "{x: 1}", "{x: 1}", "resolution is a table");
    check("1.25", "north", "north", "origin has 'north' in it");
    check(", 0.5]", "]", "[-3.5, 1.25]", "origin is a list of 2");
    check("[-3.5, 1.25, 0.5]", "7", "7", "origin is '7'");
    check("house.pgm", "''", "''", "image is ''");
    check("house.pgm", "[a, b]", "[a, b]", "image is a list");
    check("image: house.pgm\n", "", "", "missing key 'image'");
    check("negate: 0", "mode: raw\nnegate: 0", "raw", "mode is 'raw'");
    let list = parse("- image: house.pgm\n").unwrap_err();
    assert_eq!(list.message, "the file is a list");
}
