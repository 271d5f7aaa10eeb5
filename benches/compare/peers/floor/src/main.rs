//! The floor: the bytes of the job appended to a prefilled file and synced with `fdatasync`, under one lock.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use compare_harness::{Handler, Options, Peer, Producer, Work};

const FILE_BYTES: u64 = 64 << 20;

struct Floor(Mutex<Append>);

struct Append {
    file: File,
    at: u64,
}

impl Floor {
    fn open(options: &Options) -> Self {
        let path = options.dir.join("floor");
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(path).expect("floor file");
        let zeros = vec![0; 1 << 20];
        for piece in 0..FILE_BYTES >> 20 {
            file.write_all_at(&zeros, piece << 20).expect("fill");
        }
        file.sync_all().expect("sync");
        Self(Mutex::new(Append { file, at: 0 }))
    }

    fn append(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).append(bytes);
    }
}

impl Append {
    fn append(&mut self, bytes: &[u8]) {
        if self.at + bytes.len() as u64 > FILE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at).expect("write");
        self.file.sync_data().expect("sync");
        self.at += bytes.len() as u64;
    }
}

impl Peer for Floor {
    fn producer(&self) -> Box<dyn Producer + '_> {
        Box::new(self)
    }

    fn start_workers(&self, _: usize, _: Handler) {
        panic!("the floor has no jobs to give out");
    }
}

impl Producer for &Floor {
    fn one(&mut self, job: &Work) {
        let json = job.to_json();
        self.append(&json);
    }

    fn many(&mut self, jobs: &[Work]) {
        let json: Vec<u8> = jobs.iter().flat_map(Work::to_json).collect();
        self.append(&json);
    }
}

fn main() {
    compare_harness::run(|options| Box::new(Floor::open(options)))
}
