//! Promises of this floor.
