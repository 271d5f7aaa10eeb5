//! What must hold of a history, whatever the order of calls that overlap.

use std::collections::BTreeMap;

use backlog::{Backlog, Cancelled, Filter, Phase};

use crate::actor::Verdict;
use crate::history::{History, Look, Told};

/// What the answers say by themselves.
pub(crate) fn at_work(history: &History) {
    for (id, job) in &history.jobs {
        let shown = format!("{}: job={id} {}", history.replay, job.key);
        attempts_number_grants(job, &shown);
        one_live_lease(job, &shown);
        nothing_after_the_end(job, &shown);
    }
    no_key_twice(history);
    best_first(history);
}

/// C7: 1, 2, 3 …, each spent once; given back by a release only; never beyond the maximum.
fn attempts_number_grants(job: &Told, shown: &str) {
    let mut spent: BTreeMap<u32, u32> = BTreeMap::new();
    for run in &job.runs {
        *spent.entry(run.attempt).or_default() += u32::from(run.spent());
    }
    for (wanted, (attempt, times)) in (1..).zip(&spent) {
        let last = *attempt as usize == spent.len();
        assert!(*attempt == wanted && (*times == 1 || (*times == 0 && last)), "{shown}: C7: {:?}", job.runs);
    }
    assert!(spent.len() as u32 <= job.spec.max_attempts, "{shown}: C7: {:?}", job.runs);
}

/// C3: leases whose verdict was accepted lived from the return of their claim to the beginning of that verdict.
fn one_live_lease(job: &Told, shown: &str) {
    let mut lives: Vec<(u64, u64)> =
        job.runs.iter().filter(|run| !run.stale).map(|run| (run.claim.end, run.settle.begin)).collect();
    lives.sort_unstable();
    for pair in lives.windows(2) {
        assert!(pair[0].1 < pair[1].0, "{shown}: C3: two live leases: {:?}", job.runs);
    }
    for run in &job.runs {
        assert!(run.short || !run.stale, "{shown}: C3: refused a lease that had not run out: {run:?}");
        let overtaken = job.runs.iter().any(|later| later.attempt > run.attempt && later.claim.end < run.settle.begin);
        assert!(run.stale || !overtaken, "{shown}: C3: an old lease was heard: {:?}", job.runs);
    }
}

/// C1: at most one end, and no grant after it.
fn nothing_after_the_end(job: &Told, shown: &str) {
    let acks = job.runs.iter().filter(|run| run.ended_by(Verdict::Ack)).count();
    let done = job.cancels.iter().filter(|(_, answer)| *answer == Cancelled::Done).count();
    assert!(acks + done <= 1, "{shown}: C1: ended {acks} times by ack, {done} times by cancel");
    let over = job.over_by();
    for run in &job.runs {
        assert!(run.claim.begin < over, "{shown}: C1: runs again after its end: {:?}", job.runs);
        assert!(run.stale || run.settle.begin < over, "{shown}: C1: heard after its end: {:?}", job.runs);
    }
    let gone = |begin| begin > over;
    assert!(job.cancels.iter().all(|(span, answer)| !gone(span.begin) || *answer == Cancelled::NotLive), "{shown}: C1");
}

/// C8: two jobs never hold a key at once; a refusal only while one held it.
fn no_key_twice(history: &History) {
    let mut holders: BTreeMap<&str, Vec<(u64, u64, u64)>> = BTreeMap::new();
    for (id, job) in &history.jobs {
        if let Some(key) = &job.spec.unique {
            holders.entry(key).or_default().push((job.enqueue.end, job.over_from(), *id));
        }
    }
    for (key, mut held) in holders {
        held.retain(|(from, to, _)| from < to);
        held.sort_unstable();
        for pair in held.windows(2) {
            assert!(pair[0].1 < pair[1].0, "{}: C8: {key} held twice: {pair:?}", history.replay);
        }
    }
    for (key, of, span) in &history.refused {
        let holder = &history.jobs[of];
        let unique = crate::spec::spec(key).unique;
        let may = unique.is_some() && holder.spec.unique == unique && holder.enqueue.begin < span.end;
        assert!(may && span.begin < holder.over_by(), "{}: C8: {key} was refused for job={of}", history.replay);
    }
}

