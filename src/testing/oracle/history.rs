//! The states an interrupted backlog may come back in: one after each operation since the last that must be there.

use super::Violation;
use super::queue::Queue;
use super::view::View;

/// The number of an operation, in the order of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Op(u64);

/// What a returned call stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The operating system has it: it survives the end of the process.
    Written,
    /// The disk has it: it survives a power cut.
    Synced,
}

/// What ended the backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The process ended; the operating system lived on.
    Process,
    /// The power was cut.
    Power,
}

/// A state and the operation that led to it.
#[derive(Debug, Clone, Default)]
struct Step {
    op: Op,
    what: &'static str,
    after: Queue,
}

/// The steps that may still be lost, behind the last that may not.
#[derive(Debug, Clone)]
pub(super) struct History {
    steps: Vec<Step>,
    written: Op,
    synced: Op,
}

impl Default for History {
    fn default() -> Self {
        Self { steps: vec![Step { what: "start", ..Step::default() }], written: Op(0), synced: Op(0) }
    }
}

impl History {
    /// Goes on from `after`: nothing that led to it can be lost any more. Numbers go on too.
    pub(super) fn restart(&mut self, after: &Queue) {
        self.push("open", after);
        self.acknowledge(self.last_op(), Level::Synced);
    }

    pub(super) fn last_op(&self) -> Op {
        self.steps.last().map_or(self.synced, |step| step.op)
    }

    pub(super) fn next_op(&self) -> Op {
        Op(self.last_op().0 + 1)
    }

    pub(super) fn push(&mut self, what: &'static str, after: &Queue) {
        self.steps.push(Step { op: self.next_op(), what, after: after.clone() });
    }

    pub(super) fn acknowledge(&mut self, op: Op, level: Level) {
        let op = op.min(self.last_op());
        self.written = self.written.max(op);
        if level == Level::Synced {
            self.synced = self.synced.max(op);
            self.steps.retain(|step| step.op >= self.synced);
        }
    }

    /// Whether what was accepted by `op` at `level` is known to have reached it.
    pub(super) fn has_reached(&self, op: Op, level: Level) -> bool {
        op <= match level {
            Level::Written => self.written,
            Level::Synced => self.synced,
        }
    }

    /// The state that `found` shows: after some operation, none of those that must survive `fault` missing.
    pub(super) fn recover(&self, found: &View, fault: Fault) -> Result<Queue, Violation> {
        let must = match fault {
            Fault::Process => self.written,
            Fault::Power => self.synced,
        };
        let allowed = || self.steps.iter().rev().filter(|step| step.op >= must);
        let match_of = allowed().map(|step| step.after.interrupted()).find(|queue| queue.view() == *found);
        match_of.ok_or_else(|| self.explain(found, must))
    }

    /// Why no allowed state is the one found.
    fn explain(&self, found: &View, must: Op) -> Violation {
        let allowed: Vec<&Step> = self.steps.iter().filter(|step| step.op >= must).collect();
        for id in found.jobs.keys() {
            if !allowed.iter().any(|step| step.after.jobs.contains_key(id)) {
                return Violation::new(format!("C1: job={id} is there after its end, or was never accepted"));
            }
        }
        let kept = allowed.first().map(|step| step.after.interrupted().view()).unwrap_or_default();
        for id in kept.jobs.keys() {
            let is_kept = |step: &&Step| step.after.interrupted().view().jobs.contains_key(id);
            if !found.jobs.contains_key(id) && allowed.iter().all(is_kept) {
                return Violation::new(format!("C1: job={id} is lost"));
            }
        }
        let each = allowed.iter().map(|step| {
            let difference = step.after.interrupted().view().difference(found).unwrap_or_default();
            format!("\n  after {:?} ({}): {difference}", step.op, step.what)
        });
        Violation::new(format!("C2: the state after no allowed prefix was found{}", each.collect::<String>()))
    }
}
