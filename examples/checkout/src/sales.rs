//! The shop's own store: what became of each sale, for the customer to see when the job is over.
//!
//! Lines are appended and synced, and the last one of a sale counts: an attempt that is made again writes the same line
//! again. A real shop has a table for this.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backlog::JobId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What became of a sale.
#[derive(Serialize, Deserialize, Clone)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Came {
    Charged { payment: u64 },
    Receipted { payment: u64 },
    Declined { reason: String },
}

#[derive(Serialize, Deserialize)]
struct Line {
    sale: JobId,
    came: Came,
}

pub(crate) struct Sales {
    store: Mutex<Store>,
    news: watch::Sender<()>,
}

struct Store {
    file: File,
    came: HashMap<JobId, Came>,
}

impl Sales {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let text = std::fs::read(path)?;
        if text.last().is_some_and(|last| *last != b'\n') {
            // A line that a power cut left unfinished must not swallow our first one; its job runs again.
            file.write_all(b"\n")?;
        }
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        let came = lines.map(|line| (line.sale, line.came)).collect();
        Ok(Self { store: Mutex::new(Store { file, came }), news: watch::Sender::default() })
    }

    /// Keeps it; on disk when this is done. Waits on a thread of its own: those of the runtime serve customers.
    pub(crate) async fn keep(self: &Arc<Self>, sale: JobId, came: Came) -> io::Result<()> {
        let sales = Arc::clone(self);
        tokio::task::spawn_blocking(move || sales.keep_now(sale, came)).await.map_err(io::Error::other)?
    }

    fn keep_now(&self, sale: JobId, came: Came) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { sale, came: came.clone() })?;
        line.push(b'\n');
        let mut store = self.lock();
        store.file.write_all(&line)?;
        store.file.sync_data()?;
        store.came.insert(sale, came);
        drop(store);
        self.tell();
        Ok(())
    }

    /// Something may have changed: whoever listens looks again.
    pub(crate) fn tell(&self) {
        self.news.send_replace(());
    }

    /// Hears of what changes from now on.
    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    pub(crate) fn came(&self, sale: JobId) -> Option<Came> {
        self.lock().came.get(&sale).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // Nothing is half changed by a thread that panicked.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
