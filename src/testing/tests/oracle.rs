//! The judge must acquit what keeps the promises and convict what breaks them.

use crate::ids::{JobId, Phase};
use crate::testing::oracle::{
    Answer, CancelAnswer, Fault, Grant, Level, NewJob, Op, Oracle, RequeueAnswer, Retry, View, default_backoff_allows,
};

const NOW: u64 = 1_000_000;

/// An oracle, and a stand-in for the real backlog that always answers right.
#[derive(Default)]
struct Bench {
    oracle: Oracle,
    ids: u64,
    tokens: u64,
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self::default();
        bench.oracle.set_clock(NOW);
        bench
    }

    fn plan(&mut self) -> Answer {
        self.ids += 1;
        Answer::New(JobId(self.ids))
    }

    /// Accepted, and durable.
    fn add(&mut self, job: &NewJob) -> JobId {
        let answer = self.plan();
        let op = self.oracle.enqueue(job, answer).unwrap();
        self.oracle.acknowledge(op, Level::Synced);
        JobId(self.ids)
    }

    fn grant(&mut self, id: JobId) -> Grant {
        self.tokens += 1;
        let view = self.oracle.view();
        let (attempt, args) = view.jobs.get(&id).map_or((1, [][..].into()), |job| (job.attempts + 1, job.args.clone()));
        Grant { id, token: (1, self.tokens), attempt, idempotency_key: format!("key-{id}"), args }
    }

    /// Claims the best; gives its token.
    fn claim(&mut self) -> (JobId, (u64, u64)) {
        let id = self.oracle.best(&[]).expect("something is ready");
        let grant = self.grant(id);
        self.oracle.claim(&[], 1, std::slice::from_ref(&grant)).unwrap();
        (id, grant.token)
    }

    fn synced(&mut self, op: Op) {
        self.oracle.acknowledge(op, Level::Synced);
    }

    fn phase(&self, id: JobId) -> Option<Phase> {
        self.oracle.view().jobs.get(&id).map(|job| job.phase)
    }

    /// Granting this job now breaks which promise?
    fn convicts(&mut self, grant: &Grant) -> String {
        self.oracle.clone().claim(&[], 1, std::slice::from_ref(grant)).expect_err("a broken promise").to_string()
    }
}

fn plain() -> NewJob {
    NewJob::new("k", b"args")
}

fn keyed(key: &str) -> NewJob {
    NewJob { unique: Some(key.to_owned()), ..plain() }
}

fn with_priority(priority: i16) -> NewJob {
    NewJob { priority, ..plain() }
}

#[test]
fn the_best_job_has_the_highest_priority_then_the_lowest_id() {
    let mut bench = Bench::new();
    let ids: Vec<JobId> = [0, 5, 5, -1].map(|priority| bench.add(&with_priority(priority))).to_vec();
    let order: Vec<JobId> = (0..4).map(|_| bench.claim().0).collect();
    assert_eq!(order, [ids[1], ids[2], ids[0], ids[3]]);
    assert_eq!(bench.oracle.best(&[]), None);
}

#[test]
fn a_grant_out_of_order_is_convicted() {
    let mut bench = Bench::new();
    let (first, second, urgent) = (bench.add(&plain()), bench.add(&plain()), bench.add(&with_priority(1)));
    let late = bench.grant(second);
    assert!(bench.convicts(&late).starts_with("C5"), "a higher priority waits");
    assert_eq!(bench.claim().0, urgent);
    assert!(bench.convicts(&late).starts_with("C4"), "an earlier one waits");
    assert_eq!(bench.claim().0, first);
    let in_order = bench.grant(second);
    bench.oracle.claim(&[], 1, &[in_order]).unwrap();
}

#[test]
fn queues_have_their_turn_in_the_order_asked_and_paused_ones_have_none() {
    let mut bench = Bench::new();
    let mail = bench.add(&NewJob { queue: "mail".to_owned(), ..plain() });
    let urgent = bench.add(&NewJob { queue: "zoo".to_owned(), ..with_priority(9) });
    assert_eq!(bench.oracle.best(&["mail", "zoo"]), Some(mail));
    assert_eq!(bench.oracle.best(&["zoo", "mail"]), Some(urgent));
    assert_eq!(bench.oracle.best(&[]), Some(mail), "all by name");
    assert_eq!(bench.oracle.best(&["other"]), None);
    bench.oracle.pause("mail");
    assert_eq!(bench.oracle.best(&[]), Some(urgent));
    let grant = bench.grant(mail);
    assert!(bench.convicts(&grant).starts_with("C5"));
    bench.oracle.resume("mail");
    assert_eq!(bench.oracle.best(&[]), Some(mail));
}

