//! What tests of a backlog stand on.
//!
//! * [`oracle`] says what a backlog must do, and finds what it must never do.
//!
//! Never here: code that a backlog itself runs.

pub mod oracle;

#[cfg(test)]
mod tests;
