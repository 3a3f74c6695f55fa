// fhirclient (npm, SMART on FHIR) against a FHIR server: CRUD, searches with paging, patch,
// transactions.
//
//   node smart_checks.mjs BASE

import smart from 'fhirclient';

import { Checks, SYSTEM, patient, planning, unique } from './checks.mjs';

// Outside a browser and a web server there is no session to keep.
const client = smart({ headers: {} }, {}, {}).client(process.argv[2]);
const checks = new Checks('fhirclient (npm)');
const run = unique();
const family = `Smartjs${run}`;
const status = (error) => error.status ?? error.statusCode;

await checks.step('capabilities', async () => {
  checks.equal('the release', await client.getFhirRelease(), 4);
});

await checks.step('crud', async () => {
  const made = await client.create(patient(family, run, 0));
  checks.equal('create', made.meta.versionId, '1');
  const changed = await client.update({ ...made, gender: 'female' });
  checks.equal('update', [changed.gender, changed.meta.versionId], ['female', '2']);
  const read = await client.request(`Patient/${made.id}`);
  checks.equal('read', read.gender, 'female');
  await client.delete(`Patient/${made.id}`);
  await checks.refused('a deleted resource is 410', 410, () => client.request(`Patient/${made.id}`), status);
});

await checks.step('search', async () => {
  for (let number = 1; number < 24; number += 1) {
    await client.create(patient(family, run, number));
  }
  const found = [];
  for await (const resource of client.resources(`Patient?family=${family}&_count=5&_sort=-given`)) {
    found.push(resource.name[0].given[0]);
  }
  const expected = Array.from({ length: 23 }, (_, number) => `G${number + 1}`).sort().reverse();
  checks.equal('every page, in order', found, expected);
});

await checks.step('transaction and references', async () => {
  const answer = await client.request({
    url: '', method: 'POST', body: JSON.stringify(planning(patient(family, run, 't'))),
    headers: { 'content-type': 'application/json' },
  });
  checks.equal('transaction', answer.entry.map((entry) => entry.response.status.slice(0, 3)), ['201', '201']);
  const goals = await client.request(
    `Goal?patient.identifier=${encodeURIComponent(`${SYSTEM}|${run}-t`)}`,
    { flat: true, resolveReferences: ['subject'] },
  );
  checks.equal('the subject is resolved', goals.map((goal) => goal.subject.name[0].family), [family]);
});

await checks.step('patch', async () => {
  const made = await client.create(patient(family, run, 'p'));
  const patched = await client.patch(`Patient/${made.id}`, [
    { op: 'add', path: '/birthDate', value: '1950-02-03' },
  ]);
  checks.equal('JSON Patch', patched.birthDate, '1950-02-03');
});

checks.finish();