#[test]
fn an_empty_hand_is_convicted_while_a_job_is_ready_that_reached_its_level() {
    let mut bench = Bench::new();
    let answer = bench.plan();
    let op = bench.oracle.enqueue(&plain(), answer).unwrap();
    bench.oracle.claim(&[], 1, &[]).unwrap();
    bench.oracle.acknowledge(op, Level::Written);
    bench.oracle.claim(&[], 1, &[]).unwrap();
    let early = bench.grant(JobId(1));
    bench.oracle.clone().claim(&[], 1, &[early]).expect("its level may be reached before anyone says so");
    bench.synced(op);
    let empty = bench.oracle.claim(&[], 1, &[]).unwrap_err();
    assert!(empty.to_string().starts_with("C13"), "{empty}");
}

#[test]
fn a_second_lease_an_old_token_and_a_wrong_attempt_are_convicted() {
    let mut bench = Bench::new();
    let id = bench.add(&plain());
    let grant = bench.grant(id);
    assert!(bench.convicts(&Grant { attempt: 2, ..grant.clone() }).starts_with("C7"));
    assert!(bench.convicts(&Grant { args: b"other"[..].into(), ..grant.clone() }).starts_with("C10"));
    assert!(bench.convicts(&Grant { id: JobId(99), ..grant.clone() }).starts_with("C1"));
    bench.oracle.claim(&[], 1, std::slice::from_ref(&grant)).unwrap();
    let again = bench.grant(id);
    assert!(bench.convicts(&again).starts_with("C3"));
    bench.oracle.release(id, grant.token).unwrap();
    assert!(bench.convicts(&grant).starts_with("C3"), "tokens rise");
    assert!(!bench.oracle.holds(id, grant.token));
    assert_eq!(bench.oracle.ack(id, grant.token, &[], &[], &[]), Ok(None), "stale");
    assert_eq!(bench.oracle.release(id, grant.token), None);
    assert!(bench.convicts(&Grant { idempotency_key: "new".to_owned(), ..again }).starts_with("rule 7"));
}

#[test]
fn two_jobs_with_one_idempotency_key_are_convicted() {
    let mut bench = Bench::new();
    let (first, second) = (bench.add(&plain()), bench.add(&plain()));
    assert_eq!(bench.claim().0, first);
    let grant = bench.grant(second);
    assert!(bench.convicts(&Grant { idempotency_key: format!("key-{first}"), ..grant }).starts_with("rule 7"));
}

#[test]
fn a_job_that_crashed_or_is_on_its_last_attempt_goes_alone() {
    let mut bench = Bench::new();
    let (last, other) = (bench.add(&NewJob { max_attempts: 1, ..plain() }), bench.add(&plain()));
    let grants = [bench.grant(last), bench.grant(other)];
    let batch = bench.oracle.clone().claim(&[], 2, &grants).unwrap_err();
    assert!(batch.to_string().starts_with("rule 11"), "{batch}");
    bench.oracle.claim(&[], 2, &grants[..1]).unwrap();
    bench.oracle.claim(&[], 2, &grants[1..]).unwrap();
}

#[test]
fn a_job_granted_before_its_time_is_convicted_and_the_clock_may_go_back() {
    let mut bench = Bench::new();
    let id = bench.add(&NewJob { run_at: Some(NOW + 10), ..plain() });
    assert_eq!(bench.oracle.promote(), 0);
    let grant = bench.grant(id);
    assert!(bench.convicts(&grant).starts_with("C6"));
    bench.oracle.set_clock(NOW + 10);
    assert_eq!(bench.oracle.promote(), 1);
    bench.oracle.set_clock(0);
    assert_eq!(bench.oracle.promote(), 0);
    bench.oracle.claim(&[], 1, &[grant]).expect("due is decided once");
}

