//! The `$validate` operation: <https://hl7.org/fhir/R4/resource-operation-validate.html>.
//!
//! On the command line `baton validate` says the same of the same resource, in the same words.

use std::borrow::Cow;
use std::sync::Arc;

use fhir_model::issue::{Issue, IssueType, OperationOutcome};
use fhir_model::key::{ResourceKey, ResourceType};
use fhir_model::tree::{Limits, Node, Tree};
use fhir_validation::{Level, Options};

use crate::error::Error;
use crate::interaction::read::read;
use crate::interaction::write::{Document, issues};
use crate::interaction::{Services, aside, codes, invalid};

/// What the resource is validated for: <https://hl7.org/fhir/R4/valueset-resource-validation-mode.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To be created.
    Create,
    /// To take the place of the one that the URL names.
    Update,
    /// The stored one is to be deleted: whether that could be done.
    Delete,
    /// The stored one, by a profile that is named.
    Profile,
}

/// The codes of the modes.
const MODES: &[(&str, Mode)] = &[
    ("create", Mode::Create),
    ("update", Mode::Update),
    ("delete", Mode::Delete),
    ("profile", Mode::Profile),
];

/// What is asked of `$validate`, beside the resource.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The parameter `mode`.
    pub mode: Option<Mode>,
    /// The parameter `profile`: one more than the resource claims.
    pub profile: Option<String>,
    /// How much is checked, if the request says.
    pub level: Option<Level>,
}

/// The parameters that say how to validate; Parameters may hold `resource` beside them.
const PARAMETERS: &[&str] = &["mode", "profile"];

impl Question {
    /// A question with these parameters.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a mode that there is not.
    pub fn new(
        mode: Option<&str>,
        profile: Option<&str>,
        level: Option<Level>,
    ) -> Result<Self, Error> {
        let question = Self {
            level,
            ..Self::default()
        };
        question.or(mode, profile)
    }

    /// With the parameters of a query or a Parameters; what was said before stays.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a mode that there is not.
    fn or(self, mode: Option<&str>, profile: Option<&str>) -> Result<Self, Error> {
        let mode = match mode.filter(|_| self.mode.is_none()) {
            None => self.mode,
            Some(code) => Some(Mode::parse(code)?),
        };
        Ok(Self {
            mode,
            profile: self.profile.or_else(|| profile.map(str::to_owned)),
            level: self.level,
        })
    }
}

impl Mode {
    /// The mode with this code.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is none.
    pub fn parse(code: &str) -> Result<Self, Error> {
        let found = MODES.iter().find(|(known, _)| *known == code);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            let codes: Vec<&str> = MODES.iter().map(|(code, _)| *code).collect();
            let text = format!("mode is one of {}", codes.join(", "));
            invalid(IssueType::Value, text)
        })
    }
}

/// `[type]/$validate`: the resource that was sent.
///
/// # Errors
/// [`Error::Invalid`] when there is none, when it is of another type, and for a mode that is about
/// a stored resource.
pub async fn of_type(
    services: &Arc<Services>,
    resource_type: &ResourceType,
    sent: Option<Document>,
    question: Question,
) -> Result<OperationOutcome, Error> {
    let (document, question) = unwrap(services, resource_type, sent, question)?;
    if let Some(Mode::Delete | Mode::Profile) = question.mode {
        return Err(invalid(
            IssueType::Invalid,
            "the modes delete and profile are about a stored resource: [type]/[id]/$validate",
        ));
    }
    let document = document.ok_or_else(no_resource)?;
    let mut issues = content(services, resource_type, &document, &question).await?;
    if question.mode == Some(Mode::Update) && document.id().is_none() {
        issues.push(Issue::error(
            IssueType::Required,
            "an update needs the id of the resource that it changes",
        ));
    }
    Ok(OperationOutcome::new(issues))
}

