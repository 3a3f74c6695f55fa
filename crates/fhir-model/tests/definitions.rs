//! The definitions compiled from the R4 core package, against what the specification says.

#![expect(clippy::unwrap_used, reason = "a failing test may panic")]

use std::collections::BTreeSet;
use std::time::Instant;

use fhir_model::definition::{
    BindingStrength, Builder, CodeSystemContent, Definitions, DiscriminatorKind, Element,
    ElementId, Expansion, Membership, PrimitiveKind, ProblemKind, Property, Reason,
    SearchParameterType, Severity, SystemKind, TypeId, TypeKind,
};
use serde_json::{Value, json};

#[path = "support/r4_core.rs"]
mod r4_core;

fn type_named(definitions: &Definitions, name: &str) -> TypeId {
    definitions.type_named(name).unwrap()
}

fn property(definitions: &Definitions, type_name: &str, name: &str) -> Option<Property> {
    let name = definitions.names().get(name)?;
    definitions
        .property(type_named(definitions, type_name), name)
        .copied()
}

fn element(definitions: &Definitions, canonical: &str, id: &str) -> ElementId {
    let structure = definitions.structure(canonical).unwrap();
    let mut elements = definitions.elements(definitions.structure_of(structure));
    elements
        .find(|(_, element)| definitions.text(element.id) == id)
        .unwrap()
        .0
}

#[test]
fn what_cannot_be_used_is_named() {
    let problems: Vec<_> = r4_core::compiled()
        .1
        .iter()
        .map(|problem| &problem.kind)
        .collect();
    // Ten search parameters of extensions on CodeSystem and ValueSet name no base.
    assert_eq!(problems, vec![&ProblemKind::Missing("base"); 10]);
}

#[test]
fn there_are_148_resource_types() {
    let definitions = r4_core::definitions();
    let names: Vec<&str> = definitions.resource_types().collect();
    assert_eq!(names.len(), 148);
    assert!(names.is_sorted());
    assert_eq!(definitions.concrete_resource_types().count(), 146);
    let code_system = definitions
        .code_system("http://hl7.org/fhir/resource-types")
        .unwrap();
    let codes = definitions.concepts(code_system).iter();
    let codes: BTreeSet<&str> = codes
        .map(|concept| definitions.text(concept.code))
        .collect();
    assert_eq!(codes, names.into_iter().collect());
    assert!(definitions.resource_type("Patient").is_some());
    assert_eq!(definitions.resource_type("DomainResource"), None);
    assert_eq!(definitions.resource_type("HumanName"), None);
    assert_eq!(definitions.resource_type("patient"), None);
}

#[track_caller]
fn check_ancestors(definitions: &Definitions, name: &str, expected: &[&str]) {
    let ancestors = definitions.ancestors(type_named(definitions, name));
    let names: Vec<&str> = ancestors.map(|id| definitions.type_name(id)).collect();
    assert_eq!(names, expected);
}

#[test]
fn types_know_what_they_specialise() {
    let definitions = r4_core::definitions();
    check_ancestors(
        &definitions,
        "Patient",
        &["Patient", "DomainResource", "Resource"],
    );
    check_ancestors(&definitions, "Bundle", &["Bundle", "Resource"]);
    check_ancestors(&definitions, "Age", &["Age", "Quantity", "Element"]);
    check_ancestors(&definitions, "code", &["code", "string", "Element"]);
    check_ancestors(
        &definitions,
        "Patient.contact",
        &["Patient.contact", "BackboneElement", "Element"],
    );
    check_ancestors(&definitions, "Timing.repeat", &["Timing.repeat", "Element"]);
    check_ancestors(&definitions, "System.String", &["System.String"]);
    let patient = type_named(&definitions, "Patient");
    assert!(definitions.is_subtype_of(patient, type_named(&definitions, "Resource")));
    assert!(!definitions.is_subtype_of(patient, type_named(&definitions, "Element")));
    assert!(
        definitions
            .type_of(type_named(&definitions, "Resource"))
            .is_abstract
    );
    assert!(!definitions.type_of(patient).is_abstract);
}

