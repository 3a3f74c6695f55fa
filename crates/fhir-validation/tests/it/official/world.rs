//! What a case is validated by: the packages that the reference validator always has, and what
//! the case brings along.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use fhir_model::definition::{Builder, Definitions};
use fhir_model::element::Element;
use fhir_model::format::Format;
use fhir_model::issue::Issue;
use fhir_model::snapshot::Generator;
use fhir_model::tree::{Limits, Node, Tree};
use fhir_model::xml;
use fhir_validation::{Elsewhere, Validator};
use fhirpath::{Item, Resolved, Resolver};
use serde_json::Value;

use crate::official::case::{Archive, Case, Step, unpack};
use crate::support::{core_with_packages, read_zstd, shared_data};

/// What the reference validator loads whatever the case.
const ALWAYS: &[&str] = &[
    "extensions-5.3.0-ballot-tc1.ndjson.zst",
    "tho-7.0.1.ndjson.zst",
];

/// Structures by their canonicals, as a generator of snapshots asks for them.
struct Structures(BTreeMap<String, Arc<Value>>);

impl Structures {
    /// Those of the packages that are there whatever the case.
    fn always() -> Self {
        let folder = shared_data().unwrap().join("embed");
        let mut structures = BTreeMap::new();
        for file in ["r4-core-structures.ndjson.zst", ALWAYS[0]] {
            for line in read_zstd(&folder.join(file)).lines() {
                let structure: Value = serde_json::from_str(line).unwrap();
                if let Some(url) = structure["url"].as_str() {
                    structures.insert(url.to_owned(), Arc::new(structure));
                }
            }
        }
        Self(structures)
    }

    /// The resources, with a snapshot where one has a differential only and it can be made.
    fn with_snapshots(&self, resources: Vec<Value>) -> Vec<Value> {
        let of_resource = |resource: &Value| {
            let url = resource["url"]
                .as_str()
                .filter(|_| is_structure(resource))?;
            Some((url.to_owned(), Arc::new(resource.clone())))
        };
        let own: BTreeMap<_, _> = resources.iter().filter_map(of_resource).collect();
        let source = |canonical: &str| {
            let url = canonical.split('|').next()?;
            own.get(url).or_else(|| self.0.get(url)).cloned()
        };
        let mut generator = Generator::new(&source);
        let mut complete = |resource: Value| {
            if is_structure(&resource)
                && resource["snapshot"].is_null()
                && let Ok(snapshot) = generator.generate(&resource)
            {
                return snapshot.structure;
            }
            resource
        };
        resources.into_iter().map(&mut complete).collect()
    }
}

fn is_structure(resource: &Value) -> bool {
    resource["resourceType"] == "StructureDefinition"
}

/// The Questionnaires that responses refer to.
struct Questionnaires<'a> {
    definitions: &'a Definitions,
    trees: Vec<Tree>,
}

impl<'a> Questionnaires<'a> {
    fn new(validator: &'a Validator, questionnaires: &[Value]) -> Self {
        let definitions = validator.definitions();
        let tree = |value: &Value| Tree::from_value(value, definitions.names()).unwrap();
        Self {
            definitions,
            trees: questionnaires.iter().map(tree).collect(),
        }
    }
}

impl Resolver for Questionnaires<'_> {
    fn resolve<'r>(&'r self, reference: &str, _: Option<Element<'r>>) -> Resolved<'r> {
        let is_meant = |tree: &&Tree| {
            let text = |name| tree.root().get_str(name).and_then(Node::as_str);
            let url = text("url").unwrap_or_default();
            let version = text("version").unwrap_or_default();
            reference == url || reference == format!("{url}|{version}")
        };
        let tree = self.trees.iter().find(is_meant);
        let item = tree.and_then(|tree| Item::resource(tree.element(), self.definitions));
        item.map_or(Resolved::Nothing, Resolved::Resource)
    }
}

/// Packages and files that a case brings along.
type Key = (Vec<String>, Vec<String>);

/// Validators by what cases bring along.
pub(crate) struct Worlds<'a> {
    archive: &'a Archive,
    base: Validator,
    /// The structures of that, for the snapshots of others.
    structures: Structures,
    last: Option<(Key, Validator)>,
}

