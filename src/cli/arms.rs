//! `evenkeel arms`: which arms there are, and what each of them sets.

use std::path::PathBuf;

use serde::Serialize;

use super::Ui;
use super::table::table;
use evenkeel::lab;

/// Arguments of `evenkeel arms`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Which arms `train --arm` and `compare --arms` know:
    evenkeel arms
  What some of them set, as a file to begin one's own with:
    evenkeel arms agc zclip > my_arms.toml
  Those of a file beside the built-in ones:
    evenkeel arms --arm-file my_arms.toml")]
pub struct Args {
    /// Arms to show the settings of, in the form of an arm file [default: a table of all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// TOML file with further arms: [[arm]] name = "…", about = "…", set = { … }
    #[arg(long, value_name = "FILE")]
    arm_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct ArmList {
    arms: Vec<ArmListEntry>,
}

#[derive(Serialize)]
struct ArmListEntry {
    name: String,
    description: String,
    set: toml::Table,
}

/// Runs `evenkeel arms`.
///
/// # Errors
/// If there is no such arm, or the file says something that cannot be.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let file = args.arm_file.as_deref();
    let arms = if args.names.is_empty() {
        lab::known_arms(file)?
    } else {
        lab::component_arms(&args.names, &lab::known_arms(file)?)?
    };
    let listed = arms.iter().map(|arm| {
        Ok(ArmListEntry {
            name: arm.name.clone(),
            description: arm.description.clone(),
            set: arm.settings()?,
        })
    });
    let listing = ArmList {
        arms: listed.collect::<anyhow::Result<_>>()?,
    };
    let toml = lab::arms_toml(&arms)?;
    ui.answer(&listing, |listing| {
        if args.names.is_empty() {
            text(listing)
        } else {
            toml
        }
    })
}

fn text(listing: &ArmList) -> String {
    let row = |arm: &ArmListEntry| {
        let description =
            Some(arm.description.clone()).filter(|description| !description.is_empty());
        vec![
            arm.name.clone(),
            description.unwrap_or_else(|| arm.set.to_string().trim_end().to_owned()),
        ]
    };
    table(
        &["arm", "what it is"],
        2,
        listing.arms.iter().map(row).collect(),
    )
}
