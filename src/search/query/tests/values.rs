//! Values that a modifier changes, values of composites, and every parameter there is.

use fhir_model::issue::IssueType;

use super::*;
use crate::search::expression::ValueKind;
use crate::search::parameter::Lookup;
use crate::search::value::CANONICAL;

#[test]
fn a_composite_has_a_value_for_each_component() {
    check(
        "Observation?code-value-quantity=http://loinc.org|8480-6$gt180",
        "Observation.code-value-quantity (http://loinc.org|8480-6 $ Gt 180 180 *|*)",
    );
    check(
        "Observation?component-code-value-quantity=8480-6$gt5|http://unitsofmeasure.org|mg,8462-4$lt1||x",
        "Observation.component-code-value-quantity (*|8480-6 $ Gt 0.005 0.005 in g) \
         or (*|8462-4 $ Lt 1 1 *|x)",
    );
    check(
        r"Observation?code-value-string=a\$b\|c$D\,é",
        r#"Observation.code-value-string (*|a$b|c $ StartsWith "de")"#,
    );
    check(
        "Observation?code-value-date=8302-2$ge2020",
        "Observation.code-value-date \
         (*|8302-2 $ Ge 2020-01-01T00:00:00 2021-01-01T00:00:00)",
    );
    check(
        "DocumentReference?relationship=replaces$DocumentReference/1",
        "DocumentReference.relationship (*|replaces $ DocumentReference/1)",
    );
    check(
        "MolecularSequence?chromosome-variant-coordinate=1$lt1000$gt10",
        "MolecularSequence.chromosome-variant-coordinate (*|1 $ Lt 1000 1000 $ Gt 10 10)",
    );
    check(
        "Observation?code-value-quantity:missing=true",
        "Observation.code-value-quantity missing true Composite",
    );
}

#[test]
fn what_is_wrong_with_a_composite_is_named() {
    let check = |url: &str, expected: &str| check_refused(Handling::Lenient, url, &[expected]);
    let name = "The value of the parameter 'code-value-quantity'";
    check(
        "Observation?code-value-quantity=8480-6",
        &format!("{name} is not of the form code$value-quantity."),
    );
    check(
        "Observation?code-value-quantity=8480-6$1$2",
        &format!("{name} is not of the form code$value-quantity."),
    );
    check(
        "Observation?code-value-quantity=8480-6$",
        &format!("{name} has an empty component."),
    );
    check(
        "Observation?code-value-quantity=8480-6$x",
        &format!("{name} is no number."),
    );
    check(
        "Observation?code-value-quantity:not=8480-6$1",
        "The modifier ':not' of 'code-value-quantity' is not supported; supported are :missing.",
    );
    check(
        "Observation?_sort=code-value-quantity",
        "The value of the parameter '_sort' names no parameter of the resource type to sort by.",
    );
}

#[test]
fn tokens_are_changed_by_modifiers() {
    check(
        "Observation?code:text=Blood  PRESSURE",
        r#"Observation.code shown as "blood pressure""#,
    );
    check(
        "Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|44\\|6",
        "Patient.identifier:of-type http://terminology.hl7.org/CodeSystem/v2-0203|MR|44|6",
    );
    // Elements of type code have no system of their own.
    check(
        "Patient?gender:in=http://hl7.org/fhir/ValueSet/administrative-gender",
        "Patient.gender among |female |male |other |unknown",
    );
    check(
        "Patient?gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender",
        "Patient.gender not among |female |male |other |unknown",
    );
    let clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    check(
        &format!("Condition?clinical-status:below={clinical}|inactive"),
        &format!(
            "Condition.clinical-status among {clinical}|inactive {clinical}|remission {clinical}|resolved"
        ),
    );
    check(
        &format!("Condition?clinical-status:above={clinical}|relapse"),
        &format!("Condition.clinical-status among {clinical}|active {clinical}|relapse"),
    );
}

#[test]
fn sets_of_codes_that_are_not_known_are_not_found() {
    for (url, reason) in [
        (
            "Condition?code:in=http://acme.org/none",
            "names a value set that is not known here, by its canonical URL",
        ),
        (
            "Condition?code:below=http://acme.org|x",
            "names a code system that is not known here",
        ),
        (
            "Condition?code:above=http://terminology.hl7.org/CodeSystem/condition-clinical|x",
            "names a code that is not known in its code system",
        ),
    ] {
        let errors = read(Handling::Lenient, url).expect_err(url);
        let expected = format!("The value of the parameter 'code' {reason}.");
        assert_eq!(errors[0].text, expected);
        assert_eq!(errors[0].code, IssueType::NotFound);
    }
    check_refused(
        Handling::Lenient,
        "Condition?code:below=x",
        &["The value of the parameter 'code' has no system, which this modifier needs."],
    );
    check_refused(
        Handling::Lenient,
        "Patient?identifier:of-type=MR|1",
        &["The value of the parameter 'identifier' is not of the form system|code|value."],
    );
}

