//! A job that kills its process whenever it runs, and what becomes of those that run beside it.
//!
//! The process is this test binary run anew, with a pool of workers. In its first two lives the pill waits until some
//! innocents are running, who do not return, and takes them with it: so all of them are suspects, and only running
//! alone tells who it was.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use backlog::{Backlog, Codec, Context, Failure, Filter, JobId, Options, Phase, Status};
use rustix::process::{Signal, getpid, kill_process};

use crate::system::{Process, effort, home, number, say};
use crate::{DIR, options};

const ALONE: &str = "BACKLOG_KILL_PILL_ALONE";
/// Attempts of the pill.
const ATTEMPTS: u32 = 5;
/// Innocents that die with it, and how often.
const BESIDE: usize = 3;
const TOGETHER: u32 = 2;
/// Innocents that do nothing special.
const OTHERS: usize = 40;
const LONG: Duration = Duration::from_secs(60);

fn opening(alone: bool) -> Options {
    options(64 << 10).suspects_alone(alone)
}

#[test]
#[ignore = "the other tests run it, in a process of its own"]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let backlog = opening(number(ALONE, 1) == 1).open(&dir).unwrap();
    let pill_lives = live(&backlog).iter().any(|info| info.kind == "pill");
    let running = Arc::new((Mutex::new(0), Condvar::new()));
    let seen = Arc::clone(&running);
    let workers = backlog
        .workers()
        .handle_raw("pill", move |_: &[u8], cx: Context| -> Result<(), Failure> {
            if cx.attempt() <= TOGETHER {
                let (count, changed) = &*seen;
                drop(changed.wait_while(count.lock().unwrap(), |running| *running < BESIDE).unwrap());
            }
            say(&format!("pill {}", cx.attempt()));
            kill_process(getpid(), Signal::KILL)?;
            loop {
                std::thread::park();
            }
        })
        .handle_raw("beside", move |_: &[u8], cx: Context| {
            if pill_lives && cx.attempt() <= TOGETHER {
                let (count, changed) = &*running;
                *count.lock().unwrap() += 1;
                changed.notify_all();
                loop {
                    std::thread::park();
                }
            }
            Ok(())
        })
        .handle_raw("other", |_: &[u8], _| Ok(()))
        .concurrency(2 * BESIDE)
        .start()
        .unwrap();
    while !live(&backlog).is_empty() {
        std::thread::yield_now();
    }
    workers.stop(LONG).unwrap();
    backlog.close().unwrap();
    say("quiet");
}

fn live(backlog: &Backlog) -> Vec<backlog::JobInfo> {
    let mut jobs = backlog.list(&Filter::new()).unwrap();
    jobs.retain(|info| info.phase != Phase::Dead);
    jobs
}

/// Enqueues them all, the pill among the innocents; gives its id.
fn prepare(dir: &Path, rng: &mut fastrand::Rng) -> JobId {
    let mut kinds = vec!["other"; OTHERS];
    kinds.extend(["beside"; BESIDE]);
    kinds.push("pill");
    rng.shuffle(&mut kinds);
    let backlog = opening(true).open(dir).unwrap();
    let mut pill = None;
    for kind in kinds {
        let mut job = backlog.raw_job(kind, b"{}".to_vec(), Codec::Json);
        if kind == "pill" {
            job = job.max_attempts(ATTEMPTS);
        }
        let answer = job.enqueue().unwrap();
        pill = pill.or((kind == "pill").then_some(answer.id));
    }
    backlog.close().unwrap();
    pill.unwrap()
}

/// Starts the program again and again, as whoever supervises it does, until it ends by itself. Gives its deaths.
fn supervise(dir: &Path, alone: bool, shown: &str) -> u32 {
    let environment: [(&str, &dyn AsRef<std::ffi::OsStr>); 2] = [(DIR, &dir), (ALONE, &u8::from(alone).to_string())];
    let mut deaths = 0;
    loop {
        let mut child = Process::start("pill::child", &environment);
        let mut last = None;
        while let Some(line) = child.hear() {
            last = Some(line);
        }
        child.end();
        match last.as_deref() {
            Some("quiet") => return deaths,
            Some(line) => assert_eq!(line, format!("pill {}", deaths + 1), "{shown}: every death was counted"),
            None => panic!("{shown}: the child died before its pill ran"),
        }
        deaths += 1;
        assert!(deaths <= ATTEMPTS, "{shown}: the pill goes on and on");
    }
}

/// Gives the deaths.
fn swallow(alone: bool, seed: u64) -> u32 {
    let shown = format!("BACKLOG_KILL_PILL_SEED={seed} alone={alone}");
    let home = home();
    let pill = prepare(&home.jobs(), &mut fastrand::Rng::with_seed(seed));
    let deaths = supervise(&home.jobs(), alone, &shown);
    let backlog = opening(alone).open(home.jobs()).unwrap();
    let dead = backlog.list(&Filter::new()).unwrap();
    assert_eq!(dead.iter().map(|info| info.id).collect::<Vec<_>>(), [pill], "{shown}: {dead:?}");
    assert_eq!(backlog.counts().completed, (BESIDE + OTHERS) as u64, "{shown}: {:?}", backlog.counts());
    let Ok(Status::Live(pill)) = backlog.inspect(pill) else { panic!("{shown}: the pill is gone") };
    assert_eq!((pill.phase, pill.attempts, pill.crashes), (Phase::Dead, deaths, deaths), "{shown}: {pill:?}");
    let reason = pill.reason.unwrap_or_default();
    assert_eq!(reason.starts_with("poison pill"), alone, "{shown}: {reason}");
    deaths
}

#[test]
fn a_poison_pill_is_dead_after_it_died_alone_and_no_innocent_is_buried_with_it() {
    let (pills, first) = (effort("BACKLOG_KILL_PILLS", 1, 10), number("BACKLOG_KILL_PILL_SEED", 1));
    let mut deaths = 0;
    for seed in first..first + pills {
        let died = swallow(true, seed);
        assert_eq!(died, TOGETHER + 1, "BACKLOG_KILL_PILL_SEED={seed}: twice together, once alone");
        deaths += died;
    }
    println!("counted: poison pills {pills}");
    println!("counted: deaths by poison pills {deaths}");
}

#[test]
fn without_turns_alone_a_poison_pill_is_dead_when_its_attempts_are_spent() {
    let died = swallow(false, number("BACKLOG_KILL_PILL_SEED", 1));
    assert_eq!(died, ATTEMPTS);
    println!("counted: poison pills 1");
    println!("counted: deaths by poison pills {died}");
}