impl<'a> Worlds<'a> {
    pub(crate) fn new(archive: &'a Archive) -> Self {
        Self {
            archive,
            base: core_with_packages(ALWAYS).expect("where the cases are, the packages are too"),
            structures: Structures::always(),
            last: None,
        }
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

    /// A file that is a resource.
    fn resource(&self, file: &str) -> Option<Value> {
        serde_json::from_str(&self.json(file)?.ok()?).ok()
    }

    /// The JSON of a file; what is wrong with its XML, if it is not of FHIR.
    fn json(&self, file: &str) -> Option<Result<String, String>> {
        let bytes = self.archive.bytes(file)?;
        Some(if Format::of(bytes) == Format::Xml {
            xml::to_json(bytes, self.base.definitions()).map_err(|error| error.to_string())
        } else {
            String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
        })
    }

    /// Whether the case is valid here, and what is said of it.
    pub(crate) fn outcome(&mut self, case: &Case, step: Step) -> (bool, String) {
        let json = match self.json(&case.file).unwrap() {
            Ok(json) => json,
            Err(error) => return (false, format!("    {error}\n")),
        };
        let profile = case.profile.as_ref().filter(|_| step == Step::Profile);
        let profile = profile.map(|name| self.canonical(name));
        let questionnaires = self.questionnaires(case, step);
        let validator = self.validator(case, step);
        let questionnaires = Questionnaires::new(validator, &questionnaires);
        let names = validator.definitions().names();
        let tree = match Tree::parse(json, names, &Limits::default()) {
            Ok(tree) => tree,
            Err(error) => return (false, format!("    {error}\n")),
        };
        let resource_type = tree.resource_type().unwrap_or_default();
        let profiles: Vec<&str> = profile.iter().map(String::as_str).collect();
        let options = case.options();
        let issues = validator.validate_with(
            tree.root(),
            &resource_type,
            &profiles,
            &options,
            Elsewhere::resources(&questionnaires),
        );
        let mut words = String::new();
        let is_error = |issue: &&Issue| {
            issue.is_error() && !case.admits_extension(issue) && !case.passes_over(issue)
        };
        for issue in issues.iter().filter(is_error) {
            // Writing to a String cannot fail.
            let _ = writeln!(words, "    {issue}");
        }
        (words.is_empty(), words)
    }

    /// The Questionnaires among what the case brings along.
    fn questionnaires(&self, case: &Case, step: Step) -> Vec<Value> {
        let files = self.files(case, step);
        let resources = files.iter().filter_map(|file| self.resource(file));
        resources
            .filter(|resource| resource["resourceType"] == "Questionnaire")
            .collect()
    }

    /// The canonical of a profile that is named by its file or by itself.
    fn canonical(&self, name: &str) -> String {
        let resource = self.resource(name);
        let url = resource.and_then(|resource| resource["url"].as_str().map(str::to_owned));
        url.unwrap_or_else(|| name.to_owned())
    }

    /// The validator of a case. One that brings something along keeps tables of its own, tens of
    /// megabytes of them, so only the last of those is kept.
    fn validator(&mut self, case: &Case, step: Step) -> &Validator {
        let files = self.files(case, step);
        let key = (case.packages.clone(), files.clone());
        if key == Key::default() {
            return &self.base;
        }
        if self.last.as_ref().is_none_or(|(last, _)| *last != key) {
            self.last = None;
            let definitions = self.definitions(case, &files);
            self.last = Some((key, Validator::new(definitions)));
        }
        self.last
            .as_ref()
            .map_or(&self.base, |(_, validator)| validator)
    }

    fn definitions(&self, case: &Case, files: &[String]) -> Arc<Definitions> {
        let mut resources = Vec::new();
        for package in &case.packages {
            let files = self.package(package);
            let files = files.iter().filter(|(name, _)| !name.contains('/'));
            resources.extend(files.filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()));
        }
        resources.extend(files.iter().map(|file| self.resource(file).unwrap()));
        let mut builder = Builder::extending(self.base.definitions());
        for resource in self.structures.with_snapshots(resources) {
            builder.add(resource);
        }
        Arc::new(builder.finish().0)
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
