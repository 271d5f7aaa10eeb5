//! The index against a model of plain maps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::shadow::{Shadow, assert_invariants, dump};
use crate::ids::{JobId, Lsn, Millis, Phase, Place, Token};
use crate::index::{Cell, Entry, InFlight, Index, Key, LaneId, Mismatch};

type ModelCell = (Place, Option<Millis>, Vec<u8>);

#[derive(Default)]
pub(super) struct Model {
    jobs: BTreeMap<JobId, (Place, bool, Key)>,
    unique: HashMap<u128, JobId>,
    cells: BTreeMap<(u8, Vec<u8>), ModelCell>,
    next_id: u64,
    lsn: u64,
}

pub(super) const LANES: u32 = 5;

impl Model {
    fn place(&mut self, rng: &mut fastrand::Rng) -> Place {
        let len = rng.u32(20..400);
        let lsn = Lsn(self.lsn);
        self.lsn += u64::from(len).next_multiple_of(8) + if rng.u8(..4) == 0 { 32 } else { 0 };
        Place { lsn, len }
    }

    fn key(rng: &mut fastrand::Rng) -> Key {
        let (lane, priority) = (LaneId(rng.u32(..LANES)), rng.i16(-1..2));
        let at = Millis(rng.u64(..500));
        match rng.u8(..10) {
            0 => Key::Held { lane },
            1..=3 => Key::Scheduled { run_at: at, lane, priority },
            4..=6 => Key::Ready { lane, priority },
            7 => Key::InFlight { token: Token { epoch: 3, counter: rng.u64(..1 << 20) }, lane, priority },
            8 => Key::Dead { at, lane },
            _ => Key::Parked { at, lane },
        }
    }

    fn any(&self, rng: &mut fastrand::Rng) -> Option<JobId> {
        let from = JobId(rng.u64(..self.next_id + 2));
        self.jobs.range(from..).next().or_else(|| self.jobs.iter().next()).map(|job| *job.0)
    }

    fn of_phase(&self, phase: Phase) -> impl Iterator<Item = (JobId, Key)> {
        self.jobs.iter().filter(move |job| job.1.2.phase() == phase).map(|job| (*job.0, job.1.2))
    }
}

fn wrong(key: Key) -> Key {
    match key {
        Key::Ready { lane, priority } => Key::Ready { lane, priority: priority + 1 },
        Key::Scheduled { run_at, lane, priority } => Key::Scheduled { run_at: Millis(run_at.0 + 1), lane, priority },
        Key::InFlight { token, lane, priority } => {
            Key::InFlight { token: Token { counter: token.counter + 1, ..token }, lane, priority }
        }
        Key::Held { lane } => Key::Held { lane: LaneId((lane.0 + 1) % LANES) },
        Key::Dead { at, lane } => Key::Parked { at, lane },
        Key::Parked { at, lane } => Key::Parked { at, lane: LaneId((lane.0 + 1) % LANES) },
    }
}

pub(super) fn step(rng: &mut fastrand::Rng, index: &mut Index, model: &mut Model, shrinking: bool) {
    match rng.u8(..if shrinking { 200 } else { 160 }) {
        0..50 => {
            let id = if rng.u8(..8) == 0 { JobId(rng.u64(..=model.next_id)) } else { JobId(model.next_id) };
            let (place, careful, key) = (model.place(rng), rng.u8(..9) == 0, Model::key(rng));
            let there = model.jobs.contains_key(&id);
            assert_eq!(index.insert(id, place, careful, key).is_err(), there);
            if !there {
                model.jobs.insert(id, (place, careful, key));
                model.next_id = model.next_id.max(id.0 + 1);
            }
        }
        50..75 => {
            let Some(id) = model.any(rng) else { return };
            let (place, careful, new) = (model.place(rng), rng.bool(), Model::key(rng));
            let (was, _, old) = model.jobs[&id];
            assert!(index.replace(id, place, careful, &wrong(old), new).is_err());
            assert_eq!(index.replace(id, place, careful, &old, new), Ok(was));
            model.jobs.insert(id, (place, careful, new));
        }
        75..85 => {
            let id = JobId(rng.u64(..model.next_id + 2));
            let place = model.place(rng);
            let was = model.jobs.get_mut(&id).map(|job| std::mem::replace(&mut job.0, place));
            assert_eq!(index.relocate(id, place), was);
        }
        85..110 => claim_some(rng, index, model),
        110..120 => promote_some(rng, index, model),
        120..130 => {
            let (hash, id) = (u128::from(rng.u64(..60)) << 100 | 5, JobId(rng.u64(..9)));
            if rng.bool() {
                index.set_unique(hash, id);
                model.unique.insert(hash, id);
            } else {
                index.clear_unique(hash, id);
                if model.unique.get(&hash) == Some(&id) {
                    model.unique.remove(&hash);
                }
            }
            assert_eq!(index.unique(hash), model.unique.get(&hash).copied());
        }
        130..150 => cell_step(rng, index, model),
        _ => {
            let Some(id) = model.any(rng) else { return };
            let (place, _, key) = model.jobs[&id];
            assert!(index.remove(id, &wrong(key)).is_err());
            assert_eq!(index.remove(id, &key), Ok(place));
            model.jobs.remove(&id);
            assert!(matches!(index.remove(id, &key), Err(Mismatch { what: "no such job", .. })));
        }
    }
}