#[test]
fn due_jobs_are_promoted_the_earliest_first_one_step_each() {
    let mut bench = Bench::new();
    let late = bench.add(&NewJob { run_at: Some(NOW + 20), ..plain() });
    let early = bench.add(&NewJob { run_at: Some(NOW + 10), ..plain() });
    bench.oracle.set_clock(NOW + 30);
    let before = bench.oracle.clone();
    assert_eq!(bench.oracle.promote(), 2);
    let mut half = before.view();
    half.jobs.get_mut(&early).unwrap().phase = Phase::Ready;
    half.jobs.get_mut(&early).unwrap().run_at = None;
    bench.oracle.clone().recovered(&half, Fault::Process).unwrap();
    let mut other = before.view();
    other.jobs.get_mut(&late).unwrap().phase = Phase::Ready;
    other.jobs.get_mut(&late).unwrap().run_at = None;
    bench.oracle.recovered(&other, Fault::Process).unwrap_err();
}

#[test]
fn a_key_answers_duplicate_exactly_while_a_live_job_has_it() {
    let mut bench = Bench::new();
    let first = bench.add(&keyed("a"));
    let duplicate = |bench: &mut Bench, job: &NewJob| bench.oracle.enqueue(job, Answer::Duplicate(first));
    assert_eq!(duplicate(&mut bench, &keyed("a")), Ok(bench.oracle.last_op()));
    assert!(duplicate(&mut bench, &keyed("b")).unwrap_err().to_string().starts_with("C8"));
    let wrongly_new = bench.oracle.clone().enqueue(&keyed("a"), Answer::New(JobId(50))).unwrap_err();
    assert!(wrongly_new.to_string().starts_with("C8"));
    bench.add(&NewJob { kind: "other".to_owned(), ..keyed("a") });
    let (_, token) = bench.claim();
    duplicate(&mut bench, &keyed("a")).expect("in flight it is live");
    bench.oracle.bury(first, token).unwrap();
    let second = bench.add(&keyed("a"));
    assert_eq!(bench.oracle.requeue(first).0, RequeueAnswer::Duplicate(second));
    assert_eq!(bench.oracle.cancel(second).0, CancelAnswer::Done);
    assert_eq!(bench.oracle.view().jobs[&first].attempts, 1);
    assert_eq!(bench.oracle.requeue(first).0, RequeueAnswer::Done);
    assert_eq!(bench.oracle.view().jobs[&first].attempts, 0, "from its first attempt");
    bench.oracle.check().unwrap();
}

#[test]
fn a_batch_sees_its_own_keys_and_ids_only_rise() {
    let mut bench = Bench::new();
    let jobs = [keyed("a"), plain(), keyed("a")];
    let right = [Answer::New(JobId(1)), Answer::New(JobId(2)), Answer::Duplicate(JobId(1))];
    bench.oracle.clone().enqueue_many(&jobs, &right).unwrap();
    let twice = [Answer::New(JobId(1)), Answer::New(JobId(1)), Answer::Duplicate(JobId(1))];
    assert!(bench.oracle.clone().enqueue_many(&jobs, &twice).is_err());
    assert!(bench.oracle.clone().enqueue_many(&jobs, &right[..2]).unwrap_err().to_string().starts_with("C15"));
    bench.oracle.enqueue_many(&jobs, &right).unwrap();
    let nothing = bench.oracle.view_after_crash();
    assert_eq!(nothing.jobs.len(), 2);
    bench.oracle.recovered(&View::default(), Fault::Power).expect("nothing was acknowledged");
    let reused = bench.oracle.enqueue(&plain(), Answer::New(JobId(2))).unwrap_err();
    assert!(reused.to_string().starts_with("C1"), "not even that of a lost job: {reused}");
}

#[test]
fn attempts_are_spent_by_failures_and_given_back_by_release_and_snooze() {
    let mut bench = Bench::new();
    let id = bench.add(&NewJob { max_attempts: 3, ..plain() });
    let attempts = |bench: &Bench| bench.oracle.view().jobs.get(&id).map(|job| (job.phase, job.run_at, job.attempts));
    let (_, token) = bench.claim();
    bench.oracle.release(id, token).unwrap();
    assert_eq!(attempts(&bench), Some((Phase::Ready, None, 0)));
    let (_, token) = bench.claim();
    bench.oracle.snooze(id, token, NOW + 5).unwrap();
    assert_eq!(attempts(&bench), Some((Phase::Scheduled, Some(NOW + 1000), 0)), "the second in a row waits a second");
    bench.oracle.set_clock(NOW + 1000);
    bench.oracle.promote();
    let (_, token) = bench.claim();
    bench.oracle.nack(id, token, Retry::Asked(NOW + 2000)).unwrap();
    assert_eq!(attempts(&bench), Some((Phase::Scheduled, Some(NOW + 2000), 1)));
    bench.oracle.set_clock(NOW + 2000);
    bench.oracle.promote();
    let (_, token) = bench.claim();
    bench.oracle.lease_expired(id, token).unwrap();
    assert_eq!(attempts(&bench), Some((Phase::Ready, None, 2)));
    let (_, token) = bench.claim();
    bench.oracle.nack(id, token, Retry::Asked(NOW)).unwrap();
    assert_eq!(attempts(&bench), Some((Phase::Dead, None, 3)), "dead exactly at the maximum");
    bench.oracle.check().unwrap();
}

