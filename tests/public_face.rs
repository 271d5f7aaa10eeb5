//! Promises of the public verbs, on a real directory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "public_face/claiming.rs"]
mod claiming;
#[path = "public_face/enqueueing.rs"]
mod enqueueing;
#[path = "public_face/looking.rs"]
mod looking;
#[path = "public_face/opening.rs"]
mod opening;
#[path = "public_face/seeing.rs"]
mod seeing;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backlog::testing::{ManualClock, Parts};
use backlog::{Backlog, Job, JobId, JobInfo, Status};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
struct Letter {
    to: String,
}

impl Job for Letter {
    const KIND: &'static str = "letter";
    const ALIASES: &'static [&'static str] = &["mail"];
}

fn letter(to: impl Into<String>) -> Letter {
    Letter { to: to.into() }
}

/// A directory that goes when the test ends.
struct Home {
    _dir: TempDir,
    path: PathBuf,
}

fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jobs");
    Home { _dir: dir, path }
}

impl Home {
    /// With small segments: a new directory is made faster, and its limits are smaller.
    fn open(&self) -> Backlog {
        Backlog::builder().segment_bytes(1 << 20).lock_wait(LONG).open(&self.path).unwrap()
    }

    fn open_full_size(&self) -> Backlog {
        Backlog::open(&self.path).unwrap()
    }

    /// With a clock that moves only when told to.
    fn open_with_clock(&self) -> (Backlog, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(1_700_000_000_000));
        let parts = Parts { clock: clock.clone(), ..Parts::real(&self.path).unwrap() };
        (Backlog::builder().segment_bytes(1 << 20).open_parts(parts).unwrap(), clock)
    }
}

fn live(backlog: &Backlog, id: JobId) -> JobInfo {
    match backlog.inspect(id).unwrap() {
        Status::Live(job) => *job,
        other => panic!("job {id} is {other:?}"),
    }
}
