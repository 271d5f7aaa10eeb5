//! Changes every job that fits a filter: the one place to put a bulk verb of the library in.

use super::look::PAGE_MAX;
use super::shape::{ChangeShape, ListShape};
use super::verbs::{Act, Look};

/// Page by page, each job with the verb for one job; `each` is told what became of it.
pub(crate) fn every<E>(
    filter: &str,
    verb: &dyn Fn(u64) -> Act,
    see: impl Fn(Look) -> Result<ListShape, E>,
    act: impl Fn(Act) -> Result<ChangeShape, E>,
    mut each: impl FnMut(&ChangeShape),
) -> Result<(), E> {
    let mut after = None;
    loop {
        let page = see(Look::List { filter: filter.to_owned(), after, limit: PAGE_MAX })?;
        for job in &page.jobs {
            each(&act(verb(job.id))?);
        }
        after = page.next_after;
        if after.is_none() {
            return Ok(());
        }
    }
}
