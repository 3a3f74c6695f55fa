//! `CodeSystem/$lookup`: <https://hl7.org/fhir/R4/codesystem-operation-lookup.html>.
//!
//! Without `property` everything is told that is known of a concept.

use std::borrow::Cow;

use fhir_model::definition::{
    CodeSystem, CodeSystemContent, CodeSystemId, ConceptId, ConceptProperty, ConceptPropertyKind,
    Definitions, Text,
};
use serde_json::{Map, Value, json};

use crate::expand::is_language;
use crate::grammar;
use crate::parameters::{Known, Use, canonical, text_of};
use crate::subsumes::unknown_code;
use crate::{Error, Parameters};

const KNOWN: Known = &[
    ("code", Use::Used),
    ("system", Use::Used),
    ("version", Use::Used),
    ("coding", Use::Used),
    ("displayLanguage", Use::Used),
    ("property", Use::Used),
    ("codeSystem", Use::Used),
    ("date", Use::Refused),
    ("useSupplement", Use::Refused),
];

/// What is known of a code: `Parameters` with name, version, display, designations, properties.
pub fn lookup(definitions: &Definitions, parameters: &Parameters) -> Result<Value, Error> {
    parameters.check(KNOWN)?;
    let coding = parameters.object("coding")?;
    let (code, system, version) = match (coding, parameters.text("code")?) {
        (Some(coding), None) => {
            let code = text_of(coding, "code");
            let code = code.ok_or_else(|| Error::Invalid("The Coding has no code".to_owned()))?;
            (code, text_of(coding, "system"), text_of(coding, "version"))
        }
        (None, Some(code)) => (
            code,
            parameters.text("system")?,
            parameters.text("version")?,
        ),
        _ => {
            return Err(Error::Invalid(
                "Either code and system or coding is needed".to_owned(),
            ));
        }
    };
    if let Some(answer) = system.and_then(|system| by_grammar(system, code)) {
        return answer;
    }
    let (definitions, id) = code_system(definitions, parameters, system, version)?;
    let found = definitions.code_system_of(id);
    let concept = definitions
        .concept_id(found, code)
        .ok_or_else(|| unknown_code(&definitions, found, code))?;
    let lookup = Lookup {
        definitions: &definitions,
        code_system: found,
        concept,
        wanted: parameters.texts("property").collect(),
        language: parameters.language()?,
    };
    Ok(json!({ "resourceType": "Parameters", "parameter": lookup.parameters() }))
}

/// The code system that is meant: named, or sent.
pub(crate) fn code_system<'a>(
    definitions: &'a Definitions,
    parameters: &Parameters,
    system: Option<&str>,
    version: Option<&str>,
) -> Result<(Cow<'a, Definitions>, CodeSystemId), Error> {
    let sent = parameters.resource(definitions, "codeSystem", "CodeSystem")?;
    let (definitions, name) = match (sent, system) {
        (Some(sent), _) => sent,
        (None, Some(system)) => (Cow::Borrowed(definitions), canonical(system, version)),
        (None, None) => {
            return Err(Error::Invalid("The parameter system is missing".to_owned()));
        }
    };
    let id = definitions
        .code_system_id(&name)
        .filter(|id| definitions.code_system_of(*id).content != CodeSystemContent::NotPresent);
    let id =
        id.ok_or_else(|| Error::NotFound(format!("The code system {name} is not known here")))?;
    Ok((definitions, id))
}

/// What a grammar knows of a code: that it is one.
fn by_grammar(system: &str, code: &str) -> Option<Result<Value, Error>> {
    let is_code = grammar::has_code(system, code)?;
    Some(if is_code {
        Ok(json!({
            "resourceType": "Parameters",
            "parameter": [
                { "name": "name", "valueString": system },
                { "name": "display", "valueString": code },
            ],
        }))
    } else {
        Err(Error::NotFound(format!("{code} is not a code of {system}")))
    })
}

struct Lookup<'a> {
    definitions: &'a Definitions,
    code_system: &'a CodeSystem,
    concept: ConceptId,
    /// The properties that are asked for; all if none is.
    wanted: Vec<&'a str>,
    language: Option<&'a str>,
}

