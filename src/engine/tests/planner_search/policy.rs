//! When the planner wants to compact, and that it stops: each condition alone, then whole lives of a
//! log of real sizes, driven by the real planner.

use std::collections::{HashMap, VecDeque};

use crate::engine::planner::{Checkpoint, Live, Mark, RESERVE_SEGMENTS, Step, View, Walk, plan};
use crate::ids::{Lsn, SegmentId};

const SEGMENT: u64 = 64 << 10;

fn lsn(segment: u64) -> Lsn {
    Lsn(segment * SEGMENT)
}

/// Segments 4 to 6, the tail at the start of 6, nothing to do.
fn calm() -> View {
    View {
        oldest: SegmentId(4),
        oldest_end: lsn(5),
        chain_segments: 3,
        prepared_segments: 2,
        prepared_wanted: 3,
        segment_bytes: SEGMENT,
        tail: lsn(6),
        durable: lsn(6),
        ledger: Live { records: 9, bytes: SEGMENT / 8 * 7 },
        walk: Walk::Underway,
        live_bytes: SEGMENT * 2,
        mark: Mark { through: SegmentId(3), end: lsn(4) },
        checkpoint: Checkpoint::Saved(lsn(6)),
        halted: false,
        asked_through: None,
        settled_through: None,
        oldest_fits: true,
        full_through: None,
    }
}

/// The oldest segment is looked through and nothing is left in it.
fn emptied() -> View {
    let walk = Walk::Complete { at: Lsn(lsn(6).0 + 800), strays: 0 };
    View { ledger: Live::default(), walk, tail: Lsn(lsn(6).0 + 800), ..calm() }
}

#[test]
fn a_log_within_its_bounds_is_left_alone() {
    assert_eq!(plan(&calm()), Step::Sleep);
}

#[test]
fn the_segment_of_the_staged_tail_is_left_alone_whoever_asks() {
    let through = Some(SegmentId(9));
    let view = View { tail: Lsn(lsn(5).0 - 1), asked_through: through, settled_through: through, ..emptied() };
    assert_eq!(plan(&View { full_through: through, ..view }), Step::Sleep);
    assert_eq!(plan(&View { tail: lsn(5), ..view }), Step::Mark(SegmentId(4)));
}

#[test]
fn under_load_a_log_may_be_twice_what_lives_and_three_segments() {
    let at_bound = View { live_bytes: SEGMENT * 2, chain_segments: 7, ..calm() };
    assert_eq!(plan(&at_bound), Step::Sleep);
    assert_eq!(plan(&View { live_bytes: SEGMENT * 2 - 1, ..at_bound }), Step::Carry(SegmentId(4)));
}

#[test]
fn a_settled_log_counts_its_reserve_and_goes_round_once() {
    let settled = View { settled_through: Some(SegmentId(6)), live_bytes: SEGMENT, ..calm() };
    assert_eq!(plan(&settled), Step::Sleep);
    let above = View { live_bytes: SEGMENT - 1, ..settled };
    assert_eq!(plan(&above), Step::Carry(SegmentId(4)));
    assert_eq!(plan(&View { settled_through: Some(SegmentId(3)), ..above }), Step::Sleep);
}

#[test]
fn a_dead_segment_goes_at_once_unless_that_costs_a_checkpoint() {
    let dead = View { ledger: Live::default(), ..calm() };
    assert_eq!(plan(&dead), Step::Carry(SegmentId(4)));
    assert_eq!(plan(&View { checkpoint: Checkpoint::Saved(Lsn(lsn(5).0 - 1)), ..dead }), Step::Sleep);
    assert_eq!(plan(&View { checkpoint: Checkpoint::Unavailable, ..dead }), Step::Carry(SegmentId(4)));
}

#[test]
fn what_was_asked_for_is_done_and_no_more() {
    assert_eq!(plan(&View { asked_through: Some(SegmentId(4)), ..calm() }), Step::Carry(SegmentId(4)));
    assert_eq!(plan(&View { asked_through: Some(SegmentId(3)), ..calm() }), Step::Sleep);
}

