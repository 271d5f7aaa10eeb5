//! One verb for all jobs that match, and the record of what operators did.

use std::fmt;
use std::time::SystemTime;

use super::backlog::Backlog;
use super::check::{self, NameOf};
use super::list::Filter;
use super::read_only::ReadOnly;
use crate::engine::{AuditRecord, BulkDone, BulkVerb, Criteria, audits};
use crate::error::Result;
use crate::ids::{GroupId, Millis};

/// A change of all jobs that match a filter, on its way. Made by [`Backlog::bulk`].
#[must_use = "does nothing until a verb ends it"]
pub struct Bulk<'b> {
    backlog: &'b Backlog,
    criteria: Criteria,
    who: Option<String>,
    progress: Option<Box<dyn FnMut(u64, u64) + 'b>>,
}

impl Backlog {
    /// One verb for all jobs that match, however many: each is changed as by the verb for one job, a thousand in a commit,
    /// while other work goes on in between. The filter's page ([`after`](Filter::after), [`limit`](Filter::limit)) does not
    /// apply.
    ///
    /// A job takes part if it matches when it is met and was accepted before the call began; each is met once. A crash in
    /// the middle interrupts nothing for good: the next open goes on by itself behind the last commit, and no job is changed
    /// twice. At the end one [record](Backlog::audit) says who did what, and how many.
    ///
    /// ```
    /// # use backlog::{Backlog, Codec, Filter, Phase};
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// # backlog.enqueue_raw("greet", b"{}".to_vec(), Codec::Json)?;
    /// # let lease = backlog.queue("default").claim()?.expect("a job is ready");
    /// # lease.bury("the host is down")?;
    /// let failed = Filter::new().phase(Phase::Dead).error("host is down");
    /// assert_eq!(backlog.bulk(&failed).count()?, 1);                    // what it would meet now
    /// let done = backlog.bulk(&failed).by("ada").requeue()?;
    /// assert_eq!((done.changed, done.total()), (1, 1));
    /// assert_eq!(backlog.audit(10)?[0].number, done.audit);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bulk(&self, filter: &Filter) -> Bulk<'_> {
        Bulk { backlog: self, criteria: filter.criteria.clone(), who: None, progress: None }
    }

    /// Cancels every live member of a group, dead ones too, as [`Bulk::cancel`] does; members that run are asked to stop.
    /// `None`: the group is not known. Members that are added while this runs are not touched.
    ///
    /// A cancelled member has ended, so the group's callbacks go by their own rules: `on_success` is discarded,
    /// `on_complete` runs when no member is pending any more (and the group is [sealed](Backlog::seal_group)), `on_death`
    /// is discarded unless a member died before. Callbacks are no members, and not cancelled.
    ///
    /// # Errors
    /// As [`Bulk::cancel`].
    pub fn cancel_group(&self, id: GroupId) -> Result<Option<BulkDone>> {
        let engine = &self.shared.engine;
        let Some((done, ticket)) = engine.cancel_group(&this_process(), id)? else { return Ok(None) };
        engine.wait(ticket)?;
        Ok(Some(done))
    }

    /// What was done to many jobs at once, newest first, at most `limit` records. They are kept for 180 days.
    ///
    /// # Errors
    /// As [`inspect`](Backlog::inspect).
    pub fn audit(&self, limit: usize) -> Result<Vec<AuditRecord>> {
        audits(&**self.shared.engine, limit)
    }
}

impl ReadOnly {
    /// What was done to many jobs at once. See [`Backlog::audit`].
    pub fn audit(&self, limit: usize) -> Result<Vec<AuditRecord>> {
        audits(self.engine(), limit)
    }
}

impl Bulk<'_> {
    /// How many jobs match now, whatever a verb would make of them: for a question before the deed. Reads each job that is
    /// in the state asked for; by queue and state alone it costs no disk access.
    ///
    /// # Errors
    /// As [`Backlog::inspect`].
    pub fn count(&self) -> Result<u64> {
        self.backlog.shared.engine.count_matching(&self.criteria)
    }

    /// Makes them ready now, each with all its attempts, as [`Backlog::requeue`]: dead, parked and scheduled ones.
    ///
    /// # Errors
    /// `Full`: the disk had no room for the next part. `Io`, `Closed`: the same, for another reason. What was done stays
    /// done; if that was anything, the rest is done by itself as soon as it can be (after the next open, if need be), and
    /// leaves its record then. `Invalid`, `TooLarge`: a text of the filter or a name is none; nothing was done. `Poisoned`,
    /// `Unknown`: the disk failed; the next open goes on with what was kept.
    pub fn requeue(self) -> Result<BulkDone> {
        self.run(BulkVerb::Requeue)
    }

    /// Cancels them, as [`Backlog::cancel`]: what waits, is held, dead or parked is gone; what runs is asked to stop, when
    /// nothing that waits is left. Errors as [`requeue`](Self::requeue).
    pub fn cancel(self) -> Result<BulkDone> {
        self.run(BulkVerb::Cancel)
    }

    /// Puts them into another queue, as [`Backlog::move_to`]: all but those that run. Errors as [`requeue`](Self::requeue).
    pub fn move_to(self, queue: &str) -> Result<BulkDone> {
        check::name(NameOf::Queue, queue)?;
        self.run(BulkVerb::Move { queue: queue.to_owned() })
    }

    /// Gives them another priority, as [`Backlog::set_priority`]: all but those that run. Errors as
    /// [`requeue`](Self::requeue).
    pub fn set_priority(self, priority: i16) -> Result<BulkDone> {
        self.run(BulkVerb::SetPriority { priority })
    }

    /// Moves them to another time, as [`Backlog::reschedule`]: scheduled and ready ones. Errors as
    /// [`requeue`](Self::requeue).
    pub fn reschedule(self, time: SystemTime) -> Result<BulkDone> {
        self.run(BulkVerb::Reschedule { run_at: Millis::not_before(time) })
    }

    fn run(mut self, verb: BulkVerb) -> Result<BulkDone> {
        check::criteria(&self.criteria)?;
        let who = self.who.clone().unwrap_or_else(this_process);
        check::who(&who)?;
        let matched = if self.progress.is_some() { self.count()? } else { 0 };
        let engine = &self.backlog.shared.engine;
        let (done, ticket) = engine.bulk(&who, verb, &self.criteria, &mut |met| {
            if let Some(progress) = &mut self.progress {
                progress(met, matched);
            }
        })?;
        engine.wait(ticket)?;
        Ok(done)
    }
}

impl<'b> Bulk<'b> {
    /// Who asks for it, as the audit record will say; at most [`NAME_BYTES_MAX`](crate::limits::NAME_BYTES_MAX) bytes.
    /// Default: this process, by its number.
    pub fn by(mut self, who: impl Into<String>) -> Self {
        self.who = Some(who.into());
        self
    }

    /// Calls this after each commit, on the thread of the verb: how many jobs were met so far, and how many matched before
    /// the first one. The two may differ in the end, since other work goes on. Costs a [`count`](Self::count) first.
    /// Default: none.
    pub fn on_progress(mut self, progress: impl FnMut(u64, u64) + 'b) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }
}

fn this_process() -> String {
    format!("pid={}", std::process::id())
}

impl fmt::Debug for Bulk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk").field("criteria", &self.criteria).field("who", &self.who).finish_non_exhaustive()
    }
}
