// fhir-kit-client (npm) against a FHIR server: CRUD, searches with paging, patch, transactions.
//
//   node fhir_kit_checks.mjs BASE

import { Client } from 'fhir-kit-client';

import { Checks, SYSTEM, patient, planning, unique } from './checks.mjs';

const client = new Client({ baseUrl: process.argv[2] });
const checks = new Checks('fhir-kit-client');
const run = unique();
const family = `Kit${run}`;
const status = (error) => error.response?.status;
const ids = (bundle) => (bundle.entry ?? []).map((entry) => entry.resource.id);
const types = (bundle) => (bundle.entry ?? []).map((entry) => entry.resource.resourceType).sort();

await checks.step('capabilities', async () => {
  const statement = await client.capabilityStatement();
  checks.equal('fhirVersion', statement.fhirVersion, '4.0.1');
});

await checks.step('crud', async () => {
  const made = await client.create({ resourceType: 'Patient', body: patient(family, run, 0) });
  const { response } = Client.httpFor(made);
  checks.equal('create is 201', response.status, 201);
  const location = response.headers.get('location') ?? '';
  checks.equal('Location names the version', location.endsWith(`Patient/${made.id}/_history/1`), true);
  const id = made.id;
  const changed = await client.update({
    resourceType: 'Patient', id, body: { ...made, gender: 'female' },
  });
  checks.equal('update makes version 2', changed.meta.versionId, '2');
  const first = await client.vread({ resourceType: 'Patient', id, version: '1' });
  checks.equal('vread of version 1', first.gender, undefined);
  const stale = { headers: { 'If-Match': 'W/"1"' } };
  await checks.refused(
    'an update of an old version is 412', 412,
    () => client.update({ resourceType: 'Patient', id, body: { ...made, gender: 'male' }, options: stale }),
    status,
  );
  await client.delete({ resourceType: 'Patient', id });
  await checks.refused(
    'a deleted resource is 410', 410, () => client.read({ resourceType: 'Patient', id }), status,
  );
  const history = await client.history({ resourceType: 'Patient', id });
  checks.equal('history', history.entry.map((entry) => entry.request.method), ['DELETE', 'PUT', 'POST']);
  const invalid = { resourceType: 'Patient', gender: 'purple' };
  await checks.refused(
    'an invalid resource is 422', 422,
    () => client.create({ resourceType: 'Patient', body: invalid }), status,
  );
});

await checks.step('search', async () => {
  for (let number = 1; number < 24; number += 1) {
    await client.create({ resourceType: 'Patient', body: patient(family, run, number) });
  }
  const searchParams = { family, _count: 5, _sort: 'given' };
  const first = await client.search({ resourceType: 'Patient', searchParams });
  const pages = [first];
  for (let page = await client.nextPage({ bundle: first }); page; page = await client.nextPage({ bundle: page })) {
    pages.push(page);
  }
  checks.equal('pages', pages.map((page) => page.entry.length), [5, 5, 5, 5, 3]);
  checks.equal('each match once', new Set(pages.flatMap(ids)).size, 23);
  const back = await client.prevPage({ bundle: pages[1] });
  checks.equal('the previous page', back && ids(back), ids(first));
  const posted = await client.search({
    resourceType: 'Patient', searchParams: { family, _summary: 'count' }, options: { postSearch: true },
  });
  checks.equal('POST _search', posted.total, 23);
  const created = { identifier: `${SYSTEM}|${run}-7`, family };
  const again = await client.create({
    resourceType: 'Patient', body: patient(family, run, 7),
    options: { headers: { 'If-None-Exist': new URLSearchParams(created).toString() } },
  });
  checks.equal('If-None-Exist finds what there is', Client.httpFor(again).response.status, 200);
});

await checks.step('related', async () => {
  const answer = await client.transaction({ body: planning(patient(family, run, 't')) });
  checks.equal('transaction', answer.entry.map((entry) => entry.response.status.slice(0, 3)), ['201', '201']);
  const searchParams = { 'patient.identifier': `${SYSTEM}|${run}-t`, _include: 'Goal:patient' };
  const found = await client.search({ resourceType: 'Goal', searchParams });
  checks.equal('a chain and an include', types(found), ['Goal', 'Patient']);
  const goal = found.entry.find((entry) => entry.resource.resourceType === 'Goal').resource;
  const subject = await client.resolve({ reference: goal.subject.reference });
  checks.equal('a reference resolves', subject.name[0].family, family);
  const compartment = { resourceType: 'Patient', id: subject.id };
  const within = await client.search({ resourceType: 'Goal', compartment });
  checks.equal('the compartment', ids(within), [goal.id]);
  const across = await client.search({ searchParams: { _type: 'Goal,Patient', _id: `${goal.id},${subject.id}` } });
  checks.equal('across types', types(across), ['Goal', 'Patient']);
  const everything = await client.operation({
    name: 'everything', resourceType: 'Patient', id: subject.id, method: 'GET',
  });
  checks.equal('$everything', types(everything), ['Goal', 'Patient']);
  const valid = await client.operation({ name: '$validate', resourceType: 'Goal', input: goal });
  checks.equal('$validate', valid.resourceType, 'OperationOutcome');
});

await checks.step('patch', async () => {
  const made = await client.create({ resourceType: 'Patient', body: patient(family, run, 'p') });
  const target = { resourceType: 'Patient', id: made.id };
  const jsonPatch = [
    { op: 'test', path: '/name/0/family', value: family },
    { op: 'add', path: '/gender', value: 'other' },
    { op: 'replace', path: '/name/0/given/0', value: 'Anna' },
  ];
  const patched = await client.patch({ ...target, jsonPatch });
  checks.equal('JSON Patch', [patched.gender, patched.name[0].given], ['other', ['Anna']]);
  const wrong = [{ op: 'add', path: '/gender', value: 'purple' }];
  await checks.refused('a patch to something invalid', 422, () => client.patch({ ...target, jsonPatch: wrong }), status);
  const read = await client.read(target);
  checks.equal('leaves all as it was', read.meta.versionId, '2');
});

await checks.step('batch', async () => {
  const entry = [
    { request: { method: 'GET', url: `Patient?family=${family}&_summary=count` } },
    { request: { method: 'GET', url: `Patient/none-${run}` } },
  ];
  const answer = await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry } });
  checks.equal('batch', answer.entry.map((item) => item.response.status.slice(0, 3)), ['200', '404']);
});

checks.finish();
