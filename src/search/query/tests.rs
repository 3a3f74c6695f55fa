//! Queries and what they mean; the examples of <https://hl7.org/fhir/R4/search.html> first.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::*;
use crate::definitions::embedded;
use crate::search::expression::{
    Criterion, DateCriterion, Filter, Include, ReferenceCriterion, Sort, SortBy, SortValue,
    TokenCriterion, Total, ValueKind,
};
use crate::search::value::{IDENTIFIER, OF_TYPE, TEXT};
use crate::search::{narrative, parameter};

mod values;

mod shape;

const BASE_URL: &str = "https://baton.example/fhir";

/// `Type.code` of every parameter.
static PARAMETERS: LazyLock<HashMap<ParameterId, String>> = LazyLock::new(|| {
    let definitions = embedded();
    let mut names = HashMap::new();
    for type_id in definitions.concrete_resource_types() {
        let resource_type = definitions.type_name(type_id);
        let text = narrative::parameter(resource_type);
        names.insert(text, format!("{resource_type}._text"));
        for parameter in parameter::all(&definitions, type_id) {
            let name = format!("{resource_type}.{}", parameter.code);
            let other = names.insert(parameter.id, name);
            assert_eq!(other, None, "two parameters have one id");
        }
    }
    names
});

const PAGE_KEY: PageKey = PageKey([7; 32]);

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn read(handling: Handling, url: &str) -> Result<Parsed, Vec<Issue>> {
    let definitions = embedded();
    let context = Context {
        definitions: &definitions,
        unindexed: &HashSet::new(),
        base_url: &BaseUrl::new(BASE_URL),
        handling,
        count_default: 20,
        count_max: 1000,
        now: instant("2026-03-02T00:00:00Z"),
        page_key: &PAGE_KEY,
    };
    let (resource_type, query) = url.split_once('?').unwrap_or((url, ""));
    let types = match resource_type {
        "" => Types::ALL,
        name => ResourceType::parse(name).unwrap().into(),
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs: Vec<(String, String)> = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    parse(&context, &types, &pairs)
}

fn micros(at: i64) -> String {
    let at = DateTime::from_timestamp_micros(at).unwrap();
    at.format("%Y-%m-%dT%H:%M:%S%.f").to_string()
}

fn describe(filter: &Filter) -> String {
    match filter {
        Filter::Id(ids) => format!("id {ids:?}"),
        Filter::LastUpdated(dates) => {
            let dates: Vec<String> = dates.iter().map(describe_date).collect();
            format!("lastUpdated {}", dates.join(" or "))
        }
        Filter::Any {
            parameter,
            criteria,
            negated,
        } => {
            let criteria: Vec<String> = criteria.iter().map(describe_criterion).collect();
            let not = if *negated { " not" } else { "" };
            format!("{}{not} {}", name(*parameter), criteria.join(" or "))
        }
        Filter::Missing {
            parameter,
            kind,
            missing,
        } => format!("{} missing {missing} {kind:?}", name(*parameter)),
        Filter::Chain {
            parameter,
            target,
            filters,
        } => {
            let parameter = &PARAMETERS[parameter];
            format!(
                "{parameter} -> {target} ({})",
                describe_all(filters, " and ")
            )
        }
        Filter::Has {
            source,
            parameter,
            filters,
        } => {
            let parameter = &PARAMETERS[parameter];
            format!(
                "{source} by {parameter} ({})",
                describe_all(filters, " and ")
            )
        }
        Filter::And(filters) => format!("({})", describe_all(filters, " and ")),
        Filter::Or(filters) => format!("({})", describe_all(filters, " or ")),
        Filter::Not(filter) => format!("not ({})", describe(filter)),
        Filter::ByType(branches) => {
            let branches = branches.iter();
            let branches: Vec<String> = branches.map(|(_, filter)| describe(filter)).collect();
            branches.join(" / ")
        }
        Filter::Compartment(_) | Filter::Nothing => format!("{filter:?}"),
    }
}

fn describe_all(filters: &[Filter], between: &str) -> String {
    let filters: Vec<String> = filters.iter().map(describe).collect();
    filters.join(between)
}

/// The name of a parameter, or of one of its aspects.
fn name(parameter: ParameterId) -> String {
    if let Some(name) = PARAMETERS.get(&parameter) {
        return name.clone();
    }
    let aspects = [IDENTIFIER, OF_TYPE, TEXT];
    let mut all = PARAMETERS
        .iter()
        .flat_map(|known| aspects.map(|aspect| (known, aspect)));
    let ((_, name), aspect) = all
        .find(|((id, _), aspect)| id.aspect(aspect) == parameter)
        .unwrap();
    format!("{name}:{aspect}")
}

fn describe_date(date: &DateCriterion) -> String {
    format!(
        "{:?} {} {}",
        date.prefix,
        micros(date.low),
        micros(date.high)
    )
}

fn describe_criterion(criterion: &Criterion) -> String {
    match criterion {
        Criterion::Token(TokenCriterion::Code(code)) => format!("*|{code}"),
        Criterion::Token(TokenCriterion::SystemAndCode(system, code)) => format!("{system}|{code}"),
        Criterion::Token(TokenCriterion::System(system)) => format!("{system}|*"),
        Criterion::String { text, matching } => format!("{matching:?} {text:?}"),
        Criterion::Token(TokenCriterion::Among(set)) => {
            let set: Vec<String> = set
                .iter()
                .map(|(system, code)| format!("{system}|{code}"))
                .collect();
            format!("among {}", set.join(" "))
        }
        Criterion::Token(TokenCriterion::Text(text)) => format!("shown as {text:?}"),
        Criterion::Date(date) => describe_date(date),
        Criterion::Reference(ReferenceCriterion::Local(of, id)) => format!("{of}/{id}"),
        Criterion::Reference(ReferenceCriterion::AnyType(id)) => format!("*/{id}"),
        Criterion::Reference(ReferenceCriterion::Url(url)) => format!("<{url}>"),
        Criterion::Reference(ReferenceCriterion::Below(url)) => format!("below <{url}>"),
        Criterion::Reference(ReferenceCriterion::Above(url)) => format!("above <{url}>"),
        Criterion::Quantity {
            prefix,
            low,
            high,
            system,
            code,
        } => {
            let (system, code) = (system.as_deref(), code.as_deref());
            format!(
                "{prefix:?} {low} {high} {}|{}",
                system.unwrap_or("*"),
                code.unwrap_or("*")
            )
        }
        Criterion::CanonicalQuantity {
            prefix,
            low,
            high,
            unit,
        } => format!("{prefix:?} {low} {high} in {unit}"),
        Criterion::Composite(criteria) => {
            let criteria: Vec<String> = criteria.iter().map(describe_criterion).collect();
            format!("({})", criteria.join(" $ "))
        }
        Criterion::Number { prefix, low, high } => format!("{prefix:?} {low} {high}"),
        Criterion::Uri { uri, matching } => format!("{matching:?} {uri}"),
    }
}

/// A query of one filter, or none.
#[track_caller]
fn check(url: &str, expected: &str) {
    let parsed = read(Handling::Default, url).expect(url);
    let filters: Vec<String> = parsed.search.filters.iter().map(describe).collect();
    assert_eq!(filters.join(" AND "), expected, "{url}");
    assert_eq!(parsed.issues, [], "{url}");
}

/// The errors of a query.
#[track_caller]
fn check_refused(handling: Handling, url: &str, expected: &[&str]) {
    let errors = read(handling, url).expect_err(url);
    assert!(errors.iter().all(Issue::is_error));
    let texts: Vec<&str> = errors.iter().map(|issue| issue.text.as_str()).collect();
    assert_eq!(texts, expected, "{url}");
}

/// The parameters that are applied, and what is said of the others.
#[track_caller]
fn check_ignored(handling: Handling, url: &str, applied: &str, expected: &[&str]) {
    let parsed = read(handling, url).expect(url);
    let pairs: Vec<String> = parsed
        .applied
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(pairs.join("&"), applied, "{url}");
    let texts: Vec<&str> = parsed
        .issues
        .iter()
        .map(|issue| issue.text.as_str())
        .collect();
    assert_eq!(texts, expected, "{url}");
    assert!(!parsed.issues.iter().any(Issue::is_error));
}

#[test]
fn a_string_is_folded_unless_it_must_be_exact() {
    check("Patient?given=eve", r#"Patient.given StartsWith "eve""#);
    check("Patient?given=Eve", r#"Patient.given StartsWith "eve""#);
    check(
        "Patient?given:contains=ÈVE",
        r#"Patient.given Contains "eve""#,
    );
    check("Patient?given:exact=Eve", r#"Patient.given Exact "Eve""#);
    check(
        r"Patient?family=Müller  Lüdenscheidt,O\,Hara",
        r#"Patient.family StartsWith "muller ludenscheidt" or StartsWith "ohara""#,
    );
    check("Patient?name=100%_", r#"Patient.name StartsWith "100%_""#);
}

#[test]
fn a_token_has_four_forms() {
    check("Patient?gender=male", "Patient.gender *|male");
    check(
        "Patient?gender:not=male,female",
        "Patient.gender not *|male or *|female",
    );
    check(
        "Patient?identifier=http://acme.org/patient|2345",
        "Patient.identifier http://acme.org/patient|2345",
    );
    check("Patient?identifier=|2345", "Patient.identifier |2345");
    check(
        "Patient?identifier=http://acme.org/patient|",
        "Patient.identifier http://acme.org/patient|*",
    );
    check(r"Patient?identifier=a\|b", "Patient.identifier *|a|b");
    check("Patient?active=true", "Patient.active *|true");
    check(
        "Patient?email=Eve@Example.ORG",
        "Patient.email *|eve@example.org",
    );
    check("Patient?identifier=AbC", "Patient.identifier *|AbC");
    // An element of type code has the system of its binding, which is not written.
    let gender = "http://hl7.org/fhir/administrative-gender";
    check(
        &format!("Patient?gender={gender}|male"),
        "Patient.gender |male",
    );
    check(&format!("Patient?gender={gender}|"), "Patient.gender |*");
    check(
        "Patient?gender=http://a.org|male",
        "Patient.gender http://a.org|male",
    );
    check(
        "Composition?section=48765-2&_tag=urn:x|y",
        "Composition.section *|48765-2 AND Composition._tag urn:x|y",
    );
}

#[test]
fn a_date_is_an_interval_with_a_prefix() {
    check(
        "Observation?date=2013-01-14",
        "Observation.date Eq 2013-01-14T00:00:00 2013-01-15T00:00:00",
    );
    check(
        "Observation?date=ge2013-03-14T23:00%3A&_id=1"
            .replace("%3A", "")
            .as_str(),
        "Observation.date Ge 2013-03-14T23:00:00 2013-03-14T23:01:00 AND id [1]",
    );
    for (code, prefix) in [
        ("eq", "Eq"),
        ("ne", "Ne"),
        ("lt", "Lt"),
        ("gt", "Gt"),
        ("ge", "Ge"),
        ("le", "Le"),
        ("sa", "Sa"),
        ("eb", "Eb"),
    ] {
        check(
            &format!("Procedure?date={code}2013-03-14T10:00:00 02:00"),
            &format!("Procedure.date {prefix} 2013-03-14T08:00:00 2013-03-14T08:00:01"),
        );
    }
    // Ten days before the present: a day more on either side.
    check(
        "Procedure?date=ap2026-02-19",
        "Procedure.date Ap 2026-02-18T00:00:00 2026-02-21T00:00:00",
    );
    check(
        "Patient?birthdate=1970,1980-02",
        "Patient.birthdate Eq 1970-01-01T00:00:00 1971-01-01T00:00:00 \
         or Eq 1980-02-01T00:00:00 1980-03-01T00:00:00",
    );
    check(
        "Patient?_lastUpdated=gt2010-10-01",
        "lastUpdated Gt 2010-10-01T00:00:00 2010-10-02T00:00:00",
    );
}

#[test]
fn a_reference_is_local_or_a_url() {
    check(
        "Observation?subject=Patient/23",
        "Observation.subject Patient/23",
    );
    check("Observation?subject=23", "Observation.subject */23");
    check("Observation?patient=23", "Observation.patient Patient/23");
    check(
        "AllergyIntolerance?patient=23",
        "AllergyIntolerance.patient Patient/23",
    );
    check("Condition?encounter=23", "Condition.encounter Encounter/23");
    check(
        "Observation?subject:Patient=23",
        "Observation.subject Patient/23",
    );
    check(
        "Observation?subject:Patient=Patient/23,24",
        "Observation.subject Patient/23 or Patient/24",
    );
    check(
        "Observation?subject=https://baton.example/fhir/Patient/23",
        "Observation.subject Patient/23",
    );
    check(
        "Observation?subject=http://acme.org/fhir/Patient/23",
        "Observation.subject <http://acme.org/fhir/Patient/23>",
    );
    check(
        "Provenance?target=urn:uuid:1-2",
        "Provenance.target <urn:uuid:1-2>",
    );
    check(
        "CarePlan?instantiates-canonical=http://acme.org/plan|1.0",
        "CarePlan.instantiates-canonical <http://acme.org/plan|1.0>",
    );
}

#[test]
fn numbers_and_quantities_have_precision() {
    check(
        "RiskAssessment?probability=0.8",
        "RiskAssessment.probability Eq 0.75 0.85",
    );
    check(
        "RiskAssessment?probability=gt0.8",
        "RiskAssessment.probability Gt 0.8 0.8",
    );
    check(
        "MolecularSequence?window-end=1.0e2",
        "MolecularSequence.window-end Eq 95 105",
    );
    check(
        "Observation?value-quantity=5.4|http://unitsofmeasure.org|mg",
        "Observation.value-quantity Eq 0.00535 0.00545 in g",
    );
    check(
        "Observation?value-quantity=5.40e-3|http://unitsofmeasure.org|g",
        "Observation.value-quantity Eq 0.005395 0.005405 in g",
    );
    check(
        "Observation?value-quantity=5.4||mg",
        "Observation.value-quantity Eq 5.35 5.45 *|mg",
    );
    check(
        "Observation?value-quantity=5.4",
        "Observation.value-quantity Eq 5.35 5.45 *|*",
    );
    check(
        "Observation?value-quantity=le5.4|http://unitsofmeasure.org|mg",
        "Observation.value-quantity Le 0.0054 0.0054 in g",
    );
    check(
        "Observation?value-quantity=ap100||mg",
        "Observation.value-quantity Ap 90 110 *|mg",
    );
}

#[test]
fn a_uri_is_compared_to_the_letter() {
    check(
        "ValueSet?url=http://acme.org/fhir/ValueSet/123",
        "ValueSet.url Equal http://acme.org/fhir/ValueSet/123",
    );
    check(
        "ValueSet?url:below=http://acme.org/fhir/",
        "ValueSet.url Below http://acme.org/fhir/",
    );
    check(
        "ValueSet?url:above=http://acme.org/fhir/ValueSet/123/_history/5",
        "ValueSet.url Above http://acme.org/fhir/ValueSet/123/_history/5",
    );
    check(
        "Patient?_profile=http://a.org/p",
        "Patient._profile Equal http://a.org/p",
    );
    check(
        "Patient?_source=http://a.org/s",
        "Patient._source Equal http://a.org/s",
    );
}

#[test]
fn ids_missing_values_and_repetition() {
    check("Patient?_id=a,b_c,d", "id [a, d]");
    check("Patient?_id=b_c", "Nothing");
    check(
        "Patient?gender:missing=true",
        "Patient.gender missing true Token AND Patient.gender:text missing true String",
    );
    check(
        "Patient?birthdate:missing=false",
        "Patient.birthdate missing false Date",
    );
    check(
        "Patient?organization:missing=false",
        "(Patient.organization missing false Reference \
         or Patient.organization:identifier missing false Token)",
    );
    check(
        "Patient?given=a&given=b",
        r#"Patient.given StartsWith "a" AND Patient.given StartsWith "b""#,
    );
}

#[test]
fn a_chain_leads_to_the_target() {
    check(
        "DiagnosticReport?subject:Patient.name=peter",
        r#"DiagnosticReport.subject -> Patient (Patient.name StartsWith "peter")"#,
    );
    check(
        "Observation?patient.identifier=http://acme.org|1",
        "Observation.patient -> Patient (Patient.identifier http://acme.org|1)",
    );
    check(
        "Condition?encounter.identifier=7",
        "Condition.encounter -> Encounter (Encounter.identifier *|7)",
    );
    check(
        "Patient?general-practitioner:Practitioner.name:exact=Joe",
        r#"Patient.general-practitioner -> Practitioner (Practitioner.name Exact "Joe")"#,
    );
    check(
        "Observation?encounter.service-provider.partof._id=x",
        "Observation.encounter -> Encounter (Encounter.service-provider -> Organization \
         (Organization.partof -> Organization (id [x])))",
    );
    check(
        "Observation?subject.birthdate=1970",
        "Observation.subject -> Patient \
         (Patient.birthdate Eq 1970-01-01T00:00:00 1971-01-01T00:00:00)",
    );
}

#[test]
fn what_is_wrong_is_named_with_its_reason() {
    let check = |url: &str, expected: &str| check_refused(Handling::Lenient, url, &[expected]);
    check(
        "Patient?birthdate=yesterday",
        "The value of the parameter 'birthdate' is no date.",
    );
    check(
        "Patient?_lastUpdated=x",
        "The value of the parameter '_lastUpdated' is no date.",
    );
    check(
        "RiskAssessment?probability=gt",
        "The value of the parameter 'probability' is no number.",
    );
    check(
        "Patient?given=a,,b",
        "The value of the parameter 'given' has an empty alternative.",
    );
    check(
        "Patient?given=\u{301}",
        "The value of the parameter 'given' has no character that could be compared.",
    );
    check(
        "Patient?identifier=|",
        "The value of the parameter 'identifier' has neither a system nor a code.",
    );
    check(
        "Observation?subject=a_b",
        "The value of the parameter 'subject' is neither an id, nor a type and an id, nor a URL.",
    );
    check(
        "Observation?subject=Person/",
        "The value of the parameter 'subject' is neither an id, nor a type and an id, nor a URL.",
    );
    check(
        "Observation?subject=Foo/1",
        "The value of the parameter 'subject' names no type of resource.",
    );
    check(
        "Observation?subject:Patient=Group/1",
        "The value of the parameter 'subject' names another type than the modifier.",
    );
    check(
        "Observation?value-quantity=1|a|b|c",
        "The value of the parameter 'value-quantity' has more parts than number, system and code.",
    );
    check(
        "Patient?gender:missing=yes",
        "The value of the parameter 'gender:missing' is neither true nor false.",
    );
}

#[test]
fn a_modifier_that_is_not_supported_is_named() {
    let check = |url: &str, expected: &str| check_refused(Handling::Lenient, url, &[expected]);
    check(
        "Patient?gender:exact=male",
        "The modifier ':exact' of 'gender' is not supported; \
         supported are :above, :below, :in, :missing, :not, :not-in, :of-type, :text.",
    );
    check(
        "Patient?given:exakt=x",
        "The modifier ':exakt' of 'given' is not supported; \
         supported are :contains, :exact, :missing.",
    );
    check(
        "Patient?birthdate:not=2000",
        "The modifier ':not' of 'birthdate' is not supported; supported are :missing.",
    );
    check(
        "Observation?subject:exact=x",
        "The modifier ':exact' of 'subject' is not supported; \
         supported are :above, :below, :identifier, :missing, a type of resource.",
    );
    check(
        "Patient?_id:not=x",
        "The modifier ':not' of '_id' is not supported; there is none.",
    );
}

#[test]
fn a_chain_that_leads_nowhere_is_refused() {
    let check = |url: &str, expected: &str| check_refused(Handling::Lenient, url, &[expected]);
    check(
        "Patient?given.x=y",
        "The value of the parameter 'given' is asked for by a chain, \
         but the parameter is no reference.",
    );
    check(
        "Observation?subject.nothing=x",
        "The value of the parameter 'subject' refers to no type that has the parameter 'nothing'.",
    );
    check(
        "Organization?partof.partof.partof.partof.partof.partof.partof.partof.partof._id=x",
        "A search has at most 8 links in a chain.",
    );
}

#[test]
fn what_is_wrong_with_a_result_parameter_is_named() {
    let check = |url: &str, expected: &str| check_refused(Handling::Lenient, url, &[expected]);
    check(
        "Patient?_sort=foo",
        "The value of the parameter '_sort' names no parameter of the resource type to sort by.",
    );
    check(
        "Patient?_count=-1",
        "The value of the parameter '_count' is no number from 0 on.",
    );
    check(
        "Patient?_count=1&_count=2",
        "The value of the parameter '_count' is given more than once.",
    );
    check(
        "Patient?_summary=x",
        "The value of the parameter '_summary' is none of true, text, data, count, false.",
    );
    check(
        "Patient?_total=x",
        "The value of the parameter '_total' is none of none, estimate, accurate.",
    );
    check(
        "Patient?_page=x",
        "The value of the parameter '_page' is not of a page of this search, or was changed.",
    );
    check(
        "Patient?_include=Patient",
        "The value of the parameter '_include' is not of the form Type:parameter or Type:parameter:target.",
    );
    check(
        "Patient?_include=Patient:name",
        "The value of the parameter '_include' names no reference parameter of the type it starts with.",
    );
    check(
        "Patient?_include=Observation:subject",
        "The value of the parameter '_include' starts with another type than is searched, which takes ':iterate'.",
    );
    check(
        "Patient?_revinclude=Foo:subject",
        "The value of the parameter '_revinclude' names no type of resource.",
    );
}

#[test]
fn every_error_is_reported() {
    check_refused(
        Handling::Default,
        "Patient?birthdate=x&gender:foo=y&_count=z",
        &[
            "The value of the parameter 'birthdate' is no date.",
            "The modifier ':foo' of 'gender' is not supported; \
             supported are :above, :below, :in, :missing, :not, :not-in, :of-type, :text.",
            "The value of the parameter '_count' is no number from 0 on.",
        ],
    );
}

#[test]
fn an_unknown_parameter_is_refused_with_the_known_ones() {
    let expected = "The search parameter 'foo' of Basic is not known; known are \
        _filter, _has, _id, _lastUpdated, _list, _profile, _security, _source, _tag, _text, author, code, created, identifier, \
        patient, subject.";
    check_refused(Handling::Default, "Basic?foo=1", &[expected]);
    check_refused(Handling::Strict, "Basic?foo=1", &[expected]);
    check_ignored(
        Handling::Lenient,
        "Basic?foo=1&code=x",
        "code=x",
        &[&format!("{expected} It was ignored.")],
    );
}

#[test]
fn an_unknown_underscore_parameter_is_ignored_unless_strict() {
    let expected = "The parameter '_foo' is not known.";
    let ignored = format!("{expected} It was ignored.");
    check_ignored(Handling::Default, "Basic?_foo=1", "", &[&ignored]);
    check_ignored(Handling::Lenient, "Basic?_foo=1", "", &[&ignored]);
    check_refused(Handling::Strict, "Basic?_foo=1", &[expected]);
}

#[test]
fn filters_that_are_not_supported_are_refused() {
    for (url, name) in [
        ("Patient?_content=x", "_content"),
        ("Location?near=1|2", "near"),
    ] {
        let expected = format!("The search parameter '{name}' is not supported.");
        check_refused(Handling::Default, url, &[&expected]);
        check_ignored(
            Handling::Lenient,
            url,
            "",
            &[&format!("{expected} It was ignored.")],
        );
    }
}

#[test]
fn an_empty_value_is_refused() {
    let expected = "The parameter 'name' has no value.";
    check_refused(Handling::Default, "Patient?name=", &[expected]);
    check_ignored(
        Handling::Lenient,
        "Patient?name=",
        "",
        &[&format!("{expected} It was ignored.")],
    );
}

#[test]
fn the_result_is_shaped() {
    let parsed = read(
        Handling::Strict,
        "Observation?_count=5000&_sort=-date,_id,code&_summary=data&_elements=id,status&_total=estimate\
         &_include=Observation:subject:Patient&_include=*&_include=Observation:*\
         &_revinclude=Provenance:target&_pretty=true&_format=json",
    )
    .unwrap();
    let id = |resource_type, code| ParameterId::new(resource_type, code);
    let by = |by, descending| Sort { by, descending };
    let search = &parsed.search;
    assert_eq!(search.count, 1000);
    assert_eq!(search.total, Total::Estimate);
    assert_eq!(
        search.sort,
        [
            by(
                SortBy::Parameter(id("Observation", "date"), ValueKind::Date),
                true
            ),
            by(SortBy::Id, false),
            by(
                SortBy::Parameter(id("Observation", "code"), ValueKind::Token),
                false
            ),
        ]
    );
    let of = |text: &str| ResourceType::parse(text).unwrap();
    let all = Include {
        source: Some(of("Observation")),
        parameters: Vec::new(),
        target: None,
        iterate: false,
    };
    let any = Include {
        source: None,
        ..all.clone()
    };
    let subject = Include {
        parameters: vec![id("Observation", "subject")],
        target: Some(of("Patient")),
        ..all.clone()
    };
    assert_eq!(search.includes, [subject, any, all.clone()]);
    let target = Include {
        source: Some(of("Provenance")),
        parameters: vec![id("Provenance", "target")],
        ..all
    };
    assert_eq!(search.revincludes, [target]);
    assert_eq!(parsed.summary, Summary::Data);
    assert_eq!(parsed.elements, ["id", "status"]);
    assert_eq!(parsed.applied.len(), 11);
    assert_eq!(parsed.applied[0], ("_count".to_owned(), "1000".to_owned()));
}

#[test]
fn only_the_total_is_wanted() {
    for url in [
        "Patient?_summary=count",
        "Patient?_count=0",
        "Patient?_count=0&_total=none",
    ] {
        assert_eq!(
            read(Handling::Default, url).unwrap().search.total,
            Total::Only,
            "{url}"
        );
    }
    let search = read(Handling::Default, "Patient").unwrap().search;
    assert_eq!((search.count, search.total), (20, Total::None));
}

#[test]
fn a_page_token_belongs_to_its_search() {
    let url = "Patient?gender=male&_sort=birthdate&_count=5";
    let cursor = Cursor {
        values: vec![Some(SortValue::Integer(-7))],
        key: 42,
        is_backward: true,
        snapshot: None,
    };
    let parsed = read(Handling::Default, url).unwrap();
    let token = parsed.page_token(&cursor, &PAGE_KEY);
    let next = read(Handling::Default, &format!("{url}&_page={token}")).unwrap();
    assert_eq!(next.search.after.as_ref(), Some(&cursor));
    assert!(!next.applied.iter().any(|(name, _)| name == PAGE));
    // Another size of page is the same search; another filter or order is not.
    for (url, is_same) in [
        (
            "Patient?gender=male&_sort=birthdate&_count=7&_pretty=true",
            true,
        ),
        ("Patient?gender=female&_sort=birthdate&_count=5", false),
        ("Patient?gender=male&_sort=-birthdate&_count=5", false),
        ("Person?gender=male&_sort=birthdate&_count=5", false),
    ] {
        let next = read(Handling::Default, &format!("{url}&_page={token}"));
        assert_eq!(next.is_ok(), is_same, "{url}");
    }
}

#[test]
fn limits_have_names() {
    let many = "given=a&".repeat(PARAMETERS_MAX + 1);
    check_refused(
        Handling::Lenient,
        &format!("Patient?{many}"),
        &["A search has at most 100 parameters."],
    );
    let many = "a,".repeat(ALTERNATIVES_MAX);
    check_refused(
        Handling::Lenient,
        &format!("Patient?given={many}a"),
        &["A search has at most 1000 alternatives per parameter."],
    );
    check_refused(
        Handling::Lenient,
        "Patient?_sort=name,given,family,gender,birthdate,_id",
        &["A search has at most 5 sort keys."],
    );
}

#[test]
fn no_two_parameters_of_a_type_have_one_id() {
    // Building the table asserts it over all types.
    assert!(PARAMETERS.len() > 1_400, "{}", PARAMETERS.len());
}

proptest::proptest! {
    #[test]
    fn any_query_is_read_or_refused(
        name in "(given|birthdate|identifier|general-practitioner|_sort|_include|_page|_has|[a-z_]{1,4})(:[a-zA-Z]{0,9})?(\\.[a-z]{0,9})?",
        value in "\\PC{0,24}|[a-z0-9|,$\\\\:T-]{0,24}",
    ) {
        for handling in [Handling::Default, Handling::Strict, Handling::Lenient] {
            if let Err(issues) = read(handling, &format!("Patient?{name}={value}")) {
                proptest::prop_assert!(!issues.is_empty());
            }
        }
    }
}
