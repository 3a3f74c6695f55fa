//! `baton validate`: resources against the base definitions and their profiles, offline.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use fhir_model::issue::Issue;
use fhir_model::tree::{Limits, Tree};
use fhir_validation::{Options, Validator};

use crate::cli::say;
use crate::definitions;

#[derive(Debug, Args)]
pub(super) struct Validate {
    /// FHIR JSON files, a resource each.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Check against this profile too (canonical URL; may be repeated).
    #[arg(long, value_name = "URL")]
    profile: Vec<String>,
}

/// Prints every issue; fails when one is an error.
pub(super) fn run(options: &Validate) -> anyhow::Result<ExitCode> {
    let definitions = definitions::embedded();
    let validator = Validator::new(definitions.clone());
    let profiles: Vec<&str> = options.profile.iter().map(String::as_str).collect();
    let mut wrong = 0_usize;
    for path in &options.files {
        let shown = path.display();
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
        let issues = match Tree::parse(bytes, definitions.names(), &Limits::default()) {
            Ok(tree) => {
                let resource_type = tree.resource_type().unwrap_or_default();
                validator.validate(tree.root(), &resource_type, &profiles, &Options::default())
            }
            Err(error) => vec![Issue::from(&error)],
        };
        let errors = issues.iter().filter(|issue| issue.is_error()).count();
        for issue in &issues {
            say(&format!("{shown}: {issue}"));
        }
        if errors == 0 {
            say(&format!("{shown}: valid"));
        }
        wrong += usize::from(errors > 0);
    }
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
