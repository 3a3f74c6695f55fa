//! HL7 v2 data types as FHIR data types: CX, XPN, XAD, XTN, XCN, CWE.
//!
//! v2-to-FHIR implementation guide, data type maps; what differs says why.
#![expect(
    clippy::indexing_slicing,
    reason = "JSON objects are indexed by name: a missing member reads as null and is made when written"
)]

use std::borrow::Cow;

use hl7v2::segment::data_type::{Cwe, Cx, Hd, Xad, Xcn, Xpn, Xtn};
use hl7v2::{Element, Timestamp};
use serde_json::{Map, Value, json};

use crate::adt::code_map;
use crate::config::Feed;

/// Table 0203.
const IDENTIFIER_TYPE: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// A business identifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identifier {
    /// `Identifier.system`.
    pub system: String,
    /// `Identifier.value`.
    pub value: String,
    /// CX.5, table 0203; empty when absent.
    pub kind: String,
}

/// Kinds of identifier by how well they tell people apart, the strongest first.
const STRENGTH: &[&str] = &["MR", "PI", "PT", "MC", "MA", "", "SS"];

impl Identifier {
    /// Whether both name the same thing.
    pub fn is_same(&self, other: &Self) -> bool {
        self.system == other.system && self.value == other.value
    }

    /// How weak it is for telling people apart; 0 is the strongest.
    pub fn weakness(&self) -> usize {
        let known = STRENGTH.iter().position(|kind| *kind == self.kind);
        known.unwrap_or(STRENGTH.len() - 2)
    }

    /// `system|value`.
    pub fn token(&self) -> String {
        format!("{}|{}", self.system, self.value)
    }

    /// FHIR `Identifier`.
    pub fn to_fhir(&self) -> Value {
        let mut identifier = json!({});
        if code_map::has_code(IDENTIFIER_TYPE, &self.kind) {
            identifier["type"] = json!({ "coding": [{
                "system": IDENTIFIER_TYPE,
                "code": self.kind,
            }] });
        } else if !self.kind.is_empty() {
            identifier["type"] = json!({ "text": self.kind });
        }
        identifier["system"] = json!(self.system);
        identifier["value"] = json!(self.value);
        identifier
    }
}

/// CX → Identifier. An identifier always gets a system, and one of the feed's own where the
/// authority is not known elsewhere: an id never matches across feeds by chance.
pub fn identifier(cx: Cx<'_>, feed: &Feed) -> Option<Identifier> {
    let value = text(cx.id())?;
    let kind = code(cx.identifier_type()).unwrap_or_default();
    let system = if kind == "SS" {
        "http://hl7.org/fhir/sid/us-ssn".to_owned()
    } else {
        authority_system(cx.assigning_authority(), feed)
    };
    Some(Identifier {
        system,
        value,
        kind,
    })
}

/// HD → uri: as configured, else its OID, UUID or URI, else scoped by the feed. Only an identifier
/// without any authority takes the default of the feed.
fn authority_system(authority: Hd<'_>, feed: &Feed) -> String {
    let name = authority.name();
    let universal = authority.universal_id().value();
    let names = [name.as_deref(), universal.as_deref()];
    let configured = |key: &str| feed.authorities.get(key);
    if let Some(system) = names.into_iter().flatten().find_map(configured) {
        return system.clone();
    }
    let kind = authority.universal_id_type().value();
    if let (Some(id), Some(kind)) = (universal.as_deref(), kind.as_deref())
        && let Some(uri) = universal_uri(id, kind)
    {
        return uri;
    }
    let scoped = |name: &str| format!("urn:baton:feed:{}:{}", feed.name, uri_safe(name));
    match names.into_iter().flatten().next() {
        Some(name) => scoped(name),
        None => configured("*").cloned().unwrap_or_else(|| scoped("*")),
    }
}

/// HD.2 as a URI, if it is what HD.3 calls it.
fn universal_uri(id: &str, kind: &str) -> Option<String> {
    let is_oid = || {
        let arc = |arc: &str| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit());
        id.contains('.') && id.starts_with(['0', '1', '2']) && id.split('.').all(arc)
    };
    let is_uri = || id.contains(':') && !id.contains(|found: char| found.is_whitespace());
    match kind {
        "ISO" => is_oid().then(|| format!("urn:oid:{id}")),
        "UUID" | "GUID" => {
            let uuid = uuid::Uuid::parse_str(id).ok()?;
            Some(format!("urn:uuid:{}", uuid.as_hyphenated()))
        }
        "URI" => is_uri().then(|| id.to_owned()),
        _ => None,
    }
}

