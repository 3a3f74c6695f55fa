//! `baton schema`: a JSON Schema for the resources of a type, made from the definitions.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use fhir_model::definition::json_schema::Nested;

use crate::cli::say;
use crate::definitions;

#[derive(Debug, Args)]
pub(super) struct Schema {
    /// The type of resource: `Patient`.
    #[arg(value_name = "TYPE")]
    resource_type: String,
    /// Describe contained resources and entries of a Bundle too, of every type.
    #[arg(long)]
    complete: bool,
}

/// Prints the schema, indented.
pub(super) fn run(options: &Schema) -> anyhow::Result<ExitCode> {
    let nested = if options.complete {
        Nested::Described
    } else {
        Nested::Named
    };
    let schema = definitions::embedded()
        .json_schema(&options.resource_type, nested)
        .with_context(|| format!("{} is not a type of resource in R4", options.resource_type))?;
    say(&serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}