#[track_caller]
fn check_property(definitions: &Definitions, type_name: &str, name: &str, expected: &str) {
    let found = property(definitions, type_name, name).map(|property| {
        let array = if property.is_array { "[]" } else { "" };
        format!("{}{array}", definitions.type_name(property.type_id))
    });
    assert_eq!(
        found.as_deref().unwrap_or("-"),
        expected,
        "{type_name}.{name}"
    );
}

#[test]
fn properties_have_types() {
    let definitions = r4_core::definitions();
    let rows = [
        ("Patient", "contact", "Patient.contact[]"),
        ("Patient.contact", "relationship", "CodeableConcept[]"),
        ("Patient.contact", "name", "HumanName"),
        ("Patient.contact", "modifierExtension", "Extension[]"),
        ("Patient", "birthDate", "date"),
        ("Patient", "deceasedBoolean", "boolean"),
        ("Patient", "deceased", "-"),
        ("Patient", "contained", "Resource[]"),
        ("Patient", "id", "id"),
        ("Patient", "resourceType", "-"),
        ("Patient", "status", "-"),
        ("HumanName", "id", "System.String"),
        ("HumanName", "given", "string[]"),
        ("Extension", "url", "System.String"),
        ("Extension", "valueMeta", "Meta"),
        ("Bundle.entry", "link", "Bundle.link[]"),
        ("Bundle.entry", "resource", "Resource"),
        ("Questionnaire.item", "item", "Questionnaire.item[]"),
        (
            "Observation.component",
            "referenceRange",
            "Observation.referenceRange[]",
        ),
        ("ElementDefinition", "patternAge", "Age"),
        ("Narrative", "div", "xhtml"),
        ("string", "extension", "Extension[]"),
        ("string", "value", "-"),
    ];
    for (type_name, name, expected) in rows {
        check_property(&definitions, type_name, name, expected);
    }
    let kind = |name| definitions.type_of(type_named(&definitions, name)).kind;
    assert_eq!(
        kind("positiveInt"),
        TypeKind::Primitive(PrimitiveKind::PositiveInt)
    );
    assert_eq!(kind("System.String"), TypeKind::System(SystemKind::String));
    assert_eq!(kind("Patient.contact"), TypeKind::Backbone);
    assert_eq!(kind("Patient"), TypeKind::Resource);
    assert_eq!(kind("Dosage"), TypeKind::Complex);
}

#[test]
fn a_choice_leads_to_its_properties() {
    let definitions = r4_core::definitions();
    let names = definitions.names();
    let value = names.get("value").unwrap();
    let observation = type_named(&definitions, "Observation");
    let choices = definitions.choices(observation, value);
    let found: Vec<&str> = choices
        .iter()
        .map(|choice| names.text(choice.name))
        .collect();
    let expected = [
        "valueQuantity",
        "valueCodeableConcept",
        "valueString",
        "valueBoolean",
        "valueInteger",
        "valueRange",
        "valueRatio",
        "valueSampledData",
        "valueTime",
        "valueDateTime",
        "valuePeriod",
    ];
    assert_eq!(found, expected);
    assert!(
        choices
            .iter()
            .all(|choice| choice.is_choice && !choice.is_array)
    );
    assert_eq!(
        definitions.choices(observation, names.get("status").unwrap()),
        []
    );
    let extension = type_named(&definitions, "Extension");
    assert_eq!(definitions.choices(extension, value).len(), 50);
}

#[test]
fn every_property_leads_back_to_its_element() {
    let definitions = r4_core::definitions();
    let names = definitions.names();
    for (type_id, found) in definitions.types() {
        assert!(
            definitions
                .properties(type_id)
                .is_sorted_by_key(|property| property.name)
        );
        for property in definitions.properties(type_id) {
            let element = definitions.element(property.element);
            assert_eq!(element.parent, found.element);
            let name = names.text(property.name);
            assert!(name.starts_with(names.text(element.name)));
            assert_eq!(definitions.property(type_id, property.name), Some(property));
            assert_ne!(definitions.type_name(property.type_id), "BackboneElement");
        }
    }
}

