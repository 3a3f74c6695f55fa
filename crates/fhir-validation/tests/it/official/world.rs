//! What a case is validated by: the packages that the reference validator always has, and what
//! the case brings along.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use fhir_model::definition::{Builder, Definitions};
use fhir_model::tree::{Limits, Tree};
use fhir_validation::{Options, Validator};
use serde_json::Value;

use crate::official::case::{Archive, Case, Step, is_xml, unpack};
use crate::support::{core_with_packages, shared_data};

/// What the reference validator loads whatever the case.
const ALWAYS: &[&str] = &[
    "extensions-5.3.0-ballot-tc1.ndjson.zst",
    "tho-7.0.1.ndjson.zst",
];

/// Validators by what cases bring along, the same for cases that bring the same.
pub(crate) struct Worlds<'a> {
    archive: &'a Archive,
    base: Arc<Definitions>,
    validators: BTreeMap<(Vec<String>, Vec<String>), Validator>,
}

impl<'a> Worlds<'a> {
    pub(crate) fn new(archive: &'a Archive) -> Self {
        let base =
            core_with_packages(ALWAYS).expect("the archive of cases is there, and so is this");
        Self {
            archive,
            base: base.definitions().clone(),
            validators: BTreeMap::new(),
        }
    }

    /// What is not here that the case needs.
    pub(crate) fn lacks(&self, case: &Case) -> Option<String> {
        let files = self.files(case, Step::Profile);
        if files.iter().chain([&case.file]).any(|file| is_xml(file)) {
            return Some("it is in XML".to_owned());
        }
        let resources = files.iter().filter_map(|file| self.resource(file));
        let is_differential = |resource: &Value| {
            resource["resourceType"] == "StructureDefinition" && resource["snapshot"].is_null()
        };
        resources
            .into_iter()
            .any(|resource| is_differential(&resource))
            .then(|| "a profile of it has no snapshot".to_owned())
    }

    /// The files that a case brings along.
    fn files(&self, case: &Case, step: Step) -> Vec<String> {
        let mut files = case.supporting.clone();
        if step == Step::Profile {
            files.extend(
                case.profile
                    .clone()
                    .filter(|name| self.archive.bytes(name).is_some()),
            );
            files.extend(case.profile_supporting.clone());
        }
        files
    }

    fn resource(&self, file: &str) -> Option<Value> {
        serde_json::from_str(self.archive.text(file)?).ok()
    }

    /// Whether the case is valid here, and what is said of it.
    pub(crate) fn outcome(&mut self, case: &Case, step: Step) -> (bool, String) {
        let text = self.archive.text(&case.file).unwrap().to_owned();
        let profile = case.profile.as_ref().filter(|_| step == Step::Profile);
        let profile = profile.map(|name| self.canonical(name));
        let validator = self.validator(case, step);
        let names = validator.definitions().names();
        let tree = match Tree::parse(text, names, &Limits::default()) {
            Ok(tree) => tree,
            Err(error) => return (false, format!("    {error}\n")),
        };
        let resource_type = tree.resource_type().unwrap_or_default();
        let profiles: Vec<&str> = profile.iter().map(String::as_str).collect();
        let options = Options::default();
        let issues = validator.validate(tree.root(), &resource_type, &profiles, &options);
        let mut words = String::new();
        for issue in issues.iter().filter(|issue| issue.is_error()) {
            // Writing to a String cannot fail.
            let _ = writeln!(words, "    {issue}");
        }
        (words.is_empty(), words)
    }

    /// The canonical of a profile that is named by its file or by itself.
    fn canonical(&self, name: &str) -> String {
        let resource = self.resource(name);
        let url = resource.and_then(|resource| resource["url"].as_str().map(str::to_owned));
        url.unwrap_or_else(|| name.to_owned())
    }

    fn validator(&mut self, case: &Case, step: Step) -> &Validator {
        let files = self.files(case, step);
        let key = (case.packages.clone(), files.clone());
        if !self.validators.contains_key(&key) {
            let definitions = self.definitions(case, &files);
            self.validators
                .insert(key.clone(), Validator::new(definitions));
        }
        &self.validators[&key]
    }

    fn definitions(&self, case: &Case, files: &[String]) -> Arc<Definitions> {
        let mut builder = Builder::extending(&self.base);
        let mut is_more = false;
        for package in &case.packages {
            for (name, bytes) in self.package(package) {
                if let Ok(resource) = serde_json::from_slice(&bytes)
                    && !name.contains('/')
                {
                    is_more |= builder.add(resource);
                }
            }
        }
        for file in files {
            is_more |= builder.add(self.resource(file).unwrap());
        }
        if is_more {
            Arc::new(builder.finish().0)
        } else {
            self.base.clone()
        }
    }

    /// The files of a package: of one in the archive by its path, of others by name and version.
    fn package(&self, package: &str) -> BTreeMap<String, Vec<u8>> {
        if let Some(bytes) = self.archive.bytes(package) {
            return unpack(bytes, "package/");
        }
        let name = format!("packages/{}.tgz", package.replace('#', "-"));
        let path = shared_data().unwrap().join(name);
        unpack(std::fs::File::open(path).unwrap(), "package/")
    }
}
