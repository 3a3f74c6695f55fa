//! The manifest of the official cases: what each consists of, and which we leave out.

use std::collections::BTreeMap;
use std::io::Read as _;

use fhir_model::issue::Issue;
use fhir_validation::{Doubtful, Options, References, UnknownExtensions};
use fhirpath::Temporal;
use serde_json::Value;

use crate::official::outcome::Outcome;
use crate::support::shared_data;

/// Modules that are not about instances of FHIR R4 in JSON or XML, and what they are about.
const MODULES_LEFT_OUT: &[(&str, &str)] = &[
    ("cda", "its module is about CDA documents"),
    (
        "cdshooks",
        "its module is about CDS Hooks, by a logical model",
    ),
    ("dsig", "its module is about digital signatures"),
    (
        "json5",
        "its module is about JSON 5, which is not FHIR's JSON",
    ),
    (
        "matchetype",
        "its module is about comparing resources with templates",
    ),
    ("shc", "its module is about SMART Health Cards"),
];

/// Cases that ask for what is no validation of an R4 instance against definitions.
const CASES_LEFT_OUT: &[(&str, &str)] = &[
    ("patient-circle2-bad-linked", NO_TARGET),
    ("practitioner-role-example", NO_CODES),
    ("vs-bad-code", NO_CODES),
    ("vs-bad-ecl", NO_CODES),
];

const NO_TARGET: &str = "what it refers to is not in the archive";
const NO_CODES: &str = "its errors are in codes and expressions of SNOMED CT and NUCC, which only a \
                        terminology server knows";

/// When the cases are validated: some have limits that are counted from now.
const NOW: &str = "2026-01-01T00:00:00Z";

/// The files of the archive of cases.
pub(crate) struct Archive {
    files: BTreeMap<String, Vec<u8>>,
}

impl Archive {
    /// The archive in the shared data, if that is there.
    pub(crate) fn open() -> Option<Self> {
        let path = shared_data()?.join("tests/validator.tgz");
        let files = unpack(std::fs::File::open(path).unwrap(), "validator/");
        Some(Self { files })
    }

    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }
}

/// The files of a compressed archive, by their names without this beginning.
pub(crate) fn unpack(archive: impl std::io::Read, beginning: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if let Some(name) = path.strip_prefix(beginning) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(name.to_owned(), bytes);
        }
    }
    files
}

/// One way in which a case is validated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Against the base definitions and the profiles that the resource claims.
    Base,
    /// Against the profile of the case too.
    Profile,
}

impl Step {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Profile => "profile",
        }
    }
}

/// One case of the manifest.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) module: String,
    pub(crate) file: String,
    /// Conformance resources and others that belong to it.
    pub(crate) supporting: Vec<String>,
    /// Packages, with those that they depend on.
    pub(crate) packages: Vec<String>,
    /// The file of the profile of the second step, or its canonical.
    pub(crate) profile: Option<String>,
    /// What belongs to that.
    pub(crate) profile_supporting: Vec<String>,
    source: Value,
}

impl Case {
    /// All cases, in the order of the manifest.
    pub(crate) fn all(archive: &Archive) -> Vec<Self> {
        let manifest: Value = serde_json::from_str(archive.text("manifest.json").unwrap()).unwrap();
        let cases = manifest["test-cases"].as_array().unwrap();
        cases.iter().map(Self::new).collect()
    }

    fn new(source: &Value) -> Self {
        let text = |name: &str| source[name].as_str().unwrap_or_default().to_owned();
        let dependencies = source["package-map"].as_object().into_iter().flatten();
        let dependencies = dependencies.filter_map(|(_, file)| Some(file.as_str()?.to_owned()));
        let dependencies: Vec<String> = dependencies.collect();
        Self {
            name: text("name"),
            module: text("module"),
            file: text("file"),
            supporting: [texts(&source["supporting"]), texts(&source["profiles"])].concat(),
            packages: [texts(&source["packages"]), dependencies].concat(),
            profile: source["profile"]["source"].as_str().map(str::to_owned),
            profile_supporting: texts(&source["profile"]["supporting"]),
            source: source.clone(),
        }
    }

    /// Why it is not looked at, if it is not.
    pub(crate) fn left_out(&self) -> Option<&'static str> {
        let of_module = MODULES_LEFT_OUT
            .iter()
            .find(|(module, _)| self.module == *module);
        let of_case = CASES_LEFT_OUT.iter().find(|(case, _)| self.name == *case);
        if let Some((_, reason)) = of_module.or(of_case) {
            Some(reason)
        } else if self.source["x-tx"] == true {
            Some("its outcome is that of a terminology server")
        } else if !self.source["x-missing-packages"].is_null() {
            Some("a package that it needs is not here")
        } else if !self.source["x-missing-files"].is_null() {
            Some("a file that it needs is not in the archive")
        } else {
            None
        }
    }

    /// How the reference validator is set up for the case.
    pub(crate) fn options(&self) -> Options {
        Options {
            unknown_extensions: UnknownExtensions::Error,
            references: match self.source["validateReference"].as_str() {
                Some("CHECK_EXISTS_AND_TYPE") => References::MustExist,
                Some("CHECK_VALID") => References::IfFound,
                _ => References::Inside,
            },
            markup: self.refuses("security-checks", true),
            example_urls: self.refuses("examples", false),
            wrong_displays: Doubtful::Refuse,
            relative_canonicals: Doubtful::Refuse,
            now: Temporal::parse_date_time(NOW),
            ..Options::default()
        }
    }

    fn refuses(&self, option: &str, value: bool) -> Doubtful {
        if self.source[option] == value {
            Doubtful::Refuse
        } else {
            Doubtful::Admit
        }
    }

    /// Whether an issue is about an extension that is not known, and that the reference validator
    /// admits: an example, if the case does not say otherwise, or one of a package that it has
    /// built in.
    pub(crate) fn admits_extension(&self, issue: &Issue) -> bool {
        let is_named = |url: &str| issue.text.starts_with(&format!("The extension \"{url}"));
        let is_example = is_named("http://example.org/") && self.source["examples"] != false;
        is_example || is_named("http://hl7.org/fhir/tools/")
    }

    /// Whether an issue is about the content of a contained resource, where the reference validator
    /// is told not to look into those.
    pub(crate) fn passes_over(&self, issue: &Issue) -> bool {
        self.source["validateContains"] == "IGNORE" && issue.location.contains(".contained[")
    }

    /// The steps for which there is an outcome of the reference validator.
    pub(crate) fn steps(&self, archive: &Archive) -> Vec<(Step, Outcome)> {
        [
            (Step::Base, &self.source),
            (Step::Profile, &self.source["profile"]),
        ]
        .into_iter()
        .filter_map(|(step, source)| Some((step, Outcome::of(archive, &source["java"])?)))
        .collect()
    }
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}
