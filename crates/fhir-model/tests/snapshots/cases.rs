//! The official cases: differentials with the snapshots that the reference generator makes of
//! them, and differentials that it refuses.
//!
//! The snapshots are compared as those of the packages are. The cases are built on R4B; where an
//! element is as R4 has it, that is no difference. The rules of the cases, in FHIRPath, say less
//! than their snapshots do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fhir_model::issue::Severity;
use fhir_model::snapshot::{Generator, Snapshot, SnapshotProblem};
use fhir_model::xml;
use serde_json::Value;

use crate::compare::{Difference, by_id, compare, elements, meaning};
use crate::packages::{Package, Packages, Stack, files, find, shared_data};
use crate::r4_core;

/// Cases that do not come out as the archive says, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("t16", "its base is not in the archive"),
    ("obs-1-2", "its base is not in the archive"),
    (
        "t13",
        "the reference gives a slice of a nested extension a greater maximum than its definition",
    ),
    (
        "ccda-problem-section",
        "the choice groups of C-CDA, whose members exclude each other, are left to its constraints",
    ),
    (
        "org2b",
        "the snapshot was made before children of a sliced element were written into slices (2025)",
    ),
    (
        "slice23",
        "as before, and the reference drops the slicing of a slice that is sliced again",
    ),
];

#[test]
fn cases_come_out_as_the_archive_says() {
    let Some(mut packages) = Packages::new() else {
        return;
    };
    let path = shared_data().join("tests/snapshot-generation.tgz");
    let is_text = |path: &str| path.ends_with(".xml") || path.ends_with(".json");
    let files: BTreeMap<String, String> = files(&path, is_text).into_iter().collect();
    let core = packages.stack(&[
        "hl7.fhir.uv.extensions.r4-5.3.0-ballot-tc1",
        "hl7.fhir.r4.core-4.0.1",
    ]);
    let manifests = files
        .iter()
        .filter(|(path, _)| path.ends_with("manifest.xml"));
    let mut failures = BTreeSet::new();
    let mut count = 0;
    for (manifest, text) in manifests {
        let folder = Folder::new(
            &files,
            manifest.strip_suffix("manifest.xml").unwrap(),
            &core,
        );
        for case in text.split("<test ").skip(1).map(Case::new) {
            count += 1;
            if let Err(why) = folder.judge(&case) {
                println!("{}: {why}", case.id);
                failures.insert(case.id);
            }
        }
    }
    println!(
        "{} of {count} cases come out as they say",
        count - failures.len()
    );
    let exceptions: BTreeSet<&str> = EXCEPTIONS.iter().map(|(id, _)| *id).collect();
    assert_eq!(count, 54);
    assert_eq!(failures, exceptions);
}

/// A case of a manifest.
struct Case<'a> {
    id: &'a str,
    must_fail: bool,
    /// The files of the structures that it needs.
    registered: Vec<&'a str>,
}

impl<'a> Case<'a> {
    /// Reads the attributes of a `test` element.
    fn new(text: &'a str) -> Self {
        let tag = text.split('>').next().unwrap();
        let attribute = |name: &str| {
            let mut values = tag.split('"').zip(tag.split('"').skip(1));
            values.find_map(|(before, value)| {
                let key = before.trim().strip_suffix('=')?;
                (key == name).then_some(value)
            })
        };
        let registered = attribute("register").or_else(|| attribute("include"));
        Self {
            id: attribute("id").unwrap(),
            must_fail: attribute("fail") == Some("true"),
            registered: registered
                .map(|list| list.split(',').collect())
                .unwrap_or_default(),
        }
    }
}

/// A folder of the archive with a manifest.
struct Folder<'a> {
    files: &'a BTreeMap<String, String>,
    path: &'a str,
    core: &'a Stack,
    /// All structures but the expected ones, by which cases build on each other.
    others: Arc<Package>,
}

