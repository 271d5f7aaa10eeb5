//! Seeing what happens: the history of jobs that ended, and events as they come.

use super::backlog::Backlog;
use crate::engine::{Events, PastJob};

impl Backlog {
    /// The last jobs that ended while this backlog was open, the newest first: by default up to 10,000
    /// ([`Options::history`](crate::Options::history)). Held in memory only; jobs that died are not among them, they
    /// are [listed](Self::list). What has to be found longer than that is a [result](Self::result).
    pub fn history(&self) -> Vec<PastJob> {
        self.shared.engine.history()
    }

    /// Everything that happens to jobs and queues from now on; the table stands at [`Event`](crate::Event). An event is
    /// told when what it tells is on disk, in the order of the log: of a busy pool within a second of its happening.
    ///
    /// A reader who falls behind by more than 4,096 events misses the next ones, and
    /// [`missed`](Events::missed) counts them; jobs never wait for him. [`events_buffered`](Self::events_buffered)
    /// gives him more time.
    ///
    /// ```
    /// # use backlog::{Backlog, Codec, What};
    /// # let dir = tempfile::tempdir()?;
    /// # let backlog = Backlog::open(dir.path().join("jobs"))?;
    /// let events = backlog.events();
    /// let id = backlog.enqueue_raw("greet", b"{}".to_vec(), Codec::Json)?.id;
    /// let event = events.recv().expect("the backlog is open");
    /// assert_eq!((event.job, &*event.kind), (Some(id), "greet"));
    /// assert!(matches!(event.what, What::Enqueued { .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn events(&self) -> Events {
        self.events_buffered(4_096)
    }

    /// As [`events`](Self::events), with room for this many events that have not been read, count; at least 1.
    pub fn events_buffered(&self, events: usize) -> Events {
        self.shared.engine.events(events)
    }
}
