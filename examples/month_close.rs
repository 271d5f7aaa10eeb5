//! The end of a month: an invoice, a payment and an e-mail for each of 10,000 users, and a closing report.
//!
//! ```sh
//! cargo run --release --example month_close            # or with another number of users behind it
//! ```
//!
//! Everything is enqueued first, in commits of 1,000, and then processed: one group with a report on completion, the
//! banks asked no faster than each of them allows, a declined card handed to whoever deals with those. At the end the
//! books are held against what the banks counted, the month is closed a second time, which charges nobody, and the wall
//! time stands beside the same work done in sequence.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "an example talks to people and stops where it is wrong; the rules are the library's"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use backlog::{Backlog, Backoff, Context, Failure, Job, JobBuilder, Limits, Outcome, Retry, Unique, WorkersBuilder};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

const USERS: u64 = 10_000;
const MONTH: &str = "2026-11";
const BANKS: [&str; 3] = ["north", "south", "coast"];
const SEED: u64 = 7;
/// How long a bank takes to answer.
const ANSWER: Duration = Duration::from_micros(500);
/// What each bank lets us ask, in a second.
const ASKS_PER_SECOND: u32 = 5_000;

#[derive(Serialize, Deserialize)]
struct Invoice {
    user: u64,
}

#[derive(Serialize, Deserialize)]
struct Charge {
    user: u64,
    cents: u64,
}

#[derive(Serialize, Deserialize)]
struct Email {
    user: u64,
    text: String,
}

/// A card was declined: somebody talks to its owner.
#[derive(Serialize, Deserialize)]
struct AskForAnotherCard {
    user: u64,
    cents: u64,
}

#[derive(Serialize, Deserialize)]
struct Close {
    month: String,
}

impl Job for Invoice {
    const KIND: &'static str = "invoice";
}
impl Job for Charge {
    const KIND: &'static str = "charge";
    const QUEUE: &'static str = "banks";
    const BACKOFF: Backoff = Backoff::Fixed { delay: Duration::from_millis(5) };
}
impl Job for Email {
    const KIND: &'static str = "email";
}
impl Job for AskForAnotherCard {
    const KIND: &'static str = "ask_for_another_card";
}
impl Job for Close {
    const KIND: &'static str = "close_month";
    const QUEUE: &'static str = "reports";
}

/// The banks and the mail server: what they saw.
#[derive(Default)]
struct Outside(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    /// By idempotency key: the same key is the same payment.
    payments: BTreeMap<String, (u64, u64)>,
    asks: BTreeMap<String, u32>,
    emails: u64,
    cards_asked_for: u64,
}

/// What a bank says when it does not pay.
#[derive(Debug)]
enum Refused {
    /// It has a bad moment: ask again.
    Unavailable,
    /// It will not, ever.
    Declined,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the bank answered 500",
            Self::Declined => "the card was declined",
        })
    }
}

impl std::error::Error for Refused {}

fn bank_of(user: u64) -> &'static str {
    BANKS[usize::try_from(user).unwrap() % BANKS.len()]
}

/// Drawn from the seed: the same for a user whenever he is asked.
fn mood(user: u64) -> u64 {
    fastrand::Rng::with_seed(SEED ^ user).u64(..100)
}

fn is_declined(user: u64) -> bool {
    mood(user) == 0
}

fn cents_of(user: u64) -> u64 {
    500 + user % 1_000
}

impl Outside {
    fn charge(&self, key: &str, user: u64, cents: u64) -> Result<(), Refused> {
        thread::sleep(ANSWER);
        let mut seen = self.0.lock().unwrap();
        let asks = seen.asks.entry(key.to_owned()).or_default();
        *asks += 1;
        let first = *asks == 1;
        match mood(user) {
            0 => Err(Refused::Declined),
            1..=3 if first => Err(Refused::Unavailable),
            // It takes the money, and its answer is lost on the way.
            4 | 5 if first => {
                seen.payments.insert(key.to_owned(), (user, cents));
                Err(Refused::Unavailable)
            }
            _ => {
                seen.payments.insert(key.to_owned(), (user, cents));
                Ok(())
            }
        }
    }
}

/// What the closing job found.
struct Report {
    month: String,
    payments: u64,
    cents: u64,
}

fn workers(backlog: &Backlog, outside: &Arc<Outside>, closed: Sender<Report>) -> WorkersBuilder {
    backlog
        .workers()
        .with_state(Arc::clone(outside))
        .handle(|job: Invoice, cx: Context| {
            let charge = JobBuilder::new(&Charge { user: job.user, cents: cents_of(job.user) })
                .limit_key(bank_of(job.user))
                .unique(format!("{MONTH}:{}", job.user));
            Ok(Outcome::DoneThen(vec![with_group(charge, &cx)]))
        })
        .handle(|job: Charge, cx: Context| {
            let outside = cx.state::<Arc<Outside>>()?;
            let next = match outside.charge(cx.idempotency_key(), job.user, job.cents) {
                Ok(()) => JobBuilder::new(&Email { user: job.user, text: format!("paid: {} cents", job.cents) }),
                Err(Refused::Declined) => JobBuilder::new(&AskForAnotherCard { user: job.user, cents: job.cents }),
                Err(unavailable) => return Err(unavailable.into()),
            };
            Ok(Outcome::DoneThen(vec![with_group(next, &cx)]))
        })
        .handle(|_: Email, cx: Context| {
            cx.state::<Arc<Outside>>()?.0.lock().unwrap().emails += 1;
            Ok(())
        })
        .handle(|_: AskForAnotherCard, cx: Context| {
            cx.state::<Arc<Outside>>()?.0.lock().unwrap().cards_asked_for += 1;
            Ok(())
        })
        .handle(move |job: Close, cx: Context| {
            let seen = cx.state::<Arc<Outside>>()?.0.lock().unwrap();
            let cents = seen.payments.values().map(|(_, cents)| cents).sum();
            let report = Report { month: job.month, payments: seen.payments.len() as u64, cents };
            closed.send(report).map_err(|e| Failure::new(e.to_string()))
        })
        // A bank's bad moment is no reason to give up; anything else takes its own backoff.
        .retry(|failure, _| failure.downcast_ref::<Refused>().map(|_| Retry::In(Duration::from_millis(5))))
        .concurrency(16)
}