/// C4, C5, C13: what certainly stood ready all through a claim does not stay behind one it comes before.
fn best_first(history: &History) {
    for claim in &history.claims {
        let rank = |id: &u64| (-history.jobs[id].spec.priority, *id);
        let ranks: Vec<_> = claim.ids.iter().map(rank).collect();
        assert!(ranks.is_sorted(), "{}: C5: granted out of order: {:?}", history.replay, claim.ids);
        for (id, job) in &history.jobs {
            let before = ranks.last().is_none_or(|last| rank(id) < *last);
            let passed = before && !claim.ids.contains(id) && stood_ready(job, claim);
            assert!(
                !passed || behind_another(history, *id, claim),
                "{}: C4/C5/C13: job={id} stood ready from {} and {:?} was granted in {:?}",
                history.replay,
                job.enqueue.end,
                claim.ids,
                claim.span
            );
        }
    }
}

fn stood_ready(job: &Told, claim: &Look) -> bool {
    let granted = job.runs.iter().map(|run| run.claim.begin);
    let left = granted.chain(job.cancels.iter().map(|(span, _)| span.begin)).min().unwrap_or(u64::MAX);
    job.spec.queue == claim.queue && job.enqueue.end < claim.span.begin && claim.span.end < left
}

/// A job may wait behind an earlier one of its line that has not reached its level yet.
fn behind_another(history: &History, id: u64, claim: &Look) -> bool {
    let job = &history.jobs[&id];
    history.jobs.range(..id).any(|(_, other)| {
        let same_line = (other.spec.queue, other.spec.priority) == (job.spec.queue, job.spec.priority);
        same_line && other.enqueue.begin < claim.span.end && other.enqueue.end > claim.span.begin
    })
}

/// Everything has returned, and the backlog was closed and opened again: C1, C7, C9, C10.
pub(crate) fn at_rest(history: &History, backlog: &Backlog) {
    let replay = &history.replay;
    let mut found: BTreeMap<u64, _> =
        backlog.list(&Filter::new().limit(usize::MAX)).unwrap().into_iter().map(|info| (info.id.0, info)).collect();
    let (mut completed, mut cancelled) = (0, 0);
    let live = found.len() as u64;
    for (id, job) in &history.jobs {
        let shown = format!("{replay}: job={id} {} {:?} {:?}", job.key, job.runs, job.cancels);
        let info = found.remove(id);
        if job.ack().is_some() {
            completed += 1;
            assert!(info.is_none(), "{shown}: C1: there after its ack");
        } else if job.cancelled().is_some() {
            cancelled += 1;
            assert!(info.is_none(), "{shown}: C1: there after its cancel");
        } else {
            let info = info.unwrap_or_else(|| panic!("{shown}: C1: lost"));
            let spent = job.runs.iter().filter(|run| run.spent()).count() as u32;
            assert_eq!((info.attempts, info.max_attempts), (spent, job.spec.max_attempts), "{shown}: C7");
            assert_eq!(info.phase == Phase::Dead, spent == job.spec.max_attempts, "{shown}: C7: {}", info.phase);
            let wanted = (job.spec.queue, job.spec.priority, &job.spec.unique);
            assert_eq!((&*info.queue, info.priority, &info.unique), wanted, "{shown}: C10");
        }
    }
    assert!(found.is_empty(), "{replay}: C1: nobody enqueued {found:?}");
    let counts = backlog.counts();
    assert_eq!(counts.enqueued, history.jobs.len() as u64, "{replay}: C9: {counts:?}");
    assert_eq!((counts.completed, counts.cancelled), (completed, cancelled), "{replay}: C9: {counts:?}");
    assert_eq!(counts.total().live(), live, "{replay}: C9: {counts:?}");
    assert!(backlog.verify().unwrap().is_sound(), "{replay}");
}