fn claim_some(rng: &mut fastrand::Rng, index: &mut Index, model: &mut Model) {
    let (lane, n) = (LaneId(rng.u32(..LANES)), rng.usize(..6));
    let unreached: BTreeSet<JobId> = (0..rng.u8(..3)).filter_map(|_| model.any(rng)).collect();
    let picks = index.pick_ready(lane, n, &|id| !unreached.contains(&id));
    let mut ready: Vec<(i16, JobId)> = model
        .of_phase(Phase::Ready)
        .filter_map(|(id, key)| match key {
            Key::Ready { lane: of, priority } if of == lane => Some((priority, id)),
            _ => None,
        })
        .collect();
    ready.sort_by_key(|(priority, id)| (-priority, *id));
    assert!(index.ready(lane).eq(ready.iter().copied()));
    let mut stopped = BTreeSet::new();
    ready.retain(|(priority, id)| {
        if unreached.contains(id) {
            stopped.insert(*priority);
        }
        !stopped.contains(priority)
    });
    ready.truncate(n);
    assert!(picks.iter().map(|pick| (pick.priority, pick.id)).eq(ready));
    for (at, pick) in picks.iter().enumerate() {
        let (place, careful, _) = model.jobs[&pick.id];
        assert_eq!((pick.place, pick.careful), (place, careful));
        let token = Token { epoch: 3, counter: rng.u64(..1 << 30) + at as u64 };
        assert!(index.claim(pick.id, lane, pick.priority.wrapping_add(1), token).is_err());
        assert_eq!(index.claim(pick.id, lane, pick.priority, token), Ok(()));
        let key = Key::InFlight { token, lane, priority: pick.priority };
        model.jobs.insert(pick.id, (place, careful, key));
        assert_eq!(index.in_flight(pick.id), Some(InFlight { token, lane, priority: pick.priority }));
    }
}

fn promote_some(rng: &mut fastrand::Rng, index: &mut Index, model: &mut Model) {
    let mut due: Vec<(Millis, JobId, LaneId, i16)> = model
        .of_phase(Phase::Scheduled)
        .filter_map(|(id, key)| match key {
            Key::Scheduled { run_at, lane, priority } => Some((run_at, id, lane, priority)),
            _ => None,
        })
        .collect();
    due.sort_unstable();
    assert!(index.scheduled_from((Millis(0), JobId(0))).eq(due.iter().copied()));
    assert_eq!(index.first_scheduled(), due.first().map(|entry| (entry.0, entry.1)));
    let (now, at_most) = (Millis(rng.u64(..400)), rng.usize(..20));
    due.retain(|entry| entry.0 <= now);
    due.truncate(at_most);
    let through = due.last().map(|entry| (entry.0, entry.1));
    assert_eq!(index.due_key(now, at_most), through);
    let Some(through) = through else { return };
    let mut moved = BTreeSet::new();
    index.promote(through, |lane, id| assert!(moved.insert((id, lane))));
    assert_eq!(moved, due.iter().map(|entry| (entry.1, entry.2)).collect());
    for (_, id, lane, priority) in due {
        model.jobs.get_mut(&id).unwrap().2 = Key::Ready { lane, priority };
    }
}

fn cell_step(rng: &mut fastrand::Rng, index: &mut Index, model: &mut Model) {
    let ns = rng.u8(1..4);
    let key = format!("{}{}", "k".repeat(rng.usize(..3) * 100), rng.u8(..50)).into_bytes();
    let place = model.place(rng);
    let at = (ns, key.clone());
    let was = model.cells.get(&at).map(|cell| cell.0);
    match rng.u8(..8) {
        0..4 => {
            let longest = if rng.u8(..4) == 0 { 600 } else { 40 };
            let value = vec![rng.u8(..); rng.usize(..longest)];
            let until = rng.bool().then(|| Millis(rng.u64(..)));
            assert_eq!(index.set_cell(ns, &key, Some(&value), until, place), was);
            model.cells.insert(at.clone(), (place, until, value));
        }
        4..6 => {
            assert_eq!(index.set_cell(ns, &key, None, None, place), was);
            model.cells.remove(&at);
        }
        _ => {
            assert_eq!(index.relocate_cell(ns, &key, place), was);
            model.cells.entry(at.clone()).and_modify(|cell| cell.0 = place);
        }
    }
    let mut over: Vec<(Millis, u8, Vec<u8>)> =
        (model.cells.iter()).filter_map(|((ns, key), (_, until, _))| Some(((*until)?, *ns, key.clone()))).collect();
    over.sort();
    let now = over.get(over.len() / 2).map_or(Millis(0), |cell| cell.0);
    over.retain(|cell| cell.0 <= now);
    assert!(index.cells_over(now).eq(over.iter().map(|(_, ns, key)| (*ns, &key[..]))));
    let view = |cell: &ModelCell| {
        let (place, until, value) = cell.clone();
        (place, until, Some(value).filter(|value| value.len() <= Index::RESIDENT_BYTES_MAX))
    };
    let same = |cell: Cell<'_>| (cell.place, cell.until, cell.value.map(<[u8]>::to_vec));
    assert_eq!(index.cell(ns, &key).map(same), model.cells.get(&at).map(view));
    let expected = model.cells.range((ns, Vec::new())..(ns + 1, Vec::new()));
    assert!(
        index.cells(ns).map(|(key, cell)| (key.to_vec(), same(cell))).eq(expected.map(|(k, c)| (k.1.clone(), view(c))))
    );
}

