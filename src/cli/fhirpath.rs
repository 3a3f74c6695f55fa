//! `baton fhirpath`: what an expression gives for a resource, as JSON.
//!
//! For whoever writes invariants, search parameters and questionnaires. References are followed to
//! contained resources and, in a Bundle, to its entries.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail, ensure};
use chrono::SecondsFormat;
use clap::Args;
use fhir_model::definition::Definitions;
use fhir_model::format::Format;
use fhir_model::tree::{Limits, LineColumn, Tree};
use fhirpath::{BundleResolver, Collection, Context, Expression, Item, Options, Temporal};

use crate::cli::{complain, input, say};
use crate::clock::Clock;
use crate::definitions;

/// The exit code for an expression or a file that cannot be read, as opposed to evaluated.
const UNREADABLE: u8 = 2;

#[derive(Debug, Args)]
pub(super) struct FhirPath {
    /// The expression.
    #[arg(value_name = "EXPRESSION")]
    expression: String,
    /// A FHIR file, JSON or XML; - is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Evaluate on what this path gives instead of the whole resource, on each item for itself.
    #[arg(long, value_name = "PATH")]
    context: Option<String>,
    /// A variable and an expression that is evaluated on the resource for its value; %name in the
    /// expression.
    #[arg(long, value_name = "NAME=EXPRESSION")]
    variable: Vec<String>,
    /// A variable and a file with a resource: `questionnaire=phq9.json`.
    #[arg(long, value_name = "NAME=FILE")]
    resource: Vec<String>,
    /// Refuse what the types of the resource do not have, and read names of types to the letter.
    #[arg(long)]
    strict: bool,
}

/// Prints the items; fails with 1 if the evaluation does, with 2 if it cannot begin.
pub(super) fn run(options: &FhirPath) -> ExitCode {
    let definitions = definitions::embedded();
    match evaluate(options, &definitions) {
        Ok(json) => {
            say(&json);
            ExitCode::SUCCESS
        }
        Err(Failure::Syntax(shown)) => {
            complain(&shown);
            UNREADABLE.into()
        }
        Err(Failure::Evaluation(shown)) => {
            complain(&shown);
            ExitCode::FAILURE
        }
        Err(Failure::Input(error)) => {
            complain(&format!("baton: {error:#}"));
            UNREADABLE.into()
        }
    }
}

/// Why there is nothing to print.
enum Failure {
    /// An expression cannot be compiled: it, with a mark under the place.
    Syntax(String),
    /// It cannot be evaluated: the same.
    Evaluation(String),
    /// A file or an option cannot be read.
    Input(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Input(error)
    }
}

/// The items as a JSON array.
fn evaluate(options: &FhirPath, definitions: &Definitions) -> Result<String, Failure> {
    let question = Question::read(options, definitions)?;
    let now = Clock::System
        .now()
        .to_rfc3339_opts(SecondsFormat::Millis, true);
    question.answer(definitions, &now)
}

