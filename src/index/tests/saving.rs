//! Checkpoints on the memory twin: whole or not at all, and no lie believed.

use super::model::{LANES, Model, step};
use super::shadow::{Shadow, dump};
use crate::ids::Lsn;
use crate::index::delta::Tree;
use crate::index::store::{Loaded, Store};
use crate::index::{Index, Keeper, Lie, MemoryHandle, Meta};

pub(super) struct Program {
    pub(super) rng: fastrand::Rng,
    pub(super) index: Index,
    pub(super) model: Model,
    leaf_max: usize,
}

impl Program {
    pub(super) fn new(seed: u64, leaf_max: usize) -> Self {
        eprintln!("seed={seed} leaf_max={leaf_max}");
        let mut index = Index::with_leaves(leaf_max);
        (0..LANES).for_each(|lane| assert_eq!(index.lane(&format!("lane {lane}")).0, lane));
        Self { rng: fastrand::Rng::with_seed(seed), index, model: Model::default(), leaf_max }
    }

    pub(super) fn run(&mut self, steps: usize) {
        for at in 0..steps {
            step(&mut self.rng, &mut self.index, &mut self.model, at % 3 == 0);
        }
    }

    pub(super) fn meta(&mut self) -> Meta {
        let at = Lsn(self.rng.u64(1000..2000));
        // Of changing length: pieces come and go.
        let engine = (0..self.rng.usize(..9000)).map(|at| (at % 251) as u8).collect();
        Meta { log_id: 77, index_lsn: at, durable_lsn: at, engine }
    }

    fn read(&self, handle: &MemoryHandle) -> Option<(Meta, Index)> {
        let Loaded { snapshot, .. } = handle.store(false).load().unwrap();
        let snapshot = snapshot?;
        let meta = snapshot.meta().clone();
        Some((meta, Index::load_with_leaves(snapshot, self.leaf_max).unwrap()))
    }
}

#[test]
fn what_was_saved_loads_after_every_save() {
    for seed in 0..8 {
        let mut program = Program::new(seed, [3, 250][seed as usize % 2]);
        let handle = MemoryHandle::new();
        let mut keeper = Keeper::memory(&handle);
        assert!(keeper.load().unwrap().is_none());
        for save in 1..60 {
            program.run(40);
            let whole = program.rng.u8(..6) == 0;
            let delta = if whole { program.index.freeze_whole() } else { program.index.freeze() };
            let meta = program.meta();
            let saved = keeper.save(delta, meta.clone()).unwrap();
            assert_eq!(saved.number, save);
            let (read, index) = program.read(&handle).unwrap();
            assert_eq!(read, meta);
            assert_eq!(dump(&index), dump(&program.index));
            if program.rng.bool() {
                // The next owner saves on from where this one stood.
                keeper = Keeper::memory(&handle);
                let snapshot = keeper.load().unwrap().unwrap();
                assert_eq!(snapshot.number(), save);
                program.index = Index::load_with_leaves(snapshot, program.leaf_max).unwrap();
            }
        }
        assert_eq!(handle.saves(), 59);
        let values: usize = Shadow::of(&mut program.index).trees.iter().map(std::collections::BTreeMap::len).sum();
        // The engine's pieces come on top; older versions and what was removed do not.
        assert!(handle.values() <= values + 3, "kept={} needed={values}", handle.values());
    }
}

#[test]
fn a_save_cut_at_any_write_leaves_the_old_checkpoint_or_the_new_one() {
    let mut cuts = 0;
    for seed in 0..12 {
        let mut program = Program::new(seed, [2, 4, 250][seed as usize % 3]);
        let handle = MemoryHandle::new();
        let keeper = Keeper::memory(&handle);
        keeper.load().unwrap();
        let mut old = None;
        for save in 0..8 {
            program.run(60);
            let whole = save == 4;
            let delta = if whole { program.index.freeze_whole() } else { program.index.freeze() };
            let meta = program.meta();
            let new = Some((meta.clone(), dump(&program.index)));
            let before = handle.fork();
            keeper.save(delta.clone(), meta.clone()).unwrap();
            for cut in 0.. {
                let crashed = before.fork();
                let mut store = crashed.store(false);
                store.load().unwrap();
                crashed.lie(Lie::FailsAfter(cut));
                let done = store.save(&delta, &meta).is_ok();
                cuts += 1;
                check_crashed(&mut program, &crashed, &old, &new);
                if done {
                    break;
                }
            }
            old = new;
        }
    }
    eprintln!("cuts={cuts}");
}

type Seen = Option<(Meta, Vec<String>)>;