fn compare(index: &Index, model: &Model) {
    assert_invariants(index);
    assert_eq!(index.len(), model.jobs.len() as u64);
    let entries = model
        .jobs
        .iter()
        .map(|(id, (place, careful, key))| (*id, Entry { place: *place, phase: key.phase(), careful: *careful }));
    assert!(index.jobs_from(JobId(0)).eq(entries));
    let mut counts = [[0; 6]; LANES as usize];
    for (_, _, key) in model.jobs.values() {
        counts[key.lane().0 as usize][usize::from(key.phase().code()) - 1] += 1;
    }
    for (lane, expected) in (0..).map(LaneId).zip(counts) {
        assert_eq!(index.counts(lane), expected);
    }
    let total: u64 = index.totals().iter().sum();
    assert_eq!(total, index.len());
    let id = JobId(model.next_id / 2);
    assert_eq!(index.get(id).map(|entry| entry.place), model.jobs.get(&id).map(|job| job.0));
    assert_eq!(index.first_id_at_or_after(id), model.jobs.range(id..).next().map(|job| *job.0));
    let mut dead: Vec<_> = model
        .jobs
        .iter()
        .filter_map(|(id, job)| match job.2 {
            Key::Dead { at, lane } => Some((at, *id, lane, Phase::Dead)),
            Key::Parked { at, lane } => Some((at, *id, lane, Phase::Parked)),
            _ => None,
        })
        .collect();
    dead.sort_unstable();
    assert!(index.dead_from((Millis(0), JobId(0))).eq(dead));
    assert!(index.held_from(JobId(0)).eq(model.of_phase(Phase::Held).map(|(id, key)| (id, key.lane()))));
}

#[test]
fn an_index_does_what_plain_maps_do_and_loads_what_it_froze() {
    let mut loads = 0;
    for seed in 0..24 {
        let leaf_max = [2, 4, 9, 250][seed as usize % 4];
        eprintln!("seed={seed} leaf_max={leaf_max}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let (mut index, mut model, mut shadow) = (Index::with_leaves(leaf_max), Model::default(), Shadow::default());
        (0..LANES).for_each(|lane| assert_eq!(index.lane(&format!("lane {lane}")), LaneId(lane)));
        for at in 0..3000 {
            step(&mut rng, &mut index, &mut model, (at / 800) % 2 == 1);
            if rng.u8(..40) == 0 {
                compare(&index, &model);
                shadow.apply(&if rng.u8(..9) == 0 { index.freeze_whole() } else { index.freeze() });
                let loaded = Index::load_with_leaves(shadow.snapshot(), leaf_max).unwrap();
                assert_eq!(dump(&loaded), dump(&index));
                loads += 1;
                if rng.u8(..4) == 0 {
                    index = loaded;
                }
                if rng.u8(..4) == 0 {
                    assert!(index.freeze().is_empty(), "nothing changed since");
                }
            }
        }
    }
    eprintln!("loads={loads}");
}

#[test]
fn a_refused_call_changes_nothing() {
    let mut index = Index::with_leaves(4);
    let lane = index.lane("a");
    let place = Place { lsn: Lsn(8), len: 40 };
    let ready = Key::Ready { lane, priority: 0 };
    for id in 0..20 {
        index.insert(JobId(id), place, false, ready).unwrap();
    }
    let before = dump(&index);
    let foreign = Key::Ready { lane: LaneId(9), priority: 0 };
    assert!(index.insert(JobId(20), place, false, foreign).is_err());
    assert!(index.insert(JobId(3), place, true, Key::Held { lane }).is_err());
    assert!(index.replace(JobId(3), place, true, &ready, foreign).is_err());
    assert!(index.replace(JobId(3), place, true, &Key::Ready { lane, priority: 1 }, Key::Held { lane }).is_err());
    assert!(index.replace(JobId(3), place, true, &Key::Held { lane }, ready).is_err());
    assert!(index.remove(JobId(3), &Key::Ready { lane, priority: 1 }).is_err());
    assert!(index.remove(JobId(99), &ready).is_err());
    assert!(index.claim(JobId(3), lane, 1, Token { epoch: 1, counter: 1 }).is_err());
    assert_eq!(dump(&index), before);
    assert_invariants(&index);
}
