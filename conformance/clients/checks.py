"""Checks that say what was expected, and an exit status that says whether all were met."""

import sys
import traceback
import uuid


class Checks:
    def __init__(self, client):
        self.client = client
        self.passed = 0
        self.failed = 0

    def equal(self, name, actual, expected):
        if actual == expected:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {self.client}: {name}: expected {expected!r}, found {actual!r}")

    def true(self, name, condition):
        self.equal(name, bool(condition), True)

    def raises(self, name, error, action):
        try:
            action()
        except error:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {self.client}: {name}: no {error.__name__} was raised")

    def step(self, name, action):
        """Runs a part of the checks; what it throws is one failed check."""
        try:
            action()
        except Exception:  # whatever a client throws is a finding
            self.failed += 1
            print(f"FAILED {self.client}: {name}:")
            traceback.print_exc(limit=-3)

    def finish(self):
        print(f"{self.client}: {self.passed} checks passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def unique():
    """A value that no earlier run has used, so that a run needs no empty server."""
    return uuid.uuid4().hex[:12]
