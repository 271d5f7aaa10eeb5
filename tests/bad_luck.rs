//! Bad input and bad luck: each gets an error of the right kind that names the file or value and what to do, nothing is
//! lost, and nothing panics.
#![allow(clippy::items_after_statements)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "bad_luck/clock.rs"]
mod clock;
#[path = "bad_luck/damage.rs"]
mod damage;
#[path = "bad_luck/directory.rs"]
mod directory;
#[path = "bad_luck/full.rs"]
mod full;
#[cfg(target_os = "linux")]
#[path = "bad_luck/mount.rs"]
mod mount;
#[path = "bad_luck/unknown.rs"]
mod unknown;
#[path = "bad_luck/values.rs"]
mod values;

#[path = "system/mod.rs"]
mod system;

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use backlog::{Backlog, Codec, Error, ErrorKind, JobBuilder, JobId, Options, Phase, Status};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

fn small() -> Options {
    Backlog::builder().segment_bytes(64 << 10).lock_wait(LONG)
}

fn raw(n: u64) -> JobBuilder {
    JobBuilder::raw("kind", n.to_le_bytes().to_vec(), Codec::Raw)
}

/// A directory with so many ready jobs, closed.
fn with_jobs(dir: &Path, jobs: u64) -> Vec<JobId> {
    let backlog = small().open(dir).unwrap();
    let ids = (0..jobs).map(|n| backlog.enqueue_all([raw(n)]).unwrap()[0].id).collect();
    backlog.close().unwrap();
    ids
}

/// All of them are there, ready, with their bytes, and can be worked.
fn all_there(dir: &Path, ids: &[JobId]) {
    let backlog = small().open(dir).unwrap();
    for (n, id) in (0_u64..).zip(ids) {
        let Status::Live(job) = backlog.inspect(*id).unwrap() else { panic!("job {id} is lost") };
        assert_eq!(job.phase, Phase::Ready);
        let lease = backlog.queue("default").claim().unwrap().unwrap();
        assert_eq!((lease.id(), lease.payload()), (*id, &n.to_le_bytes()[..]));
        lease.ack().unwrap();
    }
    assert!(backlog.queue("default").claim().unwrap().is_none());
    backlog.close().unwrap();
}

/// It was refused as it should be: the kind, and a message that says all of this.
fn refused<T: Debug, E: Into<Error> + Debug>(answer: Result<T, E>, kind: ErrorKind, says: &[&str]) {
    let error: Error = answer.expect_err("accepted").into();
    assert_eq!(error.kind(), kind, "{error}");
    for word in says {
        assert!(error.to_string().contains(word), "{error}\ndoes not say {word:?}");
    }
}