#[test]
fn the_default_curve_is_held_against_its_formula() {
    for (failures, least, most) in [(0, 15_000, 45_000), (2, 31_000, 121_000), (10, 10_015_000, 10_345_000)] {
        assert!(!default_backoff_allows(failures, least - 1));
        assert!(default_backoff_allows(failures, least));
        assert!(default_backoff_allows(failures, most - 1));
        assert!(!default_backoff_allows(failures, most));
    }
    let mut bench = Bench::new();
    bench.add(&plain());
    let (id, token) = bench.claim();
    let early = bench.oracle.clone().nack(id, token, Retry::Curve(NOW + 14_999)).unwrap_err();
    assert!(early.to_string().starts_with("C7"), "{early}");
    bench.oracle.nack(id, token, Retry::Curve(NOW + 15_000)).unwrap();
}

#[test]
fn a_running_job_somebody_cancelled_completes_by_its_ack_alone() {
    let mut bench = Bench::new();
    for end in 0..6 {
        let id = bench.add(&plain());
        let (_, token) = bench.claim();
        assert_eq!(bench.oracle.cancel(id).0, CancelAnswer::Requested);
        let ended = match end {
            0 => bench.oracle.ack(id, token, &[], &[], &[]).unwrap(),
            1 => bench.oracle.nack(id, token, Retry::Asked(NOW)).unwrap(),
            2 => bench.oracle.release(id, token),
            3 => bench.oracle.bury(id, token),
            4 => bench.oracle.park(id, token),
            _ => bench.oracle.lease_expired(id, token),
        };
        assert!(ended.is_some());
        assert_eq!(bench.phase(id), None);
        bench.oracle.check().unwrap();
    }
    let counters = bench.oracle.view().counters;
    assert_eq!((counters.completed, counters.cancelled), (1, 5));
}

#[test]
fn what_is_done_by_name_asks_for_the_right_state() {
    let mut bench = Bench::new();
    let held = bench.add(&NewJob { hold: true, run_at: Some(NOW + 50), ..plain() });
    assert_eq!(bench.oracle.best(&[]), None);
    assert!(bench.oracle.prune(held).is_err());
    assert_eq!(bench.oracle.requeue(held).0, RequeueAnswer::Refused(Phase::Held));
    bench.oracle.clone().discard(held).unwrap();
    bench.oracle.confirm(held).unwrap();
    assert_eq!(bench.phase(held), Some(Phase::Scheduled));
    assert!(bench.oracle.confirm(held).is_err());
    bench.oracle.expire(held).unwrap();
    assert_eq!(bench.oracle.cancel(held).0, CancelAnswer::NotLive);
    assert_eq!(bench.oracle.requeue(held).0, RequeueAnswer::NotLive);
    let id = bench.add(&plain());
    let (_, token) = bench.claim();
    bench.oracle.park(id, token).unwrap();
    bench.oracle.unpark(id).unwrap();
    let (_, token) = bench.claim();
    bench.oracle.bury(id, token).unwrap();
    bench.oracle.prune(id).unwrap();
    bench.oracle.check().unwrap();
    assert_eq!(bench.oracle.view().counters.pruned, 1);
}

