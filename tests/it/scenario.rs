//! The scenarios: messages come in over MLLP, people work through FHIR, the clock moves, and every
//! resource, Task, date and status is the one that the scenario names.
//!
//! Each file is one scenario. Dates stand as the scenario has them; a day of a Task stands for its
//! end in New York.

mod by_hand;
mod corrections;
mod death;
mod emergency;
mod observation;
mod order;
mod policy;
mod readmission;
mod repeats;
mod restart;
mod s01;
mod s02;
mod s03;
mod zones;
