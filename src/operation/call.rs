//! A call of an operation: on what, with which parameters, and its answer.
//!
//! <https://hl7.org/fhir/R4/operations.html#executing>. Parameters come in the query, in a
//! `Parameters` resource, or as a bare resource where the operation takes one.

use fhir_model::issue::IssueType;
use fhir_model::key::ResourceType;
use fhir_model::tree::{Kind, Node};
use fhir_validation::Level;
use futures_util::stream::BoxStream;

use crate::error::Error;
use crate::interaction::operations::{Act, On, Operation, Parameter};
use crate::interaction::write::Document;
use crate::interaction::{Context, invalid, url};
use crate::operation::meta::Edit;
use crate::operation::{document, everything, meta, patient_match, purge, terminology, validate};

/// One call.
pub struct Call {
    /// The services, and who asks.
    pub context: Context,
    /// Which operation.
    pub operation: &'static Operation,
    /// On what.
    pub on: On,
    /// With which parameters.
    pub input: Input,
    /// How much `$validate` is to check, if the request says.
    pub level: Option<Level>,
    /// Whether the answer may be sent while it is made: it is wanted as it is stored.
    pub may_stream: bool,
}

/// What an operation answers.
pub enum Answer {
    /// A resource as JSON text.
    Resource(String),
    /// A resource that was stored as well, and where it is.
    Stored {
        /// The resource as JSON text.
        text: String,
        /// Its URL.
        location: String,
    },
    /// A resource as JSON text, piece by piece.
    Stream(BoxStream<'static, Result<String, Error>>),
}

impl Call {
    /// Does what the operation does.
    ///
    /// # Errors
    /// What the operation refuses.
    pub async fn answer(self) -> Result<Answer, Error> {
        match self.operation.act {
            Act::Document => document::document(self).await,
            Act::Everything => everything::everything(self).await,
            Act::Match => patient_match::patient_match(self).await,
            Act::Meta => meta::meta(self).await,
            Act::MetaAdd => meta::change(self, Edit::Add).await,
            Act::MetaDelete => meta::change(self, Edit::Delete).await,
            Act::Purge => purge::by_rest(self).await,
            Act::Terminology(operation) => terminology::call(self, operation).await,
            Act::Validate => validate::validate(self).await,
        }
    }
}

/// The parameters of a call, checked against those that the operation has.
#[derive(Clone, Default)]
pub struct Input {
    query: Vec<(String, String)>,
    general: Vec<(String, String)>,
    body: Option<Document>,
    arguments: Vec<(String, Argument)>,
}

/// The value of a parameter.
#[derive(Clone)]
enum Argument {
    /// A primitive, as text.
    Text(String),
    /// A resource or an element of a complex type.
    Part(Document),
}

impl Input {
    /// Reads the parameters of a query and a body.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a parameter that the operation does not have, or more often than it
    /// has it, and for a body that is none.
    pub fn read(
        operation: &Operation,
        on: &On,
        query: Vec<(String, String)>,
        body: Option<Document>,
    ) -> Result<Self, Error> {
        let mut query = query;
        let is_general = |(name, _): &(String, String)| url::GENERAL.contains(&name.as_str());
        let general = query
            .iter()
            .filter(|pair| is_general(pair))
            .cloned()
            .collect();
        query.retain(|pair| !is_general(pair));
        let texts = query.iter().cloned();
        let mut arguments: Vec<(String, Argument)> = texts
            .map(|(name, text)| (name, Argument::Text(text)))
            .collect();
        if let Some(body) = &body {
            arguments.extend(of_body(operation, on, body)?);
        }
        let input = Self {
            query,
            general,
            body,
            arguments,
        };
        // Operations on terminology know their own parameters, some by a pattern.
        if let Some(known) = operation.parameters {
            input.check(operation, known)?;
        }
        Ok(input)
    }

