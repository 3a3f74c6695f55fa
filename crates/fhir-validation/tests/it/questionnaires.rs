//! Questionnaires, and responses against them.

use fhir_model::definition::Definitions;
use fhir_model::element::Element;
use fhir_model::issue::Issue;
use fhir_model::tree::Tree;
use fhir_validation::{Elsewhere, Options};
use fhirpath::{Item, Resolved, Resolver};
use serde_json::{Value, json};

use crate::support::{core, parse};

const FORM: &str = "http://example.org/Questionnaire/form";

/// The form of most tests: one item of each kind of rule.
fn form() -> Value {
    let extension = |name: &str, value: Value| {
        let mut extension =
            json!({"url": format!("http://hl7.org/fhir/StructureDefinition/{name}")});
        let (key, value) = value.as_object().unwrap().iter().next().unwrap();
        extension[key] = value.clone();
        extension
    };
    json!({"resourceType": "Questionnaire", "url": FORM, "status": "active", "item": [
        {"linkId": "smokes", "type": "boolean", "required": true, "text": "Do you smoke?"},
        {"linkId": "packs", "type": "integer",
            "enableWhen": [{"question": "smokes", "operator": "=", "answerBoolean": true}],
            "extension": [extension("minValue", json!({"valueInteger": 1})), extension("maxValue", json!({"valueInteger": 5}))]},
        {"linkId": "note", "type": "string", "maxLength": 5,
            "extension": [extension("regex", json!({"valueString": "[a-z]+"})), extension("minLength", json!({"valueInteger": 2}))]},
        {"linkId": "colour", "type": "choice", "repeats": true, "answerOption": [
            {"valueCoding": {"system": "http://example.org/c", "code": "red"}},
            {"valueCoding": {"system": "http://example.org/c", "code": "blue"}},
            {"valueCoding": {"system": "http://example.org/c", "code": "none"},
                "extension": [extension("questionnaire-optionExclusive", json!({"valueBoolean": true}))]}]},
        {"linkId": "gender", "type": "open-choice", "answerValueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"},
        {"linkId": "weight", "type": "decimal", "extension": [extension("maxDecimalPlaces", json!({"valueInteger": 1}))]},
        {"linkId": "length", "type": "quantity", "extension": [
            extension("questionnaire-unitOption", json!({"valueCoding": {"system": "http://unitsofmeasure.org", "code": "cm"}}))]},
        {"linkId": "who", "type": "reference",
            "extension": [extension("questionnaire-referenceResource", json!({"valueCode": "Practitioner"}))]},
        {"linkId": "visits", "type": "group", "repeats": true, "item": [
            {"linkId": "day", "type": "date", "required": true},
            {"linkId": "why", "type": "text",
                "enableWhen": [{"question": "day", "operator": ">=", "answerDate": "2026-01-01"}]}]},
        {"linkId": "thanks", "type": "display"},
        {"linkId": "phones", "type": "string", "repeats": true, "extension": [
            extension("questionnaire-minOccurs", json!({"valueInteger": 2})),
            extension("questionnaire-maxOccurs", json!({"valueInteger": 3}))]}
    ]})
}

fn answer(link_id: &str, value: &Value) -> Value {
    json!({"linkId": link_id, "answer": [value]})
}

/// What every complete response of the tests has, at the beginning and the end.
fn complete(items: &[Value]) -> Value {
    let mut all = vec![answer("smokes", &json!({"valueBoolean": false}))];
    all.extend_from_slice(items);
    all.push(json!({"linkId": "phones", "answer": [{"valueString": "1"}, {"valueString": "2"}]}));
    json!({"resourceType": "QuestionnaireResponse", "status": "completed",
        "questionnaire": FORM, "item": all})
}

