//! Crashes in the middle of a history: what had returned by then stands, what had not begun is not there.

use std::collections::BTreeMap;

use backlog::testing::{CrashMode, Replayer, SimDisk};
use backlog::{Backlog, Cancelled, Durability, Filter, JobInfo};

use crate::actor::Verdict;
use crate::history::{History, Run, Told};

/// Cuts of one history.
const CUTS: usize = 20;

/// Opens what crashes at some operations leave; gives how many images.
pub(crate) fn judge(
    history: &History,
    mut trace: Replayer,
    ops: usize,
    seed: u64,
    open: impl Fn(&SimDisk) -> Backlog,
) -> u64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut cuts: Vec<usize> = (0..CUTS).map(|_| rng.usize(..=ops)).collect();
    cuts.sort_unstable();
    let mut images = 0;
    for cut in cuts {
        trace.advance_to(cut);
        let cut = trace.cut();
        let seed = seed ^ cut as u64;
        let torn = [CrashMode::Torn { seed }, CrashMode::Subset { seed }, CrashMode::SizeKept { seed }][cut % 3];
        for mode in [CrashMode::KeepAll, CrashMode::DropUnsynced, torn] {
            let shown = format!("{}: cut={cut} mode={mode:?}", history.replay);
            let backlog = open(&trace.image(mode));
            let found = backlog.list(&Filter::new().limit(usize::MAX)).unwrap();
            let found: BTreeMap<u64, JobInfo> = found.into_iter().map(|info| (info.id.0, info)).collect();
            Cut { ops: cut, kept: mode == CrashMode::KeepAll, shown }.judge(history, &found);
            images += 1;
        }
    }
    images
}

struct Cut {
    ops: usize,
    /// The process died and nothing was lost.
    kept: bool,
    shown: String,
}

impl Cut {
    fn judge(&self, history: &History, found: &BTreeMap<u64, JobInfo>) {
        for id in found.keys() {
            assert!(history.jobs.contains_key(id), "{}: C1: nobody enqueued job={id}", self.shown);
        }
        for (id, job) in &history.jobs {
            let shown = format!("{}: job={id} {} {:?} {:?}", self.shown, job.key, job.runs, job.cancels);
            match found.get(id) {
                Some(info) => self.stands(job, info, &shown),
                None => assert!(!self.must_stand(job), "{shown}: C1: lost, of {:?}", job.enqueue),
            }
            let there = job.batch.iter().filter(|id| found.contains_key(id)).count();
            let over = job.batch.iter().filter(|id| self.may_be_over(&history.jobs[id])).count();
            assert!(there == 0 || there + over >= job.batch.len(), "{shown}: C15: {there} of {:?}", job.batch);
        }
    }

    fn returned(&self, ops: (usize, usize)) -> bool {
        ops.1 <= self.ops
    }

    fn begun(&self, ops: (usize, usize)) -> bool {
        ops.0 < self.ops
    }

    fn must_stand(&self, job: &Told) -> bool {
        let reached = self.kept || job.spec.durability == Durability::Sync;
        reached && self.returned(job.enqueue.ops) && !self.may_be_over(job)
    }

    fn may_be_over(&self, job: &Told) -> bool {
        job.ack().is_some_and(|run| self.begun(run.settle.ops))
            || job.cancels.iter().any(|(span, answer)| *answer != Cancelled::NotLive && self.begun(span.ops))
    }

    fn stands(&self, job: &Told, info: &JobInfo, shown: &str) {
        assert!(self.begun(job.enqueue.ops), "{shown}: C1: there before its enqueue began: {:?}", job.enqueue);
        let acked = job.ack().is_some_and(|run| self.returned(run.settle.ops));
        let done = |answer: &Cancelled| *answer == Cancelled::Done || (self.kept && *answer == Cancelled::Requested);
        let cancelled = job.cancels.iter().any(|(span, answer)| done(answer) && self.returned(span.ops));
        assert!(!acked && !cancelled, "{shown}: C1: there after its end");
        let wanted = (job.spec.queue, job.spec.priority, &job.spec.unique);
        assert_eq!((&*info.queue, info.priority, &info.unique), wanted, "{shown}: C10");
        let (least, most) = self.attempts(&job.runs);
        assert!((least..=most).contains(&info.attempts), "{shown}: P6: attempts={} of {least}..={most}", info.attempts);
    }

    /// Exact after the death of a process but for calls under way; after a power cut never too high.
    fn attempts(&self, runs: &[Run]) -> (u32, u32) {
        let released = |run: &Run| run.ended_by(Verdict::Release);
        let most =
            runs.iter().filter(|run| self.begun(run.claim.ops) && !(released(run) && self.returned(run.settle.ops)));
        let least = runs
            .iter()
            .filter(|run| self.kept && self.returned(run.claim.ops) && !(released(run) && self.begun(run.settle.ops)));
        (least.count() as u32, most.count() as u32)
    }
}
