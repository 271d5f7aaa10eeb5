//! The process you started: enqueues, watches the worker, kills it, starts it again, and checks the outcome.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Instant;

use backlog::Backlog;
use indicatif::{ProgressBar, ProgressStyle};

use crate::report::{Kill, Report};
use crate::results::Results;
use crate::{HashFile, WORK_IN, files};

/// Files per commit.
const BATCH: usize = 1000;
/// How often the worker may die by itself before we give up.
const FALLS_MAX: usize = 3;
/// How many jobs a worker may be ahead of what we have heard of it, at most.
const LEASH_MAX: usize = 256;

/// `false`: something was lost, or differs.
pub(crate) fn show(dir: Option<PathBuf>) -> Result<bool, Box<dyn Error>> {
    let roots = dir.map_or_else(files::default_roots, |dir| Ok(vec![std::path::absolute(dir)?]))?;
    let (paths, left_out) = files::below(&roots);
    if paths.is_empty() {
        return Err(format!("no files below {roots:?}; name a directory that holds some").into());
    }
    // Goes when this function ends, however it ends.
    let home = tempfile::Builder::new().prefix("backlog-quickstart-").tempdir()?;
    let mut report = Report { files: paths.len(), left_out, ..Report::default() };
    enqueue(home.path(), &paths, &mut report)?;
    Watch::new(home.path(), paths.len()).run(&mut report)?;
    settle(home.path(), &paths, &mut report)?;
    report.print();
    Ok(report.is_good())
}

fn enqueue(home: &Path, paths: &[String], report: &mut Report) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let backlog = Backlog::open(home.join("queue"))?;
    for batch in paths.chunks(BATCH) {
        let jobs: Vec<HashFile> = batch.iter().map(|path| HashFile { path: path.clone() }).collect();
        report.jobs += backlog.enqueue_many(&jobs)?.len();
    }
    // Only one process owns a queue: the worker is next.
    backlog.close()?;
    report.enqueueing = started.elapsed();
    Ok(())
}

/// What is heard of the workers, over all their lives.
struct Watch<'h> {
    home: &'h Path,
    jobs: usize,
    bar: ProgressBar,
    /// How often each job was started.
    starts: HashMap<u64, u32>,
    done: HashSet<u64>,
    /// Numbers of done jobs at which the worker is killed, the next one last.
    kill_at: Vec<usize>,
    /// The last kill, until one of the jobs it interrupted runs again.
    waiting: Option<Instant>,
}

/// Why a worker's life ended.
enum End {
    Killed,
    Finished,
    Fell,
}

impl<'h> Watch<'h> {
    fn new(home: &'h Path, jobs: usize) -> Self {
        let bar = ProgressBar::new(jobs as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} jobs {msg}") {
            bar.set_style(style);
        }
        let kill_at = vec![(jobs / 2).max(2), (jobs / 5).max(1)];
        Self { home, jobs, bar, starts: HashMap::new(), done: HashSet::new(), kill_at, waiting: None }
    }

    fn run(mut self, report: &mut Report) -> Result<(), Box<dyn Error>> {
        let started = Instant::now();
        let mut falls = 0;
        loop {
            match self.one_life(report)? {
                End::Finished => break,
                End::Killed => {}
                End::Fell if falls < FALLS_MAX => falls += 1,
                End::Fell => {
                    return Err("the worker process ends by itself again and again; its errors stand above".into());
                }
            }
        }
        self.bar.finish_and_clear();
        report.working = started.elapsed();
        report.runs = self.starts.values().map(|n| *n as usize).sum();
        report.run_again = self.starts.values().filter(|n| **n > 1).count();
        Ok(())
    }

    /// Starts a worker and listens until it ends.
    fn one_life(&mut self, report: &mut Report) -> Result<End, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(WORK_IN, self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("the worker has no output")?).lines();
        let mut leash = child.stdin.take();
        give(leash.as_ref(), (self.jobs / 10).clamp(4, LEASH_MAX));
        let mut end = End::Fell;
        for line in lines {
            let line = line?;
            self.hear(&line, report);
            if matches!(end, End::Fell) {
                end = self.act(&mut child, report)?;
            }
            match end {
                End::Fell if line.starts_with("done") => give(leash.as_ref(), 1),
                // It stops in order when its input ends.
                End::Finished => drop(leash.take()),
                _ => {}
            }
        }
        let status = child.wait()?;
        if matches!(end, End::Finished) && !status.success() {
            end = End::Fell;
        }
        Ok(end)
    }

    fn hear(&mut self, line: &str, report: &mut Report) {
        let mut words = line.split(' ');
        let word = words.next();
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        match word {
            Some("open") => {
                if let Some(kill) = report.kills.last_mut().filter(|_| self.waiting.is_some()) {
                    kill.requeued = number();
                }
            }
            Some("start") => {
                let (job, attempt) = (number(), number());
                *self.starts.entry(job).or_default() += 1;
                if attempt > 1
                    && let Some(killed) = self.waiting.take()
                    && let Some(kill) = report.kills.last_mut()
                {
                    kill.back_after = Some(killed.elapsed());
                }
            }
            Some("done") => {
                self.done.insert(number());
                self.bar.set_position(self.done.len() as u64);
            }
            _ => {}
        }
    }

    /// Kills the worker if it is time, or lets it go if it has done everything.
    fn act(&mut self, child: &mut Child, report: &mut Report) -> Result<End, Box<dyn Error>> {
        let done = self.done.len();
        if self.kill_at.last().is_some_and(|at| done >= *at) && done < self.jobs {
            self.kill_at.pop();
            child.kill()?;
            self.waiting = Some(Instant::now());
            report.kills.push(Kill { at: done, requeued: 0, back_after: None });
            self.bar.set_message(format!("(killed {} times)", report.kills.len()));
            return Ok(End::Killed);
        }
        if done >= self.jobs {
            return Ok(End::Finished);
        }
        Ok(End::Fell)
    }
}

/// Lets the worker start this many more jobs. If it has gone we hear so from its output.
fn give(mut leash: Option<&ChildStdin>, jobs: usize) {
    if let Some(leash) = &mut leash {
        let _ = leash.write_all(&vec![b'.'; jobs]);
    }
}

/// Compares what came out with a plain hash of the same files.
fn settle(home: &Path, paths: &[String], report: &mut Report) -> Result<(), Box<dyn Error>> {
    let backlog = Backlog::open(home.join("queue"))?;
    report.completed = backlog.counts().completed;
    report.unfinished = backlog.counts().total().live();
    report.damage = backlog.verify()?.damage;
    backlog.close()?;
    let results = Results::read(&home.join("results"))?;
    for path in paths {
        let plain = files::hash(Path::new(path)).unwrap_or_else(|e| files::Found::unreadable(&e));
        report.bytes += plain.bytes;
        report.unreadable += usize::from(plain.error.is_some());
        match results.get(path) {
            None => report.lost += 1,
            Some(found) if *found == plain => {}
            Some(found) if found.is_of_another_time(&plain) => report.changed += 1,
            Some(_) => report.differ += 1,
        }
    }
    Ok(())
}
