//! The official cases that are left out, and those that do not agree, each with the reason.

/// Suites and operations that are no business of these operations.
pub(super) const LEFT_OUT: &[(&str, &str)] = &[
    (
        "metadata",
        "the server's CapabilityStatement, and R5's TerminologyCapabilities",
    ),
    (
        "term-caps",
        "TerminologyCapabilities of a terminology server",
    ),
    ("compare", "an operation of one server, not of FHIR R4"),
];

/// Cases that do not agree.
pub(super) const DISAGREE: &[(&str, &str)] = &[];
