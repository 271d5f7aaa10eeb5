//! apalis on SQLite: WAL and `synchronous = FULL` by connect options, and its migrations without `setup`, which would turn
//! syncs off on the connection it runs on. A tokio runtime of its own here.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::*;
use apalis_sqlite::{SqlitePool, SqliteStorage};
use compare_harness::{Handler, Options, Peer, Producer, Work};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::runtime::{Builder, Runtime};

const THREADS: usize = 4;
const CONNECTIONS: u32 = 8;
/// Writers of SQLite wait for each other; none may give up.
const PATIENCE: Duration = Duration::from_secs(60);

struct Apalis {
    runtime: Runtime,
    pool: SqlitePool,
}

impl Apalis {
    fn open(options: &Options) -> Self {
        let threads = options.workers + THREADS;
        let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build().expect("a runtime");
        let file = SqliteConnectOptions::new()
            .filename(options.dir.join("apalis.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE);
        let pool = runtime.block_on(async {
            let connections = SqlitePoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
            let pool = connections.connect_with(file).await.expect("the file opens");
            SqliteStorage::<()>::migrations().run(&pool).await.expect("its tables are made");
            pool
        });
        Self { runtime, pool }
    }
}

impl Peer for Apalis {
    fn producer(&self) -> Box<dyn Producer + '_> {
        Box::new(Push { runtime: &self.runtime, storage: SqliteStorage::new(&self.pool) })
    }

    fn start_workers(&self, workers: usize, handler: Handler) {
        let run = move |work: Work| {
            let handler = Arc::clone(&handler);
            async move {
                handler(work);
                Ok::<(), BoxDynError>(())
            }
        };
        let storage: SqliteStorage<Work> = SqliteStorage::new(&self.pool);
        let worker = WorkerBuilder::new(format!("race-{}", std::process::id())).backend(storage).concurrency(workers);
        self.runtime.spawn(worker.build(run).run());
    }
}

struct Push<'a> {
    runtime: &'a Runtime,
    storage: SqliteStorage<Work>,
}

impl Producer for Push<'_> {
    fn one(&mut self, work: &Work) {
        self.runtime.block_on(self.storage.push(work.clone())).expect("push");
    }

    fn many(&mut self, jobs: &[Work]) {
        self.runtime.block_on(self.storage.push_bulk(jobs.to_vec())).expect("push_bulk");
    }
}

fn main() {
    compare_harness::run(|options| Box::new(Apalis::open(options)))
}