/// One resource that is found by its URL.
struct Library(&'static Definitions, Tree);

impl Resolver for Library {
    fn resolve<'r>(&'r self, reference: &str, _: Option<Element<'r>>) -> Resolved<'r> {
        assert_eq!(reference, FORM);
        let item = Item::resource(self.1.element(), self.0);
        item.map_or(Resolved::Nothing, Resolved::Resource)
    }
}

fn issues(response: &Value, form: &Value) -> Vec<Issue> {
    let library = Library(core().definitions(), parse(core(), &form.to_string()));
    let tree = parse(core(), &response.to_string());
    let options = Options::default();
    let resource_type = tree.resource_type().unwrap();
    core().validate_with(
        tree.root(),
        &resource_type,
        &[],
        &options,
        Elsewhere::resources(&library),
    )
}

/// The errors of a response: location and, after `#`, the item of the form.
#[track_caller]
fn check_response(response: &Value, expected: &[&str]) {
    let issues = issues(response, &form());
    let found: Vec<String> = issues
        .iter()
        .filter(|issue| issue.is_error())
        .map(|issue| {
            let rule = issue.rule.as_deref().unwrap_or_default();
            let link_id = rule.rsplit('#').next().unwrap_or_default();
            format!("{} {link_id}", issue.location)
        })
        .collect();
    assert_eq!(found, expected, "{issues:#?}");
}

/// The errors of a complete response with this item.
#[track_caller]
fn check(item: Value, expected: &[&str]) {
    check_response(&complete(&[item]), expected);
}

const VALUE: &str = "QuestionnaireResponse.item[1].answer[0].value";

#[track_caller]
fn check_value(link_id: &str, value: &Value, is_valid: bool) {
    let expected = format!("{VALUE} {link_id}");
    let expected: &[&str] = if is_valid { &[] } else { &[&expected] };
    check(answer(link_id, value), expected);
}

#[test]
fn answers_are_of_the_type_of_the_question() {
    check_value("note", &json!({"valueString": "abc"}), true);
    check_value("note", &json!({"valueBoolean": true}), false);
    check_value("weight", &json!({"valueDecimal": 70.5}), true);
    check_value("weight", &json!({"valueInteger": 70}), false);
    check_value("colour", &json!({"valueString": "red"}), false);
    check_value("gender", &json!({"valueString": "as I like"}), true);
}

#[test]
fn answers_keep_within_the_limits_of_the_question() {
    check_value("note", &json!({"valueString": "abcdef"}), false);
    check_value("note", &json!({"valueString": "a"}), false);
    check_value("note", &json!({"valueString": "A12"}), false);
    check_value("weight", &json!({"valueDecimal": 70.55}), false);
    let centimetres = |unit: &str| json!({"valueQuantity": {"value": 1, "system": "http://unitsofmeasure.org", "code": unit}});
    check_value("length", &centimetres("cm"), true);
    check_value("length", &centimetres("kg"), false);
    let reference = |target: &str| json!({"valueReference": {"reference": target}});
    check_value("who", &reference("Practitioner/1"), true);
    check_value("who", &reference("Patient/1"), false);
}

#[test]
fn choices_are_among_the_options() {
    let colour =
        |code: &str| json!({"valueCoding": {"system": "http://example.org/c", "code": code}});
    check_value("colour", &colour("red"), true);
    check_value("colour", &colour("green"), false);
    let gender = |code: &str| json!({"valueCoding": {"system": "http://hl7.org/fhir/administrative-gender", "code": code}});
    check_value("gender", &gender("female"), true);
    // Its own code system does not have it; that is said once.
    check(
        answer("gender", &gender("f")),
        &[&format!("{VALUE} Coding")],
    );
    check(
        json!({"linkId": "colour", "answer": [colour("red"), colour("blue")]}),
        &[],
    );
    check(
        json!({"linkId": "colour", "answer": [colour("red"), colour("none")]}),
        &["QuestionnaireResponse.item[1].answer[1] colour"],
    );
}

#[test]
fn an_item_is_answered_if_it_is_enabled() {
    let packs = |smokes: bool, packs: i32| {
        json!({"resourceType": "QuestionnaireResponse", "status": "in-progress", "questionnaire": FORM,
            "item": [answer("smokes", &json!({"valueBoolean": smokes})), answer("packs", &json!({"valueInteger": packs}))]})
    };
    check_response(&packs(true, 3), &[]);
    check_response(&packs(true, 0), &[&format!("{VALUE} packs")]);
    check_response(&packs(true, 6), &[&format!("{VALUE} packs")]);
    check_response(&packs(false, 3), &["QuestionnaireResponse.item[1] packs"]);
}

#[test]
fn a_condition_asks_for_the_nearest_answer() {
    let visit = |day: &str| {
        json!({"linkId": "visits", "item": [
            answer("day", &json!({"valueDate": day})), answer("why", &json!({"valueString": "a"}))]})
    };
    let visits = [visit("2026-02-01"), visit("2025-02-01")];
    check_response(
        &complete(&visits),
        &["QuestionnaireResponse.item[2].item[1] why"],
    );
}

#[test]
fn what_is_required_is_there_once_the_response_is_complete() {
    let mut response = complete(&[
        json!({"linkId": "visits", "item": [answer("why", &json!({"valueString": "a"}))]}),
    ]);
    check_response(
        &response,
        &[
            "QuestionnaireResponse.item[1] day",
            "QuestionnaireResponse.item[1].item[0] why",
        ],
    );
    response["status"] = json!("in-progress");
    check_response(&response, &["QuestionnaireResponse.item[1].item[0] why"]);
    let empty = json!({"resourceType": "QuestionnaireResponse", "status": "amended", "questionnaire": FORM});
    check_response(
        &empty,
        &[
            "QuestionnaireResponse smokes",
            "QuestionnaireResponse phones",
        ],
    );
}

#[test]
fn items_are_those_of_the_form_in_their_places() {
    let note = || answer("note", &json!({"valueString": "abc"}));
    check(
        answer("nothing", &json!({"valueString": "abc"})),
        &["QuestionnaireResponse.item[1] nothing"],
    );
    check(
        answer("day", &json!({"valueDate": "2026-01-01"})),
        &["QuestionnaireResponse.item[1] day"],
    );
    let weight = answer("weight", &json!({"valueDecimal": 70.5}));
    check_response(
        &complete(&[weight, note()]),
        &["QuestionnaireResponse.item[2] note"],
    );
    check_response(
        &complete(&[note(), note()]),
        &["QuestionnaireResponse.item[2] note"],
    );
    check(
        answer("thanks", &json!({"valueString": "abc"})),
        &["QuestionnaireResponse.item[1] thanks"],
    );
    check(
        answer("visits", &json!({"valueString": "abc"})),
        &["QuestionnaireResponse.item[1] visits"],
    );
}

#[test]
fn an_item_is_answered_as_often_as_the_form_says() {
    let note =
        json!({"linkId": "note", "answer": [{"valueString": "abc"}, {"valueString": "def"}]});
    check(note, &["QuestionnaireResponse.item[1].answer[1] note"]);
    let phones = |count: usize| {
        let answers: Vec<Value> = (0..count)
            .map(|number| json!({"valueString": number.to_string()}))
            .collect();
        json!({"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": FORM,
            "item": [answer("smokes", &json!({"valueBoolean": false})), {"linkId": "phones", "answer": answers}]})
    };
    check_response(&phones(1), &["QuestionnaireResponse.item[1] phones"]);
    check_response(&phones(3), &[]);
    check_response(
        &phones(4),
        &["QuestionnaireResponse.item[1].answer[3] phones"],
    );
}

/// The form with these items has these errors.
#[track_caller]
fn check_form(items: &Value, expected: &[&str]) {
    let form = json!({"resourceType": "Questionnaire", "status": "draft", "item": items});
    let found: Vec<String> = issues(&form, &json!({"resourceType": "Questionnaire"}))
        .iter()
        .filter(|issue| issue.is_error())
        .map(ToString::to_string)
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn a_condition_names_a_question_outside_of_its_item() {
    let when = |question: &str| json!([{"question": question, "operator": "exists", "answerBoolean": true}]);
    let other = json!({"linkId": "a", "type": "string"});
    check_form(
        &json!([other, {"linkId": "b", "type": "string", "enableWhen": when("a")}]),
        &[],
    );
    check_form(
        &json!([other, {"linkId": "b", "type": "string", "enableWhen": when("c")}]),
        &["has no item \"c\""],
    );
    check_form(
        &json!([{"linkId": "b", "type": "group", "enableWhen": when("a"), "item": [other]}]),
        &["stands in this one"],
    );
    let two = json!([when("a")[0], when("a")[0]]);
    check_form(
        &json!([other, {"linkId": "b", "type": "string", "enableWhen": two}]),
        &["enableBehavior must be specified"],
    );
}
