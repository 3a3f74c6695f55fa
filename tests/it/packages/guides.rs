//! Implementation guides as they are published: their own examples are valid against the profiles
//! that they declare.
