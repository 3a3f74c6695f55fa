//! Pathway instances among the resources of a patient.
