//! Faults planted at run time, to see whether the suite can see.
//!
//! A test that has never failed proves nothing. So the guards of this house have a second, wrong way of standing, which
//! exists in the unit test binary alone: `BACKLOG_PLANT=NAME` chooses one fault for the life of the process, and
//! [`tests`] asserts that the lane named beside it in [`faults`] fails.
//!
//! # Invariants
//! * Nothing of this is compiled outside the test binary: there a hook is the literal `false`, or its right side.
//! * With `BACKLOG_PLANT` unset the test binary does what the library does.
//!
//! Never here: faults of the outside world (`disk::simulated`, `index::memory`).

/// `planted!(Fault)`: whether this fault was chosen. `planted!(Fault, wrong, right)`: `right`, but for that fault.
#[cfg(not(test))]
macro_rules! planted {
    ($fault:ident) => {
        false
    };
    ($fault:ident, $wrong:expr, $right:expr) => {
        $right
    };
}

#[cfg(test)]
macro_rules! planted {
    ($fault:ident) => {
        $crate::planted::is(&$crate::planted::faults::Fault::$fault)
    };
    ($fault:ident, $wrong:expr, $right:expr) => {
        if planted!($fault) { $wrong } else { $right }
    };
}

// The proof that no branch of it is in a release: what depended on the environment would not be constant.
#[cfg(not(test))]
const _: () = assert!(!planted!(NoFault) && planted!(NoFault, false, true));

#[cfg(test)]
pub(crate) mod faults;
#[cfg(test)]
mod tests;

/// The environment variable that chooses the fault.
#[cfg(test)]
const VARIABLE: &str = "BACKLOG_PLANT";

/// Whether this is the fault that was chosen for this process.
#[cfg(test)]
pub(crate) fn is(fault: &faults::Fault) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<faults::Fault>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var(VARIABLE).ok().map(|name| faults::Fault::named(&name))).as_ref() == Some(fault)
}
