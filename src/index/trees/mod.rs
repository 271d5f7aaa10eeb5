//! The trees of the index: what each holds and how its leaves are coded.

pub(super) mod cells;
pub(super) mod flights;
pub(super) mod jobs;
pub(super) mod lanes;
pub(super) mod runs;
pub(super) mod timed;
pub(super) mod uniques;
