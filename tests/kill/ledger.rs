//! What the parent heard, and what must be found after a kill.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use backlog::{Backlog, Codec, Counts};
use serde_json::value::RawValue;

use crate::child::{CLAIM_MAX, THREADS};
use crate::spec::{KIND, key_of, spec};

/// A job as the parent knows it.
#[derive(Debug, Default)]
struct Job {
    id: Option<u64>,
    /// Its enqueue was acknowledged, or it was seen.
    accepted: bool,
    /// The enqueue answered `Duplicate`.
    refused: bool,
    /// Attempts spent, a failure that was announced included.
    spent: u32,
    crashes: u32,
    /// Dead as a poison pill: it was killed while it ran alone, though it did nothing.
    convicted: bool,
    held: bool,
    /// The verdict that was announced and not acknowledged.
    begun: Option<(Verdict, String)>,
    cancel: Cancel,
    gone: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Ack,
    AckWith(String),
    Nack,
    Release,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Cancel {
    #[default]
    No,
    Begun,
    /// Acknowledged while it ran: gone after a crash at the latest.
    Requested,
    Done,
}

/// A directory as it was found.
pub(crate) struct Found {
    pub(crate) text: String,
    jobs: BTreeMap<u64, FoundJob>,
    counts: Counts,
}

#[derive(serde::Deserialize)]
struct FoundJob {
    job: u64,
    kind: String,
    queue: String,
    priority: i16,
    state: String,
    attempts: u32,
    max_attempts: u32,
    crashes: u32,
    unique: Option<String>,
    codec: u8,
    args: Option<Box<RawValue>>,
    args_hex: Option<String>,
}

impl FoundJob {
    fn codec(&self) -> Codec {
        if self.codec == 1 { Codec::Json } else { Codec::Raw }
    }

    fn bytes(&self) -> Vec<u8> {
        let hex = |text: &String| {
            (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
        };
        self.args.as_ref().map(|raw| raw.get().as_bytes().to_vec()).or(self.args_hex.as_ref().map(hex)).unwrap()
    }
}

impl Found {
    pub(crate) fn of(backlog: &Backlog) -> Self {
        let mut out = Vec::new();
        backlog.dump(&mut out).unwrap();
        // Cells of namespace 2 are nonces, new with each opening.
        let text: String = String::from_utf8(out).unwrap().lines().filter(|line| line.starts_with("{\"job\"")).fold(
            String::new(),
            |mut text, line| {
                text.push_str(&without_due_times(line));
                text.push('\n');
                text
            },
        );
        let jobs = text.lines().map(|line| serde_json::from_str(line).unwrap()).map(|job: FoundJob| (job.job, job));
        Self { jobs: jobs.collect(), counts: backlog.counts(), text }
    }
}

/// What is scheduled becomes ready while one looks twice.
fn without_due_times(line: &str) -> String {
    match line.split_once("\"scheduled\",\"run_at_ms\":") {
        Some((before, after)) => format!("{before}\"ready\",{}", after.split_once(',').unwrap().1),
        None => line.to_owned(),
    }
}

/// What happened in all rounds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sums {
    lines: u64,
    enqueued: u64,
    ended: u64,
    claims: u64,
    failures: u64,
    duplicates: u64,
    interrupted: u64,
    compared: u64,
    unheard_grants: u64,
    batches_cut: u64,
    convicted: u64,
}

impl Sums {
    /// Operations that were acknowledged to the child and held against what was found.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.enqueued + self.ended + self.failures + self.duplicates
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.enqueued += other.enqueued;
        self.ended += other.ended;
        self.claims += other.claims;
        self.failures += other.failures;
        self.duplicates += other.duplicates;
        self.interrupted += other.interrupted;
        self.compared += other.compared;
        self.unheard_grants += other.unheard_grants;
        self.batches_cut += other.batches_cut;
        self.convicted += other.convicted;
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lines={} acknowledged: enqueues={} ends={} nacks={} duplicates={}; grants={} (unheard {}) interrupted={} \
             jobs compared={} batches cut={} killed alone={}",
            self.lines,
            self.enqueued,
            self.ended,
            self.failures,
            self.duplicates,
            self.claims,
            self.unheard_grants,
            self.interrupted,
            self.compared,
            self.batches_cut,
            self.convicted
        )
    }
}

