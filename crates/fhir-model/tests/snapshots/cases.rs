//! The official cases: differentials with the snapshots that the reference generator makes of
//! them, and differentials that it refuses.
//!
//! The snapshots are compared as those of the packages are. The rules of the cases, in FHIRPath,
//! say less than the snapshots do.

use std::collections::BTreeMap;
use std::sync::Arc;

use fhir_model::issue::Severity;
use fhir_model::snapshot::Generator;
use fhir_model::xml;
use serde_json::Value;

use crate::compare::compare;
use crate::packages::{Package, Packages, files, find, shared_data};
use crate::r4_core;

#[test]
fn official_cases() {
    let Some(mut packages) = Packages::new() else {
        return;
    };
    let path = shared_data().join("tests/snapshot-generation.tgz");
    let files: BTreeMap<String, String> = files(&path, |_| true).into_iter().collect();
    let core = packages.stack(&[
        "hl7.fhir.uv.extensions.r4-5.3.0-ballot-tc1",
        "hl7.fhir.r4.core-4.0.1",
        "hl7.fhir.us.core-4.0.0",
    ]);
    let mut good = 0;
    let mut all = 0;
    for (manifest, text) in files
        .iter()
        .filter(|(path, _)| path.ends_with("manifest.xml"))
    {
        let folder = manifest.strip_suffix("manifest.xml").unwrap();
        let inputs: Vec<Value> = files
            .keys()
            .filter(|path| path.starts_with(folder) && path.contains("-input."))
            .filter_map(|path| read(&files, path.rsplit_once('.').unwrap().0).ok())
            .collect();
        let inputs = Arc::new(Package::new(inputs));
        for case in text.split("<test ").skip(1) {
            all += 1;
            let tag = case.split('>').next().unwrap();
            let attribute = |name: &str| {
                let (_, rest) = tag.split_once(&format!("{name}=\""))?;
                rest.split('"').next()
            };
            let id = attribute(" id").or_else(|| attribute("id")).unwrap();
            let must_fail = attribute("fail") == Some("true");
            let input = match read(&files, &format!("{folder}{id}-input")) {
                Ok(input) => input,
                Err(error) => {
                    println!("{id} UNREAD {error}");
                    continue;
                }
            };
            let registered: Vec<Value> = attribute("register")
                .or(attribute("include"))
                .into_iter()
                .flat_map(|list| list.split(','))
                .filter(|name| *name != format!("{id}-input"))
                .filter_map(|name| match read(&files, &format!("{folder}{name}")) {
                    Ok(found) => Some(found),
                    Err(error) => {
                        println!("{id} UNREAD {name} {error}");
                        None
                    }
                })
                .collect();
            let registered = registered
                .into_iter()
                .map(|mut found| {
                    if found["baseDefinition"]
                        .as_str()
                        .is_some_and(|base| find(&core, base).is_some())
                    {
                        found.as_object_mut().unwrap().shift_remove("snapshot");
                    }
                    found
                })
                .collect();
            let mut stack = vec![Arc::new(Package::new(registered))];
            stack.extend(core.iter().cloned());
            stack.push(Arc::clone(&inputs));
            let source = |canonical: &str| find(&stack, canonical);
            let mut generator = Generator::new(&source);
            let generated = generator.generate(&input);
            let error = match &generated {
                Err(problem) => Some(problem.to_string()),
                Ok(generated) => generated
                    .problems
                    .iter()
                    .find(|problem| problem.kind.severity() >= Severity::Error)
                    .map(ToString::to_string),
            };
            if must_fail {
                println!("{id} MUSTFAIL {error:?}");
                good += usize::from(error.is_some());
                continue;
            }
            if let Some(error) = error {
                println!("{id} ERROR {error}");
            }
            let Ok(generated) = generated else { continue };
            let expected = ["expected", "output"].iter().find_map(|end| {
                read(&files, &format!("{folder}{id}-{end}"))
                    .map_err(|error| println!("{id} {error}"))
                    .ok()
            });
            let Some(expected) = expected else {
                println!("{id} NOEXPECTED");
                continue;
            };
            let comparison = compare(&generated.structure, &expected);
            if comparison.differences.is_empty() {
                good += 1;
                println!("{id} same {}", comparison.elements);
                continue;
            }
            for (property, differences) in &comparison.differences {
                for (element, words) in differences.iter().take(4) {
                    println!("{id} {property} {} {element} {words}", differences.len());
                }
            }
        }
    }
    println!("{good} of {all}");
}

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
