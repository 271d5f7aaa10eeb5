//! Checkpoints on a shelf that loses and reorders what was not flushed, as a disk does.

use std::collections::BTreeMap;

use super::saving::Program;
use super::shadow::dump;
use crate::index::delta::Tree;
use crate::index::store::StoreError;
use crate::index::versions::{Shelf, Versions, Write};
use crate::index::{Index, Meta};

#[derive(Clone)]
enum Op {
    Write(Tree, Vec<Write>),
    Meta(Vec<u8>),
}

#[derive(Clone, Default)]
struct Content {
    trees: BTreeMap<usize, BTreeMap<Vec<u8>, Vec<u8>>>,
    meta: Option<Vec<u8>>,
}

impl Content {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Meta(meta) => self.meta = Some(meta),
            Op::Write(tree, batch) => {
                let tree = self.trees.entry(tree as usize).or_default();
                for (key, value) in batch {
                    match value {
                        Some(value) => tree.insert(key, value),
                        None => tree.remove(&key),
                    };
                }
            }
        }
    }
}

/// Remembers what was flushed, and what came since in order.
#[derive(Clone, Default)]
struct Careless {
    now: Content,
    flushed: Content,
    since: Vec<Op>,
    /// At every operation: what a power cut could leave.
    cuts: Vec<Content>,
}

impl Careless {
    fn on(content: Content) -> Self {
        Self { now: content.clone(), flushed: content, ..Self::default() }
    }

    fn take(&mut self, op: Op) {
        self.now.apply(op.clone());
        self.since.push(op);
        // All of it, the newest alone, and all but each one of it.
        self.cuts.push(self.now.clone());
        let left_out = (0..self.since.len()).map(|out| move |at: usize| at != out);
        let newest = self.since.len() - 1;
        let mut images = vec![self.image(|at| at == newest)];
        images.extend(left_out.map(|keeps| self.image(keeps)));
        self.cuts.extend(images);
    }

    fn image(&self, keeps: impl Fn(usize) -> bool) -> Content {
        let mut image = self.flushed.clone();
        let kept = self.since.iter().enumerate().filter(|(at, _)| keeps(*at));
        kept.for_each(|(_, op)| image.apply(op.clone()));
        image
    }
}

impl Shelf for Careless {
    fn read(&mut self, tree: Tree, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        let entries = self.now.trees.get(&(tree as usize)).into_iter().flatten();
        entries.for_each(|(key, value)| visit(key, value));
        Ok(())
    }

    fn write(&mut self, tree: Tree, batch: Vec<Write>) -> Result<(), StoreError> {
        self.take(Op::Write(tree, batch));
        Ok(())
    }

    fn meta(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.now.meta.clone())
    }

    fn set_meta(&mut self, meta: Vec<u8>) -> Result<(), StoreError> {
        self.take(Op::Meta(meta));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.since.clear();
        self.flushed = self.now.clone();
        Ok(())
    }
}

fn read(content: &Content) -> Option<(Meta, Index)> {
    let (_, snapshot) = Versions::load(&mut Careless::on(content.clone())).unwrap();
    let snapshot = snapshot?;
    let meta = snapshot.meta().clone();
    let index = Index::load_with_leaves(snapshot, 4).unwrap_or_else(|e| panic!("a torn checkpoint: {e}"));
    Some((meta, index))
}

#[test]
fn a_power_cut_between_any_two_writes_of_a_save_leaves_the_old_checkpoint_or_the_new_one() {
    for seed in 0..4 {
        let mut program = Program::new(seed, 4);
        let mut shelf = Careless::default();
        let mut old = None;
        for _ in 0..5 {
            program.run(40);
            let (delta, meta) = (program.index.freeze(), program.meta());
            let new = Some((meta.clone(), dump(&program.index)));
            let (mut versions, _) = Versions::load(&mut shelf).unwrap();
            shelf.flush().unwrap();
            shelf.cuts.clear();
            versions.save(&mut shelf, &delta, &meta).unwrap();
            for (at, cut) in shelf.cuts.iter().enumerate() {
                let found = read(cut).map(|(meta, index)| (meta, dump(&index)));
                assert!(found == old || found == new, "seed={seed} cut={at}: neither the old nor the new checkpoint");
            }
            shelf.flush().unwrap();
            old = new;
        }
    }
}
