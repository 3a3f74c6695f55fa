//! `baton check`: everything stored is gone through, and what it is found by is worked out again
//! and compared with the index, the compartments and the document beside it; versions must follow
//! one another. Differences are told by type, id and table, never by value.

use std::process::ExitCode;

use clap::Args;
use fhir_model::element::Element;
use fhir_model::tree::{Limits, Tree};

use crate::cli::records::{Absent, Records};
use crate::cli::{complain, say};
use crate::interaction::Services;
use crate::search::value::SearchValues;
use crate::store::{Difference, Expected, Span, Stored};

/// Resources that are compared at once. The tables are read once for so many, which takes less
/// time the more they are, and more memory.
const SPAN_RESOURCES: usize = 20_000;

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    records: Records,
    /// Put right what can be: index, compartments and documents of search values.
    #[arg(long)]
    repair: bool,
}

/// Prints every difference; fails with 1 when one remains.
pub(super) async fn run(options: Check) -> anyhow::Result<ExitCode> {
    let config = options.records.settings()?;
    let services = options.records.open(&config, Absent::Refused).await?;
    let mut checker = Checker {
        services: &services,
        repair: options.repair,
        checked: 0,
        remaining: 0,
    };
    checker.run().await?;
    complain(&format!(
        "{} resources checked, {} differences remain",
        checker.checked, checker.remaining
    ));
    services.store.close().await;
    Ok(if checker.remaining == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Checker<'s> {
    services: &'s Services,
    repair: bool,
    checked: usize,
    remaining: usize,
}

impl Checker<'_> {
    async fn run(&mut self) -> anyhow::Result<()> {
        let mut first = i64::MIN;
        let mut after = None;
        loop {
            let mut expected = Vec::new();
            let mut is_end = false;
            while expected.len() < SPAN_RESOURCES && !is_end {
                let page = self.services.store.resources_after(after).await?;
                for stored in &page.versions {
                    expected.push(self.expected(stored));
                }
                is_end = page.next.is_none();
                after = page.next.or(after);
            }
            let last = if is_end {
                i64::MAX
            } else {
                after.unwrap_or(i64::MAX)
            };
            self.checked += expected.len();
            let span = Span {
                first,
                last,
                expected,
            };
            self.span(span).await?;
            if is_end {
                return Ok(());
            }
            first = last + 1;
            complain(&format!("{} resources checked", self.checked));
        }
    }

    async fn span(&mut self, span: Span) -> anyhow::Result<()> {
        let found = self.services.store.differences(&span).await?;
        for difference in &found {
            say(&in_words(difference));
        }
        let left = if self.repair && !found.is_empty() {
            self.services.store.repair(span).await?
        } else {
            found
        };
        self.remaining += left.len();
        Ok(())
    }

    /// What a resource is to be found by; a text that cannot be taken apart is a difference itself.
    fn expected(&mut self, stored: &Stored) -> Expected {
        let mut expected = Expected {
            row: stored.row,
            key: stored.key.clone(),
            version: stored.version,
            is_deleted: stored.text.is_none(),
            values: SearchValues::default(),
            patients: Vec::new(),
        };
        let Some(text) = stored.text.as_deref() else {
            return expected;
        };
        let names = self.services.definitions.names();
        let tree = Tree::parse(text, names, &Limits::CEILING).ok();
        let type_id = self.services.type_id(&stored.key.resource_type).ok();
        let Some((tree, type_id)) = tree.filter(|tree| is_of(tree, stored)).zip(type_id) else {
            say(&format!("{} text", stored.key));
            self.remaining += 1;
            return expected;
        };
        let element = Element::of(tree.root());
        let extracted = self.services.extractor.extract(element, type_id);
        expected.values = extracted.values;
        expected.patients = extracted.patients;
        if stored.key.resource_type.as_str() == "Patient" {
            expected.patients = vec![stored.key.id.clone()];
        }
        expected
    }
}

/// Whether a text says of itself what its row says: type, id and version.
fn is_of(tree: &Tree, stored: &Stored) -> bool {
    let root = tree.root();
    let text = |property: &str| Some(root.get_str(property)?.as_str()?.into_owned());
    let version = root
        .get_str("meta")
        .and_then(|meta| meta.get_str("versionId")?.as_str())
        .map(std::borrow::Cow::into_owned);
    tree.resource_type().as_deref() == Some(stored.key.resource_type.as_str())
        && text("id").as_deref() == Some(stored.key.id.as_str())
        && version == Some(stored.version.to_string())
}

fn in_words(difference: &Difference) -> String {
    match &difference.key {
        Some(key) => format!("{key} {}", difference.table),
        None => format!("- {}", difference.table),
    }
}