#[test]
fn full_mode_compacts_what_frees_more_than_it_writes() {
    let full = View { full_through: Some(SegmentId(3)), live_bytes: SEGMENT * 3, ..calm() };
    assert_eq!(plan(&full), Step::Sleep);
    let loose = Live { records: 9, bytes: SEGMENT / 4 * 3 };
    assert_eq!(plan(&View { ledger: loose, ..full }), Step::Carry(SegmentId(4)));
    assert_eq!(plan(&View { chain_segments: 6, ..full }), Step::Carry(SegmentId(4)), "garbage lies behind");
    let touched = View { prepared_segments: 1, ..full };
    assert_eq!(plan(&touched), Step::Sleep, "nothing closed since the last round");
    assert_eq!(plan(&View { full_through: Some(SegmentId(4)), ..touched }), Step::Carry(SegmentId(4)));
}

#[test]
fn an_emptied_segment_goes_in_order_mark_sync_remove() {
    let view = emptied();
    assert_eq!(plan(&view), Step::Mark(SegmentId(4)));
    let end = Lsn(view.tail.0 + 200);
    let marked = View { mark: Mark { through: SegmentId(4), end }, tail: end, ..view };
    assert_eq!(plan(&marked), Step::WaitDurable(end));
    assert_eq!(plan(&View { durable: Lsn(end.0 - 1), ..marked }), Step::WaitDurable(end));
    let done = View { durable: end, ..marked };
    assert_eq!(plan(&done), Step::Remove { segment: SegmentId(4), recycle: true });
    let enough = View { prepared_segments: 3, ..done };
    assert_eq!(plan(&enough), Step::Remove { segment: SegmentId(4), recycle: false });
    let full = View { full_through: Some(SegmentId(6)), ..enough };
    assert_eq!(plan(&full), Step::Remove { segment: SegmentId(4), recycle: true });
}

#[test]
fn a_removal_that_was_begun_is_finished_though_nobody_wants_it_any_more() {
    let unwanted = View { checkpoint: Checkpoint::Saved(Lsn(0)), walk: Walk::Underway, ..emptied() };
    assert_eq!(plan(&unwanted), Step::Sleep);
    let mark = Mark { through: SegmentId(4), end: lsn(6) };
    assert_eq!(plan(&View { mark, ..unwanted }), Step::Carry(SegmentId(4)));
}

#[test]
fn a_mark_of_an_earlier_run_does_not_stand_for_the_decision_of_this_one() {
    let view = emptied();
    let marked = View { mark: Mark { through: SegmentId(4), end: lsn(6) }, ..view };
    assert_eq!(plan(&marked), Step::WaitDurable(view.tail));
}

#[test]
fn a_checkpoint_is_waited_for_but_not_in_full_mode_and_not_without_an_index() {
    let asked = View { asked_through: Some(SegmentId(4)), ..emptied() };
    let stale = Lsn(lsn(5).0 - 1);
    assert_eq!(plan(&View { checkpoint: Checkpoint::Saved(stale), ..asked }), Step::Checkpoint);
    let saving = View { checkpoint: Checkpoint::Saving(stale), ..asked };
    assert_eq!(plan(&saving), Step::Sleep);
    assert_eq!(plan(&View { checkpoint: Checkpoint::Unavailable, ..asked }), Step::Mark(SegmentId(4)));
    assert_eq!(plan(&View { full_through: Some(SegmentId(4)), ..saving }), Step::Mark(SegmentId(4)));
}

#[test]
fn ledgers_that_disagree_stop_everything() {
    let Walk::Complete { at, .. } = emptied().walk else { unreachable!() };
    let view = View { asked_through: Some(SegmentId(4)), ..emptied() };
    for ledger in [Live { records: 1, bytes: 64 }, Live { records: 0, bytes: 64 }] {
        assert_eq!(plan(&View { ledger, ..view }), Step::Disagree(SegmentId(4)));
    }
    let stray = View { walk: Walk::Complete { at, strays: 1 }, ..view };
    assert_eq!(plan(&stray), Step::Disagree(SegmentId(4)));
    assert_eq!(plan(&View { halted: true, ..stray }), Step::Sleep);
}

