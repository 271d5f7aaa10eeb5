//! How a sale stands, as its customer sees it.

use std::sync::Arc;
use std::time::Duration;

use backlog::{Backlog, Job, JobId, JobInfo, Phase, Status};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};

use crate::sales::{Came, Sales};
use crate::work::Charge;

/// How a sale stands.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Accepted; its turn comes.
    Waiting,
    /// The provider is being asked.
    Charging,
    /// An attempt failed; the next one comes by itself.
    Retrying,
    /// Paid; the receipt is on its way.
    Charged,
    /// Paid, and the receipt is out. The end.
    Receipted,
    /// The bank said no. The end.
    Declined,
    /// Out of attempts: a person must look. The end until then.
    Stuck,
}

/// What the page and the customers get.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    pub(crate) sale: JobId,
    pub(crate) state: State,
    /// Failed attempts so far, and what came of the last one.
    pub(crate) note: Option<String>,
    /// Nothing more will come.
    pub(crate) settled: bool,
}

/// Where to look.
#[derive(Clone)]
pub(crate) struct Look {
    pub(crate) backlog: Backlog,
    pub(crate) sales: Arc<Sales>,
}

impl Look {
    /// How a sale stands; `None`: there is no such sale. May read one record from disk, no more.
    pub(crate) fn at(&self, sale: JobId) -> backlog::Result<Option<Seen>> {
        // The job first: what it kept before it ended is then there.
        let job = match self.backlog.inspect(sale)? {
            Status::Live(job) if job.kind != Charge::KIND => return Ok(None),
            Status::Live(job) => Some(job),
            _ => None,
        };
        let (state, note) = match (self.sales.came(sale), job) {
            (Some(Came::Receipted { payment }), _) => (State::Receipted, Some(format!("payment {payment}"))),
            (Some(Came::Charged { payment }), _) => (State::Charged, Some(format!("payment {payment}"))),
            (Some(Came::Declined { reason }), _) => (State::Declined, Some(reason)),
            (None, Some(job)) => of_job(&job),
            (None, None) => return Ok(None),
        };
        let settled = matches!(state, State::Receipted | State::Declined | State::Stuck);
        Ok(Some(Seen { sale, state, note, settled }))
    }
}

fn of_job(job: &JobInfo) -> (State, Option<String>) {
    let state = match job.phase {
        Phase::InFlight => State::Charging,
        Phase::Dead => State::Stuck,
        _ if job.attempts > 0 => State::Retrying,
        _ => State::Waiting,
    };
    let last = job.errors.last().map(|error| format!("attempt {} failed: {error}", job.attempts));
    (state, job.reason.clone().or(last))
}

/// A look is taken at every news, and after this much silence: the shop may be closing.
const SILENCE: Duration = Duration::from_secs(1);

/// How a sale stands, each time that changes, until it is settled. Ends early if the sale cannot be looked at any more.
pub(crate) fn changes(look: Look, sale: JobId) -> impl Stream<Item = Seen> {
    let news = look.sales.listen();
    stream::unfold(Some((look, news, None::<Seen>)), move |state| async move {
        let (look, mut news, last) = state?;
        loop {
            news.mark_unchanged();
            let seen = look.at(sale).ok()??;
            if last.as_ref() != Some(&seen) {
                let goes_on = !seen.settled;
                return Some((seen.clone(), goes_on.then_some((look, news, Some(seen)))));
            }
            // An error: silence was all there was, or the shop is gone, which the look tells.
            let _ = tokio::time::timeout(SILENCE, news.changed()).await;
        }
    })
}
