//! The payment provider and the mail service: what stays where it is when the shop's server dies.
//!
//! Both are slow, answer nothing, answer 500 before or after they did what they were asked, and decline, by turns. Both
//! do what they are asked once for each idempotency key, and give the same answer again.

mod books;
mod mood;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use crate::client::IDEMPOTENCY_KEY;

pub(crate) use books::{Booking, Books};
pub(crate) use mood::refuses;
use mood::{Mood, Trouble};

pub(crate) const CHARGES: &str = "/charges";
pub(crate) const RECEIPTS: &str = "/receipts";

#[derive(Serialize, Deserialize)]
pub(crate) struct ChargeRequest {
    pub(crate) order: String,
    pub(crate) cents: u64,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChargeAnswer {
    Charged { payment: u64 },
    Declined { reason: String },
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ReceiptRequest {
    pub(crate) order: String,
    pub(crate) buyer: String,
    pub(crate) payment: u64,
}

/// Something was done for the first time, and whoever asked does not know yet. It goes on when `go_on` is dropped.
pub(crate) struct Moment {
    pub(crate) what: What,
    pub(crate) _go_on: oneshot::Sender<()>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum What {
    /// A shop said 202.
    Accepted,
    Charged,
    Declined,
    Receipted,
}

/// Tells of a moment, and waits until it may pass.
pub(crate) async fn tell(witness: mpsc::Sender<Moment>, what: What) {
    let (go_on, passed) = oneshot::channel();
    // A witness that has gone wants to hear nothing more.
    if witness.send(Moment { what, _go_on: go_on }).await.is_ok() {
        let _ = passed.await;
    }
}

pub(crate) struct Provider {
    seed: u64,
    books: Mutex<Books>,
    witness: Option<mpsc::Sender<Moment>>,
}

/// Listens on a port of its own until the process ends.
pub(crate) async fn start(provider: Arc<Provider>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let routes = Router::new().route(CHARGES, post(charge)).route(RECEIPTS, post(take_receipt)).with_state(provider);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

impl Provider {
    pub(crate) fn new(seed: u64, witness: Option<mpsc::Sender<Moment>>) -> Self {
        Self { seed, books: Mutex::default(), witness }
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        // Nothing is half booked by a thread that panicked.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` once, between the troubles of the day.
    async fn serve(&self, mood: Mood, work: impl FnOnce(&mut Books) -> (Response, Option<What>)) -> Response {
        tokio::time::sleep(mood.slow).await;
        if let Some(answer) = before(mood.trouble).await {
            return answer;
        }
        let (answer, news) = work(&mut self.books());
        if let (Some(witness), Some(what)) = (&self.witness, news) {
            // On a task of its own: whoever asked may hang up, and it was done all the same.
            let _ = tokio::spawn(tell(witness.clone(), what)).await;
        }
        after(mood.trouble).await.unwrap_or(answer)
    }
}

async fn before(trouble: Trouble) -> Option<Response> {
    match trouble {
        Trouble::FailsBefore => Some(broken()),
        Trouble::SilentBefore => Some(silent().await),
        _ => None,
    }
}

async fn after(trouble: Trouble) -> Option<Response> {
    match trouble {
        Trouble::FailsAfter => Some(broken()),
        Trouble::SilentAfter => Some(silent().await),
        _ => None,
    }
}

async fn charge(State(provider): State<Arc<Provider>>, headers: HeaderMap, ask: Json<ChargeRequest>) -> Response {
    let Some(key) = key_of(&headers) else { return keyless() };
    let nth = provider.books().asked_to_charge(&ask.order);
    let mood = Mood::of(provider.seed, &format!("charge {}", ask.order), nth);
    let refuses = refuses(provider.seed, &ask.order);
    provider
        .serve(mood, |books| {
            let (answer, is_new) = books.charge(key, &ask, refuses);
            let what = match answer {
                ChargeAnswer::Charged { .. } => What::Charged,
                ChargeAnswer::Declined { .. } => What::Declined,
            };
            (Json(answer).into_response(), is_new.then_some(what))
        })
        .await
}

async fn take_receipt(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    ask: Json<ReceiptRequest>,
) -> Response {
    let Some(key) = key_of(&headers) else { return keyless() };
    let nth = provider.books().asked_to_send(&ask.order);
    let mood = Mood::of(provider.seed, &format!("receipt {}", ask.order), nth);
    provider
        .serve(mood, |books| {
            let is_new = books.send(key, &ask);
            (StatusCode::OK.into_response(), is_new.then_some(What::Receipted))
        })
        .await
}

fn key_of(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(IDEMPOTENCY_KEY)?.to_str().ok()?.to_owned())
}

fn keyless() -> Response {
    (StatusCode::BAD_REQUEST, "an idempotency-key is needed").into_response()
}

fn broken() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here").into_response()
}

/// Longer than anybody waits.
async fn silent() -> Response {
    std::future::pending().await
}
