//! The scenarios of the domain documents, over facts: a message changes the visit, a decision
//! changes the resources, and after every step a second decision changes nothing.

mod plans;
mod properties;
mod scenarios;
mod stage;