fn uri_safe(text: &str) -> String {
    let safe = |character: char| {
        if character.is_ascii_alphanumeric() || "-._".contains(character) {
            character
        } else {
            '_'
        }
    };
    text.chars().map(safe).collect()
}

/// XPN → HumanName; `None` when nobody is named.
pub fn human_name(xpn: Xpn<'_>) -> Option<Value> {
    let mut name = Map::new();
    let kind = text(xpn.name_type());
    insert(
        &mut name,
        "use",
        kind.and_then(|kind| code_map::name_use(&kind))
            .map(Value::from),
    );
    insert(
        &mut name,
        "family",
        text(xpn.family_name()).map(Value::from),
    );
    let given = [xpn.given_name(), xpn.further_given_names()];
    insert_all(
        &mut name,
        "given",
        given
            .into_iter()
            .filter_map(text)
            .map(Value::from)
            .collect(),
    );
    insert_all(
        &mut name,
        "prefix",
        text(xpn.prefix()).map(Value::from).into_iter().collect(),
    );
    let suffix = [xpn.suffix(), xpn.professional_suffix()];
    insert_all(
        &mut name,
        "suffix",
        suffix
            .into_iter()
            .filter_map(text)
            .map(Value::from)
            .collect(),
    );
    let named = name.contains_key("family") || name.contains_key("given");
    named.then_some(Value::Object(name))
}

/// XAD → Address; `None` when empty.
pub fn address(xad: Xad<'_>) -> Option<Value> {
    let mut address = Map::new();
    if let Some(kind) = text(xad.address_type()) {
        let (use_code, address_type) = code_map::address_use(&kind);
        insert(&mut address, "use", use_code.map(Value::from));
        insert(&mut address, "type", address_type.map(Value::from));
    }
    let known = address.len();
    let street = text(xad.street()).or_else(|| {
        let parts = [xad.dwelling_number(), xad.street_name()];
        let parts: Vec<String> = parts.into_iter().filter_map(text).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    });
    let lines = [street, text(xad.other_designation())];
    insert_all(
        &mut address,
        "line",
        lines.into_iter().flatten().map(Value::from).collect(),
    );
    insert(&mut address, "city", text(xad.city()).map(Value::from));
    insert(
        &mut address,
        "district",
        text(xad.county()).map(Value::from),
    );
    insert(&mut address, "state", text(xad.state()).map(Value::from));
    insert(
        &mut address,
        "postalCode",
        text(xad.postal_code()).map(Value::from),
    );
    insert(
        &mut address,
        "country",
        text(xad.country()).map(Value::from),
    );
    (address.len() > known).then_some(Value::Object(address))
}

/// XTN → ContactPoint; `None` when there is no number and no address.
///
/// Without XTN.3 the value itself tells (the guide leaves a data-absent-reason there).
pub fn contact_point(xtn: Xtn<'_>, default_use: &str) -> Option<Value> {
    let equipment = text(xtn.equipment_type()).unwrap_or_default();
    let email = text(xtn.communication_address());
    let is_email = matches!(equipment.as_str(), "Internet" | "X.400")
        || (equipment.is_empty() && email.as_deref().is_some_and(|email| email.contains('@')));
    let value = if is_email {
        email.or_else(|| text(xtn.telephone_number()))
    } else {
        text(xtn.unformatted_number())
            .or_else(|| assembled(xtn))
            .or_else(|| text(xtn.telephone_number()))
    }?;
    let system = if is_email {
        "email"
    } else {
        code_map::contact_system(&equipment)
    };
    let use_code = text(xtn.use_code());
    let use_code = match (use_code.as_deref(), equipment.as_str()) {
        (_, "CP") | (Some("PRS"), _) => "mobile",
        (Some("WPN"), _) => "work",
        (Some("PRN" | "ORN" | "VHN"), _) => "home",
        _ => default_use,
    };
    Some(json!({ "system": system, "value": value, "use": use_code }))
}

