//! `evenkeel arms`: lists the arms and their settings.

use std::path::PathBuf;

use serde::Serialize;

use super::Ui;
use super::table::table;
use evenkeel::lab;

/// Arguments of `evenkeel arms`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  List the arms that `train --arm` and `compare --arms` accept:
    evenkeel arms
  Write the settings of two arms to a file, as a start for your own arms:
    evenkeel arms agc zclip > my_arms.toml
  List the arms of a file together with the built-in ones:
    evenkeel arms --arm-file my_arms.toml")]
pub(crate) struct Args {
    /// Arms whose settings are printed in the format of an arm file [default: a table of all arms]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// TOML file with further arms: [[arm]] name = "…", description = "…", set = { … }
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
/// If a named arm does not exist, or the arm file cannot be read or is invalid.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let file = args.arm_file.as_deref();
    let arms = if args.names.is_empty() {
        lab::known_arms(file)?
    } else {
        lab::component_arms(&args.names, &lab::known_arms(file)?)?
    };
    let entries = arms.iter().map(|arm| {
        Ok(ArmListEntry {
            name: arm.name.clone(),
            description: arm.description.clone(),
            set: arm.settings()?,
        })
    });
    let listing = ArmList {
        arms: entries.collect::<anyhow::Result<_>>()?,
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
        &["arm", "description"],
        2,
        listing.arms.iter().map(row).collect(),
    )
}
