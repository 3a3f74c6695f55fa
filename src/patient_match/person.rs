//! What a Patient says that tells one from another, made comparable.

use serde_json::Value;

use crate::search::normalise::fold;

/// Values of one kind that are compared at most: a description is of one patient, not of a list.
const VALUES_MAX: usize = 20;

/// A description of a patient.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// System and value; those without a system are left out.
    pub identifiers: Vec<(String, String)>,
    /// Family names, folded.
    pub families: Vec<String>,
    /// Given names, folded, those of one name together.
    pub givens: Vec<Vec<String>>,
    /// The date of birth as FHIR writes it.
    pub birth_date: Option<String>,
    /// The code of the gender, if it says one.
    pub gender: Option<String>,
    /// Phone numbers as digits, and addresses of electronic mail in lower case.
    pub telecoms: Vec<String>,
    /// Addresses: postal code and line, folded.
    pub addresses: Vec<(String, String)>,
    /// The place among those born together.
    pub birth_order: Option<i64>,
}

impl Person {
    /// What a Patient resource says.
    pub fn of(patient: &Value) -> Self {
        let names = || items(patient, "name");
        let families = names().filter_map(|name| text(name, "family")).map(words);
        let givens = names().map(|name| {
            let given = items(name, "given").filter_map(Value::as_str);
            given.map(words).filter(|given| !given.is_empty()).collect()
        });
        let gender = text(patient, "gender").filter(|code| GENDERS.contains(code));
        Self {
            identifiers: items(patient, "identifier")
                .filter_map(identifier)
                .take(VALUES_MAX)
                .collect(),
            families: families
                .filter(|family| !family.is_empty())
                .take(VALUES_MAX)
                .collect(),
            givens: givens
                .filter(|given: &Vec<String>| !given.is_empty())
                .take(VALUES_MAX)
                .collect(),
            birth_date: text(patient, "birthDate").map(str::to_owned),
            gender: gender.map(str::to_owned),
            telecoms: items(patient, "telecom")
                .filter_map(telecom)
                .take(VALUES_MAX)
                .collect(),
            addresses: items(patient, "address")
                .filter_map(address)
                .take(VALUES_MAX)
                .collect(),
            birth_order: patient.get("multipleBirthInteger").and_then(Value::as_i64),
        }
    }
}

/// A name, folded; the parts of a double name are words of their own.
fn words(name: &str) -> String {
    fold(&name.replace(HYPHENS, " "))
}

/// What joins the parts of a double name.
const HYPHENS: [char; 4] = ['-', '‐', '‑', '–'];

/// Genders that contradict one another; `other` and `unknown` contradict nothing.
const GENDERS: &[&str] = &["female", "male"];

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.get(name).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn identifier(identifier: &Value) -> Option<(String, String)> {
    let system = text(identifier, "system")?;
    let value = text(identifier, "value")?.trim();
    (!value.is_empty()).then(|| (system.to_owned(), value.to_owned()))
}

fn telecom(telecom: &Value) -> Option<String> {
    let value = text(telecom, "value")?;
    if text(telecom, "system") == Some("email") || value.contains('@') {
        return Some(value.trim().to_lowercase());
    }
    phone(value)
}

/// Digits of a national number.
const PHONE_DIGITS: usize = 10;
/// Digits that are a phone number at all.
const PHONE_DIGITS_MIN: usize = 7;

/// A phone number by its last digits: country codes are written by some and left out by others.
fn phone(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() < PHONE_DIGITS_MIN {
        return None;
    }
    let start = digits.len().saturating_sub(PHONE_DIGITS);
    digits.get(start..).map(str::to_owned)
}

/// Letters of a postal code that are compared: the first five of ZIP+4.
const POSTAL_CODE: usize = 5;

fn address(address: &Value) -> Option<(String, String)> {
    let code = fold(text(address, "postalCode")?).replace([' ', '-'], "");
    let code: String = code.chars().take(POSTAL_CODE).collect();
    let line = items(address, "line").find_map(Value::as_str);
    (!code.is_empty()).then(|| (code, fold(line.unwrap_or_default())))
}