/// A log of records with sizes, and the machinery around the planner reduced to bookkeeping.
struct Log {
    chain: VecDeque<(SegmentId, Vec<u64>)>,
    /// Offset in the last segment.
    filled: u64,
    /// Record → its segment and size.
    live: HashMap<u64, (SegmentId, u64)>,
    walk: Walk,
    mark: Mark,
    appended: u64,
    carried: u64,
    checkpoint: Lsn,
    checkpoints: u64,
    prepared: u64,
}

const HEAD_BYTES: u64 = (4 << 10) + 256;
const FRAME_BYTES: u64 = 64;
const MARK_BYTES: u64 = 192;
const NEVER_ACKED: u64 = 0;
/// Args of the largest size, with their envelope.
const RECORD_BYTES_MAX: u64 = SEGMENT / 16 + 128;

impl Log {
    fn new() -> Self {
        Self {
            chain: VecDeque::from([(SegmentId(1), Vec::new())]),
            filled: HEAD_BYTES,
            live: HashMap::new(),
            walk: Walk::Underway,
            mark: Mark { through: SegmentId(0), end: Lsn(0) },
            appended: 0,
            carried: 0,
            checkpoint: Lsn(0),
            checkpoints: 0,
            prepared: RESERVE_SEGMENTS,
        }
    }

    fn tail(&self) -> Lsn {
        Lsn(self.tail_segment().0 * SEGMENT + self.filled)
    }

    fn tail_segment(&self) -> SegmentId {
        self.chain.back().unwrap().0
    }

    fn write(&mut self, bytes: u64) {
        if self.filled + bytes + 32 > SEGMENT {
            let next = SegmentId(self.tail_segment().0 + 1);
            self.chain.push_back((next, Vec::new()));
            self.filled = HEAD_BYTES;
        }
        self.filled += bytes;
    }

    fn put(&mut self, record: u64, bytes: u64) {
        // Frames of 32 records and more: a share each.
        self.write(bytes + FRAME_BYTES / 32);
        let segment = self.tail_segment();
        self.chain.back_mut().unwrap().1.push(record);
        self.live.insert(record, (segment, bytes));
    }

    fn enqueue(&mut self, record: u64, bytes: u64) {
        self.appended += bytes;
        self.put(record, bytes);
    }

    fn ack(&mut self, record: u64) {
        self.live.remove(&record);
        self.appended += 72;
        self.write(72);
    }

    fn live_bytes(&self) -> u64 {
        self.live.values().map(|(_, bytes)| bytes).sum()
    }

    fn living(&self) -> Vec<(u64, u64)> {
        let (segment, records) = &self.chain[0];
        let here =
            |record: &u64| self.live.get(record).filter(|(at, _)| at == segment).map(|(_, bytes)| (*record, *bytes));
        records.iter().filter_map(here).collect()
    }

    fn view(&self, calm: View) -> View {
        let oldest = self.chain[0].0;
        let living = self.living();
        View {
            oldest,
            oldest_end: lsn(oldest.0 + 1),
            chain_segments: self.chain.len() as u64,
            prepared_segments: self.prepared,
            tail: self.tail(),
            durable: self.tail(),
            ledger: Live { records: living.len() as u64, bytes: living.iter().map(|(_, bytes)| bytes).sum() },
            walk: self.walk,
            live_bytes: self.live_bytes(),
            mark: self.mark,
            checkpoint: Checkpoint::Saved(self.checkpoint),
            ..calm
        }
    }

    /// Does what the planner says until it sleeps; how many segments went.
    fn compact(&mut self, wishes: View) -> u64 {
        let mut removed = 0;
        let steps_max = 8 * (self.chain.len() as u64 + 4);
        for _ in 0..steps_max {
            match plan(&self.view(wishes)) {
                Step::Sleep => return removed,
                Step::Carry(_) => {
                    for (record, bytes) in self.living() {
                        self.carried += bytes;
                        self.put(record, bytes);
                    }
                    self.walk = Walk::Complete { at: self.tail(), strays: 0 };
                }
                Step::Checkpoint => {
                    self.checkpoint = self.tail();
                    self.checkpoints += 1;
                }
                Step::Mark(through) => {
                    self.write(MARK_BYTES);
                    self.mark = Mark { through, end: self.tail() };
                }
                Step::Remove { segment, .. } => {
                    assert!(self.living().is_empty() && segment == self.chain[0].0);
                    self.chain.pop_front();
                    self.walk = Walk::Underway;
                    removed += 1;
                }
                step @ (Step::WaitDurable(_) | Step::Disagree(_)) => panic!("{step:?}"),
            }
        }
        panic!("the planner spins: {steps_max} steps and no rest");
    }