#[derive(Default)]
pub(crate) struct Ledger {
    round: String,
    jobs: HashMap<String, Job>,
    key_of: HashMap<u64, String>,
    /// Announced and not acknowledged.
    batches: HashMap<String, usize>,
    /// Ids known to be over when this round began.
    over_before: HashSet<u64>,
    sums: Sums,
}

impl Ledger {
    pub(crate) fn begin(&mut self, round: &str) {
        round.clone_into(&mut self.round);
        self.over_before = self.jobs.values().filter(|job| job.gone).filter_map(|job| job.id).collect();
    }

    pub(crate) fn sums(&self) -> &Sums {
        &self.sums
    }

    fn by_id(&mut self, id: u64) -> &mut Job {
        let key = self.key_of.get(&id).unwrap_or_else(|| panic!("{}: no job {id} was ever heard of", self.round));
        self.jobs.get_mut(key).unwrap()
    }

    fn accept(&mut self, key: &str, id: u64) {
        let round = &self.round;
        let before = self.key_of.insert(id, key.to_owned());
        assert!(before.is_none_or(|before| before == key), "{round}: id {id} was given twice");
        let job = self.jobs.get_mut(key).unwrap_or_else(|| panic!("{round}: {key} was never enqueued"));
        assert!(job.id.is_none_or(|known| known == id) && !job.refused, "{round}: {key} stands as {id} too: {job:?}");
        job.id = Some(id);
        job.accepted = true;
    }

