//! Extensions: <https://hl7.org/fhir/R4/extensibility.html>.
//!
//! An extension whose definition is loaded is held to it, as to any profile, and stands only where
//! the definition says ([`context`]). One that is not known may be there all the same, unless it
//! may change the meaning of what it stands in.

mod context;

use std::borrow::Cow;

use fhir_model::definition::{Definitions, Derivation, ElementId, StructureId};
use fhir_model::issue::{IssueType, Severity};
use fhir_model::tree::Node;

use crate::UnknownExtensions;
use crate::extension::context::{Context, ContextInvariant};
use crate::finding::{About, Finding, any_of, quote};
use crate::rules::Known;
use crate::walk::Walk;

/// What the definition of an extension says of its use.
#[derive(Debug)]
pub(crate) struct ExtensionRules {
    is_modifier: bool,
    contexts: Box<[Context]>,
    invariants: Box<[ContextInvariant]>,
    /// The URLs of the extensions that it consists of.
    parts: Box<[Box<str>]>,
}

impl ExtensionRules {
    pub(crate) fn compile(
        definitions: &Definitions,
        known: &Known,
        structure: StructureId,
    ) -> Self {
        let found = definitions.structure_of(structure);
        let contexts = definitions.contexts(found).iter();
        let invariants = definitions.context_invariants(found).iter();
        Self {
            is_modifier: definitions.element(found.root).is_modifier,
            contexts: contexts
                .map(|context| Context::compile(definitions, *context))
                .collect(),
            invariants: invariants
                .map(|text| ContextInvariant::compile(definitions, definitions.text(*text)))
                .collect(),
            parts: definitions
                .child(found.root, known.names.extension)
                .into_iter()
                .flat_map(|extensions| definitions.slices(extensions))
                .filter_map(|slice| part_url(definitions, known, slice))
                .collect(),
        }
    }
}

/// The URL of an extension within another one, as the slice fixes it.
fn part_url(definitions: &Definitions, known: &Known, slice: ElementId) -> Option<Box<str>> {
    let url = definitions.child(slice, known.names.url)?;
    let found = definitions.element(url);
    let json = definitions.text(found.fixed.or(found.pattern)?.json);
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    Some(text.into())
}

impl<'a> Walk<'a> {
    /// An extension against the definition that its URL names.
    pub(crate) fn extension(&mut self, extension: Node<'a>, is_modifier: bool) {
        self.either_value_or_extensions(extension);
        let Some(member) = extension.get(self.rules.known.names.url) else {
            return;
        };
        let Some(url) = member.as_str() else { return };
        if !is_absolute(&url) {
            return self.relative_url(extension, member, &url);
        }
        let Some(structure) = self.extension_definition(&url) else {
            return self.unknown_extension(extension, &url, is_modifier);
        };
        if url.contains('|') && self.definitions.structure_of(structure).version.is_some() {
            self.url_with_version(member, &url);
        }
        let rules = self.rules.of_profile(self.definitions, structure);
        if let Some(rules) = rules.and_then(|rules| rules.extension.as_ref()) {
            self.place_of_extension(extension, &url, is_modifier, rules);
        }
        self.apply(extension, structure);
    }

    /// The definition of the extension with a URL.
    fn extension_definition(&self, url: &str) -> Option<StructureId> {
        let definitions = self.definitions;
        definitions.structure(url).filter(|structure| {
            let structure = definitions.structure_of(*structure);
            structure.derivation == Some(Derivation::Constraint)
                && Some(structure.type_id) == self.rules.known.extension
        })
    }

    fn place_of_extension(
        &mut self,
        extension: Node<'a>,
        url: &str,
        is_modifier: bool,
        rules: &'a ExtensionRules,
    ) {
        let text = match (rules.is_modifier, is_modifier) {
            (true, false) => format!(
                "{} may change the meaning of the element, so it is written in modifierExtension",
                quote(url)
            ),
            (false, true) => format!(
                "{} does not change the meaning of the element, so it is written in extension",
                quote(url)
            ),
            _ => return self.context(extension, url, &rules.contexts, &rules.invariants),
        };
        self.wrong_extension(extension, "Extension", text);
    }