impl<'a> Lookup<'a> {
    fn parameters(&self) -> Vec<Value> {
        let text = |text: Text| self.definitions.text(text);
        let system = self.code_system;
        let mut answer = vec![json!({ "name": "name", "valueString": text(system.name) })];
        if let Some(version) = system.version {
            answer.push(json!({ "name": "version", "valueString": text(version) }));
        }
        answer.push(json!({ "name": "display", "valueString": self.display() }));
        if self.wants("designation") {
            answer.extend(self.designations());
        }
        answer.extend(self.properties());
        answer
    }

    fn wants(&self, property: &str) -> bool {
        self.wanted.is_empty() || self.wanted.contains(&property)
    }

    /// The display in the language asked for; a concept without any is shown by its code.
    fn display(&self) -> &'a str {
        let concept = self.definitions.concept_of(self.concept);
        let own = concept.display.unwrap_or(concept.code);
        let text = |text| self.definitions.text(text);
        let Some(wanted) = self.language else {
            return text(own);
        };
        let speaks = |tag: Option<Text>| tag.is_some_and(|tag| is_language(text(tag), wanted));
        let mut designations = self.definitions.designations(concept).iter();
        let found = designations.find(|it| speaks(it.language));
        let other = found.filter(|_| !speaks(self.code_system.language));
        text(other.map_or(own, |it| it.value))
    }

    fn designations(&self) -> impl Iterator<Item = Value> {
        let concept = self.definitions.concept_of(self.concept);
        self.definitions.designations(concept).iter().map(|it| {
            let text = |text| self.definitions.text(text);
            let mut parts = Vec::new();
            if let Some(language) = it.language {
                parts.push(json!({ "name": "language", "valueCode": text(language) }));
            }
            if let Some(coding) = it.use_coding {
                let coding: Value = serde_json::from_str(text(coding)).unwrap_or_default();
                parts.push(json!({ "name": "use", "valueCoding": coding }));
            }
            parts.push(json!({ "name": "value", "valueString": text(it.value) }));
            json!({ "name": "designation", "part": parts })
        })
    }

    fn properties(&self) -> Vec<Value> {
        let concept = self.definitions.concept_of(self.concept);
        let text = |text| self.definitions.text(text);
        let mut properties = Vec::new();
        if let Some(definition) = concept.definition.filter(|_| self.wants("definition")) {
            properties.push(property(
                "definition",
                "valueString",
                &text(definition).into(),
            ));
        }
        if self.wants("inactive") {
            let is_inactive = concept.is_inactive.into();
            properties.push(property("inactive", "valueBoolean", &is_inactive));
        }
        let own = self.definitions.concept_properties(concept).iter();
        let own = own.filter(|it| {
            let code = text(it.code);
            self.wants(code) && !matches!(code, "parent" | "child" | "inactive")
        });
        properties.extend(own.map(|it| self.property(it)));
        let code_of = |id| Value::from(text(self.definitions.concept_of(id).code));
        if self.wants("parent") {
            let parents = self.definitions.parent_concepts(self.concept);
            properties.extend(parents.map(|id| property("parent", "valueCode", &code_of(id))));
        }
        if self.wants("child") {
            let children = self.definitions.child_concepts(self.concept);
            properties.extend(children.map(|id| property("child", "valueCode", &code_of(id))));
        }
        properties
    }

    fn property(&self, own: &ConceptProperty) -> Value {
        let text = self.definitions.text(own.value);
        let json = || serde_json::from_str(text).unwrap_or_default();
        let (kind, value) = match own.kind {
            ConceptPropertyKind::Code => ("valueCode", text.into()),
            ConceptPropertyKind::String => ("valueString", text.into()),
            ConceptPropertyKind::DateTime => ("valueDateTime", text.into()),
            ConceptPropertyKind::Coding => ("valueCoding", json()),
            ConceptPropertyKind::Integer => ("valueInteger", json()),
            ConceptPropertyKind::Boolean => ("valueBoolean", json()),
            ConceptPropertyKind::Decimal => ("valueDecimal", json()),
        };
        property(self.definitions.text(own.code), kind, &value)
    }
}

fn property(code: &str, kind: &str, value: &Value) -> Value {
    let mut found = Map::new();
    found.insert("name".to_owned(), "value".into());
    found.insert(kind.to_owned(), value.clone());
    json!({ "name": "property", "part": [{ "name": "code", "valueCode": code }, found] })
}
