//! A pool without threads: runs jobs on the caller's, in the order a pool of one thread has.
//!
//! # Invariants
//! * As in a pool, the next job is taken before the end of the last one is on disk.

use std::sync::Arc;

use super::Pool;
use crate::error::Result;

impl Pool {
    /// Runs what is ready; when nothing is, `rest` hears how many ran so far and says whether to look again.
    pub(in crate::worker) fn drain(&self, rest: &mut dyn FnMut(u64) -> Result<bool>) -> Result<u64> {
        self.store.unpark(&|kind| self.handlers.knows(kind))?;
        let (mut mark, mut ran) = (None, 0);
        loop {
            while let Some(grant) = self.take(&self.order.next(), 1)?.pop() {
                let grant = Arc::new(grant);
                self.state.lock().running.insert(0, self.taken(&grant));
                mark = self.run(0, &grant).or(mark);
                ran += 1;
                if let Some(fault) = self.state.lock().fault.clone() {
                    return Err(fault);
                }
            }
            // Follow-up jobs are ready once they are as durable as the end they came with.
            if mark.is_some() {
                self.see_through(&mut mark)?;
            } else if !rest(ran)? {
                return Ok(ran);
            }
        }
    }
}