    /// One line of the child, in the order they were written.
    pub(crate) fn hear(&mut self, line: &str) {
        self.sums.lines += 1;
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "opening" | "opened" => {}
            "e" => drop(self.jobs.insert(words[1].to_owned(), Job::default())),
            "E" => {
                self.accept(words[1], number(2));
                self.sums.enqueued += 1;
            }
            "D" => self.duplicate(words[1], number(2)),
            "b" => {
                let n = words[2].parse().unwrap();
                self.batches.insert(words[1].to_owned(), n);
                self.jobs.extend((0..n).map(|at| (format!("{}.{at}", words[1]), Job::default())));
            }
            "B" => {
                self.batches.remove(words[1]).unwrap();
                for (at, id) in (0..number(2)).zip(number(3)..) {
                    self.accept(&format!("{}.{at}", words[1]), id);
                    self.sums.enqueued += 1;
                }
            }
            "C" => self.claimed(number(1), words[2].parse().unwrap(), words[3]),
            "a" => self.announce(number(1), Verdict::Ack, words[2]),
            "f" => {
                self.jobs.insert(words[3].to_owned(), Job::default());
                self.announce(number(1), Verdict::AckWith(words[3].to_owned()), words[2]);
            }
            "n" => self.announce(number(1), Verdict::Nack, words[2]),
            "r" => self.announce(number(1), Verdict::Release, words[2]),
            "A" | "F" | "N" | "R" => self.settled(number(1), words[2]),
            "x" => {
                let job = self.by_id(number(1));
                if job.cancel == Cancel::No {
                    job.cancel = Cancel::Begun;
                }
            }
            "X" => self.cancelled(number(1), words[3]),
            _ => panic!("{}: the child says {line}", self.round),
        }
    }

    fn duplicate(&mut self, key: &str, of: u64) {
        let round = self.round.clone();
        self.sums.duplicates += 1;
        self.jobs.get_mut(key).unwrap().refused = true;
        let unique = spec(key).unique;
        assert!(unique.is_some(), "{round}: {key} has no unique key and was refused");
        assert!(!self.over_before.contains(&of), "{round}: {key} was refused for job {of}, which was over before");
        if let Some(existing) = self.key_of.get(&of) {
            assert_eq!(spec(existing).unique, unique, "{round}: {key} was refused for {existing}");
        }
    }

    fn claimed(&mut self, id: u64, attempt: u32, key: &str) {
        self.sums.claims += 1;
        self.accept(key, id);
        let round = self.round.clone();
        let job = self.by_id(id);
        let over = job.gone || job.convicted || job.cancel == Cancel::Done;
        assert!(!over, "{round}: job {id} ({key}) runs again: {job:?}");
        assert!(!job.held || job.begun.is_some(), "{round}: job {id} ({key}) has two leases: {job:?}");
        assert_eq!(attempt, job.spent + 1, "{round}: job {id} ({key}): {job:?}");
        job.held = true;
        job.begun = None;
    }

    fn announce(&mut self, id: u64, verdict: Verdict, nr: &str) {
        let job = self.by_id(id);
        job.spent += u32::from(verdict == Verdict::Nack);
        job.begun = Some((verdict, nr.to_owned()));
    }

    fn settled(&mut self, id: u64, nr: &str) {
        let job = self.by_id(id);
        // Somebody else may have claimed the job before the first one could tell.
        let Some((verdict, _)) = job.begun.take_if(|(_, begun)| begun == nr) else { return };
        job.held = false;
        match verdict {
            Verdict::Ack | Verdict::AckWith(_) => {
                job.gone = true;
                self.sums.ended += 1;
            }
            Verdict::Nack => self.sums.failures += 1,
            Verdict::Release => {}
        }
        if let Verdict::AckWith(key) = verdict {
            self.jobs.get_mut(&key).unwrap().accepted = true;
            self.sums.enqueued += 1;
        }
    }

    fn cancelled(&mut self, id: u64, answer: &str) {
        let round = self.round.clone();
        let job = self.by_id(id);
        job.cancel = match answer {
            "Done" => Cancel::Done,
            "Requested" => Cancel::Requested,
            // It ended before; by whom is heard later.
            "NotLive" => return,
            other => panic!("{round}: cancel answered {other}"),
        };
        self.sums.ended += 1;
    }

    /// The directory was opened after the kill: everything in it is as it must be.
    pub(crate) fn settle(&mut self, found: &Found) {
        self.no_key_twice(found);
        let mut unheard = 0;
        let convicted = self.convicted();
        for job in found.jobs.values() {
            unheard += u32::from(self.compare(job));
        }
        assert!(unheard <= THREADS * CLAIM_MAX as u32, "{}: {unheard} grants nobody was given", self.round);
        self.sums.unheard_grants += u64::from(unheard);
        let convicted = self.convicted() - convicted;
        assert!(convicted <= 1, "{}: {convicted} jobs ran alone when the process died", self.round);
        self.sums.convicted += convicted;
        self.batches_are_whole();
        self.nothing_is_missing(found);
        self.follow_ups_came_with_their_ends();
        for job in self.jobs.values_mut() {
            job.held = false;
            job.begun = None;
            if !job.gone {
                job.cancel = Cancel::No;
            }
        }
        self.counters_add_up(&found.counts);
    }

    fn convicted(&self) -> u64 {
        self.jobs.values().filter(|job| job.convicted).count() as u64
    }

    fn no_key_twice(&self, found: &Found) {
        let mut holders: HashMap<&str, u64> = HashMap::new();
        for job in found.jobs.values().filter(|job| job.state != "dead") {
            if let Some(other) = job.unique.as_deref().and_then(|key| holders.insert(key, job.job)) {
                panic!("{}: jobs {other} and {} hold one unique key", self.round, job.job);
            }
        }
    }

    /// One live job. Whether it was granted without anybody hearing of it.
    fn compare(&mut self, found: &FoundJob) -> bool {
        let round = self.round.clone();
        self.sums.compared += 1;
        let bytes = found.bytes();
        let key = key_of(found.codec(), &bytes);
        let shown = format!("{round}: job {} ({key}) state={}", found.job, found.state);
        self.accept(&key, found.job);
        let wanted = spec(&key);
        assert!(wanted.args == bytes && wanted.codec == found.codec(), "{shown}: other args");
        assert_eq!(
            (wanted.queue, wanted.priority, wanted.max_attempts, wanted.unique.as_deref(), KIND),
            (&*found.queue, found.priority, found.max_attempts, found.unique.as_deref(), &*found.kind),
            "{shown}"
        );

        let job = self.by_id(found.job);
        assert!(!job.gone && !matches!(job.cancel, Cancel::Done | Cancel::Requested), "{shown}: it was over: {job:?}");
        let verdict = job.begun.as_ref().map(|(verdict, _)| verdict.clone());
        let ran = job.held && !matches!(verdict, Some(Verdict::Nack | Verdict::Release));
        let more = found.attempts.wrapping_sub(job.spent);
        assert!(more == 1 || (more == 0 && !ran), "{shown}: attempts={} though {job:?} {verdict:?}", found.attempts);
        let crashed = found.crashes.wrapping_sub(job.crashes);
        assert!(
            crashed == more || (verdict == Some(Verdict::Nack) && crashed == 1),
            "{shown}: crashes={} {job:?}",
            found.crashes
        );
        let spent = found.attempts >= found.max_attempts;
        // Rule 11: a suspect that is killed again while it runs alone. Nobody tells whether it ran alone.
        let suspect = job.crashes >= 2 && crashed == 1;
        job.convicted |= found.state == "dead" && !spent && suspect;
        let dead = spent || job.convicted;
        assert_eq!(found.state == "dead", dead, "{shown}: attempts={}/{} {job:?}", found.attempts, found.max_attempts);
        assert!(found.attempts <= found.max_attempts, "{shown}: attempts={}", found.attempts);
        assert!(matches!(&*found.state, "ready" | "scheduled" | "dead"), "{shown}");
        job.spent = found.attempts;
        job.crashes = found.crashes;
        let unheard = more == 1 && !ran && verdict != Some(Verdict::Release);
        self.sums.interrupted += u64::from(crashed);
        unheard
    }

    fn batches_are_whole(&mut self) {
        for (key, n) in std::mem::take(&mut self.batches) {
            let there = (0..n).filter(|at| self.jobs[&format!("{key}.{at}")].accepted).count();
            assert!(there == 0 || there == n, "{}: {there} of {n} jobs of batch {key}", self.round);
            self.sums.batches_cut += u64::from(there == 0);
        }
    }

    fn nothing_is_missing(&mut self, found: &Found) {
        for (key, job) in &mut self.jobs {
            if job.gone || job.id.is_some_and(|id| found.jobs.contains_key(&id)) {
                continue;
            }
            let may_be_over = !job.accepted
                || job.cancel != Cancel::No
                || matches!(job.begun, Some((Verdict::Ack | Verdict::AckWith(_), _)));
            assert!(may_be_over, "{}: LOST {key}: {job:?}", self.round);
            job.gone = true;
        }
    }

    /// An end and its follow-up are one frame. (Not of jobs that somebody else cancelled meanwhile.)
    fn follow_ups_came_with_their_ends(&self) {
        for (key, job) in &self.jobs {
            if let Some((Verdict::AckWith(follow_up), _)) = &job.begun {
                let came = self.jobs[follow_up].accepted;
                assert!(job.gone || !came, "{}: {follow_up} is there, and so is {key}", self.round);
                assert!(
                    came || !job.gone || job.cancel != Cancel::No,
                    "{}: {key} ended without {follow_up}",
                    self.round
                );
            }
        }
    }

    /// C9, over all lives of the directory.
    fn counters_add_up(&self, counts: &Counts) {
        let accepted = self.jobs.values().filter(|job| job.accepted).count() as u64;
        let over = self.jobs.values().filter(|job| job.accepted && job.gone).count() as u64;
        assert_eq!(counts.enqueued, accepted, "{}: {counts:?}", self.round);
        assert_eq!(counts.completed + counts.cancelled, over, "{}: {counts:?}", self.round);
        assert_eq!(counts.total().live(), accepted - over, "{}: {counts:?}", self.round);
    }
}
