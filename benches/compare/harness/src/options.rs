//! The command line: a command, then `--name value` pairs.

use std::path::PathBuf;
use std::time::Duration;

/// What was asked for. Every peer takes the same.
#[derive(Debug, Clone)]
pub struct Options {
    /// `enqueue`, `cycle`, `latency`, `fill`, `recover`, `size`; for the runner also `hold`, `accept` and `drain`.
    pub command: String,
    /// Where the peer keeps its files; a server's own folder.
    pub dir: PathBuf,
    /// The loopback port of a server.
    pub port: u16,
    /// Which server, for a client that speaks to several.
    pub server: String,
    /// Bytes of one job's JSON.
    pub bytes: usize,
    /// Enqueuing threads.
    pub threads: usize,
    /// Jobs in a call.
    pub batch: usize,
    /// Workers.
    pub workers: usize,
    /// Stop after this long, or
    pub seconds: f64,
    /// after so many jobs, when given.
    pub jobs: Option<u64>,
    /// Jobs that arrive in a second, in `latency`.
    pub rate: f64,
    /// The first job's number.
    pub first: u64,
}

impl Options {
    pub(crate) fn from_args() -> Self {
        let mut args = std::env::args().skip(1);
        let mut options = Self {
            command: args.next().expect("give a command: enqueue, cycle, latency, fill, recover, size"),
            dir: PathBuf::from("."),
            port: 0,
            server: String::new(),
            bytes: 200,
            threads: 1,
            batch: 1,
            workers: 16,
            seconds: 1.0,
            jobs: None,
            rate: 200.0,
            first: 0,
        };
        while let Some(name) = args.next() {
            let value = args.next().unwrap_or_else(|| panic!("{name} needs a value"));
            options.set(&name, &value).unwrap_or_else(|| panic!("cannot understand {name} {value}"));
        }
        options
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--dir" => self.dir = PathBuf::from(value),
            "--port" => self.port = value.parse().ok()?,
            "--server" => value.clone_into(&mut self.server),
            "--bytes" => self.bytes = value.parse().ok()?,
            "--threads" => self.threads = value.parse().ok()?,
            "--batch" => self.batch = value.parse().ok()?,
            "--workers" => self.workers = value.parse().ok()?,
            "--seconds" => self.seconds = value.parse().ok()?,
            "--jobs" => self.jobs = Some(value.parse().ok()?),
            "--rate" => self.rate = value.parse().ok()?,
            "--first" => self.first = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    pub(crate) fn spell(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}