#[test]
fn what_was_acknowledged_must_be_there_after_a_crash_and_the_rest_may_be_missing_from_the_end() {
    let mut bench = Bench::new();
    let mut views = vec![bench.oracle.view()];
    let mut ops = Vec::new();
    for _ in 0..4 {
        let answer = bench.plan();
        ops.push(bench.oracle.enqueue(&plain(), answer).unwrap());
        views.push(bench.oracle.view());
    }
    bench.oracle.acknowledge(ops[2], Level::Written);
    bench.synced(ops[1]);
    for (kept, view) in views.iter().enumerate() {
        let after = |fault| bench.oracle.clone().recovered(view, fault);
        assert_eq!(after(Fault::Power).is_ok(), kept >= 2, "power cut, {kept} kept");
        assert_eq!(after(Fault::Process).is_ok(), kept >= 3, "kill, {kept} kept");
        if kept < 2 {
            assert!(after(Fault::Power).unwrap_err().to_string().starts_with("C1: job="), "lost");
        }
    }
    let mut holed = views[4].clone();
    holed.jobs.remove(&JobId(3));
    assert!(bench.oracle.clone().recovered(&holed, Fault::Power).unwrap_err().to_string().starts_with("C2"));
    let mut garbled = views[4].clone();
    garbled.jobs.get_mut(&JobId(3)).unwrap().args = b"other"[..].into();
    assert!(bench.oracle.clone().recovered(&garbled, Fault::Power).is_err());
    let mut phantom = views[4].clone();
    phantom.jobs.insert(JobId(9), views[4].jobs[&JobId(1)].clone());
    assert!(bench.oracle.recovered(&phantom, Fault::Power).unwrap_err().to_string().contains("job=9 is there"));
}

#[test]
fn an_acknowledged_end_never_comes_undone() {
    let mut bench = Bench::new();
    let id = bench.add(&plain());
    let ready = bench.oracle.view();
    let (_, token) = bench.claim();
    let claimed = bench.oracle.view_after_crash();
    let op = bench.oracle.ack(id, token, &[], &[], &[]).unwrap().unwrap();
    let done = bench.oracle.view();
    bench.oracle.clone().recovered(&ready, Fault::Power).expect("the claim was only written");
    bench.oracle.clone().recovered(&ready, Fault::Process).expect_err("grants are counted exactly after a kill");
    bench.oracle.clone().recovered(&claimed, Fault::Process).expect("the ack was not acknowledged");
    bench.synced(op);
    let undone = bench.oracle.clone().recovered(&claimed, Fault::Power).unwrap_err();
    assert!(undone.to_string().contains("after its end"), "{undone}");
    bench.oracle.recovered(&done, Fault::Power).unwrap();
    assert_eq!(bench.phase(id), None);
}

#[test]
fn an_ack_its_follow_ups_and_its_cells_come_together_or_not_at_all() {
    let mut bench = Bench::new();
    let parent = bench.add(&keyed("a"));
    let (_, token) = bench.claim();
    let before = bench.oracle.view_after_crash();
    let follow_ups = [keyed("a"), plain()];
    let answers = [bench.plan(), bench.plan()];
    let cells = [(7, b"step".to_vec(), Some(b"value".to_vec()))];
    bench.oracle.ack(parent, token, &follow_ups, &answers, &cells).unwrap().unwrap();
    let after = bench.oracle.view();
    assert_eq!((after.jobs.len(), after.cells.len()), (2, 1));
    for (view, is_right) in [(&before, true), (&after, true)] {
        assert_eq!(bench.oracle.clone().recovered(view, Fault::Power).is_ok(), is_right);
    }
    let mut without_cell = after.clone();
    without_cell.cells.clear();
    let mut without_child = after;
    without_child.jobs.pop_last();
    for broken in [without_cell, without_child] {
        assert!(bench.oracle.clone().recovered(&broken, Fault::Power).unwrap_err().to_string().starts_with("C2"));
    }
}

#[test]
fn what_was_in_flight_comes_back_by_the_rules() {
    let mut bench = Bench::new();
    let fresh = bench.add(&plain());
    let last = bench.add(&NewJob { max_attempts: 1, ..plain() });
    let cancelled = bench.add(&plain());
    for _ in 0..3 {
        bench.claim();
    }
    let (_, op) = bench.oracle.cancel(cancelled);
    bench.synced(op);
    let mut found = bench.oracle.view();
    found.jobs.remove(&cancelled);
    found.counters.cancelled = 1;
    for (id, phase) in [(fresh, Phase::Ready), (last, Phase::Dead)] {
        let job = found.jobs.get_mut(&id).unwrap();
        (job.phase, job.attempts, job.crashes) = (phase, 1, 1);
    }
    assert_eq!(bench.oracle.view_after_crash(), found);
    bench.oracle.recovered(&found, Fault::Process).unwrap();
    bench.oracle.clone().recovered(&found, Fault::Power).expect("recovery changes nothing the second time");
    assert_eq!(bench.claim().0, fresh, "at once, and it has reached its level");
    assert_eq!(bench.phase(last), Some(Phase::Dead));
}

