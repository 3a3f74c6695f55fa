//! The codes that were sent to `$validate-code`, each with its place.

use serde_json::Value;

use crate::membership::Coded;
use crate::parameters::text_of;
use crate::{Error, Parameters};

/// What was sent.
pub(super) struct Sent<'a> {
    pub(super) codes: Vec<Placed<'a>>,
    /// The `CodeableConcept`, if it was one.
    pub(super) concept: Option<&'a Value>,
}

/// A code and the place it was sent in.
pub(super) struct Placed<'a> {
    pub(super) coded: Coded<'a>,
    /// `Coding` or `CodeableConcept.coding[0]`; empty for parameters.
    path: String,
    /// Whether it is one of perhaps several that mean the same.
    pub(super) is_of_concept: bool,
    /// Whether it may do without a system.
    pub(super) infers_system: bool,
}

impl<'a> Sent<'a> {
    /// The codes in these parameters; a lone code is of `system`.
    pub(super) fn new(
        parameters: &'a Parameters,
        system: Option<&'a str>,
        version: &'a str,
    ) -> Result<Self, Error> {
        let code = parameters.text("code")?;
        let coding = parameters.object("coding")?;
        let concept = parameters.object("codeableConcept")?;
        match (code, coding, concept) {
            (Some(code), None, None) => {
                let coded = Coded {
                    system,
                    version: parameters.text(version)?,
                    code,
                    display: parameters.text("display")?,
                };
                Ok(Self::one(coded, ""))
            }
            (None, Some(coding), None) => Ok(Self::one(coded(coding), "Coding")),
            (None, None, Some(concept)) => Ok(Self::concept(concept)),
            _ => Err(Error::Invalid(
                "One of code, coding and codeableConcept is needed".to_owned(),
            )),
        }
    }

    fn one(coded: Coded<'a>, path: &str) -> Self {
        let placed = Placed {
            coded,
            path: path.to_owned(),
            is_of_concept: false,
            infers_system: path.is_empty(),
        };
        Self {
            codes: vec![placed],
            concept: None,
        }
    }

    fn concept(concept: &'a Value) -> Self {
        let codings = concept.get("coding").and_then(Value::as_array);
        let codings = codings.into_iter().flatten().enumerate();
        let placed = codings.map(|(at, coding)| Placed {
            coded: coded(coding),
            path: format!("CodeableConcept.coding[{at}]"),
            is_of_concept: true,
            infers_system: false,
        });
        Self {
            codes: placed.collect(),
            concept: Some(concept),
        }
    }
}

fn coded(coding: &Value) -> Coded<'_> {
    Coded {
        system: text_of(coding, "system"),
        version: text_of(coding, "version"),
        code: text_of(coding, "code").unwrap_or_default(),
        display: text_of(coding, "display"),
    }
}

impl Placed<'_> {
    /// The place of a part of the code, or of all of it.
    pub(super) fn part(&self, name: &str) -> Option<String> {
        match (self.path.as_str(), name) {
            ("", "") => None,
            ("", name) => Some(name.to_owned()),
            (path, "") => Some(path.to_owned()),
            (path, name) => Some(format!("{path}.{name}")),
        }
    }

    /// The code in words: `system|version#code ('display')`.
    pub(super) fn in_words(&self) -> String {
        let Coded {
            system,
            version,
            code,
            display,
        } = self.coded;
        let version = version.map(|it| format!("|{it}")).unwrap_or_default();
        let display = display.map(|it| format!(" ('{it}')")).unwrap_or_default();
        format!("{}{version}#{code}{display}", system.unwrap_or_default())
    }
}
