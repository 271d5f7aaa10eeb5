//! beanstalkd: `put`, `reserve`, `delete`, each an answer of its own. It has no batches.

use std::sync::Arc;

use compare_harness::{Handler, Peer, Producer, Work, poll};

use crate::line::Line;

/// Seconds a job may run before it is given out again.
const TTR: u32 = 600;

pub(crate) struct Beanstalkd {
    port: u16,
}

impl Beanstalkd {
    pub(crate) fn open(port: u16) -> Self {
        drop(Line::connect(port));
        Self { port }
    }
}

struct Session(Line);

impl Session {
    fn inserted(&mut self) {
        let line = self.0.line();
        assert!(line.starts_with("INSERTED "), "beanstalkd said {line}");
    }

    fn reserve(&mut self) -> (String, Vec<u8>) {
        self.0.send(b"reserve\r\n");
        let line = self.0.line();
        let words: Vec<&str> = line.split(' ').collect();
        let ["RESERVED", id, bytes] = words[..] else { panic!("beanstalkd said {line}") };
        (id.to_owned(), self.0.bytes(bytes.parse().expect("a number")))
    }

    fn delete(&mut self, id: &str) {
        self.0.send(format!("delete {id}\r\n").as_bytes());
        assert_eq!(self.0.line(), "DELETED");
    }
}

impl Peer for Beanstalkd {
    fn producer(&self) -> Box<dyn Producer + '_> {
        Box::new(Session(Line::connect(self.port)))
    }

    fn start_workers(&self, workers: usize, handler: Handler) {
        poll(workers, |_| {
            let (mut session, handler) = (Session(Line::connect(self.port)), Arc::clone(&handler));
            move || {
                let (id, json) = session.reserve();
                handler(Work::from_json(&json));
                session.delete(&id);
                true
            }
        });
    }

    fn batches(&self) -> bool {
        false
    }
}

fn put(job: &Work) -> Vec<u8> {
    let json = job.to_json();
    let mut bytes = format!("put 0 0 {TTR} {}\r\n", json.len()).into_bytes();
    bytes.extend_from_slice(&json);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

impl Producer for Session {
    fn one(&mut self, job: &Work) {
        self.0.send(&put(job));
        self.inserted();
    }

    fn many(&mut self, jobs: &[Work]) {
        jobs.iter().for_each(|job| self.one(job));
    }
}
