//! A shop on the web whose server may be killed at any moment: every sale is charged once.
//!
//! ```sh
//! cd examples/checkout
//! cargo run                # the shop on a page; kill -9 its server as often as you like
//! cargo run -- --chaos     # 200 sales by HTTP, the server killed in the middle by itself, every sale checked
//! ```
//!
//! Two processes. The one you start is what stays where it is when a shop's server dies: the payment provider, the
//! mail service, the customers. The other one, its child, is the shop: axum in front, a backlog behind it.
//!
//! * `shop`, `web`, `status`, `work`, `sales`: the shop. How a web server uses a backlog.
//! * `provider`: slow, silent, broken or unwilling by turns; counts by idempotency key.
//! * `keeper`: starts the shop, kills it, starts it again.
//! * `chaos`: customers that do not give up, kills at the worst moments, and the checks at the end.
#![allow(
    clippy::disallowed_methods,
    reason = "an example measures by the clock and starts a thread; the rules are the library's"
)]

mod chaos;
mod client;
mod keeper;
mod provider;
mod sales;
mod shop;
mod status;
mod web;
mod work;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use keeper::Keeper;
use provider::Provider;

/// What may go wrong here, to be shown to a person.
type Wrong = Box<dyn Error + Send + Sync>;

const USAGE: &str = "usage: checkout [--chaos [--sales N] [--seed N]]";
const SEED: u64 = 7;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        [] => sell().await.map(|()| true),
        ["--chaos", rest @ ..] => match chaos::Plan::parse(rest, SEED) {
            Some(plan) => chaos::run(plan).await,
            None => Err(USAGE.into()),
        },
        // How the keeper calls its child.
        [keeper::SERVE, dir, provider, port] => serve(dir, provider, port).await.map(|()| true),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("checkout: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(dir: &str, provider: &str, port: &str) -> Result<(), Wrong> {
    shop::serve(Path::new(dir), provider.parse()?, port.parse()?).await
}

/// The shop on a page, until ctrl-c. Whoever kills its server sees it come back.
async fn sell() -> Result<(), Wrong> {
    // Goes when this function ends, however it ends.
    let home = tempfile::Builder::new().prefix("backlog-checkout-").tempdir()?;
    let provider = Arc::new(Provider::new(SEED, None));
    let mut keeper = Keeper::new(home.path(), provider::start(Arc::clone(&provider)).await?);
    // Made once: a ctrl-c is heard also while the shop is being opened.
    let told = shop::told_to_stop();
    tokio::pin!(told);
    loop {
        let (address, pid) = keeper.start().await?;
        println!("the shop is open: http://{address}/    kill it: kill -9 {pid}    the end: ctrl-c");
        tokio::select! {
            biased;
            told = &mut told => {
                told?;
                keeper.stop().await?;
                break;
            }
            died = keeper.died() => println!("the shop's server ended: {}", died?),
        }
    }
    let books = provider.books();
    println!(
        "charged {} declined {} receipts {}",
        books.charged().count(),
        books.declined().count(),
        books.receipts.len()
    );
    Ok(())
}