    /// Random enqueues and acks around a target of live bytes, compacting as it goes.
    fn work(&mut self, random: &mut fastrand::Rng, bytes: u64, target: u64, old_first: bool) {
        let mut ids: Vec<u64> = self.live.keys().copied().filter(|id| *id != NEVER_ACKED).collect();
        ids.sort_unstable();
        let mut next = self.appended * 1000 + 1;
        let until = self.appended + bytes;
        let mut live = self.live_bytes();
        while self.appended < until {
            let size = if random.bool() { random.u64(56..400) } else { random.u64(56..RECORD_BYTES_MAX) } & !7;
            if live < target || ids.is_empty() {
                ids.push(next);
                self.enqueue(next, size);
                live += size;
                next += 1;
            } else {
                let at = if old_first { 0 } else { random.usize(0..ids.len()) };
                let id = ids.remove(at);
                live -= self.live[&id].1;
                self.ack(id);
            }
            self.compact(View { ..calm() });
        }
    }
}

const SEEDS: u64 = 24;

#[test]
fn a_settled_log_is_at_most_twice_what_lives_and_three_segments_and_comes_to_rest() {
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut log = Log::new();
        let target = random.u64(0..4 * SEGMENT);
        log.work(&mut random, 12 * SEGMENT, target, seed % 2 == 0);
        let through = Some(log.tail_segment());
        log.compact(View { settled_through: through, ..calm() });
        let files = (log.chain.len() as u64 + RESERVE_SEGMENTS) * SEGMENT;
        let allowed = 2 * log.live_bytes() + 3 * SEGMENT;
        assert!(files <= allowed, "seed={seed} files={files} allowed={allowed} live={}", log.live_bytes());
        let again = log.compact(View { settled_through: Some(log.tail_segment()), ..calm() });
        assert_eq!(again, 0, "seed={seed}: it was at rest");
    }
}

#[test]
fn under_load_a_byte_is_copied_at_most_once_for_each_byte_that_came() {
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut log = Log::new();
        let target = random.u64(SEGMENT / 4..6 * SEGMENT);
        log.work(&mut random, 40 * SEGMENT, target, seed % 2 == 0);
        let (carried, appended) = (log.carried, log.appended);
        assert!(carried <= appended, "seed={seed} carried={carried} appended={appended}");
        let files = log.chain.len() as u64 * SEGMENT;
        assert!(files <= 2 * log.live_bytes() + 3 * SEGMENT, "seed={seed} files={files} live={}", log.live_bytes());
        assert!(log.checkpoints <= appended / SEGMENT, "seed={seed} checkpoints={}", log.checkpoints);
    }
}

#[test]
fn one_old_job_does_not_pin_the_log() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut log = Log::new();
    log.enqueue(NEVER_ACKED, 64);
    let mut longest = 0;
    for _ in 0..50 {
        log.work(&mut random, SEGMENT, SEGMENT / 8, true);
        longest = longest.max(log.chain.len());
    }
    assert!(log.live.contains_key(&NEVER_ACKED));
    assert!(longest <= 5, "{longest} segments for one old job");
}

#[test]
fn full_mode_comes_to_rest_when_nothing_is_left_to_gain() {
    for seed in 0..SEEDS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut log = Log::new();
        let target = random.u64(SEGMENT / 4..8 * SEGMENT);
        log.work(&mut random, 12 * SEGMENT, target, false);
        for prepared in [0, RESERVE_SEGMENTS] {
            log.prepared = prepared;
            log.compact(View { full_through: Some(log.tail_segment()), ..calm() });
            let files = log.chain.len() as u64 * SEGMENT;
            let allowed = log.live_bytes() / 4 * 5 + 2 * SEGMENT;
            assert!(files <= allowed, "seed={seed} files={files} live={}", log.live_bytes());
        }
    }
}
