//! Promises of the pool, over a store in memory.

mod alarms;
mod asynchronous;
mod cancelled;
mod ending;
mod hooks;
mod layers;
mod running;
mod signals;
mod stats;
mod twin;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::WorkersBuilder;
use crate::queue::Job;
use twin::Twin;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
struct Add {
    n: u32,
}

impl Job for Add {
    const KIND: &'static str = "add";
    const ALIASES: &'static [&'static str] = &["plus"];
}

#[derive(Serialize, Deserialize)]
struct Other {}

impl Job for Other {
    const KIND: &'static str = "other";
}

fn workers(store: &Arc<Twin>) -> WorkersBuilder {
    WorkersBuilder::over(store.clone(), None)
}
