//! One job, run at once, without a queue.

use serde::Serialize;
use serde::de::DeserializeOwned;

use std::sync::Arc;

use super::{Bench, SEGMENT_BYTES};
use crate::clock::ManualClock;
use crate::disk::simulated::SimDisk;
use crate::queue::{Job, Options};
use crate::worker::{Context, Failure, IntoOutcome, Outcome, run_alone};

impl Bench {
    /// Runs the handler with this job at once, on this thread; nothing is enqueued. Gives what the handler answered: its
    /// failure is the caller's, a panic too, and the follow-ups of [`Outcome::DoneThen`] are in the answer.
    ///
    /// The args go through their JSON and back, as they would through a queue. Steps, checkpoints and progress work and
    /// are gone afterwards. The pool's middleware and state are not there: [`drain`](Self::drain) has them. For an async
    /// handler let your executor's `block_on` run it inside.
    ///
    /// ```
    /// # use backlog::testing;
    /// # use backlog::{Context, Failure, Job};
    /// # #[derive(serde::Serialize, serde::Deserialize)] struct Charge { cents: u64 }
    /// # impl Job for Charge { const KIND: &'static str = "charge"; }
    /// fn charge(job: Charge, _: Context) -> Result<(), Failure> {
    ///     if job.cents == 0 { Err(Failure::new("nothing to charge")) } else { Ok(()) }
    /// }
    /// let bench = testing::backlog();
    /// assert!(bench.run_inline(&Charge { cents: 5 }, charge).is_ok());
    /// assert_eq!(bench.run_inline(&Charge { cents: 0 }, charge).unwrap_err().to_string(), "nothing to charge");
    /// bench.assert_not_enqueued::<Charge>();
    /// ```
    ///
    /// # Errors
    /// What the handler failed with. Also: args that cannot be written as JSON or read back, or are too large.
    pub fn run_inline<J, R>(
        &self,
        job: &J,
        handler: impl FnOnce(J, Context) -> Result<R, Failure>,
    ) -> Result<Outcome, Failure>
    where
        J: Job + Serialize + DeserializeOwned,
        R: IntoOutcome,
    {
        // A backlog of its own for what the run keeps; of the same moment.
        let clock = Arc::new(ManualClock::new(self.clock.wall_ms()));
        let options = Options::new().segment_bytes(SEGMENT_BYTES).keys_of(&self.options);
        let aside = super::open(&options, &SimDisk::new(), &clock, self.seed, self.lives)?;
        aside.enqueue(job)?;
        run_alone(aside.as_store(), handler)
    }
}
