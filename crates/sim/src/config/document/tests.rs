use super::*;
use serde::Deserialize;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    train: Train,
    clip: Vec<Clip>,
    optimizer: Clip,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Train {
    steps: u64,
    rate: f64,
    name: String,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            steps: 10,
            rate: 0.5,
            name: "plain".into(),
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Clip {
    None,
    Norm(Bound),
    Value(Bound),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bound {
    max: f64,
    #[serde(default)]
    floor: f64,
}

fn defaults() -> Config {
    Config {
        train: Train::default(),
        clip: vec![Clip::Norm(Bound {
            max: 0.5,
            floor: 0.1,
        })],
        optimizer: Clip::Norm(Bound {
            max: 2.0,
            floor: 0.2,
        }),
    }
}

fn resolve(layers: &[&str], flags: &[&str]) -> Result<Config, String> {
    let layers: Vec<_> = layers
        .iter()
        .enumerate()
        .map(|(index, text)| Document::parse(&format!("{index}.toml"), text).unwrap())
        .collect();
    let flags: Vec<_> = flags
        .iter()
        .map(|flag| Override::parse(flag).unwrap())
        .collect();
    merge_layers(&defaults(), &layers, &flags).map_err(|error| error.to_string())
}

#[test]
fn tables_merge_and_arrays_replace() {
    let config = resolve(&["train.steps = 20", "train.rate = 1\nclip = []"], &[]).unwrap();
    assert_eq!(
        config.train,
        Train {
            steps: 20,
            rate: 1.0,
            name: "plain".into()
        }
    );
    assert_eq!(config.clip, []);
}

#[test]
fn the_topmost_layer_selects_the_variant() {
    let same_variant = resolve(&["optimizer.norm.max = 9.0"], &[]).unwrap();
    assert_eq!(
        same_variant.optimizer,
        Clip::Norm(Bound {
            max: 9.0,
            floor: 0.2
        })
    );
    let other_variant = resolve(&["optimizer.value.max = 9.0"], &[]).unwrap();
    assert_eq!(
        other_variant.optimizer,
        Clip::Value(Bound {
            max: 9.0,
            floor: 0.0
        })
    );
    let bare = resolve(&["optimizer = 'none'"], &[]).unwrap();
    assert_eq!(bare.optimizer, Clip::None);
    let flags = ["optimizer.value.max=3", "optimizer.value.floor=1"];
    let flagged = resolve(&["optimizer = 'none'"], &flags).unwrap();
    assert_eq!(
        flagged.optimizer,
        Clip::Value(Bound {
            max: 3.0,
            floor: 1.0
        })
    );
}

#[test]
fn layers_of_layers_keep_their_order() {
    let mut inner = Document::parse("a.toml", "optimizer.norm.max = 1").unwrap();
    inner.overlay(&Document::parse("b.toml", "optimizer.value.max = 2").unwrap());
    let mut outer = Document::from_values("defaults", &defaults()).unwrap();
    outer.overlay(&inner);
    let config: Config = outer.read().unwrap();
    assert_eq!(
        config.optimizer,
        Clip::Value(Bound {
            max: 2.0,
            floor: 0.0
        })
    );
    outer.overlay(&Document::parse("c.toml", "optimizer.norm.floor = 3").unwrap());
    let config: Config = outer.read().unwrap();
    assert_eq!(
        config.optimizer,
        Clip::Norm(Bound {
            max: 1.0,
            floor: 3.0
        })
    );
}

#[test]
fn flags_make_the_elements_of_a_list_that_is_not_there() {
    let read = |flags: &[&str]| {
        let mut document = Document::parse("file.toml", "name = 'x'").unwrap();
        let flags: Vec<_> = flags
            .iter()
            .map(|flag| Override::parse(flag).unwrap())
            .collect();
        let result = document
            .apply(&flags)
            .and_then(|()| document.read::<toml::Table>());
        result.map_err(|error| error.to_string())
    };
    let made = read(&["rooms.0.doors=2", "rooms.0.name=hall", "rooms.1.doors.0=5"]).unwrap();
    let expected = "name = 'x'\nrooms = [{ doors = 2, name = 'hall' }, { doors = [5] }]";
    assert_eq!(made, expected.parse::<toml::Table>().unwrap());
    let error = read(&["rooms.1.doors=2"]).unwrap_err();
    assert!(
        error.contains("rooms.1 does not exist; rooms has length 0"),
        "{error}"
    );
}

#[test]
fn flags_change_array_elements_and_take_bare_words() {
    let config = resolve(
        &[],
        &["clip.0.norm.max=1.5", "train.name=tanh", "train.steps=1e6"],
    );
    let config = config.unwrap();
    assert_eq!(
        config.clip,
        [Clip::Norm(Bound {
            max: 1.5,
            floor: 0.1
        })]
    );
    assert_eq!(
        (config.train.name.as_str(), config.train.steps),
        ("tanh", 1_000_000)
    );
    let appended = resolve(&[], &["clip.1.value.max=.5"]).unwrap();
    assert_eq!(
        appended.clip[1],
        Clip::Value(Bound {
            max: 0.5,
            floor: 0.0
        })
    );
}

#[test]
fn each_layer_answers_for_its_own_mistakes() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["[train]\nsteps = 1", "[train]\nstesp = 1"], &[]),
        (&["\ntrain = { steps = 'many' }"], &["train.rate=1"]),
        (&["train.steps = -1"], &[]),
        (&["optimizer = { value = { max = 1 }, norm = {} }"], &[]),
        (&["optimizer = 3"], &[]),
        (&["optimizer = 'norm'"], &[]),
        (&["optimizer.none.max = 3"], &[]),
        (&[], &["clip.0.nrom.max=1.0"]),
        (&[], &["clip.0.norm.maxx=1.0"]),
        (&[], &["train.rate=fast"]),
        (&[], &["clip.4.norm.max=1.0"]),
    ];
    let mut messages: Vec<_> = cases
        .iter()
        .map(|(layers, flags)| resolve(layers, flags).unwrap_err())
        .collect();
    for flag in ["train.rate", "=3", "a..b=1"] {
        messages.push(Override::parse(flag).unwrap_err().to_string());
    }
    insta::assert_snapshot!(messages.join("\n\n"), @r#"
    1.toml:2:1: unknown key 'stesp' in train; did you mean 'steps'?
      |
    2 | stesp = 1
      | ^^^^^

    0.toml:2:19: train.steps: expected a whole number, 0 or more, found the text "many"
      |
    2 | train = { steps = 'many' }
      |                   ^^^^^^

    0.toml:1:15: train.steps: expected a whole number, 0 or more, found -1
      |
    1 | train.steps = -1
      |               ^^

    0.toml:1:15: optimizer: 'norm' and 'value' exclude each other; keep one
      |
    1 | optimizer = { value = { max = 1 }, norm = {} }
      |               ^^^^^

    0.toml:1:13: optimizer: expected one of 'none', 'norm' or 'value', found 3
      |
    1 | optimizer = 3
      |             ^

    0.toml:1:13: optimizer: 'norm' needs settings; write { norm = { … } }
      |
    1 | optimizer = 'norm'
      |             ^^^^^^

    0.toml:1:11: optimizer.none: takes no settings; write 'none' alone
      |
    1 | optimizer.none.max = 3
      |           ^^^^

    --set clip.0.nrom.max=1.0: unknown choice 'nrom' in clip; did you mean 'norm'?

    --set clip.0.norm.maxx=1.0: unknown key 'maxx' in clip.norm; did you mean 'max'?

    --set train.rate=fast: train.rate: expected a number, found the text "fast"

    --set clip.4.norm.max=1.0: clip.4 does not exist; clip has length 1; count from 0

    --set train.rate: there is no '='; write path=value, for example train.seed=7

    --set =3: the path has an empty part; write path=value, for example train.seed=7

    --set a..b=1: the path has an empty part; write path=value, for example train.seed=7
    "#);
}

