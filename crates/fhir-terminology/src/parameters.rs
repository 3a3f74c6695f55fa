//! The parameters of an operation: from a query or from a `Parameters` resource.
//!
//! Standard: <https://hl7.org/fhir/R4/operations.html#executing>. A parameter that the operation does
//! not have is refused, and so is one that would change the answer and is not supported.

use std::borrow::Cow;

use fhir_model::definition::{Builder, Definitions};
use serde_json::Value;

use crate::Error;

/// The parameters of one call.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(String, Value)>);

/// What an operation does with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It counts.
    Used,
    /// It makes no difference here.
    Ignored,
    /// It would make a difference that is not supported.
    Refused,
}

/// The parameters of an operation.
pub(crate) type Known = &'static [(&'static str, Use)];

impl Parameters {
    /// The parameters of a query, as texts.
    pub fn from_query(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let texts = pairs.into_iter();
        Self(
            texts
                .map(|(name, text)| (name, Value::String(text)))
                .collect(),
        )
    }

    /// The parameters in a `Parameters` resource.
    pub fn from_resource(resource: &Value) -> Result<Self, Error> {
        if resource.get("resourceType").and_then(Value::as_str) != Some("Parameters") {
            return Err(Error::Invalid(
                "A resource of type Parameters is expected".to_owned(),
            ));
        }
        let list = resource.get("parameter").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .map(named)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Adds the parameters of another list.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Adds a parameter.
    pub fn push(&mut self, name: &str, value: Value) {
        self.0.push((name.to_owned(), value));
    }

    /// Whether there is a parameter.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Refuses what the operation does not have or does not support.
    pub(crate) fn check(&self, known: Known) -> Result<(), Error> {
        for (name, _) in &self.0 {
            match known.iter().find(|(own, _)| own == name) {
                Some((_, Use::Used | Use::Ignored)) => {}
                Some((_, Use::Refused)) => {
                    return Err(Error::NotSupported(format!(
                        "The parameter {name} is not supported"
                    )));
                }
                None => {
                    let names = known
                        .iter()
                        .filter(|(_, it)| *it != Use::Refused)
                        .map(|(name, _)| *name);
                    let names = names.collect::<Vec<_>>().join(", ");
                    return Err(Error::Invalid(format!(
                        "There is no parameter {name}; there are {names}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0
            .iter()
            .filter(move |(own, _)| own == name)
            .map(|(_, value)| value)
    }

    /// The value of a parameter that may occur once.
    pub(crate) fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a Value>, Error> {
        let mut all = self.all(name);
        let first = all.next();
        match all.next() {
            None => Ok(first),
            Some(_) => Err(Error::Invalid(format!(
                "The parameter {name} may be given once"
            ))),
        }
    }

    /// The text of a parameter; an empty one counts as none.
    pub(crate) fn text<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Error> {
        match self.one(name)? {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "a text")),
        }
    }

    /// The text of a parameter that must be there.
    pub(crate) fn needed<'a>(&'a self, name: &'a str) -> Result<&'a str, Error> {
        self.text(name)?
            .ok_or_else(|| Error::Invalid(format!("The parameter {name} is missing")))
    }

    /// The language that displays are wanted in, as `Accept-Language` writes it.
    pub(crate) fn language(&self) -> Result<Option<&str>, Error> {
        let language = self.text("displayLanguage")?;
        let is_range = |range: &str| {
            let tag = range.split(';').next().unwrap_or_default().trim();
            let is_part =
                |part: &str| !part.is_empty() && part.chars().all(|it| it.is_ascii_alphanumeric());
            tag == "*" || tag.split('-').all(is_part)
        };
        match language {
            Some(language) if !language.split(',').all(is_range) => {
                Err(wrong("displayLanguage", "a language"))
            }
            language => Ok(language),
        }
    }

    /// All texts of a parameter.
    pub(crate) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).filter_map(Value::as_str)
    }

    /// A boolean.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        match self.one(name)? {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(wrong(name, "true or false")),
        }
    }

    /// A number that is not negative.
    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, Error> {
        let number = match self.one(name)? {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        let number = number.and_then(|number| usize::try_from(number).ok());
        number
            .map(Some)
            .ok_or_else(|| wrong(name, "a number that is not negative"))
    }

    /// An object: a Coding, a `CodeableConcept`, a resource.
    pub(crate) fn object<'a>(&'a self, name: &'a str) -> Result<Option<&'a Value>, Error> {
        match self.one(name)? {
            None => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(value)),
            Some(_) => Err(wrong(name, "an object, sent in the body")),
        }
    }

    /// The resource that a parameter brings, compiled with the definitions; its canonical.
    pub(crate) fn resource<'a>(
        &self,
        definitions: &'a Definitions,
        name: &str,
        resource_type: &str,
    ) -> Result<Option<(Cow<'a, Definitions>, String)>, Error> {
        let Some(resource) = self.object(name)? else {
            return Ok(None);
        };
        if text_of(resource, "resourceType") != Some(resource_type) {
            return Err(wrong(name, &format!("a {resource_type}")));
        }
        let mut resource = resource.clone();
        let url = text_of(&resource, "url").unwrap_or(UNNAMED).to_owned();
        let version = text_of(&resource, "version").map(str::to_owned);
        if let Some(members) = resource.as_object_mut() {
            members.insert("url".to_owned(), Value::String(url.clone()));
        }
        let mut builder = Builder::extending(definitions);
        builder.add(resource);
        let (extended, problems) = builder.finish();
        if let Some(problem) = problems.iter().find(|problem| problem.resource == url) {
            return Err(Error::Invalid(problem.to_string()));
        }
        let canonical = version.map_or_else(|| url.clone(), |it| format!("{url}|{it}"));
        Ok(Some((Cow::Owned(extended), canonical)))
    }
}

/// The URL of a resource that was sent without one.
pub(crate) const UNNAMED: &str = "urn:baton:unnamed";

/// The name and value of an entry of `Parameters.parameter`.
fn named(parameter: &Value) -> Result<(String, Value), Error> {
    let name = text_of(parameter, "name")
        .ok_or_else(|| Error::Invalid("A parameter has no name".to_owned()))?;
    let is_value = |key: &str| key.starts_with("value") || key == "resource" || key == "part";
    let value = parameter
        .as_object()
        .and_then(|members| members.iter().find(|(key, _)| is_value(key)))
        .map(|(_, value)| value.clone());
    let value = value.ok_or_else(|| Error::Invalid(format!("The parameter {name} is empty")))?;
    Ok((name.to_owned(), value))
}

fn wrong(name: &str, wanted: &str) -> Error {
    Error::Invalid(format!("The parameter {name} is expected to be {wanted}"))
}

/// A string property of an object.
pub(crate) fn text_of<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

/// A canonical and, unless it has one, a version.
pub(crate) fn canonical(url: &str, version: Option<&str>) -> String {
    match version {
        Some(version) if !url.contains('|') => format!("{url}|{version}"),
        _ => url.to_owned(),
    }
}
