//! The packed map against a `BTreeMap`.

use std::collections::BTreeMap;

use crate::ids::{Lsn, Phase, Place, Token};
use crate::index::packed::{Layout, Packed};
use crate::index::trees::runs::{self, Runs};
use crate::index::trees::timed::{Timed, Waiting};
use crate::index::trees::uniques::Uniques;
use crate::index::trees::{flights::Flights, jobs::Jobs, jobs::Slot};
use crate::index::varint::{self, Reader};
use crate::index::{InFlight, LaneId};

fn random_program<L: Layout>(
    seed: u64,
    leaf_max: usize,
    steps: usize,
    key: impl Fn(&mut fastrand::Rng) -> L::Key,
    value: impl Fn(&mut fastrand::Rng) -> L::Value,
) {
    eprintln!("seed={seed} leaf_max={leaf_max}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut map = Packed::<L>::new(leaf_max);
    let mut model = BTreeMap::new();
    let mut saved = BTreeMap::new();
    for step in 0..steps {
        // Phases of growth, of shrinking from the front, and of random removal.
        let mood = (step / 500) % 4;
        match rng.u8(..) {
            0..90 if mood != 3 => {
                let (key, value) = (key(&mut rng), value(&mut rng));
                assert_eq!(map.insert(key, value), !model.contains_key(&key));
                model.entry(key).or_insert(value);
            }
            90..110 => {
                let (key, value) = (key(&mut rng), value(&mut rng));
                assert_eq!(map.update(key, |held| *held = value).is_some(), model.contains_key(&key));
                model.entry(key).and_modify(|held| *held = value);
            }
            110..180 if mood >= 2 => {
                let key = key(&mut rng);
                let near = model.range(key..).next().map_or(key, |entry| *entry.0);
                assert_eq!(map.remove(near), model.remove(&near));
            }
            180..200 if mood == 1 => {
                if let Some((through, _)) = model.iter().nth(rng.usize(..7)).map(|(k, v)| (*k, *v)) {
                    let mut out = Vec::new();
                    map.drain_through(through, 5, &mut out);
                    let expected: Vec<_> = model.range(..=through).take(5).map(|(k, v)| (*k, *v)).collect();
                    assert_eq!(out, expected);
                    model.retain(|key, _| *key > through || !out.iter().any(|entry| entry.0 == *key));
                }
            }
            200..202 => {
                let whole = rng.u8(..8) == 0;
                let changes = map.freeze(whole);
                if whole {
                    saved.clear();
                }
                changes.removed.iter().for_each(|key| assert!(saved.remove(key).is_some(), "removed keys were saved"));
                saved.extend(changes.puts);
                let loaded = Packed::<L>::load(leaf_max, saved.clone().into_iter(), |_| Ok(())).unwrap();
                assert!(loaded.iter().eq(map.iter()), "what was frozen loads");
                loaded.assert_invariants();
                if rng.bool() {
                    map = loaded;
                }
            }
            _ => {
                let key = key(&mut rng);
                assert_eq!(map.get(key), model.get(&key).copied());
                assert_eq!(map.first(), model.first_key_value().map(|(k, v)| (*k, *v)));
                let ahead = map.iter_from(key).take(3);
                assert!(ahead.eq(model.range(key..).take(3).map(|(k, v)| (*k, *v))));
            }
        }
        if step % 64 == 0 {
            map.assert_invariants();
        }
    }
    map.assert_invariants();
    assert_eq!(map.len(), model.len() as u64);
    assert!(map.iter().eq(model.into_iter()));
}

fn slot(rng: &mut fastrand::Rng) -> Slot {
    let lsn = if rng.u8(..8) == 0 { rng.u64(..) } else { rng.u64(..1 << 30) };
    let phase = Phase::ALL[rng.usize(..6)];
    Slot::new(Place { lsn: Lsn(lsn), len: rng.u32(..) >> rng.u8(..32) }, phase, rng.bool())
}

#[test]
fn a_packed_map_does_what_a_tree_map_does() {
    for seed in 0..12 {
        for leaf_max in [2, 3, 8, 250] {
            random_program::<Jobs>(seed, leaf_max, 4000, |rng| rng.u64(..600), slot);
            let extreme = |rng: &mut fastrand::Rng| if rng.bool() { rng.u64(..) } else { u64::MAX - rng.u64(..9) };
            random_program::<Jobs>(seed, leaf_max, 2000, extreme, slot);
            random_program::<Timed>(
                seed,
                leaf_max,
                3000,
                |rng| (rng.u64(..40) << rng.u8(..60), rng.u64(..) >> rng.u8(30..64)),
                |rng| Waiting { lane: rng.u32(..) >> rng.u8(20..32), extra: rng.u16(..) },
            );
            random_program::<Uniques>(
                seed,
                leaf_max,
                3000,
                |rng| u128::from(rng.u64(..300)).wrapping_mul(0x9e37_79b9_7f4a_7c15_0123_4567_89ab_cdef),
                |rng| rng.u64(..) >> rng.u8(..64),
            );
            random_program::<Flights>(
                seed,
                leaf_max,
                3000,
                |rng| rng.u64(..900),
                |rng| InFlight {
                    token: Token { epoch: rng.u64(..3), counter: rng.u64(..) >> rng.u8(..64) },
                    lane: LaneId(rng.u32(..3)),
                    priority: rng.i16(..) >> rng.u8(8..16),
                },
            );
        }
    }
}

#[test]
fn runs_of_ids_do_what_a_set_of_ids_does() {
    for seed in 0..30 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let leaf_max = [2, 5, 250][rng.usize(..3)];
        eprintln!("seed={seed} leaf_max={leaf_max}");
        let mut map = Packed::<Runs>::new(leaf_max);
        let mut model = std::collections::BTreeSet::new();
        let mut saved = BTreeMap::new();
        for step in 0..5000 {
            let key = (rng.u32(..3), rng.u16(..2), rng.u64(..300));
            if rng.u8(..4) < if (step / 700) % 2 == 0 { 3 } else { 1 } {
                assert_eq!(map.insert_id(key.0, key.1, key.2), model.insert(key));
            } else {
                assert_eq!(map.remove_id(key.0, key.1, key.2), model.remove(&key));
            }
            if step % 50 == 0 {
                map.assert_invariants();
                let ids = map.iter().flat_map(|((l, r, first), n)| (first..first + n).map(move |id| (l, r, id)));
                assert!(ids.eq(model.iter().copied()));
                let changes = map.freeze(false);
                changes.removed.iter().for_each(|key| assert!(saved.remove(key).is_some()));
                saved.extend(changes.puts);
                let loaded = Packed::<Runs>::load(leaf_max, saved.clone().into_iter(), |_| Ok(())).unwrap();
                assert!(loaded.iter().eq(map.iter()));
            }
        }
    }
}

