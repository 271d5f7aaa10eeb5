//! SIGTERM while a hundred jobs run.
//!
//! ```sh
//! cargo run --example graceful
//! ```
//!
//! The program starts itself anew as a worker process that runs a hundred jobs at a time. Then it does what an
//! orchestrator does to deploy: it sends SIGTERM, and when its patience is over another one. Sixty of the running jobs
//! finish in between; forty never would. It then opens the directory as the next process and looks at each job: the sixty
//! are done, the forty were given back and are ready, and not one of them spent its attempt. No step of it sleeps: the two
//! processes tell each other over pipes how far they are.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "an example talks to people and stops where it is wrong; the rules are the library's"
)]

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{BufRead, BufReader, Lines, Write};
    use std::path::Path;
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
    use std::sync::{Arc, Condvar, Mutex};
    use std::time::Duration;

    use backlog::{Backlog, Context, Failure, Job, JobId, Phase, Status};
    use rustix::process::{Pid, Signal, kill_process};
    use serde::{Deserialize, Serialize};

    const DIR: &str = "BACKLOG_GRACEFUL_DIR";
    const JOBS: u32 = 100;
    const FINISHING: u32 = 60;
    /// Longer than any machine takes: the second signal ends the wait, not the clock.
    const GRACE: Duration = Duration::from_secs(600);

    #[derive(Serialize, Deserialize)]
    struct Export {
        n: u32,
    }

    impl Job for Export {
        const KIND: &'static str = "export";
        const MAX_ATTEMPTS: u32 = 1; // a shutdown that spent the attempt would kill the job
    }

    impl Export {
        /// Three of five.
        fn finishes(&self) -> bool {
            self.n % 5 < 3
        }
    }

    /// Closed, until somebody opens it.
    #[derive(Default)]
    struct Gate(Mutex<bool>, Condvar);

    impl Gate {
        fn open(&self) {
            *self.0.lock().unwrap() = true;
            self.1.notify_all();
        }

        fn wait(&self) {
            drop(self.1.wait_while(self.0.lock().unwrap(), |open| !*open).unwrap());
        }
    }

    /// What became of the hundred jobs.
    #[derive(Debug, Default, PartialEq, Eq)]
    pub(crate) struct Report {
        /// Ended after the signal, and on disk.
        pub(crate) finished: u32,
        /// Still ran when the second signal came: ready again, no attempt spent.
        pub(crate) released: u32,
    }

    /// The worker process.
    pub(crate) fn child() {
        let Ok(dir) = std::env::var(DIR) else { return };
        let backlog = Backlog::open(Path::new(&dir)).unwrap();
        let (go, never) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
        let gate = Arc::clone(&go);
        let workers = backlog
            .workers()
            .handle(move |job: Export, cx: Context| -> Result<(), Failure> {
                // One write each: a hundred threads share the pipe.
                print!("{}", format_args!("started {} {}\n", job.n, cx.attempt()));
                let until = if job.finishes() { &gate } else { &never };
                until.wait();
                Ok(())
            })
            .concurrency(100)
            .grace(GRACE)
            .start()
            .unwrap();
        let (tell, heard) = (backlog.clone(), go);
        std::thread::spawn(move || until_told(&tell, &heard));
        let stopped = workers.run_until_signal().unwrap();
        println!("stopped {}", stopped.still_running);
        // What is left of the forty goes with the process.
        std::process::exit(0);
    }

    /// Says when signals are watched; lets the finishing jobs finish when told to, and says when they are on disk.
    fn until_told(backlog: &Backlog, go: &Gate) {
        until(|| {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (Signal::TERM.as_raw() - 1)) != 0
        });
        println!("watching");
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        go.open();
        until(|| backlog.counts().completed == u64::from(FINISHING));
        println!("completed {FINISHING}");
    }

    fn until(so: impl Fn() -> bool) {
        while !so() {
            std::thread::yield_now();
        }
    }

    struct Worker {
        child: Child,
        tell: ChildStdin,
        lines: Lines<BufReader<ChildStdout>>,
    }

    impl Worker {
        fn start(mut command: Command, dir: &Path) -> Self {
            command.env(DIR, dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            let tell = child.stdin.take().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            Self { child, tell, lines }
        }

        /// The next lines with this word, so many; others are passed over.
        fn hear(&mut self, word: &str, times: usize) {
            let mut heard = 0;
            while heard < times {
                let line = self.lines.next().unwrap_or_else(|| panic!("the worker ended before it said {word:?}"));
                heard += usize::from(line.unwrap().contains(word));
            }
        }

        fn signal(&self) {
            kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        }
    }

    impl Drop for Worker {
        /// If something went wrong before its end.
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Starts the worker with `command`, stops it in the middle, and looks at what is left.
    pub(crate) fn run(command: Command) -> Report {
        let dir = tempfile::tempdir().unwrap();
        let jobs = dir.path().join("jobs");
        let backlog = Backlog::open(&jobs).unwrap();
        let exports: Vec<Export> = (0..JOBS).map(|n| Export { n }).collect();
        let ids: Vec<JobId> = backlog.enqueue_many(&exports).unwrap().iter().map(|accepted| accepted.id).collect();
        backlog.close().unwrap();

        let mut worker = Worker::start(command, &jobs);
        // In whichever order.
        let (mut started, mut watching) = (0, false);
        while started < JOBS || !watching {
            let line = worker.lines.next().expect("the worker ended early").unwrap();
            started += u32::from(line.contains("started"));
            watching |= line.contains("watching");
        }
        worker.signal();
        worker.tell.write_all(b"go\n").unwrap();
        worker.hear("completed 60", 1);
        worker.signal();
        worker.hear("stopped 40", 1);
        assert!(worker.child.wait().unwrap().success());
        look(&jobs, &exports, &ids)
    }

    /// The next process.
    fn look(jobs: &Path, exports: &[Export], ids: &[JobId]) -> Report {
        let backlog = Backlog::open(jobs).unwrap();
        assert_eq!(backlog.recovery_report().requeued, 0, "nothing was found running: it was all given back");
        let mut report = Report::default();
        for (export, id) in exports.iter().zip(ids) {
            match backlog.inspect(*id).unwrap() {
                Status::Finished if export.finishes() => report.finished += 1,
                Status::Live(job) if !export.finishes() => {
                    let stands = (job.phase, job.attempts, job.crashes, job.errors.len());
                    assert_eq!(stands, (Phase::Ready, 0, 0, 0), "export {} spent an attempt", export.n);
                    report.released += 1;
                }
                other => panic!("export {}: {other:?}", export.n),
            }
        }
        report
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{Report, child, run};

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "as a test it is called by its run()")]
fn main() {
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return child();
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.arg("worker");
    let report = run(command);
    let Report { finished, released } = report;
    println!("SIGTERM with 100 jobs running, and a second one when 60 had finished:");
    println!("  {finished:>3} finished after the signal, and are on disk");
    println!("  {released:>3} were released: ready for the next process, no attempt spent");
    assert_eq!(report, Report { finished: 60, released: 40 });
}

#[cfg(not(target_os = "linux"))]
#[allow(dead_code, reason = "as a test it has nothing to do here")]
fn main() {
    println!("this example looks into /proc to know when signals are watched: run it on Linux");
}
