//! A history by job: its enqueue, its runs, who cancelled it.

use std::collections::BTreeMap;

use backlog::{Acceptance, Cancelled};

use crate::actor::{Event, Verdict, What};
use crate::spec::{Spec, spec};

/// When a call began and returned: by the common counter, and in operations of the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) ops: (usize, usize),
}

/// One lease from its claim to its verdict.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) attempt: u32,
    pub(crate) short: bool,
    pub(crate) claim: Span,
    pub(crate) settle: Span,
    pub(crate) verdict: Verdict,
    pub(crate) stale: bool,
}

impl Run {
    /// Its verdict was accepted, and was this.
    pub(crate) fn ended_by(&self, verdict: Verdict) -> bool {
        !self.stale && self.verdict == verdict
    }

    /// Its attempt was spent.
    pub(crate) fn spent(&self) -> bool {
        !self.ended_by(Verdict::Release)
    }
}

pub(crate) struct Told {
    pub(crate) key: String,
    pub(crate) spec: Spec,
    pub(crate) enqueue: Span,
    /// Jobs of its call.
    pub(crate) batch: Vec<u64>,
    pub(crate) runs: Vec<Run>,
    pub(crate) cancels: Vec<(Span, Cancelled)>,
}

impl Told {
    pub(crate) fn ack(&self) -> Option<&Run> {
        self.runs.iter().find(|run| run.ended_by(Verdict::Ack))
    }

    /// The cancel that was granted.
    pub(crate) fn cancelled(&self) -> Option<&(Span, Cancelled)> {
        self.cancels.iter().find(|(_, answer)| *answer != Cancelled::NotLive)
    }

    /// The earliest moment at which it may have been over, or dead.
    pub(crate) fn over_from(&self) -> u64 {
        let verdicts = self.runs.iter().filter(|run| run.ended_by(Verdict::Ack)).map(|run| run.settle.begin);
        let last = self.runs.iter().filter(|run| run.attempt == self.spec.max_attempts).map(|run| run.claim.begin);
        let cancels = self.cancels.iter().map(|(span, _)| span.begin);
        verdicts.chain(last).chain(cancels).min().unwrap_or(u64::MAX)
    }

    /// The moment by which it was over for certain, if an acknowledged verb says so.
    pub(crate) fn over_by(&self) -> u64 {
        let done = self.cancels.iter().filter(|(_, answer)| *answer == Cancelled::Done).map(|(span, _)| span.end);
        done.chain(self.ack().map(|run| run.settle.end)).min().unwrap_or(u64::MAX)
    }
}

pub(crate) struct Look {
    pub(crate) span: Span,
    pub(crate) queue: &'static str,
    /// What it was granted.
    pub(crate) ids: Vec<u64>,
}

pub(crate) struct History {
    pub(crate) replay: String,
    pub(crate) jobs: BTreeMap<u64, Told>,
    pub(crate) claims: Vec<Look>,
    /// Key, the job it was refused for, when.
    pub(crate) refused: Vec<(String, u64, Span)>,
}

impl History {
    pub(crate) fn of(mut events: Vec<Event>, replay: &str) -> Self {
        // Enqueues first, then claims, then the rest: a call may have returned before the one it depends on.
        events.sort_by_key(|event| match &event.what {
            What::Enqueued(_) => 0,
            What::Claimed { .. } => 1,
            What::Settled { .. } | What::Cancelled(..) => 2,
        });
        let mut history =
            Self { replay: replay.to_owned(), jobs: BTreeMap::new(), claims: Vec::new(), refused: Vec::new() };
        let mut open = BTreeMap::new();
        for event in events {
            let span = Span { begin: event.begin, end: event.end, ops: event.ops };
            match event.what {
                What::Enqueued(answers) => history.enqueued(answers, span),
                What::Claimed { queue, leases } => {
                    let ids = leases.iter().map(|lease| lease.id.0).collect();
                    history.claims.push(Look { span, queue, ids });
                    open.extend(leases.into_iter().map(|lease| (lease.lease, (span, lease))));
                }
                What::Settled { lease, verdict, stale } => {
                    let (claim, lease) = open.remove(&lease).unwrap();
                    let job = history.jobs.get_mut(&lease.id.0);
                    let job = job.unwrap_or_else(|| panic!("{replay}: C1: job={} was never enqueued", lease.id));
                    let (attempt, short) = (lease.attempt, lease.short);
                    job.runs.push(Run { attempt, short, claim, settle: span, verdict, stale });
                }
                What::Cancelled(id, answer) => history.jobs.get_mut(&id.0).unwrap().cancels.push((span, answer)),
            }
        }
        assert!(open.is_empty(), "every lease was settled");
        history
    }

    fn enqueued(&mut self, answers: Vec<(String, backlog::JobId, Acceptance)>, span: Span) {
        let batch: Vec<u64> = answers.iter().map(|(_, id, _)| id.0).collect();
        for (key, id, acceptance) in answers {
            match acceptance {
                Acceptance::New => {
                    let (spec, batch) = (spec(&key), batch.clone());
                    let job = Told { key, spec, enqueue: span, batch, runs: Vec::new(), cancels: Vec::new() };
                    assert!(self.jobs.insert(id.0, job).is_none(), "{}: C1: job={id} twice", self.replay);
                }
                Acceptance::Duplicate(of) => self.refused.push((key, of.0, span)),
                other => panic!("{}: {other:?}", self.replay),
            }
        }
    }

    pub(crate) fn stale(&self) -> usize {
        self.jobs.values().flat_map(|job| &job.runs).filter(|run| run.stale).count()
    }

    pub(crate) fn duplicates(&self) -> usize {
        self.refused.len()
    }
}
