//! "Just use SQLite": one table, WAL, `synchronous = FULL`, prepared statements, one connection behind a lock (SQLite
//! has one writer at a time; connections that wait for each other in its busy loop are slower).
//!
//! A claim is written without a sync, as backlog does: a power cut that forgets it gives the job out again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use compare_harness::{Handler, Options, Peer, Producer, Work, poll};
use rusqlite::{Connection, OptionalExtension};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, state INTEGER NOT NULL DEFAULT 0, args BLOB NOT NULL);
    CREATE INDEX IF NOT EXISTS ready ON jobs (id) WHERE state = 0;";
const INSERT: &str = "INSERT INTO jobs (args) VALUES (?1)";
const CLAIM: &str = "UPDATE jobs SET state = 1
    WHERE id = (SELECT id FROM jobs WHERE state = 0 ORDER BY id LIMIT 1) RETURNING id, args";
const ACK: &str = "DELETE FROM jobs WHERE id = ?1";
/// One process owns the file: what was running when it died is ready again.
const RECOVER: &str = "UPDATE jobs SET state = 0 WHERE state = 1";

#[derive(Clone)]
struct Table(Arc<Mutex<Connection>>);

impl Table {
    fn open(options: &Options) -> Self {
        let db = Connection::open(options.dir.join("jobs.db")).expect("the file opens");
        db.pragma_update(None, "journal_mode", "WAL").expect("WAL");
        db.pragma_update(None, "synchronous", "FULL").expect("FULL");
        db.execute_batch(SCHEMA).expect("schema");
        db.execute(RECOVER, ()).expect("recover");
        Self(Arc::new(Mutex::new(db)))
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self) -> Option<(i64, Vec<u8>)> {
        let db = self.db();
        db.pragma_update(None, "synchronous", "NORMAL").expect("NORMAL");
        let mut claim = db.prepare_cached(CLAIM).expect("claim");
        let claimed = claim.query_row((), |row| Ok((row.get(0)?, row.get(1)?))).optional().expect("claim");
        db.pragma_update(None, "synchronous", "FULL").expect("FULL");
        claimed
    }

    fn ack(&self, id: i64) {
        self.db().prepare_cached(ACK).expect("ack").execute((id,)).expect("ack");
    }
}

impl Peer for Table {
    fn producer(&self) -> Box<dyn Producer + '_> {
        Box::new(self)
    }

    fn start_workers(&self, workers: usize, handler: Handler) {
        poll(workers, |_| {
            let (table, handler) = (self.clone(), Arc::clone(&handler));
            move || {
                let Some((id, args)) = table.claim() else { return false };
                handler(Work::from_json(&args));
                table.ack(id);
                true
            }
        });
    }
}

impl Producer for &Table {
    fn one(&mut self, job: &Work) {
        let json = job.to_json();
        self.db().prepare_cached(INSERT).expect("insert").execute((json,)).expect("insert");
    }

    fn many(&mut self, jobs: &[Work]) {
        let json: Vec<_> = jobs.iter().map(Work::to_json).collect();
        let mut db = self.db();
        let transaction = db.transaction().expect("begin");
        {
            let mut insert = transaction.prepare_cached(INSERT).expect("insert");
            for json in json {
                insert.execute((json,)).expect("insert");
            }
        }
        transaction.commit().expect("commit");
    }
}

fn main() {
    compare_harness::run(|options| Box::new(Table::open(options)))
}
