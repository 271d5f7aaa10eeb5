//! Sells by HTTP, kills the server at the worst moments, and checks every sale.
//!
//! Nothing here is left to luck but the order of what happens at the same time: the moods of the services come from a
//! seed, and a kill falls on the n-th charge, say, after it was booked and before the shop hears of it.

mod check;
mod customer;
mod kills;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::Wrong;
use crate::keeper::Keeper;
use crate::provider::{self, Moment, Provider};
use check::{Outcome, Report};
use customer::{Customer, Served};
use kills::Kills;

/// Customers at a time; more than the shop charges at a time.
const CUSTOMERS: usize = 32;
/// Long before this everything is over; if not, that is a finding too.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) sales: usize,
    pub(crate) seed: u64,
}

impl Plan {
    /// `None`: not the words it knows.
    pub(crate) fn parse(mut args: &[&str], seed: u64) -> Option<Self> {
        let mut plan = Self { sales: 200, seed };
        while let [name, value, rest @ ..] = args {
            match *name {
                "--sales" => plan.sales = value.parse().ok()?,
                "--seed" => plan.seed = value.parse().ok()?,
                _ => return None,
            }
            args = rest;
        }
        (args.is_empty() && plan.sales > 0).then_some(plan)
    }
}

/// The word a customer's page makes up for the n-th sale.
fn order_of(n: usize) -> String {
    format!("order-{n:05}")
}

/// `false`: something was lost, charged twice, or tried again that should not be.
pub(crate) async fn run(plan: Plan) -> Result<bool, Wrong> {
    println!("seed={} sales={} (again: --chaos --sales {} --seed {})", plan.seed, plan.sales, plan.sales, plan.seed);
    let mut home = tempfile::Builder::new().prefix("backlog-checkout-").tempdir()?;
    let started = Instant::now();
    let (witness, moments) = mpsc::channel(1);
    let provider = Arc::new(Provider::new(plan.seed, Some(witness.clone())));
    let keeper = Keeper::new(home.path(), provider::start(Arc::clone(&provider)).await?);
    let mut chaos = Chaos { keeper, kills: Kills::planned(plan), door: watch::Sender::new(None), moments };
    let served = chaos.sell(plan, &witness).await;
    let (served, ended) = match served {
        Ok(served) => (served, Some(chaos.keeper.stop().await?)),
        Err(e) => {
            println!("{e}");
            chaos.keeper.kill().await?;
            (Vec::new(), None)
        }
    };
    let books = provider.books();
    let outcome = Outcome { plan, served: &served, books: &books, kills: &chaos.kills, ended };
    let report = Report::of(&outcome, &home.path().join("jobs"))?;
    report.print(started.elapsed());
    if !report.is_good() {
        home.disable_cleanup(true);
        println!("the shop's directory is kept: {}", home.path().display());
    }
    Ok(report.is_good())
}

struct Chaos {
    keeper: Keeper,
    kills: Kills,
    /// Where the shop is; `None` while it is away.
    door: watch::Sender<Option<std::net::SocketAddr>>,
    moments: mpsc::Receiver<Moment>,
}

impl Chaos {
    /// Until every customer has seen the end of his sales.
    async fn sell(&mut self, plan: Plan, witness: &mpsc::Sender<Moment>) -> Result<Vec<Served>, Wrong> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut customers = JoinSet::new();
        for _ in 0..CUSTOMERS {
            let customer = Customer::new(self.door.subscribe(), witness.clone());
            customers.spawn(shop_for(customer, Arc::clone(&next), plan.sales));
        }
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        let mut served = Vec::new();
        self.open().await?;
        loop {
            tokio::select! {
                Some(moment) = self.moments.recv() => self.pass(moment).await?,
                done = customers.join_next() => match done {
                    Some(done) => served.extend(done??),
                    None => return Ok(served),
                },
                died = self.keeper.died() => return Err(format!("the shop ended by itself: {}", died?).into()),
                () = &mut patience => return Err(format!("not over after {PATIENCE:?}: sales are stuck").into()),
            }
        }
    }

    async fn open(&mut self) -> Result<(), Wrong> {
        let (address, _) = self.keeper.start().await?;
        self.door.send_replace(Some(address));
        Ok(())
    }

    /// Lets a moment pass, or kills the shop before it does.
    async fn pass(&mut self, moment: Moment) -> Result<(), Wrong> {
        if let Some(nth) = self.kills.is_due(moment.what) {
            self.door.send_replace(None);
            self.keeper.kill().await?;
            println!("kill: at {:?} {nth}, nobody was told", moment.what);
            self.open().await?;
        }
        Ok(())
    }
}

/// One sale after the other, as long as there are some.
async fn shop_for(mut customer: Customer, next: Arc<AtomicUsize>, sales: usize) -> Result<Vec<Served>, Wrong> {
    let mut served = Vec::new();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= sales {
            return Ok(served);
        }
        served.push(customer.buy_one(n).await?);
    }
}
