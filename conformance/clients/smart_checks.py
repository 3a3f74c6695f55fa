"""fhirclient (PyPI, SMART on FHIR) against a FHIR server: CRUD, searches with paging, transactions.

The client reads every answer into strict models: an element that R4 does not have is an error.
It has no patch.

    python smart_checks.py BASE
"""

import sys
import uuid

import fhirclient.models.bundle as bundles
import fhirclient.models.careplan as careplans
import fhirclient.models.codeableconcept as concepts
import fhirclient.models.condition as conditions
import fhirclient.models.fhirreference as references
import fhirclient.models.humanname as names
import fhirclient.models.identifier as identifiers
import fhirclient.models.patient as patients
from checks import Checks, unique
from fhirclient import client as smart
from fhirclient.server import FHIRNotFoundException
from requests import HTTPError

SYSTEM = "http://example.org/mrn"
base = sys.argv[1]
checks = Checks("fhirclient (PyPI)")
run = unique()
app = smart.FHIRClient(settings={"app_id": "baton-checks", "api_base": base})
server = app.server


def patient(number):
    made = patients.Patient()
    name = names.HumanName({"family": f"Smart{run}", "given": [f"G{number}"]})
    made.name = [name]
    made.identifier = [identifiers.Identifier({"system": SYSTEM, "value": f"{run}-{number}"})]
    return made


def capabilities():
    app.prepare()
    statement = server.capabilityStatement
    checks.equal("the CapabilityStatement is of R4", statement.fhirVersion, "4.0.1")
    types = {resource.type for resource in statement.rest[0].resource}
    checks.true("it has the care plan", {"Patient", "CarePlan", "Goal", "Task"} <= types)


def crud():
    made = patient(0)
    answer = made.create(server)
    checks.true("create gives an id", answer["id"])
    read = patients.Patient.read(answer["id"], server)
    checks.equal("read", read.name[0].family, f"Smart{run}")
    read.gender = "female"
    read.update(server)
    read = patients.Patient.read(answer["id"], server)
    checks.equal("update", read.gender, "female")
    checks.equal("its version", read.meta.versionId, "2")
    read.delete()
    gone = lambda: patients.Patient.read(answer["id"], server)  # noqa: E731
    checks.raises("a deleted resource is gone", HTTPError, gone)
    none = lambda: patients.Patient.read("none-" + run, server)  # noqa: E731
    checks.raises("a missing one is not found", FHIRNotFoundException, none)


def search():
    for number in range(1, 24):
        patient(number).create(server)
    where = patients.Patient.where({"family": f"Smart{run}", "_count": "5", "_sort": "given"})
    pages = list(where.perform_iter(server))
    checks.equal("pages", [len(page.entry) for page in pages], [5, 5, 5, 5, 3])
    found = [entry.resource.name[0].given[0] for page in pages for entry in page.entry]
    checks.equal("in order, each once", found, sorted(f"G{number}" for number in range(1, 24)))
    either = {"$or": [f"{SYSTEM}|{run}-3", f"{SYSTEM}|{run}-4"]}
    where = patients.Patient.where({"identifier": either})
    checks.equal("alternatives", len(list(where.perform_resources_iter(server))), 2)


def related():
    where = patients.Patient.where({"identifier": f"{SYSTEM}|{run}-3"})
    subject = next(where.perform_resources_iter(server))
    condition = conditions.Condition()
    condition.subject = references.FHIRReference({"reference": f"Patient/{subject.id}"})
    heart_failure = {"system": "http://snomed.info/sct", "code": "84114007"}
    condition.code = concepts.CodeableConcept({"coding": [heart_failure]})
    active = {
        "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
        "code": "active",
    }
    condition.clinicalStatus = concepts.CodeableConcept({"coding": [active]})
    condition.create(server)
    where = conditions.Condition.where(
        {"patient": {"$type": "Patient", "identifier": f"{SYSTEM}|{run}-3"}}
    )
    found = list(where.perform_resources_iter(server))
    checks.equal("a chain", len(found), 1)
    checks.equal("a reference resolves", found[0].subject.resolved(patients.Patient).id, subject.id)
    where = conditions.Condition.where({"code": "http://snomed.info/sct|84114007"})
    where.params.extend(conditions.Condition.where({"patient": subject.id}).params)
    found = list(where.include("subject").perform_resources_iter(server))
    kinds = sorted(resource.resource_type for resource in found)
    checks.equal("_include", kinds, ["Condition", "Patient"])


def transaction():
    subject, plan = patient("t"), careplans.CarePlan()
    key = uuid.uuid4().urn
    plan.status, plan.intent = "active", "plan"
    plan.subject = references.FHIRReference({"reference": key})
    bundle = bundles.Bundle({"type": "transaction", "resourceType": "Bundle"})
    bundle.entry = []
    for resource, url, full_url in (
        (plan, "CarePlan", uuid.uuid4().urn),
        (subject, "Patient", key),
    ):
        entry = bundles.BundleEntry()
        entry.fullUrl, entry.resource = full_url, resource
        entry.request = bundles.BundleEntryRequest({"method": "POST", "url": url})
        bundle.entry.append(entry)
    answer = server.post_json("", bundle.as_json()).json()
    response = bundles.Bundle(answer)
    checks.equal("type", response.type, "transaction-response")
    statuses = [entry.response.status[:3] for entry in response.entry]
    checks.equal("both created", statuses, ["201", "201"])
    where = careplans.CarePlan.where({"patient": {"$type": "Patient", "family": f"Smart{run}"}})
    checks.equal("a reference was rewritten", len(list(where.perform_resources_iter(server))), 1)


for part in (capabilities, crud, search, related, transaction):
    checks.step(part.__name__, part)
checks.finish()