    /// A URL that is relative names a part of the extension around it.
    fn relative_url(&mut self, extension: Node<'a>, member: Node<'a>, url: &str) {
        if url.is_empty() {
            return;
        }
        let around = self.extension_around();
        let Some(around) = around else {
            let text = format!(
                "{} is not absolute; only an extension within an extension may have such a URL",
                quote(url)
            );
            return self.wrong_extension(member, "Extension.url", text);
        };
        let Some(structure) = self.extension_definition(&around) else {
            return;
        };
        let rules = self.rules.of_profile(self.definitions, structure);
        let Some(rules) = rules.and_then(|rules| rules.extension.as_ref()) else {
            return;
        };
        let parts = &rules.parts;
        if parts.is_empty() || parts.iter().any(|part| **part == *url) {
            return;
        }
        let text = format!(
            "The extension {} has no part {}; it has {}",
            quote(&around),
            quote(url),
            any_of(parts.iter().map(|part| &**part))
        );
        self.wrong_extension(extension, "Extension.extension", text);
    }

    /// The URL of the extension that the walk is in, if it is in one.
    fn extension_around(&self) -> Option<Cow<'a, str>> {
        let place = self.places.last()?;
        if Some(place.type_id) != self.rules.known.extension {
            return None;
        }
        let url = place.node.get(self.rules.known.names.url);
        Some(url.and_then(Node::as_str).unwrap_or_default())
    }

    /// An extension that is not known: unless it is an error, it is named once.
    fn unknown_extension(&mut self, extension: Node<'a>, url: &str, is_modifier: bool) {
        let policy = self.options.unknown_extensions;
        let is_error = is_modifier || policy == UnknownExtensions::Error;
        if !is_error {
            if policy == UnknownExtensions::Ignore || self.unknown_extensions.contains(url) {
                return;
            }
            self.unknown_extensions.insert(url.to_owned());
        }
        let (severity, text) = match (is_modifier, policy) {
            (true, _) => (
                Severity::Error,
                format!(
                    "The modifier extension {} is not known here, and it may change the meaning \
                     of the element that it stands in; load the package that defines it",
                    quote(url)
                ),
            ),
            (false, UnknownExtensions::Ignore) => return,
            (false, UnknownExtensions::Information) => (Severity::Information, unknown(url)),
            (false, UnknownExtensions::Warning) => (Severity::Warning, unknown(url)),
            (false, UnknownExtensions::Error) => (Severity::Error, unknown(url)),
        };
        self.findings.push(Finding {
            node: extension,
            severity,
            code: IssueType::Extension,
            about: About::Rule,
            rule: "Extension.url".to_owned(),
            text,
        });
    }

    fn url_with_version(&mut self, member: Node<'a>, url: &str) {
        let text = format!(
            "The URL of an extension has no version; this should be {}",
            quote(url.split('|').next().unwrap_or(url))
        );
        self.wrong_extension(member, "Extension.url", text);
    }

    fn wrong_extension(&mut self, node: Node<'a>, rule: &str, text: String) {
        self.findings.error(node, IssueType::Extension, rule, text);
    }

    /// The invariant ext-1.
    fn either_value_or_extensions(&mut self, extension: Node<'a>) {
        let names = &self.rules.known.names;
        let is_other =
            |member: &Node<'a>| ![names.url, names.id, names.extension].contains(&member.name());
        let has_extensions = extension.get(names.extension).is_some();
        // What is none of the others is the value, else it was reported.
        let text = match (
            has_extensions,
            extension.children().any(|member| is_other(&member)),
        ) {
            (true, true) => "An extension has either a value or extensions, and this has both",
            (false, false) => "An extension has either a value or extensions, and this has neither",
            _ => return,
        };
        self.findings
            .error(extension, IssueType::Invariant, "ext-1", text.to_owned());
    }
}

fn unknown(url: &str) -> String {
    format!(
        "The extension {} is not known here, so it was not checked",
        quote(url)
    )
}

/// Whether a URL begins with a scheme.
fn is_absolute(url: &str) -> bool {
    url.split_once(':')
        .is_some_and(|(scheme, rest)| !scheme.contains('/') && !rest.is_empty())
}
