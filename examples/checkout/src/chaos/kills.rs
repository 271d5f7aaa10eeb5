//! When the shop is killed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Plan, order_of};
use crate::provider::{What, refuses};

/// The n-th moment of a kind, and which of them are kills.
pub(super) struct Kills {
    at: BTreeSet<(What, usize)>,
    passed: BTreeMap<What, usize>,
    done: usize,
}

impl Kills {
    /// Spread over the sales; each kind of moment has some.
    pub(super) fn planned(plan: Plan) -> Self {
        let declined = (0..plan.sales).filter(|n| refuses(plan.seed, &order_of(*n)).is_some()).count();
        let charged = plan.sales - declined;
        // In parts of a hundred, so that every kill falls before the end.
        let moments = [
            (What::Charged, charged, [10, 40, 70].as_slice()),
            (What::Receipted, charged, [25, 60].as_slice()),
            (What::Declined, declined, [30, 80].as_slice()),
            (What::Accepted, plan.sales, [35, 85].as_slice()),
        ];
        let at = moments.into_iter().filter(|(_, all, _)| *all > 0);
        let at = at.flat_map(|(what, all, parts)| parts.iter().map(move |part| (what, (all * part / 100).max(1))));
        Self { at: at.collect(), passed: BTreeMap::new(), done: 0 }
    }

    /// Counts the moment; its number, if the shop is to die at it.
    pub(super) fn is_due(&mut self, what: What) -> Option<usize> {
        let nth = self.passed.entry(what).or_default();
        *nth += 1;
        let due = self.at.contains(&(what, *nth)).then_some(*nth);
        self.done += usize::from(due.is_some());
        due
    }

    pub(super) fn done(&self) -> usize {
        self.done
    }

    pub(super) fn planned_count(&self) -> usize {
        self.at.len()
    }
}
