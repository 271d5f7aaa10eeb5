//! Redis lists as its documentation has it for a reliable queue: `RPUSH`, `BLMOVE` to a list of running jobs, `LREM`.
//! Retries, schedules and what runs again after a crash are the client's own work: here running jobs go back when the
//! workers start.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use compare_harness::{Handler, Peer, Producer, Work, poll};

use crate::line::Line;

/// Between two tries to reach a server that still reads its file.
const LOADING: Duration = Duration::from_millis(1);

pub(crate) struct Redis {
    port: u16,
}

struct Session(Line);

impl Redis {
    pub(crate) fn open(port: u16) -> Self {
        let mut session = Session(Line::connect(port));
        loop {
            session.send(&[b"PING"]);
            match session.0.line() {
                line if line.starts_with("-LOADING") => thread::sleep(LOADING),
                line => break assert_eq!(line, "+PONG"),
            }
        }
        Self { port }
    }

    fn session(&self) -> Session {
        Session(Line::connect(self.port))
    }
}

impl Session {
    fn send(&mut self, words: &[&[u8]]) {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        self.0.send(&bytes);
    }

    fn number(&mut self, words: &[&[u8]]) -> u64 {
        self.send(words);
        let line = self.0.line();
        line.strip_prefix(':').and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("redis said {line}"))
    }

    /// A string, or nothing.
    fn bytes(&mut self, words: &[&[u8]]) -> Option<Vec<u8>> {
        self.send(words);
        match self.0.line().as_str() {
            "$-1" | "*-1" => None,
            line => {
                let n = line.strip_prefix('$').and_then(|n| n.parse().ok());
                Some(self.0.bytes(n.unwrap_or_else(|| panic!("redis said {line}"))))
            }
        }
    }
}

impl Peer for Redis {
    fn producer(&self) -> Box<dyn Producer + '_> {
        Box::new(self.session())
    }

    fn start_workers(&self, workers: usize, handler: Handler) {
        let mut session = self.session();
        while session.bytes(&[b"LMOVE", b"running", b"ready", b"RIGHT", b"LEFT"]).is_some() {}
        poll(workers, |_| {
            let (mut session, handler) = (self.session(), Arc::clone(&handler));
            move || {
                let Some(json) = session.bytes(&[b"BLMOVE", b"ready", b"running", b"LEFT", b"RIGHT", b"1"]) else {
                    return true;
                };
                handler(Work::from_json(&json));
                assert_eq!(session.number(&[b"LREM", b"running", b"1", &json]), 1);
                true
            }
        });
    }
}

impl Producer for Session {
    fn one(&mut self, job: &Work) {
        self.number(&[b"RPUSH", b"ready", &job.to_json()]);
    }

    fn many(&mut self, jobs: &[Work]) {
        let json: Vec<Vec<u8>> = jobs.iter().map(Work::to_json).collect();
        let mut words: Vec<&[u8]> = vec![b"RPUSH", b"ready"];
        words.extend(json.iter().map(Vec::as_slice));
        self.number(&words);
    }
}