/// `[type]/[id]/$validate`: the resource that was sent, or else the stored one.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Gone`] where the stored one is asked for and is not there;
/// [`Error::Invalid`] where parameters contradict one another.
pub async fn of_instance(
    services: &Arc<Services>,
    key: &ResourceKey,
    sent: Option<Document>,
    question: Question,
) -> Result<OperationOutcome, Error> {
    let (document, question) = unwrap(services, &key.resource_type, sent, question)?;
    let refused = |text: &str| Err(invalid(IssueType::Invalid, text.to_owned()));
    let document = match (question.mode, document) {
        (Some(Mode::Create), _) => {
            return refused("the mode create is about no stored resource: [type]/$validate");
        }
        (Some(Mode::Update), None) => return Err(no_resource()),
        (Some(Mode::Profile), Some(_)) => {
            return refused("the mode profile is about the stored resource, and one was sent");
        }
        (Some(Mode::Profile), None) if question.profile.is_none() => {
            return refused("the mode profile needs the parameter profile");
        }
        (Some(Mode::Delete), _) => {
            read(services, key).await?;
            return Ok(OperationOutcome::new(Vec::new()));
        }
        (Some(Mode::Update) | None, Some(document)) => document,
        (Some(Mode::Profile) | None, None) => stored(services, key).await?,
    };
    let mut issues = content(services, &key.resource_type, &document, &question).await?;
    if question.mode == Some(Mode::Update) && document.id().as_deref() != Some(key.id.as_str()) {
        issues.push(Issue::error(
            IssueType::Value,
            format!("an update of {key} needs its id in the resource"),
        ));
    }
    Ok(OperationOutcome::new(issues))
}

/// Refuses names that are none of a list.
fn known<'n>(names: impl Iterator<Item = &'n str>, known: &[&str]) -> Result<(), Error> {
    let unknown: Vec<Issue> = names
        .filter(|name| !known.contains(name))
        .map(|name| {
            let known = known.join(", ");
            let text = format!("$validate has no parameter '{name}'; it has {known}");
            Issue::error(IssueType::NotSupported, text)
        })
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(unknown))
}

fn no_resource() -> Error {
    invalid(
        IssueType::Required,
        "there is no resource to validate: send it as the body, or as the parameter \"resource\"",
    )
}

/// The current version of a resource.
async fn stored(services: &Services, key: &ResourceKey) -> Result<Document, Error> {
    let stored = read(services, key).await?;
    let text = stored.text.as_deref().unwrap_or_default().to_owned();
    let tree = Tree::parse(text, services.definitions.names(), &Limits::CEILING);
    tree.map(Document::new)
        .map_err(|error| Error::Internal(error.into()))
}

/// What there is to say about a resource.
async fn content(
    services: &Arc<Services>,
    resource_type: &ResourceType,
    document: &Document,
    question: &Question,
) -> Result<Vec<Issue>, Error> {
    let found = document.resource_type(services)?;
    if found != *resource_type {
        return Err(invalid(
            IssueType::Invalid,
            format!("the resource is a {found}, the URL names {resource_type}"),
        ));
    }
    let size = document.size();
    let options = Options {
        level: question.level.unwrap_or_default(),
        report_unchecked: true,
        ..Options::default()
    };
    let profile = question.profile.clone();
    codes::foresee(services, document, profile.as_deref(), &options).await?;
    let (services, document) = (Arc::clone(services), document.clone());
    let validate = move || issues(&services, &document, &found, profile.as_deref(), &options);
    aside::work(size, validate).await
}

/// The resource and the question out of a Parameters; a bare resource stays as it is.
fn unwrap(
    services: &Arc<Services>,
    resource_type: &ResourceType,
    sent: Option<Document>,
    question: Question,
) -> Result<(Option<Document>, Question), Error> {
    let Some(document) = sent else {
        return Ok((None, question));
    };
    let found = document.resource_type(services)?;
    if found.as_str() != "Parameters" || resource_type.as_str() == "Parameters" {
        return Ok((Some(document), question));
    }
    let parameters = || {
        let items = document.node().get_str("parameter").map(Node::items);
        items.into_iter().flatten()
    };
    let names: Vec<_> = parameters().filter_map(|part| text(part, "name")).collect();
    let allowed: Vec<&str> = PARAMETERS.iter().copied().chain(["resource"]).collect();
    known(names.iter().map(Cow::as_ref), &allowed)?;
    let parameter = |name: &str| {
        parameters().find(|parameter| text(*parameter, "name").as_deref() == Some(name))
    };
    let mode = parameter("mode").and_then(|mode| text(mode, "valueCode"));
    let profile = parameter("profile")
        .and_then(|profile| text(profile, "valueUri").or_else(|| text(profile, "valueCanonical")));
    let question = question.or(mode.as_deref(), profile.as_deref())?;
    let resource = parameter("resource").and_then(|parameter| parameter.get_str("resource"));
    let document = resource.map(|resource| document.part(resource.id()));
    Ok((document, question))
}

fn text<'a>(node: Node<'a>, key: &str) -> Option<Cow<'a, str>> {
    node.get_str(key)?.as_str()
}