#[test]
fn elements_carry_their_rules() {
    let definitions = r4_core::definitions();
    let status = element(
        &definitions,
        "http://hl7.org/fhir/StructureDefinition/Observation|4.0.1",
        "Observation.status",
    );
    let status = definitions.element(status);
    assert_eq!((status.min, status.max), (1, 1));
    assert!(status.is_modifier && status.is_summary && !status.must_support);
    let binding = status.binding.unwrap();
    assert_eq!(binding.strength, BindingStrength::Required);
    assert_eq!(
        definitions.text(binding.value_set.unwrap()),
        "http://hl7.org/fhir/ValueSet/observation-status|4.0.1"
    );

    let subject = element(
        &definitions,
        "http://hl7.org/fhir/StructureDefinition/Observation",
        "Observation.subject",
    );
    let types = definitions.types_of(definitions.element(subject));
    let targets = definitions.target_profiles(&types[0]).iter();
    let targets: Vec<&str> = targets.map(|target| definitions.text(*target)).collect();
    assert_eq!(types.len(), 1);
    assert_eq!(
        targets,
        ["Patient", "Group", "Device", "Location"]
            .map(|name| format!("http://hl7.org/fhir/StructureDefinition/{name}"))
    );

    let contact = definitions
        .type_of(type_named(&definitions, "Patient.contact"))
        .element;
    let contact = definitions.element(contact.unwrap());
    assert_eq!(contact.max, Element::UNBOUNDED);
    let constraints = definitions.constraints_of(contact).iter();
    let constraints = constraints.map(|id| definitions.constraint(*id));
    let constraint = constraints
        .into_iter()
        .find(|constraint| definitions.text(constraint.key) == "pat-1")
        .unwrap();
    assert_eq!(constraint.severity, Severity::Error);
    assert_eq!(
        definitions.text(constraint.expression.unwrap()),
        "name.exists() or telecom.exists() or address.exists() or organization.exists()"
    );
    let advice = definitions
        .constraints()
        .filter(|(_, constraint)| constraint.is_best_practice);
    let advice: Vec<&str> = advice
        .map(|(_, found)| definitions.text(found.key))
        .collect();
    assert_eq!(advice, ["dom-6", "con-3"]);
}

#[test]
fn constraints_that_elements_share_are_stored_once() {
    let definitions = r4_core::definitions();
    let constraints: Vec<_> = definitions.constraints().map(|(_, found)| *found).collect();
    let distinct: std::collections::HashSet<_> = constraints.iter().collect();
    assert_eq!(distinct.len(), constraints.len());
    let keys = constraints
        .iter()
        .map(|constraint| definitions.text(constraint.key));
    assert_eq!(keys.filter(|key| *key == "ele-1").count(), 1);
}

#[test]
fn a_content_reference_leads_to_its_element() {
    let definitions = r4_core::definitions();
    let url = "http://hl7.org/fhir/StructureDefinition/Bundle";
    let link = definitions.element(element(&definitions, url, "Bundle.entry.link"));
    assert_eq!(
        link.content_reference,
        Some(element(&definitions, url, "Bundle.link"))
    );
    assert!(definitions.types_of(link).is_empty());
    let all = definitions
        .structures()
        .flat_map(|(_, found)| definitions.elements(found));
    let resolved = all
        .filter(|(_, element)| element.content_reference.is_some())
        .count();
    assert_eq!(resolved, 87);
}

