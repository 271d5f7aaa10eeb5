//! The shop's work: charge the card, then send the receipt.
//!
//! # Invariants
//! * The provider gets the job's idempotency key: an attempt that is made again is the same charge.
//! * The end of a charge and its receipt's job are one commit: never a charge without a receipt, never two receipts.
//! * What the customer is to see is kept before the job ends, so a job that is over can always be told of.
//! * A declined card is not tried again.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use backlog::{Backlog, Backoff, Context, Failure, Job, JobBuilder, JobId, Outcome, Retry, WorkersBuilder};
use serde::{Deserialize, Serialize};

use crate::client;
use crate::provider::{CHARGES, ChargeAnswer, ChargeRequest, RECEIPTS, ReceiptRequest};
use crate::sales::{Came, Sales};

/// Charges at a time; each waits for the provider most of its life.
const CONCURRENCY: usize = 16;
/// So short because the provider is next door and somebody watches; a real one deserves seconds.
const BACKOFF: Backoff = Backoff::Exponential { base: Duration::from_millis(50), cap: Duration::from_secs(1) };
const TIMEOUT: Duration = Duration::from_millis(500);

/// The args of a charge. Its job's id is the number of the sale.
#[derive(Serialize, Deserialize)]
pub(crate) struct Charge {
    pub(crate) order: String,
    pub(crate) buyer: String,
    pub(crate) cents: u64,
}

#[derive(Serialize, Deserialize)]
struct SendReceipt {
    sale: JobId,
    order: String,
    buyer: String,
    payment: u64,
}

impl Job for Charge {
    const KIND: &'static str = "charge";
    const BACKOFF: Backoff = BACKOFF;
    const TIMEOUT: Option<Duration> = Some(TIMEOUT);
}

impl Job for SendReceipt {
    const KIND: &'static str = "send_receipt";
    const BACKOFF: Backoff = BACKOFF;
    const TIMEOUT: Option<Duration> = Some(TIMEOUT);
}

/// The bank said no: asking again would not help, and may cost the customer his card.
#[derive(Debug)]
struct Declined(String);

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "declined: {}", self.0)
    }
}

impl std::error::Error for Declined {}

/// What the handlers reach outside the queue.
struct Outside {
    provider: SocketAddr,
    sales: Arc<Sales>,
}

/// The pool, to be started inside the runtime.
pub(crate) fn workers(backlog: &Backlog, provider: SocketAddr, sales: Arc<Sales>) -> WorkersBuilder {
    let listeners = Arc::clone(&sales);
    backlog
        .workers()
        .with_state(Outside { provider, sales })
        .on(move |_| listeners.tell())
        .handle_async(charge)
        .handle_async(send_receipt)
        .retry(|failure, _cx| failure.downcast_ref::<Declined>().map(|_| Retry::Bury))
        .concurrency(CONCURRENCY)
        .tokio()
}

async fn charge(job: Charge, cx: Context) -> Result<Outcome, Failure> {
    let outside = cx.state::<Outside>()?;
    let ask = ChargeRequest { order: job.order.clone(), cents: job.cents };
    let (status, body) = client::post(outside.provider, CHARGES, Some(cx.idempotency_key()), &ask).await?;
    if !status.is_success() {
        return Err(Failure::new(format!("the payment provider answered {status}")));
    }
    match serde_json::from_slice(&body)? {
        ChargeAnswer::Charged { payment } => {
            outside.sales.keep(cx.id(), Came::Charged { payment }).await?;
            let receipt = SendReceipt { sale: cx.id(), order: job.order, buyer: job.buyer, payment };
            Ok(Outcome::DoneThen(vec![JobBuilder::new(&receipt)]))
        }
        ChargeAnswer::Declined { reason } => {
            outside.sales.keep(cx.id(), Came::Declined { reason: reason.clone() }).await?;
            Err(Declined(reason).into())
        }
    }
}

async fn send_receipt(job: SendReceipt, cx: Context) -> Result<(), Failure> {
    let outside = cx.state::<Outside>()?;
    let ask = ReceiptRequest { order: job.order, buyer: job.buyer, payment: job.payment };
    let (status, _) = client::post(outside.provider, RECEIPTS, Some(cx.idempotency_key()), &ask).await?;
    if !status.is_success() {
        return Err(Failure::new(format!("the mail service answered {status}")));
    }
    outside.sales.keep(job.sale, Came::Receipted { payment: job.payment }).await?;
    Ok(())
}
