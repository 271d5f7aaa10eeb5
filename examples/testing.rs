//! How a program that embeds a backlog tests its own jobs.
//!
//! ```sh
//! cargo run --example testing
//! ```
//!
//! The program under test is a shop: it sells, charges the card, sends a receipt, and reminds of it a day later. Each
//! function below it is one of its tests, and stands for one helper: a handler run at once (`run_inline`), what an
//! action enqueues (`assert_enqueued`), everything that is due (`drain`), time (`advance`, `drain_all`), a full disk and
//! a power cut (`fill_disk`, `crash`), and a crash everywhere (`crash_everywhere`). Nothing touches the real disk, the
//! real clock, or another test.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "an example talks to people and stops where it is wrong; the rules are the library's"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backlog::testing::{self, CrashMode, RunEnd, Tried, crash_everywhere};
use backlog::{Backlog, Backoff, Context, Error, ErrorKind, Failure, Job, JobBuilder, Outcome, Retry, WorkersBuilder};
use serde::{Deserialize, Serialize};

// ---------------------------------------------------------------------------------------------- the program

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Charge {
    sale: u64,
    cents: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SendReceipt {
    sale: u64,
}

impl Job for Charge {
    const KIND: &'static str = "charge";
    const QUEUE: &'static str = "billing";
    const MAX_ATTEMPTS: u32 = 3;
    const BACKOFF: Backoff = Backoff::Fixed { delay: Duration::from_secs(60) };
}

impl Job for SendReceipt {
    const KIND: &'static str = "send_receipt";
    const QUEUE: &'static str = "mail";
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The payment provider: outside, and not to be trusted to answer.
#[derive(Clone, Default)]
struct Bank(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    /// By idempotency key.
    charged: BTreeMap<String, u64>,
    /// So often it does not answer.
    down: u32,
}

impl Bank {
    fn charge(&self, key: &str, cents: u64) -> Result<(), Failure> {
        let mut books = self.0.lock().unwrap();
        if books.down > 0 {
            books.down -= 1;
            return Err(Failure::new("the bank does not answer"));
        }
        if cents > 100_000 {
            return Err(Failure::new("declined").then(Retry::Bury));
        }
        books.charged.insert(key.to_owned(), cents);
        Ok(())
    }

    fn charges(&self) -> usize {
        self.0.lock().unwrap().charged.len()
    }
}

/// What the web server does.
fn sell(backlog: &Backlog, sale: u64, cents: u64) -> Result<(), Error> {
    backlog.job(&Charge { sale, cents }).unique(format!("sale:{sale}")).enqueue().map(drop)
}

fn charge(job: &Charge, cx: &Context, bank: &Bank) -> Result<Outcome, Failure> {
    bank.charge(cx.idempotency_key(), job.cents)?;
    let receipt = SendReceipt { sale: job.sale };
    let reminder = JobBuilder::new(&SendReceipt { sale: job.sale }).delay(DAY);
    Ok(Outcome::DoneThen(vec![JobBuilder::new(&receipt), reminder]))
}

/// What `main` would start.
fn workers(backlog: &Backlog, bank: &Bank) -> WorkersBuilder {
    let bank = bank.clone();
    backlog
        .workers()
        .handle(move |job: Charge, cx: Context| charge(&job, &cx, &bank))
        .handle(|_: SendReceipt, _| Ok(()))
}

// ---------------------------------------------------------------------------------------------- its tests

/// A handler alone, with no queue around it.
fn a_declined_card_is_the_callers_error() {
    let (bench, bank) = (testing::backlog(), Bank::default());
    let declined = bench.run_inline(&Charge { sale: 7, cents: 100_001 }, |job, cx| charge(&job, &cx, &bank));
    assert_eq!(declined.unwrap_err().to_string(), "declined");
    let charged = bench.run_inline(&Charge { sale: 7, cents: 500 }, |job, cx| charge(&job, &cx, &bank));
    assert!(matches!(charged, Ok(Outcome::DoneThen(then)) if then.len() == 2), "a receipt and a reminder");
    assert_eq!(bank.charges(), 1);
}

/// What an action of the program leaves to be done.
fn a_sale_is_charged_once_however_often_the_button_is_pressed() -> Result<(), Error> {
    let bench = testing::backlog();
    sell(&bench, 7, 500)?;
    sell(&bench, 7, 500)?;
    bench.assert_enqueued::<Charge>().queue("billing").args(|job| job.cents == 500).count(1);
    bench.assert_not_enqueued::<SendReceipt>();
    assert_eq!(bench.enqueued::<Charge>(), [Charge { sale: 7, cents: 500 }]);
    Ok(())
}

/// Everything that is due, and what follows from it.
fn a_charge_is_followed_by_its_receipt_and_a_day_later_by_a_reminder() -> Result<(), Error> {
    let (bench, bank) = (testing::backlog(), Bank::default());
    sell(&bench, 7, 500)?;
    let drained = bench.drain(workers(&bench, &bank))?.all_completed();
    assert_eq!(drained.runs.iter().map(|run| run.kind.as_str()).collect::<Vec<_>>(), ["charge", "send_receipt"]);
    bench.assert_enqueued::<SendReceipt>().at(bench.now() + DAY).count(1);
    bench.advance(DAY)?;
    assert_eq!(bench.drain(workers(&bench, &bank))?.completed(), 1);
    Ok(())
}

/// Failures, without waiting for them.
fn a_bank_that_is_down_is_asked_again_and_given_up_in_the_end() -> Result<(), Error> {
    let (bench, bank) = (testing::backlog(), Bank::default());
    bank.0.lock().unwrap().down = 1;
    sell(&bench, 7, 500)?;
    let first = bench.drain(workers(&bench, &bank).queues(["billing"]))?;
    assert!(matches!(&first.runs[0].end, RunEnd::Failed { error, .. } if error == "the bank does not answer"));
    assert_eq!(bench.drain_all(workers(&bench, &bank))?.all_completed().len(), 3);
    assert_eq!(bank.charges(), 1);

    bank.0.lock().unwrap().down = 3;
    sell(&bench, 8, 500)?;
    let attempts = bench.drain_all(workers(&bench, &bank))?;
    assert_eq!((attempts.len(), attempts.completed()), (3, 0));
    assert_eq!(attempts.runs[2].end, RunEnd::Dead { why: "the bank does not answer".into() });
    Ok(())
}

/// The machine, on a bad day.
fn a_full_disk_is_told_to_the_customer_and_a_power_cut_takes_no_sale() -> Result<(), Error> {
    let (mut bench, bank) = (testing::backlog(), Bank::default());
    sell(&bench, 7, 500)?;
    bench.fill_disk()?;
    assert_eq!(sell(&bench, 8, 500).unwrap_err().kind(), ErrorKind::Full);
    bench.free_disk()?;
    bench.crash(CrashMode::DropUnsynced)?;
    assert_eq!(bench.enqueued::<Charge>(), [Charge { sale: 7, cents: 500 }]);
    let _ = bench.drain(workers(&bench, &bank))?.all_completed();
    Ok(())
}

/// And a crash before, after and inside every operation on the disk.
fn wherever_the_process_dies_a_sale_is_charged_once() -> Tried {
    crash_everywhere(|scenario| {
        let (bank, sold) = (Bank::default(), Cell::new(false));
        let work = |backlog: &Backlog| scenario.drain(workers(backlog, &bank)).map(drop).map_err(Failure::from);
        scenario.run(|backlog| {
            sell(backlog, 7, 500)?;
            sold.set(true);
            work(backlog)
        })?;
        scenario.finish(work)?;
        match bank.charges() {
            1 => Ok(()),
            0 if !sold.get() => Ok(()),
            n => Err(Failure::new(format!("charges={n} sold={}", sold.get()))),
        }
    })
}

/// All of them.
pub(crate) fn run() -> Tried {
    a_declined_card_is_the_callers_error();
    a_sale_is_charged_once_however_often_the_button_is_pressed().unwrap();
    a_charge_is_followed_by_its_receipt_and_a_day_later_by_a_reminder().unwrap();
    a_bank_that_is_down_is_asked_again_and_given_up_in_the_end().unwrap();
    a_full_disk_is_told_to_the_customer_and_a_power_cut_takes_no_sale().unwrap();
    wherever_the_process_dies_a_sale_is_charged_once()
}

#[allow(dead_code, reason = "as a test it is called by its run()")]
fn main() {
    let tried = run();
    println!("inline, enqueued, drained, retried, full and cut off: as expected");
    println!("a crash everywhere: {tried}: one charge for one sale each time");
}