    fn check(&self, operation: &Operation, known: &[Parameter]) -> Result<(), Error> {
        for (place, (name, _)) in self.arguments.iter().enumerate() {
            let Some(parameter) = known.iter().find(|parameter| parameter.name == *name) else {
                return Err(unknown(operation, name, known));
            };
            let earlier = self.arguments.iter().take(place);
            let is_repeated = earlier.clone().any(|(other, _)| other == name);
            if is_repeated && !parameter.repeats {
                let text = format!("the parameter {name} may be given once");
                return Err(invalid(IssueType::Invalid, text));
            }
        }
        Ok(())
    }

    /// Parameters of every request, which links repeat.
    pub fn general(&self) -> &[(String, String)] {
        &self.general
    }

    /// The parameters of the query.
    pub fn query(&self) -> &[(String, String)] {
        &self.query
    }

    /// The body.
    pub fn body(&self) -> Option<&Document> {
        self.body.as_ref()
    }

    /// The values of a parameter of a primitive type; lists of codes are taken apart at commas.
    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let arguments = self.arguments.iter().filter(move |(own, _)| own == name);
        arguments.filter_map(|(_, argument)| match argument {
            Argument::Text(text) => Some(text.as_str()),
            Argument::Part(_) => None,
        })
    }

    /// The value of a parameter of a primitive type.
    pub fn text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.texts(name).next().filter(|text| !text.is_empty())
    }

    /// The value of a parameter, read.
    ///
    /// # Errors
    /// [`Error::Invalid`], saying what is expected, when it cannot be.
    pub fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        parse(text)
            .map(Some)
            .ok_or_else(|| invalid(IssueType::Value, format!("{name} is no {expected}")))
    }

    /// The value of a parameter of type boolean.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is neither true nor false.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Error> {
        self.parsed(name, "boolean: true or false", |text| text.parse().ok())
    }

    /// The resource or complex element that a parameter is.
    pub fn part(&self, name: &str) -> Option<&Document> {
        self.arguments.iter().find_map(|(own, argument)| {
            if own != name {
                return None;
            }
            match argument {
                Argument::Part(part) => Some(part),
                Argument::Text(_) => None,
            }
        })
    }
}

fn unknown(operation: &Operation, name: &str, known: &[Parameter]) -> Error {
    let names: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
    let known = if names.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", names.join(", "))
    };
    let text = format!("${} has no parameter {name}; {known}", operation.name);
    invalid(IssueType::Invalid, text)
}

/// The parameters of a `Parameters` resource; any other resource is the one that the operation takes.
fn of_body(
    operation: &Operation,
    on: &On,
    body: &Document,
) -> Result<Vec<(String, Argument)>, Error> {
    let resource_type = body.node().get_str("resourceType").and_then(Node::as_str);
    let is_about_parameters = on.resource_type().map(ResourceType::as_str) == Some("Parameters");
    if resource_type.as_deref() == Some("Parameters") && !is_about_parameters {
        let list = body.node().get_str("parameter").map(Node::items);
        return list
            .into_iter()
            .flatten()
            .map(|parameter| argument(body, parameter))
            .collect();
    }
    let mut known = operation.parameters.into_iter().flatten();
    match known.find(|parameter| parameter.kind == "Resource") {
        Some(parameter) => Ok(vec![(
            parameter.name.to_owned(),
            Argument::Part(body.clone()),
        )]),
        None => Err(invalid(
            IssueType::Invalid,
            format!("${} takes a resource of type Parameters", operation.name),
        )),
    }
}

fn argument(body: &Document, parameter: Node<'_>) -> Result<(String, Argument), Error> {
    let name = parameter.get_str("name").and_then(Node::as_str);
    let name = name.ok_or_else(|| {
        invalid(
            IssueType::Required,
            format!("{} has no name", parameter.location()),
        )
    })?;
    let value = parameter.children().find(|child| {
        let key = child.key();
        key == "resource" || key.starts_with("value")
    });
    let value = value.ok_or_else(|| {
        invalid(
            IssueType::Required,
            format!("the parameter {name} has neither a value nor a resource"),
        )
    })?;
    let argument = match value.kind() {
        Kind::Object | Kind::Array => Argument::Part(body.part(value.id())),
        Kind::String => Argument::Text(value.as_str().unwrap_or_default().into_owned()),
        _ => Argument::Text(value.raw_text().to_owned()),
    };
    Ok((name.into_owned(), argument))
}
