//! In which order a pool asks its queues.
//!
//! Weights are kept by fair queueing: each queue has a clock that a granted job moves on by one over its weight, and the
//! queue whose clock is furthest behind is asked first. So over time the shares are as the weights say, whatever the
//! size of a claim; a queue that was empty for a while starts at the clock of those who were not, and catches nothing up.
//!
//! # Invariants
//! * A queue that has nothing ready never keeps another waiting.
//!
//! Never here: claiming (`pool`), limits (`engine::limits`).

use crate::engine::Grant;
use crate::sync::Mutex;

/// The queues of a pool.
#[derive(Debug)]
pub(super) enum Order {
    /// The second only when the first has nothing ready; none: every queue, by name.
    Strict(Vec<String>),
    Weighted(Mutex<Vec<Share>>),
}

#[derive(Debug, Clone)]
pub(super) struct Share {
    queue: String,
    weight: u32,
    /// Jobs granted so far, by weight.
    clock: f64,
}

impl Order {
    pub(super) fn weighted(queues: Vec<(String, u32)>) -> Self {
        let shares = queues.into_iter().map(|(queue, weight)| Share { queue, weight, clock: 0.0 }).collect();
        Self::Weighted(Mutex::new(shares))
    }

    /// The order of the next claim.
    pub(super) fn next(&self) -> Vec<String> {
        match self {
            Self::Strict(queues) => queues.clone(),
            Self::Weighted(shares) => {
                let mut shares = shares.lock().clone();
                // Stable: queues that are even stand in the order they were named.
                shares.sort_by(|a, b| a.clock.total_cmp(&b.clock));
                shares.into_iter().map(|share| share.queue).collect()
            }
        }
    }

    /// These were granted to a claim that asked in `asked`'s order.
    pub(super) fn granted(&self, asked: &[String], grants: &[Grant]) {
        let Self::Weighted(shares) = self else { return };
        let mut shares = shares.lock();
        let Some(last) = grants.last() else { return };
        // All before the last one that gave something have nothing left.
        let reached = asked.iter().position(|queue| *queue == last.envelope.queue).unwrap_or_default();
        let is_empty = |queue: &String| asked.iter().take(reached).any(|asked| asked == queue);
        for grant in grants {
            if let Some(share) = shares.iter_mut().find(|share| share.queue == grant.envelope.queue) {
                share.clock += planted!(WeightsIgnored, 1.0, 1.0 / f64::from(share.weight));
            }
        }
        let slowest = shares.iter().filter(|share| !is_empty(&share.queue)).map(|share| share.clock);
        let slowest = slowest.min_by(f64::total_cmp).unwrap_or_default();
        for share in shares.iter_mut() {
            share.clock = share.clock.max(slowest);
        }
        // Only differences count, and small numbers keep their fractions.
        let least = shares.iter().map(|share| share.clock).min_by(f64::total_cmp).unwrap_or_default();
        for share in shares.iter_mut() {
            share.clock -= least;
        }
    }
}

#[cfg(all(test, not(backlog_shuttle)))]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ids::{JobId, Millis, Token};
    use crate::job::Envelope;

    fn grant(queue: &str) -> Grant {
        let mut envelope = Envelope::new("kind", Millis(0));
        envelope.queue = queue.to_owned();
        let token = Token { epoch: 1, counter: 1 };
        Grant {
            id: JobId(1),
            token,
            attempt: 1,
            envelope,
            args: Vec::new(),
            opened: None,
            idempotency_key: String::new(),
        }
    }

    /// Claims up to `n` from what each queue has, in the order asked.
    fn claim(order: &Order, ready: &mut BTreeMap<&str, usize>, n: usize) -> Vec<Grant> {
        let asked = order.next();
        let mut grants = Vec::new();
        for queue in &asked {
            let Some(left) = ready.get_mut(queue.as_str()) else { continue };
            let taken = (*left).min(n - grants.len());
            *left -= taken;
            grants.extend(std::iter::repeat_n(grant(queue), taken));
        }
        order.granted(&asked, &grants);
        grants
    }

    fn count(grants: &[Grant], queue: &str) -> usize {
        grants.iter().filter(|grant| grant.envelope.queue == queue).count()
    }

    fn critical_and_low() -> Order {
        Order::weighted(vec![("critical".into(), 3), ("low".into(), 1)])
    }

    #[test]
    fn shares_are_as_the_weights_say_whatever_the_size_of_a_claim() {
        for n in [1, 2, 7, 64] {
            let order = critical_and_low();
            let mut ready = BTreeMap::from([("critical", 100_000), ("low", 100_000)]);
            let grants: Vec<Grant> = (0..400).flat_map(|_| claim(&order, &mut ready, n)).collect();
            let (critical, low) = (count(&grants, "critical"), count(&grants, "low"));
            assert!((critical / n).abs_diff(300) <= 2, "n={n}: critical={critical} low={low}");
        }
    }

    #[test]
    fn a_queue_that_was_empty_catches_nothing_up_and_keeps_nobody_waiting() {
        let order = critical_and_low();
        let mut ready = BTreeMap::from([("low", 10_000)]);
        for _ in 0..1_000 {
            assert_eq!(count(&claim(&order, &mut ready, 1), "low"), 1, "it has all of it");
        }
        ready.insert("critical", 10_000);
        let grants: Vec<Grant> = (0..40).flat_map(|_| claim(&order, &mut ready, 1)).collect();
        assert!(count(&grants, "low").abs_diff(10) <= 2, "low={}", count(&grants, "low"));
    }
}
