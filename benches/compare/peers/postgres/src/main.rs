//! PostgreSQL with `FOR UPDATE SKIP LOCKED`: the job's row is deleted in a transaction that stays open while the
//! handler runs, so a job costs one commit and a dead worker's jobs are free again as soon as its connection ends.

use std::thread;
use std::time::Duration;

use compare_harness::{Handler, Options, Peer, Producer, Work, poll};
use postgres::{Client, NoTls};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS jobs (id bigserial PRIMARY KEY, args bytea NOT NULL)";
const INSERT: &str = "INSERT INTO jobs (args) VALUES ($1)";
const INSERT_MANY: &str = "INSERT INTO jobs (args) SELECT unnest($1::bytea[])";
const TAKE: &str = "DELETE FROM jobs WHERE id = (SELECT id FROM jobs ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1)
    RETURNING args";

/// Between two tries to reach a server that is still starting.
const TRY_AGAIN: Duration = Duration::from_millis(1);

struct Table {
    port: u16,
}

impl Table {
    fn open(options: &Options) -> Self {
        let table = Self { port: options.port };
        table.client().batch_execute(SCHEMA).expect("schema");
        table
    }

    fn client(&self) -> Client {
        let address = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", self.port);
        loop {
            match Client::connect(&address, NoTls) {
                Ok(client) => break client,
                Err(_) => thread::sleep(TRY_AGAIN),
            }
        }
    }
}

impl Peer for Table {
    fn producer(&self) -> Box<dyn Producer + '_> {
        Box::new(Session::new(self.client()))
    }

    fn start_workers(&self, workers: usize, handler: Handler) {
        poll(workers, |_| {
            let (mut client, handler) = (self.client(), Handler::clone(&handler));
            let take = client.prepare(TAKE).expect("take");
            move || {
                let mut transaction = client.transaction().expect("begin");
                let Some(row) = transaction.query_opt(&take, &[]).expect("take") else { return false };
                handler(Work::from_json(row.get(0)));
                transaction.commit().expect("commit");
                true
            }
        });
    }
}

struct Session {
    client: Client,
    insert: postgres::Statement,
    insert_many: postgres::Statement,
}

impl Session {
    fn new(mut client: Client) -> Self {
        let insert = client.prepare(INSERT).expect("insert");
        let insert_many = client.prepare(INSERT_MANY).expect("insert");
        Self { client, insert, insert_many }
    }
}

impl Producer for Session {
    fn one(&mut self, job: &Work) {
        self.client.execute(&self.insert, &[&job.to_json()]).expect("insert");
    }

    fn many(&mut self, jobs: &[Work]) {
        let json: Vec<Vec<u8>> = jobs.iter().map(Work::to_json).collect();
        self.client.execute(&self.insert_many, &[&json]).expect("insert");
    }
}

fn main() {
    compare_harness::run(|options| Box::new(Table::open(options)))
}