#[test]
fn a_profile_has_slices_and_fixed_values() {
    let definitions = r4_core::definitions();
    let url = "http://hl7.org/fhir/StructureDefinition/bp";
    let component = element(&definitions, url, "Observation.component");
    let slices: Vec<&str> = definitions
        .slices(component)
        .map(|slice| definitions.text(definitions.element(slice).slice_name.unwrap()))
        .collect();
    assert_eq!(slices, ["SystolicBP", "DiastolicBP"]);
    let slicing = definitions.element(component).slicing.unwrap();
    let discriminators = definitions.discriminators(&slicing);
    assert_eq!(discriminators.len(), 2);
    assert_eq!(discriminators[0].kind, DiscriminatorKind::Value);
    assert_eq!(definitions.text(discriminators[0].path), "code.coding.code");

    let root = definitions
        .structure_of(definitions.structure(url).unwrap())
        .root;
    let observation = definitions.structure("http://hl7.org/fhir/StructureDefinition/Observation");
    let base_root = definitions.structure_of(observation.unwrap()).root;
    let names = |root| {
        let children = definitions
            .children(root)
            .map(|child| definitions.element(child).name);
        children.collect::<Vec<_>>()
    };
    assert_eq!(names(root), names(base_root));

    let code = "Observation.component:SystolicBP.code.coding:SBPCode.code";
    let code = definitions.element(element(&definitions, url, code));
    let fixed = code.fixed.unwrap();
    assert_eq!(definitions.text(fixed.json), "\"8480-6\"");
    assert_eq!(definitions.type_name(fixed.type_id), "code");

    // JSON writes an array although the profile admits one value only.
    let category = definitions.element(element(
        &definitions,
        "http://hl7.org/fhir/StructureDefinition/vitalsigns",
        "Observation.category:VSCat.coding.code",
    ));
    assert!(!category.is_array);
    let slice = definitions
        .slices(element(&definitions, url, "Observation.value[x]"))
        .count();
    assert_eq!(slice, 1);
}

#[test]
fn an_extension_says_where_it_may_be_used() {
    let definitions = r4_core::definitions();
    let url = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";
    let structure = definitions.structure_of(definitions.structure(url).unwrap());
    let contexts = definitions.contexts(structure).iter();
    let contexts: Vec<&str> = contexts
        .map(|context| definitions.text(context.expression))
        .collect();
    assert_eq!(contexts, ["Patient"]);
    assert_eq!(definitions.type_name(structure.type_id), "Extension");
}

