//! What must hold when all is over, and a short report.
//!
//! Three witnesses are compared: what the customers saw, what the services booked, and what the queue keeps.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use backlog::{Backlog, Phase, ReadOnly, Status};

use super::customer::Served;
use super::kills::Kills;
use super::{Plan, order_of};
use crate::Wrong;
use crate::provider::{Booking, Books, ChargeAnswer, refuses};
use crate::status::State;

pub(super) struct Outcome<'a> {
    pub(super) plan: Plan,
    pub(super) served: &'a [Served],
    pub(super) books: &'a Books,
    pub(super) kills: &'a Kills,
    /// How the shop ended when it was told to; `None`: it never came to that.
    pub(super) ended: Option<ExitStatus>,
}

pub(super) struct Report {
    lines: Vec<String>,
    violations: Vec<String>,
}

impl Report {
    /// `jobs`: the directory of the shop's queue, which nobody has open now.
    pub(super) fn of(outcome: &Outcome<'_>, jobs: &Path) -> Result<Self, Wrong> {
        let queue = Backlog::open_read_only(jobs)?;
        let mut violations = Vec::new();
        let mut wrong = |what: String| violations.push(what);
        the_whole(outcome, &queue, &mut wrong)?;
        let bookings = by_order(outcome.books.charges.values().map(|booking| (booking.order.as_str(), booking)));
        let receipts = by_order(outcome.books.receipts.values().map(|order| (order.as_str(), ())));
        let served: BTreeMap<&str, &Served> = outcome.served.iter().map(|one| (one.order.as_str(), one)).collect();
        for order in (0..outcome.plan.sales).map(order_of) {
            let booked = bookings.get(order.as_str()).map_or([].as_slice(), Vec::as_slice);
            let sent = receipts.get(order.as_str()).map_or(0, Vec::len);
            let Some(served) = served.get(order.as_str()) else {
                wrong(format!("{order}: its customer saw no end; booked {} times, {sent} receipts", booked.len()));
                continue;
            };
            let refused = refuses(outcome.plan.seed, &order).is_some();
            of_sale(served, refused, booked, sent, &mut |what| wrong(format!("{order} sale={}: {what}", served.sale)));
            if refused {
                of_declined(&queue, served, &mut |what| wrong(format!("{order} sale={}: {what}", served.sale)))?;
            }
        }
        Ok(Self { lines: lines(outcome), violations })
    }

    pub(super) fn is_good(&self) -> bool {
        self.violations.is_empty()
    }

    pub(super) fn print(&self, took: Duration) {
        self.lines.iter().for_each(|line| println!("{line}"));
        self.violations.iter().for_each(|what| println!("VIOLATION {what}"));
        let verdict =
            if self.is_good() { "Every sale was charged once, or declined once." } else { "SOMETHING IS WRONG." };
        println!("{:.1} s. {verdict}", took.as_secs_f64());
    }
}

fn by_order<'a, T>(all: impl Iterator<Item = (&'a str, T)>) -> BTreeMap<&'a str, Vec<T>> {
    let mut by_order: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    for (order, one) in all {
        by_order.entry(order).or_default().push(one);
    }
    by_order
}

/// Nothing is left, nothing is damaged, and all the kills took place: without them this would show nothing.
fn the_whole(outcome: &Outcome<'_>, queue: &ReadOnly, wrong: &mut impl FnMut(String)) -> Result<(), Wrong> {
    let (books, counts) = (outcome.books, queue.counts());
    if outcome.kills.done() != outcome.kills.planned_count() {
        wrong(format!("kills={} of {} that were planned", outcome.kills.done(), outcome.kills.planned_count()));
    }
    match outcome.ended {
        Some(status) if status.success() => {}
        Some(status) => wrong(format!("the shop did not end in order: {status}")),
        None => wrong("the shop had to be killed at the end".to_owned()),
    }
    queue.verify()?.damage.iter().for_each(|damage| wrong(format!("damage: {damage}")));
    let (total, declined) = (counts.total(), books.declined().count() as u64);
    if total.dead != declined || total.live() != total.dead {
        wrong(format!("the queue is not at rest: {total:?} with {declined} declined"));
    }
    let charged = books.charged().count() as u64;
    if counts.completed != 2 * charged || counts.enqueued != 2 * charged + declined {
        wrong(format!(
            "jobs: enqueued={} completed={} do not fit charged={charged} declined={declined}, a job each and a receipt",
            counts.enqueued, counts.completed
        ));
    }
    Ok(())
}

/// One sale: one booking, of the right price; a receipt if it was paid; and the customer saw just that.
fn of_sale(served: &Served, refused: bool, booked: &[&Booking], receipts: usize, wrong: &mut impl FnMut(String)) {
    if served.also != [served.sale; 2] {
        wrong(format!("the same order was also sale {:?}", served.also));
    }
    let [booking] = booked else { return wrong(format!("booked {} times", booked.len())) };
    if booking.cents != served.cents {
        wrong(format!("charged cents={} for a price of {}", booking.cents, served.cents));
    }
    let is_declined = matches!(booking.answer, ChargeAnswer::Declined { .. });
    if is_declined != refused {
        wrong(format!("declined={is_declined}, and the card is refused={refused}"));
    }
    let (end, letters) = if refused { (State::Declined, 0) } else { (State::Receipted, 1) };
    if receipts != letters {
        wrong(format!("{receipts} receipts went out"));
    }
    if served.end.state != end {
        wrong(format!("its customer saw the end {:?}", served.end));
    }
}

/// A declined sale: dead for that reason, and the decline was never an attempt that failed and came again.
///
/// The attempts that were tried again stand in the job with their errors. One that a kill cut off stands there too, but
/// not as declined: the shop had no time to learn it.
fn of_declined(queue: &ReadOnly, served: &Served, wrong: &mut impl FnMut(String)) -> Result<(), Wrong> {
    let Status::Live(job) = queue.inspect(served.sale)? else {
        wrong("the declined job is gone".to_owned());
        return Ok(());
    };
    let is_decline = |text: &String| text.starts_with("declined: ");
    if job.phase != Phase::Dead || !job.reason.as_ref().is_some_and(is_decline) {
        wrong(format!("declined, and the job is {} reason={:?}", job.phase, job.reason));
    }
    if job.errors.iter().any(is_decline) {
        wrong(format!("tried again after it was declined: {:?}", job.errors));
    }
    Ok(())
}

fn lines(outcome: &Outcome<'_>) -> Vec<String> {
    let books = outcome.books;
    let again = &books.asked_again;
    vec![
        row("sales accepted", outcome.served.len(), "each order sent three times at least"),
        row("  charged", books.charged().count(), ""),
        row("  declined", books.declined().count(), ""),
        row("receipts sent", books.receipts.len(), ""),
        row("kills (SIGKILL)", outcome.kills.done(), ""),
        row(
            "requests to charge",
            books.charge_requests() as usize,
            &format!(
                "charged already {}, declined already {}: answers lost, or a shop that died",
                again.charged, again.declined
            ),
        ),
        row("requests to send", books.receipt_requests() as usize, &format!("sent already {}", again.receipts)),
    ]
}

fn row(what: &str, number: usize, note: &str) -> String {
    format!("{what:<20}{number:>6}  {note}").trim_end().to_owned()
}