impl<'a> Folder<'a> {
    fn new(files: &'a BTreeMap<String, String>, path: &'a str, core: &'a Stack) -> Self {
        let is_given = |file: &&String| {
            let is_result = ["-expected.", "-output.", "manifest."]
                .iter()
                .any(|part| file.contains(part));
            file.starts_with(path) && !is_result
        };
        let others = files
            .keys()
            .filter(is_given)
            .filter_map(|file| read(files, file.rsplit_once('.').unwrap().0).ok())
            .collect();
        Self {
            files,
            path,
            core,
            others: Arc::new(Package::new(others)),
        }
    }

    fn read(&self, name: &str) -> Result<Value, String> {
        read(self.files, &format!("{}{name}", self.path))
    }

    /// Generates the snapshot of a case.
    fn judge(&self, case: &Case<'_>) -> Result<(), String> {
        let input = self.read(&format!("{}-input", case.id))?;
        let registered: Result<Vec<Value>, String> = case
            .registered
            .iter()
            .map(|name| self.registered(name))
            .collect();
        let mut stack = vec![Arc::new(Package::new(registered?))];
        stack.extend(self.core.iter().cloned());
        stack.push(Arc::clone(&self.others));
        let source = |canonical: &str| find(&stack, canonical);
        let generated = Generator::new(&source).generate(&input);
        if case.must_fail {
            return must_fail(generated);
        }
        let generated = generated.map_err(|problem| problem.to_string())?;
        let expected = self
            .read(&format!("{}-expected", case.id))
            .or_else(|_| self.read(&format!("{}-output", case.id)))?;
        let mut differences = compare(&generated.structure, &expected).differences;
        differences.retain(|difference| !self.is_of_r4(&generated.structure, difference));
        match differences.first() {
            None => Ok(()),
            Some(first) => Err(format!("{} differences: {first:?}", differences.len())),
        }
    }

    /// A structure that a case needs, to be generated anew where its base is known.
    fn registered(&self, name: &str) -> Result<Value, String> {
        let mut structure = self.read(name)?;
        let base = structure["baseDefinition"].as_str();
        if base.is_some_and(|base| find(self.core, base).is_some()) {
            structure.as_object_mut().unwrap().shift_remove("snapshot");
        }
        Ok(structure)
    }

    /// Whether what differs is as R4 defines it, so that the case only expects R4B.
    fn is_of_r4(&self, generated: &Value, difference: &Difference) -> bool {
        let ours = by_id(elements(generated));
        let core = || {
            let path = ours.get(&*difference.element)?["base"]["path"].as_str()?;
            let name = path.split('.').next()?;
            let canonical = format!("http://hl7.org/fhir/StructureDefinition/{name}");
            let structure = find(self.core, &canonical)?;
            let element = by_id(elements(&structure)).get(path).copied()?;
            meaning(difference.property, element)
        };
        core().as_ref() == Some(&difference.generated)
    }
}

/// Whether a differential was found wrong.
fn must_fail(generated: Result<Snapshot, SnapshotProblem>) -> Result<(), String> {
    let is_unknown = |problem: &SnapshotProblem| problem.to_string().contains("is not known");
    match generated {
        Err(problem) if is_unknown(&problem) => Err(problem.to_string()),
        Err(_) => Ok(()),
        Ok(generated) => {
            let severities = generated
                .problems
                .iter()
                .map(|problem| problem.kind.severity());
            let worst = severities.max();
            (worst >= Some(Severity::Error))
                .then_some(())
                .ok_or_else(|| "it should have failed".to_owned())
        }
    }
}

/// A structure of the archive, in JSON or XML.
fn read(files: &BTreeMap<String, String>, path: &str) -> Result<Value, String> {
    if let Some(json) = files.get(&format!("{path}.json")) {
        return serde_json::from_str(json).map_err(|error| error.to_string());
    }
    let text = files
        .get(&format!("{path}.xml"))
        .ok_or_else(|| format!("{path} is not there"))?;
    let json =
        xml::to_json(text, &r4_core::definitions()).map_err(|error| format!("{path}: {error}"))?;
    serde_json::from_str(&json).map_err(|error| error.to_string())
}
