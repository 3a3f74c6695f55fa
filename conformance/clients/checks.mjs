// Checks that say what was expected, and an exit status that says whether all were met.

import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';

export class Checks {
  constructor(client) {
    this.client = client;
    this.passed = 0;
    this.failed = 0;
  }

  equal(name, actual, expected) {
    if (isDeepStrictEqual(actual, expected)) {
      this.passed += 1;
    } else {
      this.fail(name, `expected ${JSON.stringify(expected)}, found ${JSON.stringify(actual)}`);
    }
  }

  fail(name, why) {
    this.failed += 1;
    console.log(`FAILED ${this.client}: ${name}: ${why}`);
  }

  // `status` takes the HTTP status out of what the client throws.
  async refused(name, expected, action, status) {
    try {
      await action();
      this.fail(name, 'nothing was thrown');
    } catch (error) {
      this.equal(name, status(error), expected);
    }
  }

  // Runs a part of the checks; what it throws is one failed check.
  async step(name, action) {
    try {
      await action();
    } catch (error) {
      this.fail(name, error.stack ?? error);
    }
  }

  finish() {
    console.log(`${this.client}: ${this.passed} checks passed, ${this.failed} failed`);
    process.exitCode = this.failed ? 1 : 0;
  }
}

// A value that no earlier run has used, so that a run needs no empty server.
export const unique = () => randomUUID().replaceAll('-', '').slice(0, 12);

export const SYSTEM = 'http://example.org/mrn';

export const patient = (family, run, number) => ({
  resourceType: 'Patient',
  identifier: [{ system: SYSTEM, value: `${run}-${number}` }],
  name: [{ family, given: [`G${number}`] }],
});

// A goal of a patient, both new: the reference has to be rewritten.
export const planning = (subject) => {
  const fullUrl = `urn:uuid:${randomUUID()}`;
  return {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      {
        fullUrl: `urn:uuid:${randomUUID()}`,
        request: { method: 'POST', url: 'Goal' },
        resource: {
          resourceType: 'Goal',
          lifecycleStatus: 'active',
          description: { text: 'stay at home' },
          subject: { reference: fullUrl },
        },
      },
      { fullUrl, request: { method: 'POST', url: 'Patient' }, resource: subject },
    ],
  };
};