fn assembled(xtn: Xtn<'_>) -> Option<String> {
    let local = text(xtn.local_number())?;
    let parts = [
        text(xtn.country_code()).map(|code| format!("+{}", code.trim_start_matches('+'))),
        text(xtn.area_code()),
        Some(local),
    ];
    let mut number = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    if let Some(extension) = text(xtn.extension()) {
        number.push_str(" ext. ");
        number.push_str(&extension);
    }
    Some(number)
}

/// XCN → Reference to a Practitioner by identifier and name: nobody is made up as a resource.
pub fn practitioner(xcn: Xcn<'_>, feed: &Feed) -> Option<Value> {
    let family = text(xcn.family_name());
    let name = [text(xcn.prefix()), text(xcn.given_name()), family];
    let name = name.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let mut reference = json!({ "type": "Practitioner" });
    if let Some(id) = text(xcn.id()) {
        let is_npi = text(xcn.identifier_type()).as_deref() == Some("NPI")
            || xcn.assigning_authority().name().as_deref() == Some("NPI");
        let system = if is_npi {
            "http://hl7.org/fhir/sid/us-npi".to_owned()
        } else {
            practitioner_system(xcn, feed)
        };
        reference["identifier"] = json!({ "system": system, "value": id });
    }
    if !name.is_empty() {
        reference["display"] = json!(name);
    }
    (reference.as_object().map_or(0, Map::len) > 1).then_some(reference)
}

fn practitioner_system(xcn: Xcn<'_>, feed: &Feed) -> String {
    match xcn.assigning_authority().name() {
        Some(name) => format!(
            "urn:baton:feed:{}:practitioner:{}",
            feed.name,
            uri_safe(&name)
        ),
        None => format!("urn:baton:feed:{}:practitioner", feed.name),
    }
}

/// CWE → CodeableConcept; a local code system is scoped by the feed and the field.
pub fn codeable_concept(cwe: Cwe<'_>, feed: &Feed, local: &str) -> Option<Value> {
    let triplets = [
        (cwe.identifier(), cwe.text(), cwe.coding_system()),
        (
            cwe.alternate_identifier(),
            cwe.alternate_text(),
            cwe.alternate_coding_system(),
        ),
    ];
    let codings: Vec<Value> = triplets
        .into_iter()
        .filter_map(|(code, display, system)| {
            let code = self::code(code)?;
            let system = text(system).and_then(|name| code_map::code_system(&name));
            let system = system.unwrap_or_else(|| format!("urn:baton:feed:{}:{local}", feed.name));
            let mut coding = json!({ "system": system, "code": code });
            if let Some(display) = text(display) {
                coding["display"] = json!(display);
            }
            Some(coding)
        })
        .collect();
    let mut concept = Map::new();
    insert_all(&mut concept, "coding", codings);
    let words = text(cwe.original_text()).or_else(|| text(cwe.text()));
    insert(&mut concept, "text", words.map(Value::from));
    (!concept.is_empty()).then_some(Value::Object(concept))
}

/// A date field as FHIR `date`, as far as it is known.
pub fn date(element: Element<'_>) -> Option<String> {
    let timestamp: Timestamp = element.timestamp()?.ok()?;
    Some(match timestamp.precision() {
        hl7v2::Precision::Year => timestamp.date().format("%Y").to_string(),
        hl7v2::Precision::Month => timestamp.date().format("%Y-%m").to_string(),
        _ => timestamp.date().to_string(),
    })
}

/// The value of a field, component or subcomponent as FHIR `string`: without surrounding blanks and
/// without control characters.
pub fn text(element: Element<'_>) -> Option<String> {
    let value = element.value()?;
    let is_unfit = |found: char| found.is_control() && !matches!(found, '\t' | '\n' | '\r');
    let value = if value.contains(is_unfit) {
        Cow::Owned(value.replace(is_unfit, ""))
    } else {
        value
    };
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// The value as FHIR `code`: blanks inside are single.
pub fn code(element: Element<'_>) -> Option<String> {
    let code = text(element)?;
    if !code.contains(char::is_whitespace) {
        return Some(code);
    }
    Some(code.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Sets a member that has a value.
pub fn insert(object: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(key.to_owned(), value);
    }
}

/// Sets a member that is a list, unless it is empty.
pub fn insert_all(object: &mut Map<String, Value>, key: &str, values: Vec<Value>) {
    if !values.is_empty() {
        object.insert(key.to_owned(), Value::Array(values));
    }
}
