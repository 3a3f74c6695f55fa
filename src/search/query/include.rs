//! `_include` and `_revinclude`: which references are followed from the matches, and which back.
//!
//! <https://hl7.org/fhir/R4/search.html#include>. Following them is left to the store.

use fhir_model::definition::TypeId;
use fhir_model::key::ResourceType;

use crate::search::expression::{Include, ValueKind};
use crate::search::parameter::{self, Lookup};
use crate::search::query::Context;
use crate::search::query::refusal::Refusal;
use crate::search::value::ParameterId;

/// The modifier that follows references of what was included, too, and its name before R4.
const ITERATE: &[&str] = &["iterate", "recurse"];

/// Reads values of `_include` and `_revinclude` in a search over these types.
pub(super) struct Reader<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) types: &'a [TypeId],
}

impl Reader<'_> {
    /// `*`, `Type:*`, `Type:parameter` or `Type:parameter:Target`.
    pub(super) fn forth(&self, modifier: Option<&str>, value: &str) -> Result<Include, Refusal> {
        let (name, iterate) = ("_include", iterates("_include", modifier)?);
        if value == "*" {
            return Ok(Include {
                source: None,
                parameters: Vec::new(),
                target: None,
                iterate,
            });
        }
        let (source, code, target) = self.parts(name, value)?;
        if !iterate && !self.types.contains(&source) {
            let reason = "starts with another type than is searched, which takes ':iterate'";
            return Err(Refusal::value(name, reason));
        }
        let parameters = match code {
            "*" => Vec::new(),
            code => vec![self.reference(name, source, code)?],
        };
        Ok(Include {
            source: Some(self.context.type_name(source)?),
            parameters,
            target,
            iterate,
        })
    }

    /// The same, from what refers to the matches.
    pub(super) fn back(&self, modifier: Option<&str>, value: &str) -> Result<Include, Refusal> {
        let (name, iterate) = ("_revinclude", iterates("_revinclude", modifier)?);
        if value == "*" {
            let sources = self.context.definitions.concrete_resource_types();
            return Ok(Include {
                source: None,
                parameters: sources.flat_map(|source| self.references(source)).collect(),
                target: None,
                iterate,
            });
        }
        let (source, code, target) = self.parts(name, value)?;
        let parameters = match code {
            "*" => self.references(source),
            code => vec![self.reference(name, source, code)?],
        };
        Ok(Include {
            source: Some(self.context.type_name(source)?),
            parameters,
            target,
            iterate,
        })
    }

    fn parts<'v>(
        &self,
        name: &str,
        value: &'v str,
    ) -> Result<(TypeId, &'v str, Option<ResourceType>), Refusal> {
        let mut parts = value.split(':');
        let (source, code) = (parts.next().unwrap_or_default(), parts.next());
        let target = parts.next().filter(|target| !target.is_empty());
        let (Some(code), None) = (code, parts.next()) else {
            let reason = "is not of the form Type:parameter or Type:parameter:target";
            return Err(Refusal::value(name, reason));
        };
        let known = |text| {
            let type_id = self.context.definitions.resource_type(text);
            type_id.ok_or_else(|| Refusal::value(name, "names no type of resource"))
        };
        let target = target.map(known).transpose()?;
        let target = target
            .map(|target| self.context.type_name(target))
            .transpose()?;
        Ok((known(source)?, code, target))
    }

    fn reference(&self, name: &str, source: TypeId, code: &str) -> Result<ParameterId, Refusal> {
        match parameter::find(self.context.definitions, source, code) {
            Lookup::Supported(found) if self.context.unindexed.contains(&found.id) => {
                Err(Refusal::unindexed(found.code))
            }
            Lookup::Supported(found) if found.kind == ValueKind::Reference => Ok(found.id),
            _ => {
                let reason = "names no reference parameter of the type it starts with";
                Err(Refusal::value(name, reason))
            }
        }
    }

    /// The parameters by which resources of a type refer to others.
    fn references(&self, source: TypeId) -> Vec<ParameterId> {
        parameter::all(self.context.definitions, source)
            .filter(|found| found.kind == ValueKind::Reference)
            .map(|found| found.id)
            .collect()
    }
}

fn iterates(name: &str, modifier: Option<&str>) -> Result<bool, Refusal> {
    match modifier {
        None => Ok(false),
        Some(modifier) if ITERATE.contains(&modifier) => Ok(true),
        Some(modifier) => Err(Refusal::modifier(name, modifier, &[":iterate"])),
    }
}
