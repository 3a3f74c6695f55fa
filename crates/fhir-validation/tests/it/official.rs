//! The official test cases of FHIR validators, against the outcomes of the reference validator
//! (<https://github.com/FHIR/fhir-test-cases>, folder `validator`).
//!
//! A case is one resource, held to the base definitions and to what it claims, and with some to
//! one profile more: each is a row of its own. The outcome is *valid* if nothing is an error.
//! Where ours differs, `disagreements.tsv` says why; a row that differs without standing there
//! fails the test, and so does a row that stands there without differing.

mod case;
mod outcome;
mod world;

pub(crate) use case::unpack;

use std::collections::BTreeMap;

use crate::official::case::{Archive, Case, Step};
use crate::official::world::Worlds;

/// Rows of case, step and reason, tab-separated; the second column says which outcome is ours.
const DISAGREEMENTS: &str = include_str!("official/disagreements.tsv");

const NO_OUTCOME: &str = "the archive has no outcome of the reference validator";

/// What became of a row.
struct Row {
    case: String,
    step: Step,
    module: String,
    is_valid: bool,
    is_valid_by_reference: bool,
    /// Ours, beginning with the errors, to see what a disagreement is about.
    issues: String,
}

impl Row {
    fn agrees(&self) -> bool {
        self.is_valid == self.is_valid_by_reference
    }

    /// How the row begins in the table of disagreements.
    fn key(&self) -> (String, &'static str, &'static str) {
        let ours = if self.is_valid { "valid" } else { "invalid" };
        (self.case.clone(), self.step.word(), ours)
    }
}

/// The table of disagreements: case, step and our outcome, with the reason.
fn disagreements() -> BTreeMap<(String, &'static str, &'static str), &'static str> {
    let mut table = BTreeMap::new();
    for line in DISAGREEMENTS.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [case, step, ours, why] = columns[..] else {
            panic!("not four columns: {line}");
        };
        assert!(!why.is_empty(), "a reason is missing: {line}");
        let earlier = table.insert((case.to_owned(), step, ours), why);
        assert!(earlier.is_none(), "twice: {line}");
    }
    table
}

/// Names of cases by the reason why they are left out.
type LeftOut = BTreeMap<&'static str, Vec<String>>;

fn rows(archive: &Archive) -> (Vec<Row>, LeftOut) {
    let mut worlds = Worlds::new(archive);
    let mut rows = Vec::new();
    let mut left_out: LeftOut = BTreeMap::new();
    let filter = only();
    for case in Case::all(archive) {
        if filter
            .as_ref()
            .is_some_and(|name| !case.name.contains(name))
        {
            continue;
        }
        if let Some(reason) = case.left_out() {
            left_out.entry(reason).or_default().push(case.name);
            continue;
        }
        let steps = case.steps(archive);
        if steps.is_empty() {
            left_out.entry(NO_OUTCOME).or_default().push(case.name);
            continue;
        }
        for (step, reference) in steps {
            let (is_valid, issues) = worlds.outcome(&case, step);
            rows.push(Row {
                case: case.name.clone(),
                step,
                module: case.module.clone(),
                is_valid,
                is_valid_by_reference: reference.is_valid(),
                issues: format!("{issues}    reference:\n{reference}"),
            });
        }
    }
    (rows, left_out)
}

/// A part of the names of the cases to look at, for work on them.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
fn only() -> Option<String> {
    std::env::var("BATON_OFFICIAL_CASE").ok()
}

/// Agreeing rows and all rows of each module.
fn print_counts(rows: &[Row], left_out: &LeftOut) {
    let mut modules: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in rows {
        let (agreeing, all) = modules.entry(&row.module).or_default();
        *agreeing += usize::from(row.agrees());
        *all += 1;
    }
    for (module, (agreeing, all)) in &modules {
        println!("{module}: {agreeing} of {all} agree");
    }
    let agreeing = rows.iter().filter(|row| row.agrees()).count();
    println!("all modules: {agreeing} of {} agree", rows.len());
    for (reason, cases) in left_out {
        println!(
            "left out: {} cases, as {reason}: {}",
            cases.len(),
            cases.join(", ")
        );
    }
}

#[test]
fn the_official_cases_have_the_outcome_of_the_reference_validator() {
    let Some(archive) = Archive::open() else {
        println!("left out: the official cases, as there is no shared data");
        return;
    };
    let (rows, left_out) = rows(&archive);
    print_counts(&rows, &left_out);
    let mut explained = disagreements();
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| !row.agrees()) {
        if explained.remove(&row.key()).is_none() {
            let (case, step, ours) = row.key();
            wrong.push(format!(
                "{case} ({}, {step}) is {ours} here and is not explained:\n{}",
                row.module, row.issues
            ));
        }
    }
    if only().is_none() {
        let stale = explained.keys();
        wrong.extend(stale.map(|(case, step, _)| format!("{case} ({step}) agrees, or is not run")));
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), wrong.len());
}