fn check_crashed(program: &mut Program, crashed: &MemoryHandle, old: &Seen, new: &Seen) {
    // The next start cleans up, and may be cut there too.
    let mut outcomes = Vec::new();
    for cut in 0.. {
        let again = crashed.fork();
        again.lie(Lie::FailsAfter(cut));
        let done = Keeper::memory(&again).load().is_ok_and(|_| again.writes() <= cut);
        let again = again.fork();
        let seen = program.read(&again).map(|(meta, index)| (meta, dump(&index)));
        assert!(seen == *old || seen == *new, "neither the old nor the new checkpoint");
        outcomes.push(seen);
        if done || cut > 40 {
            break;
        }
    }
    assert!(outcomes.windows(2).all(|pair| pair[0] == pair[1]), "a cut clean-up changes nothing");
    // And a save on top of it is whole again.
    let again = crashed.fork();
    let mut store = again.store(false);
    let mut index = match store.load().unwrap().snapshot {
        Some(snapshot) => Index::load_with_leaves(snapshot, program.leaf_max).unwrap(),
        None => Index::with_leaves(program.leaf_max),
    };
    index.lane("one more");
    let meta = program.meta();
    store.save(&index.freeze(), &meta).unwrap();
    let (read, loaded) = program.read(&again).unwrap();
    assert_eq!((read, dump(&loaded)), (meta, dump(&index)));
}

/// A small index in which every tree has something.
pub(super) fn saved_program() -> (Program, MemoryHandle) {
    let mut program = Program::new(5, 6);
    let handle = MemoryHandle::new();
    let keeper = Keeper::memory(&handle);
    keeper.load().unwrap();
    for _ in 0..3 {
        program.run(70);
        let meta = Meta { engine: (0..200).collect(), ..program.meta() };
        keeper.save(program.index.freeze(), meta).unwrap();
    }
    let counts = program.index.totals();
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    (program, handle)
}

fn refused(handle: &MemoryHandle) -> bool {
    match Keeper::memory(handle).load().unwrap() {
        Some(snapshot) => Index::load_with_leaves(snapshot, 6).is_err(),
        None => true,
    }
}

#[test]
fn every_flipped_bit_of_a_saved_value_is_refused() {
    let (_, handle) = saved_program();
    assert!(!refused(&handle.fork()));
    eprintln!("bits={}", handle.bits());
    for bit in 0..handle.bits() {
        let garbled = handle.fork();
        garbled.lie(Lie::Garbled(bit));
        assert!(refused(&garbled), "bit={bit}");
    }
}

#[test]
fn every_missing_value_is_noticed() {
    let (_, handle) = saved_program();
    for hole in 0..handle.values() {
        let holed = handle.fork();
        holed.lie(Lie::Holed(hole));
        assert!(refused(&holed), "hole={hole}");
    }
}

#[test]
fn an_older_value_under_a_newer_meta_is_noticed() {
    let (_, handle) = saved_program();
    let mixed = handle.mix_with_older(2);
    assert!(mixed > 0);
    assert!(refused(&handle));
}

#[test]
fn what_every_save_left_can_be_reopened() {
    let (mut program, handle) = saved_program();
    assert_eq!(handle.saves(), 3);
    for n in 1..=3 {
        assert!(program.read(&handle.as_of(n)).is_some());
        let back = handle.fork();
        back.lie(Lie::Older(n));
        assert_eq!(program.read(&back).unwrap().0, program.read(&handle.as_of(n)).unwrap().0);
    }
    assert!(program.read(&handle.as_of(0)).is_none());
    handle.lie(Lie::LostEverything);
    assert!(program.read(&handle).is_none());
    program.run(1);
}

#[test]
fn a_census_that_disagrees_is_refused_though_every_checksum_holds() {
    let (mut program, _) = saved_program();
    let good = Shadow::of(&mut program.index);
    assert!(Index::load_with_leaves(good.snapshot(), 6).is_ok());
    let mut refused = 0;
    for tree in 0..good.trees.len() {
        for low in good.trees[tree].keys() {
            let mut less = good.clone();
            less.trees[tree].remove(low);
            // Unique keys and cells are vouched for by digests alone; cells once more by the engine's ledger.
            let counted = ![6, 7].contains(&tree);
            assert_eq!(Index::load_with_leaves(less.snapshot(), 6).is_err(), counted, "tree={tree}");
            refused += usize::from(counted);
        }
    }
    eprintln!("refused={refused}");
}

#[test]
fn counts_of_a_lane_that_are_not_its_jobs_are_refused() {
    let (mut program, _) = saved_program();
    let before = Shadow::of(&mut program.index);
    program.run(60);
    let mut mixed = Shadow::of(&mut program.index);
    assert!(Index::load_with_leaves(mixed.snapshot(), 6).is_ok());
    let lanes = Tree::Lanes as usize;
    assert!(mixed.trees[lanes] != before.trees[lanes]);
    mixed.trees[lanes].clone_from(&before.trees[lanes]);
    assert!(Index::load_with_leaves(mixed.snapshot(), 6).is_err());
}
