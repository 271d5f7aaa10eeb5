//! The one function that decides every change of a job's state.

use super::envelope::Envelope;
use super::event::{Event, Next};

pub(crate) fn next(job: &Envelope, event: &Event) -> Next {
    let _ = (job, event);
    unimplemented!()
}