#[test]
fn the_edges_of_the_id_range_make_runs_too() {
    let mut map = Packed::<Runs>::new(4);
    for id in [u64::MAX, 0, u64::MAX - 1, 1, u64::MAX - 3] {
        assert!(map.insert_id(7, 9, id));
        assert!(!map.insert_id(7, 9, id));
    }
    assert!(map.remove_id(7, 9, u64::MAX));
    assert!(!map.remove_id(7, 9, u64::MAX));
    assert!(map.remove_id(7, 9, 0));
    assert!(map.iter().eq([((7, 9, 1), 1), ((7, 9, u64::MAX - 3), 1), ((7, 9, u64::MAX - 1), 1)]));
}

#[test]
fn ranks_turn_priorities_round() {
    for priority in [i16::MIN, -1, 0, 1, 7, i16::MAX] {
        assert_eq!(runs::priority(runs::rank(priority)), priority);
    }
    assert!(runs::rank(5) < runs::rank(4) && runs::rank(0) < runs::rank(-1));
}

#[test]
fn leaves_join_when_what_lay_between_them_went() {
    let mut map = Packed::<Jobs>::new(250);
    let mut rng = fastrand::Rng::with_seed(1);
    for id in 0..100_000 {
        map.insert(id, slot(&mut rng));
    }
    let full = map.leaf_count();
    // One in a hundred stays, first swept in order, then picked at random.
    (0..50_000).filter(|id| id % 100 != 0).for_each(|id| assert!(map.remove(id).is_some()));
    let mut rest: Vec<u64> = (50_000..100_000).filter(|id| id % 100 != 0).collect();
    rng.shuffle(&mut rest);
    rest.into_iter().for_each(|id| assert!(map.remove(id).is_some()));
    map.assert_invariants();
    assert_eq!(map.len(), 1000);
    eprintln!("leaves: full={full} thinned={}", map.leaf_count());
    assert!(map.leaf_count() <= full / 10);
}

#[test]
fn a_drained_map_holds_no_leaf() {
    let mut map = Packed::<Jobs>::new(250);
    let mut rng = fastrand::Rng::with_seed(1);
    (0..5_000).for_each(|id| assert!(map.insert(id, slot(&mut rng))));
    (0..5_000).for_each(|id| assert!(map.remove(id).is_some()));
    assert_eq!((map.leaf_count(), map.len()), (0, 0));
    assert!(map.freeze(false).puts.is_empty());
}

#[test]
fn varints_hold_every_number_and_refuse_every_cut() {
    let mut values: Vec<u64> = (0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1, u64::MAX >> bit]).collect();
    values.push(u64::MAX);
    for value in values {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, value);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.varint(), Some(value));
        assert!(reader.is_empty());
        (0..bytes.len()).for_each(|cut| assert_eq!(Reader::new(&bytes[..cut]).varint(), None));
        for from in [0, 1, u64::MAX, 1 << 63, value / 2] {
            assert_eq!(varint::unzigzag(from, varint::zigzag(from, value)), value);
        }
    }
    assert_eq!(Reader::new(&[0xff; 10]).varint(), None, "beyond the range");
}

#[test]
fn garbage_never_panics_a_decoder() {
    fn feed<L: Layout>(rng: &mut fastrand::Rng, low: L::Key) -> bool {
        let bytes: Vec<u8> = (0..rng.usize(..40)).map(|_| rng.u8(..)).collect();
        Packed::<L>::load(250, [(L::key_bytes(low), bytes.into())].into_iter(), |_| Ok(())).is_ok()
    }
    let mut rng = fastrand::Rng::with_seed(3);
    let mut tried = 0;
    for _ in 0..200_000 {
        feed::<Jobs>(&mut rng, u64::MAX - 3);
        feed::<Runs>(&mut rng, (1, 1, u64::MAX - 3));
        feed::<Timed>(&mut rng, (u64::MAX - 3, 1));
        feed::<Uniques>(&mut rng, u128::MAX - 3);
        feed::<Flights>(&mut rng, 5);
        tried += 5;
    }
    eprintln!("tried={tried}");
}