#[test]
fn a_clean_close_changes_nothing() {
    let mut bench = Bench::new();
    bench.add(&plain());
    let view = bench.oracle.view();
    bench.oracle.reopened(&view).unwrap();
    assert!(bench.oracle.reopened(&View::default()).unwrap_err().to_string().starts_with("C2"));
}

/// One random step, answered right; gives what was acknowledged.
fn random_step(bench: &mut Bench, rng: &mut fastrand::Rng, leases: &mut Vec<(JobId, (u64, u64))>) {
    let any = |bench: &Bench, rng: &mut fastrand::Rng| {
        let ids: Vec<JobId> = bench.oracle.view().jobs.keys().copied().collect();
        ids.get(rng.usize(..ids.len().max(1))).copied().unwrap_or(JobId(9999))
    };
    let lease = leases.get(rng.usize(..leases.len().max(1))).copied().unwrap_or((JobId(9999), (0, 0)));
    let (id, token) = lease;
    match rng.u8(..12) {
        0..=2 => {
            let mut job = if rng.bool() { plain() } else { keyed("a") };
            job.priority = rng.i16(0..2);
            job.max_attempts = rng.u32(1..4);
            job.run_at = rng.bool().then(|| NOW + rng.u64(..3000));
            let twin = bench.oracle.view();
            let holder = twin
                .jobs
                .iter()
                .find(|(_, other)| job.unique.is_some() && other.unique == job.unique && other.phase != Phase::Dead);
            let answer = holder.map_or_else(|| bench.plan(), |(id, _)| Answer::Duplicate(*id));
            bench.oracle.enqueue(&job, answer).unwrap();
        }
        3..=4 => {
            if let Some(id) = bench.oracle.best(&[]) {
                let grant = bench.grant(id);
                bench.oracle.claim(&[], 1, std::slice::from_ref(&grant)).unwrap();
                leases.push((id, grant.token));
            }
        }
        5 => drop(bench.oracle.ack(id, token, &[], &[], &[]).unwrap()),
        6 => drop(bench.oracle.nack(id, token, Retry::Asked(NOW + rng.u64(..3000))).unwrap()),
        7 => drop(bench.oracle.release(id, token)),
        8 => drop(bench.oracle.cancel(any(bench, rng))),
        9 => drop(bench.oracle.requeue(any(bench, rng))),
        10 => {
            bench.oracle.set_clock(NOW + rng.u64(..4000));
            bench.oracle.promote();
        }
        _ => bench.oracle.acknowledge(bench.oracle.last_op(), if rng.bool() { Level::Synced } else { Level::Written }),
    }
}

#[test]
fn every_state_since_the_last_acknowledgement_is_a_right_answer_to_a_crash() {
    let (mut crashes, mut wrong) = (0, 0);
    for seed in 0..150 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut bench = Bench::new();
        let mut leases = Vec::new();
        let mut allowed = vec![bench.oracle.view_after_crash()];
        for _ in 0..60 {
            random_step(&mut bench, &mut rng, &mut leases);
            bench.oracle.check().unwrap_or_else(|e| panic!("seed={seed}: {e}"));
            let now = bench.oracle.view_after_crash();
            if bench.oracle.clone().recovered(&allowed[0], Fault::Power).is_err() {
                allowed.retain(|view| bench.oracle.clone().recovered(view, Fault::Power).is_ok());
            }
            allowed.push(now.clone());
            if let Some(id) = now.jobs.keys().next() {
                let mut broken = now.clone();
                broken.jobs.get_mut(id).unwrap().kind.push('!');
                assert!(bench.oracle.clone().recovered(&broken, Fault::Power).is_err(), "seed={seed}");
                wrong += 1;
            }
            if rng.u8(..20) == 0 {
                let back = allowed[rng.usize(..allowed.len())].clone();
                bench.oracle.recovered(&back, Fault::Power).unwrap_or_else(|e| panic!("seed={seed}: {e}"));
                assert_eq!(bench.oracle.view(), back, "seed={seed}");
                allowed = vec![back];
                crashes += 1;
            }
        }
    }
    eprintln!("150 programs, {crashes} crashes, {wrong} wrong states convicted");
}