/// What is to be evaluated on what.
struct Question<'o> {
    tree: Tree,
    /// `--resource`
    resources: Vec<(&'o str, Tree)>,
    /// `--variable`
    variables: Vec<(&'o str, Expression)>,
    /// `--context`
    focus: Option<Expression>,
    expression: Expression,
}

impl<'o> Question<'o> {
    fn read(options: &'o FhirPath, definitions: &Definitions) -> Result<Self, Failure> {
        let tree = read(&options.file, definitions)?;
        let resources = options.resource.iter().map(|option| {
            let (name, path) = named(option)?;
            Ok((name, read(Path::new(path), definitions)?))
        });
        let lenient = Options::default();
        let variables = options.variable.iter().map(|option| {
            let (name, text) = named(option)?;
            Ok((name, compile(text, definitions, lenient)?))
        });
        let focus = options.context.as_deref();
        let focus = focus.map(|path| compile(path, definitions, lenient));
        let root = tree
            .resource_type()
            .filter(|_| options.context.is_none())
            .and_then(|name| definitions.resource_type(&name));
        let reading = Options {
            root,
            check: options.strict,
            exact: options.strict,
            ..lenient
        };
        Ok(Self {
            resources: resources.collect::<anyhow::Result<_>>()?,
            variables: variables.collect::<Result<_, Failure>>()?,
            focus: focus.transpose()?,
            expression: compile(&options.expression, definitions, reading)?,
            tree,
        })
    }

    fn answer(&self, definitions: &Definitions, now: &str) -> Result<String, Failure> {
        let Some(resource) = Item::resource(self.tree.element(), definitions) else {
            return Ok(json(&[], definitions));
        };
        let resolver = BundleResolver::new(self.tree.element(), definitions);
        let plain = Context {
            resource: Some(resource.clone()),
            resolver: Some(&resolver),
            now: Temporal::parse_date_time(now),
            ..Context::new(definitions)
        };
        let mut held: Vec<(&str, Collection<'_>)> = Vec::new();
        for (name, tree) in &self.resources {
            held.push((name, held_resource(tree, definitions)));
        }
        for (name, expression) in &self.variables {
            held.push((name, run_on(expression, &plain, resource.clone())?));
        }
        let variables: Vec<(&str, &[Item<'_>])> = held
            .iter()
            .map(|(name, items)| (*name, items.as_slice()))
            .collect();
        let context = Context {
            variables: &variables,
            ..plain.clone()
        };
        let focus = match &self.focus {
            None => Collection::from_iter([resource]),
            Some(path) => run_on(path, &context, resource)?,
        };
        let mut found = Collection::new();
        for item in focus {
            found.extend(run_on(&self.expression, &context, item)?);
        }
        Ok(json(&found, definitions))
    }
}

fn run_on<'a>(
    expression: &'a Expression,
    context: &'a Context<'a>,
    item: Item<'a>,
) -> Result<Collection<'a>, Failure> {
    expression.evaluate(context, item).map_err(|error| {
        let reason = error.kind.to_string();
        Failure::Evaluation(marked(expression.text(), error.place, &reason))
    })
}

/// The resource in a tree, which [`read`] has made sure of.
fn held_resource<'a>(tree: &'a Tree, definitions: &Definitions) -> Collection<'a> {
    Item::resource(tree.element(), definitions)
        .into_iter()
        .collect()
}

/// A tree of a resource of a type of R4.
fn read(path: &Path, definitions: &Definitions) -> anyhow::Result<Tree> {
    let shown = path.display();
    let bytes = input(path)?;
    let tree = Format::of(&bytes)
        .parse(bytes, definitions, &Limits::default())
        .map_err(|issue| anyhow!("{shown}: {issue}"))?;
    let is_known = Item::resource(tree.element(), definitions).is_some();
    ensure!(is_known, "{shown}: its resourceType is none of R4");
    Ok(tree)
}

fn compile(text: &str, definitions: &Definitions, options: Options) -> Result<Expression, Failure> {
    Expression::compile_with(text, definitions, &options)
        .map_err(|error| Failure::Syntax(marked(text, error.place, &error.kind.to_string())))
}

/// The line of the expression that is wrong, a mark under the place, and why.
fn marked(text: &str, place: LineColumn, reason: &str) -> String {
    let LineColumn { line, column } = place;
    let before = |number: u32| usize::try_from(number.saturating_sub(1)).unwrap_or_default();
    let shown = text.split('\n').nth(before(line)).unwrap_or_default();
    let space = " ".repeat(before(column));
    format!("{shown}\n{space}^\nbaton: line {line}, column {column}: {reason}")
}

/// `NAME=VALUE`
fn named(option: &str) -> anyhow::Result<(&str, &str)> {
    match option.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name, value)),
        _ => bail!("{option:?} is not NAME=VALUE"),
    }
}

/// An array with a line for each item: its type and its value.
fn json(items: &[Item<'_>], definitions: &Definitions) -> String {
    if items.is_empty() {
        return "[]".to_owned();
    }
    let mut out = String::from("[");
    for (place, item) in items.iter().enumerate() {
        out.push_str(if place == 0 { "\n" } else { ",\n" });
        out.push_str("  {\"type\": \"");
        out.push_str(&item.qualified_type_name(definitions));
        out.push_str("\", \"value\": ");
        item.write_json(definitions, &mut out);
        out.push('}');
    }
    out.push_str("\n]");
    out
}