#[test]
fn references_are_changed_by_modifiers() {
    check(
        "Observation?subject:identifier=urn:mrn|1",
        "Observation.subject:identifier urn:mrn|1",
    );
    check(
        "CarePlan?instantiates-canonical:below=http://acme.org/plan|1",
        "CarePlan.instantiates-canonical below <http://acme.org/plan|1>",
    );
    check(
        "CarePlan?instantiates-canonical:above=http://acme.org/plan|1.0.3",
        "CarePlan.instantiates-canonical above <http://acme.org/plan|1.0.3>",
    );
    check_refused(
        Handling::Lenient,
        "Location?partof:below=Location/1",
        &["The value of the parameter 'partof' is no canonical; \
           hierarchies of resources are not searched."],
    );
}

#[test]
fn instants_have_alternatives() {
    check(
        "Patient?_lastUpdated=lt2020,ge2021-02",
        "lastUpdated Lt 2020-01-01T00:00:00 2021-01-01T00:00:00 \
         or Ge 2021-02-01T00:00:00 2021-03-01T00:00:00",
    );
}

#[test]
fn a_scale_that_goes_down_turns_a_comparison_round() {
    let url = "Observation?value-quantity=gt7|http://unitsofmeasure.org|[pH]";
    let parsed = read(Handling::Default, url).unwrap();
    assert!(describe(&parsed.search.filters[0]).starts_with("Observation.value-quantity Lt "));
}

/// Parameters of R4 that are no values of a resource, and why they are not read here.
const NOT_VALUES: &[(&str, &str)] = &[
    ("_content", "full text, asked of the store"),
    ("_filter", "made of other parameters"),
    ("_has", "a reverse chain"),
    ("_list", "members of a List"),
    ("_query", "named queries: there are none"),
    ("_text", "words of the narrative"),
    ("_type", "types of resources"),
    ("age", "the standard gives no expression"),
    ("birthOrderBoolean", "the standard gives no expression"),
    ("near", "positions on earth are not searched"),
];

/// A value for each kind of parameter.
fn sample(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Token => "urn:a|b",
        ValueKind::String => "text",
        ValueKind::Date => "ge2020-01-01",
        ValueKind::Quantity => "lt5.4|http://unitsofmeasure.org|mg",
        ValueKind::Number => "0.5",
        ValueKind::Reference | ValueKind::Uri => "http://acme.org/a",
        ValueKind::Composite => "",
    }
}

#[test]
fn every_parameter_of_every_type_is_searched_by_or_has_a_reason() {
    let definitions = embedded();
    let mut count = 0;
    for type_id in definitions.concrete_resource_types() {
        let resource_type = definitions.type_name(type_id);
        for row in definitions.search_parameters(type_id) {
            let code = definitions.text(row.code);
            let Lookup::Supported(found) = parameter::find(&definitions, type_id, code) else {
                let reason = NOT_VALUES.iter().find(|(known, _)| *known == code);
                assert!(reason.is_some(), "{resource_type}.{code}");
                continue;
            };
            if parameter::COLUMNS.contains(&code) {
                continue;
            }
            let parts = found.components(&definitions).unwrap();
            let parts: Vec<&str> = parts
                .iter()
                .map(|part| sample(part.parameter.kind))
                .collect();
            let value = match found.kind {
                ValueKind::Composite => parts.join("$"),
                kind => sample(kind).to_owned(),
            };
            for suffix in [format!("={value}"), ":missing=true".to_owned()] {
                let url = format!("{resource_type}?{code}{suffix}");
                let parsed = read(Handling::Strict, &url)
                    .unwrap_or_else(|errors| panic!("{url}: {errors:?}"));
                assert!(!parsed.search.filters.is_empty(), "{url}");
            }
            count += 1;
        }
    }
    assert!(count > 2_000, "{count}");
}

#[test]
fn what_is_kept_aside_has_ids_of_its_own() {
    let mut ids: HashSet<ParameterId> = PARAMETERS.keys().copied().collect();
    for (parameter, name) in PARAMETERS.iter() {
        for aspect in [CANONICAL, IDENTIFIER, OF_TYPE, TEXT] {
            assert!(ids.insert(parameter.aspect(aspect)), "{name}:{aspect}");
        }
    }
}