/// A count, and a number that may be negative.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Counts {
    steps: u64,
    delta: i64,
}

fn counts(flag: &str) -> Result<Counts, String> {
    let mut document = Document::parse("counts.toml", "").unwrap();
    let flags = [Override::parse(flag).map_err(|error| error.to_string())?];
    document.apply(&flags).unwrap();
    document
        .read()
        .map_err(|error: Diagnostic| error.to_string())
}

#[test]
fn counts_of_set_are_read_like_those_of_flags() {
    for (flag, steps) in [
        ("steps=2M", 2_000_000),
        ("steps=1.5k", 1500),
        ("steps=1e6", 1_000_000),
        ("steps=2_000_000", 2_000_000),
        ("steps = 9223372036854775807", 9_223_372_036_854_775_807),
    ] {
        assert_eq!(counts(flag).unwrap().steps, steps, "{flag}");
    }
    assert_eq!(counts("delta=-3").unwrap().delta, -3);
    let refused = [
        "steps=1,5M",
        "steps=1.000",
        "steps=,5k",
        "steps=1__0",
        "steps=+5",
        "steps=0x10",
        "steps=-0",
        "steps=-1",
        "steps=5 k",
        "steps=many",
        "steps=18446744073709551615",
    ];
    let messages = refused.map(|flag| counts(flag).unwrap_err());
    insta::assert_snapshot!(messages.join("\n"), @r#"
    --set steps=1,5M: steps: expected a whole number, 0 or more, as in 1500000 or 1.5M, found the text "1,5M"
    --set steps=1.000: steps: expected a whole number, 0 or more, as in 1500000 or 1.5M, found 1.000
    --set steps=,5k: steps: expected a whole number, 0 or more, as in 1500000 or 1.5M, found the text ",5k"
    --set steps=1__0: steps: expected a whole number, 0 or more, as in 1500000 or 1.5M, found the text "1__0"
    --set steps=+5: steps: expected a whole number, 0 or more, as in 1500000 or 1.5M, found +5
    --set steps=0x10: steps: expected a whole number, 0 or more, as in 1500000 or 1.5M, found 0x10
    --set steps=-0: steps: expected a whole number, 0 or more, as in 1500000 or 1.5M, found -0
    --set steps=-1: steps: expected a whole number, 0 or more, found -1
    --set steps=5 k: steps: expected a whole number, 0 or more, as in 1500000 or 1.5M, found the text "5 k"
    --set steps=many: steps: expected a whole number, 0 or more, found the text "many"
    --set steps=18446744073709551615: 18446744073709551615 is not in the range of whole numbers, -9223372036854775808 to 9223372036854775807
    "#);
}

#[test]
fn diagnostics_find_the_line_of_a_path() {
    let document = Document::parse("x.toml", "a = 1\n[[b]]\nc = { d = [1, 2] }\n").unwrap();
    let at = |path| document.diagnostic(path, "wrong", None).position;
    assert_eq!(at("a"), Some((1, 5)));
    assert_eq!(at("b.0.c.d.1"), Some((3, 15)));
    assert_eq!(at("b.0.c.missing"), Some((3, 5)));
    assert_eq!(
        document
            .subdocument("b.0.c")
            .unwrap()
            .diagnostic("d.0", "", None)
            .position,
        Some((3, 12))
    );
}

#[test]
fn a_number_that_is_too_large_is_answered_with_the_range() {
    let error = |number: &str| resolve(&[], &[&format!("train.steps={number}")]).unwrap_err();
    let range = "expected a whole number from 0 to 9223372036854775807, found";
    for (number, found) in [("1e300", "1e300"), ("1.5e19", "1.5e19")] {
        assert!(
            error(number).contains(&format!("{range} {found}")),
            "{}",
            error(number)
        );
    }
    let small: Result<Small, _> = Document::parse("x.toml", "count = 4294967296")
        .unwrap()
        .read();
    let message = small.unwrap_err().message;
    assert_eq!(
        message,
        "count: expected a whole number from 0 to 4294967295, found 4294967296"
    );
}

#[derive(Debug, Deserialize)]
struct Small {
    #[expect(dead_code, reason = "it is not read")]
    count: u32,
}

#[test]
fn a_number_in_a_path_makes_a_list() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Lists {
        #[serde(default)]
        clip: Vec<Clip>,
    }
    let with = |flags: &[&str]| {
        let flags: Vec<_> = flags
            .iter()
            .map(|flag| Override::parse(flag).unwrap())
            .collect();
        merge_layers(
            &Lists { clip: Vec::new() },
            &[Document::parse("x.toml", "").unwrap()],
            &flags,
        )
    };
    let max = |max| Clip::Norm(Bound { max, floor: 0.0 });
    let added = with(&["clip.0.norm.max=1", "clip.1.norm.max=2"]).unwrap();
    assert_eq!(added.clip, [max(1.0), max(2.0)]);

    let mut empty = Document::parse("x.toml", "").unwrap();
    empty
        .apply(&[Override::parse("clip.0.norm.max=3").unwrap()])
        .unwrap();
    assert_eq!(empty.read::<Lists>().unwrap().clip, [max(3.0)]);
    let gap = empty.apply(&[Override::parse("other.1.norm.max=3").unwrap()]);
    assert!(
        gap.unwrap_err()
            .message
            .contains("other.1 does not exist; other has length 0")
    );
}

#[test]
fn long_values_are_not_quoted_in_full() {
    let flag = format!("steps={}", "x".repeat(10_000));
    let message = counts(&flag).unwrap_err();
    assert!(message.chars().count() < 1000, "{message}");
    assert!(message.starts_with("--set steps=xxx"), "{message}");
}

#[cfg(unix)]
#[test]
fn a_device_without_an_end_is_refused() {
    let path = std::path::Path::new("/dev/zero");
    let message = super::read_at_most(path, 1000).unwrap_err().to_string();
    assert!(
        message.contains("/dev/zero: is longer than 1000 bytes"),
        "{message}"
    );
    assert_eq!(
        super::read_at_most(std::path::Path::new("/dev/null"), 0),
        Ok(Vec::new())
    );
}
