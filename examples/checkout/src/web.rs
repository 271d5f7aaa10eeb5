//! The shop as the web sees it.
//!
//! * `POST /buy`: answers 202 with the number of the sale once the job is on disk.
//! * `GET /status/{sale}`: how it stands now.
//! * `GET /events/{sale}`: the same as server-sent events, each time it changes.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use backlog::{JobId, Unique};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::status::{Look, changes};
use crate::work::Charge;

/// What can be bought, and what the shop asks for it: prices are not the customer's to say.
pub(crate) const ITEMS: [(&str, u64); 3] = [("tea", 450), ("kettle", 3_900), ("samovar", 21_500)];

/// How long the same order stays the same sale, counted from its first acceptance.
const ORDER_LASTS: Duration = Duration::from_secs(24 * 3600);

const BODY_BYTES_MAX: usize = 4 << 10;
const ORDER_CHARS_MAX: usize = 64;
const BUYER_CHARS_MAX: usize = 80;

/// What the page sends. The order is a word that the page made up: sent again it is the same sale.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Buy {
    pub(crate) order: String,
    pub(crate) buyer: String,
    pub(crate) item: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) sale: JobId,
}

pub(crate) fn routes(look: Look) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/buy", post(buy))
        .route("/status/{sale}", get(status))
        .route("/events/{sale}", get(events))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(look)
}

async fn page() -> impl IntoResponse {
    const POLICY: &str = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; \
                          script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, include_str!("page.html"))
}

async fn buy(State(look): State<Look>, Json(buy): Json<Buy>) -> Response {
    let cents = match price_of(&buy) {
        Ok(cents) => cents,
        Err(what) => return (StatusCode::UNPROCESSABLE_ENTITY, what).into_response(),
    };
    // A double click, or a customer who asks again because the answer was lost: one sale, also when it is over by then.
    let order = Unique::key(buy.order.as_str()).within(ORDER_LASTS);
    let charge = Charge { order: buy.order, buyer: buy.buyer, cents };
    match look.backlog.job(&charge).unique(order).enqueue_async().await {
        Ok(accepted) => (StatusCode::ACCEPTED, Json(Accepted { sale: accepted.id })).into_response(),
        Err(e) => unavailable(&e),
    }
}

/// What it costs, or what is wrong with it.
fn price_of(buy: &Buy) -> Result<u64, &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if buy.order.is_empty() || buy.order.len() > ORDER_CHARS_MAX || !buy.order.chars().all(is_plain) {
        return Err("order: 1 to 64 letters, digits and dashes");
    }
    let buyer = buy.buyer.trim();
    if buyer.is_empty() || buyer.chars().count() > BUYER_CHARS_MAX || buyer.chars().any(char::is_control) {
        return Err("buyer: 1 to 80 characters");
    }
    let item = ITEMS.iter().find(|(name, _)| *name == buy.item);
    item.map(|(_, cents)| *cents).ok_or("item: not in the shop")
}

async fn status(State(look): State<Look>, Path(sale): Path<u64>) -> Response {
    match look.at(JobId(sale)) {
        Ok(Some(seen)) => ([(header::CACHE_CONTROL, "no-store")], Json(seen)).into_response(),
        Ok(None) => no_such_sale(),
        Err(e) => unavailable(&e),
    }
}

async fn events(State(look): State<Look>, Path(sale): Path<u64>) -> Response {
    match look.at(JobId(sale)) {
        Ok(Some(_)) => {
            let events = changes(look, JobId(sale)).map(|seen| Event::default().json_data(seen));
            Sse::new(events).keep_alive(KeepAlive::default()).into_response()
        }
        Ok(None) => no_such_sale(),
        Err(e) => unavailable(&e),
    }
}

fn no_such_sale() -> Response {
    (StatusCode::NOT_FOUND, "no such sale").into_response()
}

/// The disk is full or broken, or the shop is closing. Asking again with the same order is safe: it stays one sale.
fn unavailable(e: &backlog::Error) -> Response {
    eprintln!("shop: {e}");
    (StatusCode::SERVICE_UNAVAILABLE, "please try again").into_response()
}
