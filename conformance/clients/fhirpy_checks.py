"""fhirpy (PyPI) against a FHIR server: CRUD, searches with paging, patch, transactions.

    python fhirpy_checks.py BASE
"""

import sys
import uuid

from checks import Checks, unique
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound
from fhirpy.base.searchset import Raw

SYSTEM = "http://example.org/mrn"
base = sys.argv[1]
checks = Checks("fhirpy")
client = SyncFHIRClient(base)
run = unique()


def patient(number, **elements):
    return client.resource(
        "Patient",
        identifier=[{"system": SYSTEM, "value": f"{run}-{number}"}],
        name=[{"family": f"Fhirpy{run}", "given": [f"G{number}"]}],
        **elements,
    )


def crud():
    created = patient(0, gender="female")
    created.save()
    checks.true("create gives an id", created.id)
    checks.equal("create gives version 1", created["meta"]["versionId"], "1")
    created["gender"] = "male"
    created.save()
    checks.equal("update gives version 2", created["meta"]["versionId"], "2")
    read = client.reference("Patient", created.id).to_resource()
    checks.equal("read gives what was written", read["gender"], "male")
    created.refresh()
    checks.equal("refresh", created["gender"], "male")
    own = patient("own", id=f"own-{run}")
    own.save()
    checks.equal("update as create keeps the id", own.id, f"own-{run}")
    checks.true("is_valid asks $validate", own.is_valid())
    created.delete()
    checks.raises(
        "a deleted resource is not found",
        ResourceNotFound,
        lambda: client.reference("Patient", created.id).to_resource(),
    )


def refused():
    checks.raises(
        "an invalid resource is an OperationOutcome",
        OperationOutcome,
        lambda: client.resource("Patient", gender="purple").save(),
    )


def search():
    for number in range(1, 24):
        patient(number, active=number % 2 == 0).save()
    family = client.resources("Patient").search(family=f"Fhirpy{run}")
    checks.equal("count", family.count(), 24)
    everyone = family.limit(5).fetch_all()
    checks.equal("pages give every match", len(everyone), 24)
    checks.equal("pages give a match once", len({found.id for found in everyone}), 24)
    active = family.search(active=True).sort("-given").fetch()
    checks.equal("filters combine", len(active), 11)
    given = [found["name"][0]["given"][0] for found in active]
    checks.equal("sorted downwards", given, sorted(given, reverse=True))
    first = client.resources("Patient").search(identifier=f"{SYSTEM}|{run}-7").get()
    checks.equal("by identifier", first["name"][0]["given"], ["G7"])
    part = family.search(identifier=f"{SYSTEM}|{run}-7").elements("gender", "name").first()
    checks.true("_elements leaves others out", "identifier" not in part)
    checks.raises(
        "get of several",
        MultipleResourcesFound,
        lambda: client.resources("Patient").search(family=f"Fhirpy{run}").get(),
    )
    raw = client.resources("Patient").search(Raw(**{"family:exact": f"Fhirpy{run}"})).count()
    checks.equal("a modifier", raw, 24)


def related():
    subject = client.resources("Patient").search(identifier=f"{SYSTEM}|{run}-7").get()
    task = client.resource(
        "Task",
        status="requested",
        intent="order",
        identifier=[{"system": SYSTEM, "value": f"task-{run}"}],
        **{"for": subject.to_reference()},
    )
    task.save()
    resolved = client.resources("Task").search(patient=subject.to_reference()).get()
    checks.equal("by reference", resolved.id, task.id)
    checks.equal("a reference resolves", resolved["for"].to_resource().id, subject.id)
    chained = client.resources("Task").search(patient__Patient__identifier=f"{SYSTEM}|{run}-7")
    checks.equal("a chain", chained.get().id, task.id)
    having = client.resources("Patient").has("Task", "patient", identifier=f"{SYSTEM}|task-{run}")
    checks.equal("_has", having.get().id, subject.id)
    page = client.resources("Task").search(_id=task.id).include("Task", "patient").fetch_raw()
    types = sorted(entry.resource.resource_type for entry in page.entry)
    checks.equal("_include", types, ["Patient", "Task"])
    page = client.resources("Patient").search(_id=subject.id)
    page = page.revinclude("Task", "patient").fetch_raw()
    types = sorted(entry.resource.resource_type for entry in page.entry)
    checks.equal("_revinclude", types, ["Patient", "Task"])
    everything = client.execute(f"Patient/{subject.id}/$everything", method="get")
    types = sorted(entry["resource"]["resourceType"] for entry in everything["entry"])
    # R4 does not put a Task into the compartment of its patient.
    checks.equal("$everything", types, ["Patient"])


def conditional():
    who = client.resources("Patient").search(identifier=f"{SYSTEM}|{run}-new")
    changed, created = who.update(patient("new", gender="other"))
    checks.true("conditional update creates", created)
    again, created = who.update(patient("new", gender="unknown"))
    checks.equal("conditional update updates", (created, again.id), (False, changed.id))
    checks.equal("with the new content", again["gender"], "unknown")
    who.delete()
    checks.equal("conditional delete", who.count(), 0)


def patch():
    """fhirpy sends the elements to be replaced as application/json, as its users know it."""
    subject = client.resources("Patient").search(identifier=f"{SYSTEM}|{run}-8").get()
    subject.patch(gender="other")
    checks.equal("patch of a resource", subject["gender"], "other")
    checks.equal("which keeps the rest", subject["name"][0]["family"], f"Fhirpy{run}")
    subject["birthDate"] = "1950-02-03"
    subject.save(fields=["birthDate"])
    read = client.reference("Patient", subject.id).to_resource()
    checks.equal("save of one element", read["birthDate"], "1950-02-03")
    client.patch("Patient", subject.id, gender=None)
    read = client.reference("Patient", subject.id).to_resource()
    checks.true("null removes an element", "gender" not in read)
    where = client.resources("Patient").search(identifier=f"{SYSTEM}|{run}-8")
    checks.equal("conditional patch", where.patch(active=True)["active"], True)


def transaction():
    subject, goal = f"urn:uuid:{uuid.uuid4()}", f"urn:uuid:{uuid.uuid4()}"
    bundle = client.resource(
        "Bundle",
        type="transaction",
        entry=[
            {
                "fullUrl": goal,
                "request": {"method": "POST", "url": "Goal"},
                "resource": {
                    "resourceType": "Goal",
                    "lifecycleStatus": "active",
                    "description": {"text": "stay at home"},
                    "subject": {"reference": subject},
                },
            },
            {
                "fullUrl": subject,
                "request": {"method": "POST", "url": "Patient"},
                "resource": patient("t").serialize(),
            },
        ],
    )
    bundle.save()
    checks.equal("transaction-response", bundle["type"], "transaction-response")
    statuses = [entry["response"]["status"][:3] for entry in bundle["entry"]]
    checks.equal("both created", statuses, ["201", "201"])
    made = client.resources("Patient").search(identifier=f"{SYSTEM}|{run}-t").get()
    goals = client.resources("Goal").search(patient=made.to_reference()).fetch()
    checks.equal("the reference was rewritten", len(goals), 1)


for part in (crud, refused, search, related, conditional, patch, transaction):
    checks.step(part.__name__, part)
checks.finish()