#[test]
fn the_snapshots_are_complete() {
    let definitions = r4_core::definitions();
    let structures = r4_core::lines("r4-core-structures.ndjson.zst")
        .map(|line| serde_json::from_str::<Value>(&line).unwrap())
        .filter(|it| it["resourceType"] == "StructureDefinition" && it["kind"] != "logical");
    let mut count = 0;
    for source in structures {
        let Some(found) = definitions.structure(source["url"].as_str().unwrap()) else {
            continue;
        };
        let elements = definitions.elements(definitions.structure_of(found));
        let ids: Vec<&str> = elements
            .map(|(_, element)| definitions.text(element.id))
            .collect();
        let snapshot = source["snapshot"]["element"].as_array().unwrap().iter();
        let expected: Vec<&str> = snapshot
            .map(|element| element["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, expected);
        count += 1;
    }
    assert_eq!(count, definitions.structures().count());
}

#[test]
fn a_patient_is_searched_by_these_parameters() {
    let definitions = r4_core::definitions();
    let patient = definitions.resource_type("Patient").unwrap();
    let codes: Vec<&str> = definitions
        .search_parameters(patient)
        .iter()
        .map(|row| definitions.text(row.code))
        .collect();
    assert!(codes.is_sorted());
    let expected = [
        "_content",
        "_filter",
        "_id",
        "_lastUpdated",
        "_profile",
        "_query",
        "_security",
        "_source",
        "_tag",
        "_text",
        "active",
        "address",
        "birthdate",
        "deceased",
        "email",
        "family",
        "gender",
        "general-practitioner",
        "given",
        "identifier",
        "language",
        "link",
        "name",
        "organization",
        "phone",
        "phonetic",
        "telecom",
    ];
    let missing: Vec<&&str> = expected
        .iter()
        .filter(|code| !codes.contains(code))
        .collect();
    assert_eq!(missing, Vec::<&&str>::new());
    assert!(
        !codes.contains(&"part-agree"),
        "an example is not a definition"
    );
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
}

#[track_caller]
fn check_expression(
    definitions: &Definitions,
    resource_type: &str,
    code: &str,
    expected: Option<&str>,
) {
    let resource_type = type_named(definitions, resource_type);
    assert_eq!(definitions.expression_for(resource_type, code), expected);
}

#[test]
fn an_expression_is_reduced_to_its_type() {
    let definitions = r4_core::definitions();
    let rows = [
        (
            "Condition",
            "patient",
            Some("Condition.subject.where(resolve() is Patient)"),
        ),
        ("Patient", "birthdate", Some("Patient.birthDate")),
        ("Patient", "_id", Some("Resource.id")),
        ("Patient", "_content", None),
        ("Practitioner", "family", Some("Practitioner.name.family")),
        (
            "MedicationRequest",
            "code",
            Some("(MedicationRequest.medication as CodeableConcept)"),
        ),
        (
            "DocumentReference",
            "identifier",
            Some("DocumentReference.masterIdentifier | DocumentReference.identifier"),
        ),
        ("Condition", "subject", Some("Condition.subject")),
        ("Patient", "no-such-parameter", None),
    ];
    for (resource_type, code, expected) in rows {
        check_expression(&definitions, resource_type, code, expected);
    }
    // Every parameter with an expression keeps something for each of its types.
    for resource_type in definitions.concrete_resource_types() {
        for row in definitions.search_parameters(resource_type) {
            let parameter = definitions.search_parameter_of(row.parameter);
            assert_eq!(row.expression.is_some(), parameter.expression.is_some());
        }
    }
}

#[test]
fn search_parameters_keep_their_details() {
    let definitions = r4_core::definitions();
    let observation = definitions.resource_type("Observation").unwrap();
    let code_value = definitions
        .search_parameter(observation, "code-value-quantity")
        .unwrap();
    let parameter = definitions.search_parameter_of(code_value.parameter);
    assert_eq!(parameter.kind, SearchParameterType::Composite);
    assert_eq!(parameter.multiple_or, Some(false));
    let components: Vec<&str> = definitions
        .components(parameter)
        .iter()
        .map(|component| definitions.text(component.expression))
        .collect();
    assert_eq!(components, ["code", "value.as(Quantity)"]);
    let subject = definitions
        .search_parameter(observation, "subject")
        .unwrap();
    let targets = definitions.targets(definitions.search_parameter_of(subject.parameter));
    let targets: BTreeSet<&str> = targets
        .map(|target| definitions.type_name(target))
        .collect();
    assert_eq!(
        targets,
        BTreeSet::from(["Device", "Group", "Location", "Patient"])
    );
}

#[test]
fn the_patient_compartment_is_reached_by_these_parameters() {
    let definitions = r4_core::definitions();
    let compartment = definitions.compartment("Patient").unwrap();
    let parameters = |resource_type| {
        let codes = definitions
            .compartment_parameters(compartment, type_named(&definitions, resource_type));
        codes
            .iter()
            .map(|code| definitions.text(*code))
            .collect::<Vec<_>>()
    };
    assert_eq!(parameters("Observation"), ["subject", "performer"]);
    assert_eq!(parameters("Condition"), ["patient", "asserter"]);
    assert_eq!(parameters("Patient"), ["link"]);
    assert_eq!(parameters("Location"), Vec::<&str>::new());
    let mut codes: Vec<&str> = definitions
        .compartments()
        .iter()
        .map(|compartment| definitions.type_name(compartment.code))
        .collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [
            "Device",
            "Encounter",
            "Patient",
            "Practitioner",
            "RelatedPerson"
        ]
    );
}

#[track_caller]
fn check_membership(
    definitions: &Definitions,
    value_set: &str,
    system: Option<&str>,
    code: &str,
    expected: Membership,
) {
    let namespace = if value_set.starts_with("v3-") {
        "terminology.hl7.org"
    } else {
        "hl7.org/fhir"
    };
    let value_set = definitions.value_set(&format!("http://{namespace}/ValueSet/{value_set}"));
    let value_set = value_set.unwrap();
    assert_eq!(definitions.membership(value_set, system, code), expected);
}

#[test]
fn value_sets_say_who_is_a_member() {
    let definitions = r4_core::definitions();
    let gender = "http://hl7.org/fhir/administrative-gender";
    let v3_act = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    let snomed = "http://snomed.info/sct";
    let not_here = Membership::Unknown(Reason::CodeSystemNotHere);
    let grammar = Membership::Unknown(Reason::Grammar);
    let (yes, no) = (Membership::Member, Membership::NotMember);
    let rows = [
        ("administrative-gender|4.0.1", None, "female", yes),
        ("administrative-gender", Some(gender), "female", yes),
        ("administrative-gender", None, "Female", no),
        ("administrative-gender", None, "f", no),
        (
            "administrative-gender",
            Some("http://example.org"),
            "female",
            no,
        ),
        // A filter by hierarchy in a v3 code system, through an imported value set.
        ("v3-ActEncounterCode", Some(v3_act), "IMP", yes),
        ("v3-ActEncounterCode", Some(v3_act), "CASH", no),
        // An abstract code groups others.
        ("item-type", None, "group", yes),
        ("item-type", None, "question", no),
        ("condition-code", Some(snomed), "39065001", not_here),
        ("condition-code", Some(gender), "female", no),
        ("mimetypes", None, "text/plain", grammar),
        ("all-languages", None, "de-CH", grammar),
        (
            "ucum-units",
            Some("http://unitsofmeasure.org"),
            "mg",
            grammar,
        ),
    ];
    for (value_set, system, code, expected) in rows {
        check_membership(&definitions, value_set, system, code, expected);
    }
}

#[test]
fn bindings_enumerate_their_codes() {
    let definitions = r4_core::definitions();
    let clinical_status = element(
        &definitions,
        "http://hl7.org/fhir/StructureDefinition/Condition",
        "Condition.clinicalStatus",
    );
    let binding = definitions.element(clinical_status).binding.unwrap();
    let value_set = definitions
        .value_set(definitions.text(binding.value_set.unwrap()))
        .unwrap();
    assert_eq!(definitions.expansion(value_set), Expansion::Codes);
    let codes: Vec<&str> = definitions
        .members(value_set)
        .map(|(_, member)| definitions.text(member.code))
        .collect();
    let expected = [
        "active",
        "recurrence",
        "relapse",
        "inactive",
        "remission",
        "resolved",
    ];
    assert_eq!(codes, expected);

    let gender = definitions.value_set("http://hl7.org/fhir/ValueSet/administrative-gender");
    let members: Vec<(&str, &str)> = definitions
        .members(gender.unwrap())
        .map(|(_, member)| {
            (
                definitions.text(member.code),
                definitions.text(member.display.unwrap()),
            )
        })
        .collect();
    let expected = [
        ("male", "Male"),
        ("female", "Female"),
        ("other", "Other"),
        ("unknown", "Unknown"),
    ];
    assert_eq!(members, expected);
}

#[test]
fn most_value_sets_are_enumerable() {
    let definitions = r4_core::definitions();
    let sets: Vec<_> = definitions
        .value_sets()
        .map(|(id, _)| definitions.expansion(id))
        .collect();
    let enumerable = sets
        .iter()
        .filter(|expansion| **expansion == Expansion::Codes)
        .count();
    println!("{enumerable} of {} value sets are enumerable", sets.len());
    assert!(enumerable > 1_200);
}

#[test]
fn code_systems_say_what_they_hold() {
    let definitions = r4_core::definitions();
    let v3 = definitions
        .code_system("http://terminology.hl7.org/CodeSystem/v3-ActCode")
        .unwrap();
    assert_eq!(v3.content, CodeSystemContent::Complete);
    let inpatient = definitions.concept(v3, "IMP").unwrap();
    assert_eq!(
        definitions.text(inpatient.display.unwrap()),
        "inpatient encounter"
    );
    assert!(
        definitions
            .concept(v3, "_ActEncounterCode")
            .unwrap()
            .is_abstract
    );
    assert_eq!(definitions.concept(v3, "imp"), None);
    let snomed = definitions.code_system("http://snomed.info/sct").unwrap();
    assert_eq!(snomed.content, CodeSystemContent::NotPresent);
    assert!(definitions.code_system("http://loinc.org").is_none());
    let v2 = definitions.code_system("http://terminology.hl7.org/CodeSystem/v2-0360|2.7");
    assert!(v2.is_some());
}

#[test]
fn an_image_brings_everything_back() {
    let definitions = r4_core::definitions();
    let started = Instant::now();
    let image = definitions.to_image().unwrap();
    let written = started.elapsed();
    let started = Instant::now();
    let read = Definitions::from_image(&image).unwrap();
    println!(
        "{} bytes, written in {written:?}, read in {:?}",
        image.len(),
        started.elapsed()
    );
    assert!(read == *definitions);
    assert_eq!(
        read.type_named("Patient"),
        definitions.type_named("Patient")
    );
    assert_eq!(
        read.names().get("birthDate"),
        definitions.names().get("birthDate")
    );
    assert!(Definitions::from_image(b"BATONDEF0").is_err());
    assert!(Definitions::from_image(image.get(..image.len() - 1).unwrap()).is_err());
}

#[test]
fn a_set_is_extended_without_renumbering() {
    let base = r4_core::definitions();
    let mut builder = Builder::extending(&base);
    let profile = json!({
        "resourceType": "StructureDefinition", "url": "http://example.org/sd", "name": "Own",
        "version": "2.1.0", "kind": "resource", "abstract": false, "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "snapshot": { "element": [
            { "id": "Patient", "path": "Patient", "min": 0, "max": "*" },
            { "id": "Patient.contact", "path": "Patient.contact", "min": 1, "max": "1",
              "base": { "path": "Patient.contact", "min": 0, "max": "*" },
              "type": [{ "code": "BackboneElement" }] },
            { "id": "Patient.contact.gender", "path": "Patient.contact.gender", "min": 0,
              "max": "1", "type": [{ "code": "code" }], "patternCode": "female",
              "binding": { "strength": "required", "valueSet": "http://example.org/vs" } },
            { "id": "Patient.photo", "path": "Patient.photo", "min": 0, "max": "1",
              "type": [{ "code": "NoSuchType" }] }
        ]}
    });
    let value_set = json!({
        "resourceType": "ValueSet", "url": "http://example.org/vs", "name": "Own",
        "compose": {
            "include": [
                { "system": "http://example.org/cs",
                  "filter": [{ "property": "concept", "op": "is-a", "value": "a" }] },
                { "system": "http://hl7.org/fhir/administrative-gender" }
            ],
            "exclude": [
                { "system": "http://hl7.org/fhir/administrative-gender",
                  "concept": [{ "code": "other" }] }
            ]
        }
    });
    let code_system = json!({
        "resourceType": "CodeSystem", "url": "http://example.org/cs", "name": "Own",
        "content": "complete", "caseSensitive": false,
        "concept": [
            { "code": "a", "concept": [{ "code": "b", "display": "B" }] },
            { "code": "c" }
        ]
    });
    let parameter = json!({
        "resourceType": "SearchParameter", "url": "http://example.org/sp", "code": "birthdate",
        "base": ["Patient"], "type": "date", "expression": "Patient.birthDate | Person.birthDate"
    });
    for resource in [profile, value_set, code_system, parameter] {
        assert!(builder.add(resource));
    }
    assert!(!builder.add(json!({ "resourceType": "Patient" })));
    let (extended, problems) = builder.finish();
    let kinds: Vec<_> = problems.into_iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::UnknownType("NoSuchType".to_owned())]);

    assert_eq!(extended.type_named("Patient"), base.type_named("Patient"));
    assert_eq!(extended.find_text("Patient"), base.find_text("Patient"));
    assert_eq!(extended.types().count(), base.types().count());
    assert!(extended.structure("http://example.org/sd|2.1").is_some());
    assert!(extended.structure("http://example.org/sd|2.10").is_none());
    let contact = element(&extended, "http://example.org/sd", "Patient.contact");
    let contact = extended.element(contact);
    assert!(contact.is_array);
    let type_id = extended.types_of(contact)[0].type_id;
    assert_eq!(extended.type_name(type_id), "Patient.contact");

    let value_set = extended.value_set("http://example.org/vs").unwrap();
    let members = extended.members(value_set);
    let codes: Vec<&str> = members
        .map(|(_, member)| extended.text(member.code))
        .collect();
    assert_eq!(codes, ["a", "b", "male", "female", "unknown"]);
    let own = Some("http://example.org/cs");
    assert_eq!(extended.membership(value_set, own, "B"), Membership::Member);
    assert_eq!(
        extended.membership(value_set, own, "C"),
        Membership::NotMember
    );

    let patient = extended.resource_type("Patient").unwrap();
    let birthdate = extended.search_parameter(patient, "birthdate").unwrap();
    let url = extended.search_parameter_of(birthdate.parameter).url;
    assert_eq!(extended.text(url), "http://example.org/sp");
    assert_eq!(
        extended.expression_for(patient, "birthdate"),
        Some("Patient.birthDate")
    );
    assert_eq!(
        extended.search_parameters(patient).len(),
        base.search_parameters(patient).len()
    );
}