/// What follows from a member is a member too: the month is not closed before it is done.
fn with_group(job: JobBuilder, cx: &Context) -> JobBuilder {
    match cx.group() {
        Some(group) => job.group(group),
        None => job,
    }
}

/// Closes the month. How many invoices were new, and how long it took from the first enqueue to the report.
fn close_month(dir: &Path, users: u64, outside: &Arc<Outside>, bar: &ProgressBar) -> (usize, Option<Report>, Duration) {
    let backlog = Backlog::open(dir).unwrap();
    let limits = Limits::new().key_concurrency(8).key_rate(ASKS_PER_SECOND, Duration::from_secs(1));
    backlog.limit("banks", limits).unwrap();
    let (closed, report) = channel();
    let began = Instant::now();

    // First everything is on disk. A day later these keys are still taken: nobody is billed twice for a month.
    let group = backlog.group().on_complete(JobBuilder::new(&Close { month: MONTH.to_owned() })).open().unwrap().id;
    let all: Vec<u64> = (0..users).collect();
    let mut new = 0;
    for users in all.chunks(1_000) {
        let invoice = |user: &u64| {
            let once = Unique::key(format!("{MONTH}:{user}")).within(Duration::from_secs(90 * 24 * 3_600));
            JobBuilder::new(&Invoice { user: *user }).unique(once).group(group)
        };
        let accepted = backlog.enqueue_all(users.iter().map(invoice)).unwrap();
        new += accepted.iter().filter(|one| one.is_new()).count();
    }
    backlog.seal_group(group).unwrap();

    // Then it is worked.
    let pool = workers(&backlog, outside, closed).start().unwrap();
    let report = watch(&backlog, group, &report, bar);
    let took = began.elapsed();
    pool.stop(Duration::from_secs(25)).unwrap();
    backlog.close().unwrap();
    (new, report, took)
}

/// The bar follows the group until the report is there.
fn watch(backlog: &Backlog, group: backlog::GroupId, report: &Receiver<Report>, bar: &ProgressBar) -> Option<Report> {
    loop {
        let report = report.recv_timeout(Duration::from_millis(100));
        let status = backlog.group_status(group).unwrap();
        bar.set_length(status.total.max(1));
        bar.set_position(status.succeeded);
        match report {
            Ok(report) => return Some(report),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// The same calls one after the other, the way a script would do it.
fn in_sequence(users: u64) -> Duration {
    let outside = Outside::default();
    let began = Instant::now();
    for user in 0..users {
        let key = format!("{MONTH}:{user}");
        while let Err(Refused::Unavailable) = outside.charge(&key, user, cents_of(user)) {}
    }
    began.elapsed()
}

/// What came of it, for the test beside the other examples.
pub(crate) struct Closed {
    /// Users who were invoiced.
    pub(crate) invoiced: usize,
    /// Users who were invoiced again when the month was closed a second time.
    pub(crate) invoiced_again: usize,
}

/// Closes the month of so many users, twice, and holds the books against what the banks and the mail server saw.
pub(crate) fn run(users: u64) -> Closed {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("jobs");
    let outside = Arc::new(Outside::default());
    let style = "{bar:40} {pos} of {len} jobs done, {elapsed}";
    let bar = ProgressBar::new(users).with_style(ProgressStyle::with_template(style).unwrap());
    let (invoiced, report, took) = close_month(&dir, users, &outside, &bar);
    bar.finish();
    let report = report.expect("the group is complete: its report has run");

    let declined = (0..users).filter(|user| is_declined(*user)).count() as u64;
    println!(
        "{}: {} payments, {}.{:02} in all, {declined} cards declined",
        report.month,
        report.payments,
        report.cents / 100,
        report.cents % 100
    );
    check_the_books(&outside, users, declined);
    let alone = in_sequence(users);
    println!("{took:.1?} with 16 workers and every step on disk; {alone:.1?} in sequence, with nothing kept");

    let (invoiced_again, _, _) = close_month(&dir, users, &outside, &ProgressBar::hidden());
    check_the_books(&outside, users, declined);
    println!("closed again: {invoiced_again} users were invoiced a second time");
    Closed { invoiced, invoiced_again }
}

fn check_the_books(outside: &Outside, users: u64, declined: u64) {
    let seen = outside.0.lock().unwrap();
    let mut by_user: BTreeMap<u64, (u32, u64)> = BTreeMap::new();
    for (user, cents) in seen.payments.values() {
        let paid = by_user.entry(*user).or_default();
        *paid = (paid.0 + 1, *cents);
    }
    for user in (0..users).filter(|user| !is_declined(*user)) {
        assert_eq!(by_user.get(&user), Some(&(1, cents_of(user))), "user={user}: charged once, and what he owes");
    }
    assert_eq!(by_user.len() as u64, users - declined, "nobody else was charged");
    assert_eq!((seen.emails, seen.cards_asked_for), (users - declined, declined));
}

#[allow(dead_code, reason = "the test runs `run`")]
fn main() {
    let users = std::env::args().nth(1).map_or(USERS, |text| text.parse().expect("a number of users"));
    let closed = run(users);
    assert_eq!((closed.invoiced as u64, closed.invoiced_again), (users, 0));
}
