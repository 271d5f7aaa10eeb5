//! A donation: charge the card, keep a token of it for the next time, send the receipt.
//!
//! ```sh
//! cargo run --example donation
//! ```
//!
//! Once as three jobs, each handing on to the next in the commit of its own end; once as one job with durable steps.
//! Then both again with a crash before and after every disk operation, and every image of the disk that can leave: the
//! bank has charged once, and nothing was done again once its successor had begun.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "an example talks to people and stops where it is wrong; the rules are the library's"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use backlog::testing::{Scenario, Tried, crash_everywhere};
use backlog::{Backlog, Context, Failure, Job, JobBuilder, Outcome, WorkersBuilder};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone)]
struct Charge {
    donor: String,
    cents: u64,
}

#[derive(Serialize, Deserialize)]
struct Tokenise {
    donor: String,
    payment: u64,
}

#[derive(Serialize, Deserialize)]
struct SendReceipt {
    donor: String,
    payment: u64,
}

#[derive(Serialize, Deserialize, Clone)]
struct Donate {
    donor: String,
    cents: u64,
}

impl Job for Charge {
    const KIND: &'static str = "charge";
}
impl Job for Tokenise {
    const KIND: &'static str = "tokenise";
}
impl Job for SendReceipt {
    const KIND: &'static str = "send_receipt";
}
impl Job for Donate {
    const KIND: &'static str = "donate";
}

/// The bank and the mail server: they stay where they are when the program dies.
#[derive(Clone, Default)]
struct Outside(Arc<Mutex<Done>>);

#[derive(Default)]
struct Done {
    /// Payments by idempotency key: the same key is the same payment.
    charged: BTreeMap<String, u64>,
    /// What was asked for, in order.
    asked: Vec<&'static str>,
}

impl Outside {
    fn charge(&self, key: &str, cents: u64) -> u64 {
        let mut done = self.0.lock().unwrap();
        done.asked.push("charge");
        *done.charged.entry(key.to_owned()).or_insert(cents)
    }

    fn tokenise(&self, _payment: u64) -> u64 {
        self.0.lock().unwrap().asked.push("tokenise");
        4711
    }

    fn send(&self, _donor: &str) {
        self.0.lock().unwrap().asked.push("receipt");
    }

    /// One charge, and no step behind the first of its successors.
    fn is_right(&self, donated: bool) -> Result<(), Failure> {
        let done = self.0.lock().unwrap();
        let first = |what| done.asked.iter().position(|asked| *asked == what);
        let last = |what| done.asked.iter().rposition(|asked| *asked == what);
        let (asked, charges) = (&done.asked, done.charged.len());
        if donated && (charges != 1 || first("receipt").is_none()) {
            return Err(Failure::new(format!("donated, but charges={charges} and asked={asked:?}")));
        }
        let in_order = |before, after| first(after).is_none_or(|after| last(before) < Some(after));
        if charges > 1 || !in_order("charge", "tokenise") || !in_order("tokenise", "receipt") {
            return Err(Failure::new(format!("done again: charges={charges} asked={asked:?}")));
        }
        Ok(())
    }
}

/// Three jobs: the end of one and the next one are a single commit.
fn chained(backlog: &Backlog, outside: &Outside) -> WorkersBuilder {
    let (bank, vault, mail) = (outside.clone(), outside.clone(), outside.clone());
    backlog
        .workers()
        .handle(move |job: Charge, cx: Context| {
            let payment = bank.charge(cx.idempotency_key(), job.cents);
            Ok(Outcome::DoneThen(vec![JobBuilder::new(&Tokenise { donor: job.donor, payment })]))
        })
        .handle(move |job: Tokenise, _| {
            vault.tokenise(job.payment);
            Ok(Outcome::DoneThen(vec![JobBuilder::new(&SendReceipt { donor: job.donor, payment: job.payment })]))
        })
        .handle(move |job: SendReceipt, _| {
            mail.send(&job.donor);
            Ok(())
        })
}

/// One job: the value of each step is on disk before the next one begins.
fn in_steps(backlog: &Backlog, outside: &Outside) -> WorkersBuilder {
    let outside = outside.clone();
    backlog.workers().handle(move |job: Donate, cx: Context| {
        let payment: u64 = cx.step("charge", || Ok(outside.charge(cx.idempotency_key(), job.cents)))?;
        cx.step("tokenise", || Ok(outside.tokenise(payment)))?;
        cx.step("receipt", || {
            outside.send(&job.donor);
            Ok(())
        })
    })
}

/// Donates once, with a crash anywhere, and looks at the bank.
fn with_every_crash<J: Job + Serialize>(job: &J, workers: impl Fn(&Backlog, &Outside) -> WorkersBuilder) -> Tried {
    crash_everywhere(|scenario: &Scenario| {
        let (donated, outside) = (Cell::new(false), Outside::default());
        let work = |backlog: &Backlog| scenario.drain(workers(backlog, &outside)).map(drop).map_err(Failure::from);
        scenario.run(|backlog| {
            backlog.enqueue(job)?;
            donated.set(true);
            work(backlog)
        })?;
        scenario.finish(work)?;
        outside.is_right(donated.get())
    })
}

/// Both ways, with every crash.
pub(crate) fn run() -> (Tried, Tried) {
    let (donor, cents) = ("Ada".to_owned(), 2_500);
    let in_three = with_every_crash(&Charge { donor: donor.clone(), cents }, chained);
    let in_one = with_every_crash(&Donate { donor, cents }, in_steps);
    (in_three, in_one)
}

#[allow(dead_code, reason = "as a test it is called by its run()")]
fn main() {
    let (in_three, in_one) = run();
    println!("three chained jobs:    {in_three}");
    println!("one job of three steps: {in_one}");
    println!("one charge for one donation each time, and no step done again behind the next one");
}