#[test]
fn value_sets_that_import_each_other_end() {
    let import = |own: &str, other: &str| {
        json!({
            "resourceType": "ValueSet", "url": own, "name": "Own",
            "compose": { "include": [{ "valueSet": [other] }] }
        })
    };
    let mut builder = Builder::new();
    builder.add(import("http://example.org/a", "http://example.org/b"));
    builder.add(import("http://example.org/b", "http://example.org/a"));
    let (definitions, _) = builder.finish();
    for url in ["http://example.org/a", "http://example.org/b"] {
        let value_set = definitions.value_set(url).unwrap();
        let expected = Membership::Unknown(Reason::ImportCut);
        assert_eq!(definitions.membership(value_set, None, "x"), expected);
    }
}

#[test]
fn types_never_specialise_one_another_in_a_circle() {
    let structure = |name: &str, type_name: &str, base: &str| {
        json!({
            "resourceType": "StructureDefinition", "url": format!("http://example.org/{name}"),
            "name": "Own", "kind": "resource", "abstract": false, "type": type_name,
            "baseDefinition": format!("http://hl7.org/fhir/StructureDefinition/{base}"),
            "derivation": "specialization",
            "snapshot": { "element": [{ "id": type_name, "path": type_name, "min": 0, "max": "*" }] }
        })
    };
    let base = r4_core::definitions();
    let mut builder = Builder::extending(&base);
    for (name, type_name, base) in [
        ("own", "Practitioner", "Practitioner"),
        ("a", "CircleA", "CircleB"),
        ("b", "CircleB", "CircleA"),
    ] {
        assert!(builder.add(structure(name, type_name, base)));
    }
    let (extended, _) = builder.finish();
    for (type_id, _) in extended.types() {
        assert!(extended.ancestors(type_id).take(100).count() < 10);
    }
    // What has its own type for a base is a profile of it.
    let practitioner = extended.type_named("Practitioner").unwrap();
    assert!(!extended.properties(practitioner).is_empty());
}
