//! A customer who clicks twice, does not give up, and asks once more when it is over.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use backlog::JobId;

use hyper::StatusCode;
use tokio::sync::{mpsc, watch};

use super::order_of;
use crate::provider::{Moment, What, tell};
use crate::status::Seen;
use crate::web::{Accepted, Buy, ITEMS};
use crate::{Wrong, client};

/// Before asking again at a door where nobody answered.
const AFTER_A_REFUSAL: Duration = Duration::from_millis(5);
/// What a page does between two polls.
const BETWEEN_POLLS: Duration = Duration::from_millis(50);

pub(super) struct Customer {
    door: watch::Receiver<Option<SocketAddr>>,
    witness: mpsc::Sender<Moment>,
}

/// A sale as its customer saw it.
pub(super) struct Served {
    pub(super) order: String,
    pub(super) cents: u64,
    pub(super) sale: JobId,
    /// The numbers he was given for the same order on other occasions.
    pub(super) also: [JobId; 2],
    pub(super) end: Seen,
}

impl Customer {
    pub(super) fn new(door: watch::Receiver<Option<SocketAddr>>, witness: mpsc::Sender<Moment>) -> Self {
        Self { door, witness }
    }

    /// Buys, and waits for the end: every second customer by polling, the others by events.
    pub(super) async fn buy_one(&mut self, n: usize) -> Result<Served, Wrong> {
        let (item, cents) = ITEMS.get(n % ITEMS.len()).ok_or("the shop is empty")?;
        let buy = Buy { order: order_of(n), buyer: format!("customer {n}"), item: (*item).to_owned() };
        let (sale, again) = tokio::try_join!(self.buy(&buy), self.buy(&buy))?;
        tell(self.witness.clone(), What::Accepted).await;
        let end = if n.is_multiple_of(2) { self.poll(sale).await? } else { self.listen(sale).await? };
        let late = self.buy(&buy).await?;
        Ok(Served { order: buy.order, cents: *cents, sale, also: [again, late], end })
    }

    /// Sends the order until the shop has said yes.
    async fn buy(&self, buy: &Buy) -> Result<JobId, Wrong> {
        let body = self.insist(StatusCode::ACCEPTED, |shop| client::post(shop, "/buy", None, buy)).await?;
        Ok(serde_json::from_slice::<Accepted>(&body)?.sale)
    }

    async fn poll(&self, sale: JobId) -> Result<Seen, Wrong> {
        let path = format!("/status/{sale}");
        loop {
            let body = self.insist(StatusCode::OK, |shop| client::get(shop, &path)).await?;
            let seen: Seen = serde_json::from_slice(&body)?;
            if seen.settled {
                return Ok(seen);
            }
            tokio::time::sleep(BETWEEN_POLLS).await;
        }
    }

    async fn listen(&self, sale: JobId) -> Result<Seen, Wrong> {
        let path = format!("/events/{sale}");
        loop {
            let open = |shop| client::open(shop, &path);
            let mut events = self.insist(StatusCode::OK, open).await?;
            let mut heard = Vec::new();
            while let Ok(Some(bytes)) = events.more().await {
                heard.extend_from_slice(&bytes);
                if let Some(seen) = last_event(&heard)?.filter(|seen| seen.settled) {
                    return Ok(seen);
                }
            }
            // The shop died in the middle of it: listen again.
        }
    }

    /// Asks until the shop answers as hoped. It may be away, or ask for patience; any other answer is wrong.
    async fn insist<T, F>(&self, hoped: StatusCode, ask: impl Fn(SocketAddr) -> F) -> Result<T, Wrong>
    where
        F: Future<Output = io::Result<(StatusCode, T)>>,
    {
        let mut door = self.door.clone();
        loop {
            let shop = *door.wait_for(Option::is_some).await?;
            let Some(shop) = shop else { continue };
            match ask(shop).await {
                Ok((status, answer)) if status == hoped => return Ok(answer),
                Ok((StatusCode::SERVICE_UNAVAILABLE, _)) | Err(_) => tokio::time::sleep(AFTER_A_REFUSAL).await,
                Ok((status, _)) => return Err(format!("the shop answered {status}; hoped for {hoped}").into()),
            }
        }
    }
}

/// What the last whole event says.
fn last_event(heard: &[u8]) -> Result<Option<Seen>, Wrong> {
    let text = std::str::from_utf8(heard)?;
    let Some((whole, _)) = text.rsplit_once("\n\n") else { return Ok(None) };
    let data = whole.lines().rev().find_map(|line| line.strip_prefix("data:"));
    Ok(data.map(serde_json::from_str).transpose()?)
}
