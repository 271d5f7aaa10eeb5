//! Puts an image together from what is durable and the pending changes that a crash keeps.
//!
//! # Invariants
//! * A sector of an image is one that the file has had since its last sync, except where the mode says otherwise.
//! * Chances are drawn in the order of paths and operations: the same seed and cut give the same image.

use std::ops::Range;
use std::sync::Arc;

use super::content::{Content, SECTOR, sectors};
use super::crash::CrashMode;
use super::medium::{Change, Ino, Inode, Medium, NameChange, Names, Node, Pending, set_entries};

impl Medium {
    pub(super) fn after_crash(&self, mode: CrashMode) -> Self {
        let mut rng = Dice::new(mode, self.seq);
        match mode {
            CrashMode::KeepAll => self.after_kill(),
            CrashMode::DropUnsynced => self.after_power_cut(|_| false, |inode| inode.durable.clone()),
            CrashMode::Torn { .. } => self.torn(&mut rng),
            CrashMode::Subset { .. } => self.subset(&mut rng),
            CrashMode::SizeKept { .. } => self.after_power_cut(|_| true, |inode| inode.size_kept(&mut rng)),
            CrashMode::Names { .. } => self.after_power_cut(|_| rng.coin(), |inode| inode.durable.clone()),
            CrashMode::Revived { .. } => self.revived(&mut rng),
            CrashMode::StaleAfterFailedSync => {
                self.after_power_cut(|_| true, |inode| inode.partly(inode.durable.clone(), |_, _| true))
            }
        }
    }

    fn after_kill(&self) -> Self {
        let mut image = self.clone();
        let named = |names: &Names, ino| names.values().any(|node| *node == Node::File(ino));
        let pending =
            |ino| self.pending_names.iter().flat_map(|c| &c.entries).any(|(_, n)| *n == Some(Node::File(ino)));
        image.inodes.retain(|ino, _| named(&self.names, *ino) || named(&self.durable_names, *ino) || pending(*ino));
        image
    }

    fn after_power_cut(
        &self,
        mut keep: impl FnMut(&NameChange) -> bool,
        mut content: impl FnMut(&Inode) -> Content,
    ) -> Self {
        let mut names = self.durable_names.clone();
        for change in &self.pending_names {
            if keep(change) {
                set_entries(Arc::make_mut(&mut names), &change.entries);
            }
        }
        if !self.pending_names.is_empty() {
            drop_orphans(Arc::make_mut(&mut names));
        }
        let inodes = names
            .values()
            .filter_map(|node| node.ino())
            .filter_map(|ino| Some((ino, Inode::settled(content(self.inodes.get(&ino)?)))))
            .collect();
        Self { durable_names: names.clone(), names, pending_names: Vec::new(), inodes, seq: 0 }
    }

    fn revived(&self, rng: &mut Dice) -> Self {
        let mut image = self.after_power_cut(|_| rng.coin(), |inode| inode.durable.clone());
        let shown: Vec<Ino> = self.names.values().filter_map(|node| node.ino()).collect();
        let donors: Vec<Content> = image.inodes.values().map(|inode| inode.durable.clone()).collect();
        for (_, inode) in image.inodes.iter_mut().filter(|(ino, _)| !shown.contains(ino)) {
            let (len, mut content) = (inode.durable.len(), Content::default());
            match rng.below(3) {
                0 => continue,
                1 => content.copy_range(&donors[rng.below(donors.len() as u64) as usize], 0, len),
                _ => {}
            }
            content.set_len(len);
            *inode = Inode::settled(content);
        }
        image
    }

    fn torn(&self, rng: &mut Dice) -> Self {
        let writes = self.inodes.values().flat_map(|inode| &inode.pending).map(|pending| pending.seq);
        let mut points: Vec<u64> = self.pending_names.iter().map(|change| change.seq).chain(writes).collect();
        points.sort_unstable();
        let point = points.get(rng.below(points.len() as u64 + 1) as usize).copied().unwrap_or(u64::MAX);
        let tear = rng.next();
        self.after_power_cut(
            |change| change.seq < point,
            |inode| {
                inode.partly(inode.durable.clone(), |pending, sector| {
                    pending.seq < point || (pending.seq == point && sector < tear % (pending.sectors() + 1))
                })
            },
        )
    }

    fn subset(&self, rng: &mut Dice) -> Self {
        let (by_sector, share) = (rng.coin(), 1 + rng.below(3));
        let names: Vec<u64> = self.pending_names.iter().filter(|_| rng.below(4) < share).map(|c| c.seq).collect();
        self.after_power_cut(
            |change| names.contains(&change.seq),
            |inode| {
                let mut content = inode.durable.clone();
                for sector in inode.forgotten_sectors() {
                    if rng.below(4) < share {
                        content.copy_range(inode.before_pending(), sector, sector + SECTOR);
                    }
                }
                let mut last = (0, false);
                inode.partly(content, |pending, _| {
                    if by_sector || last.0 != pending.seq {
                        last = (pending.seq, rng.below(4) < share);
                    }
                    last.1
                })
            },
        )
    }
}

impl Inode {
    /// `onto` with those sectors of the pending writes (and those lengths) that `keep` chooses, by their number
    /// within the write, each as it was right after that write.
    fn partly(&self, mut onto: Content, mut keep: impl FnMut(&Pending, u64) -> bool) -> Content {
        let mut version = self.before_pending().clone();
        for pending in &self.pending {
            version.apply(&pending.change);
            match &pending.change {
                Change::SetLen(len) if keep(pending, 0) => onto.set_len(*len),
                Change::SetLen(_) => {}
                Change::Write { .. } => {
                    let (range, mut run) = (pending.range(), None);
                    for start in range.clone().step_by(SECTOR as usize) {
                        let kept = keep(pending, (start - range.start) / SECTOR);
                        run = match run {
                            Some(first) if !kept => {
                                onto.copy_range(&version, first, start);
                                None
                            }
                            None if kept => Some(start),
                            run => run,
                        };
                    }
                    if let Some(first) = run {
                        onto.copy_range(&version, first, range.end);
                    }
                }
            }
        }
        onto
    }

    fn size_kept(&self, rng: &mut Dice) -> Content {
        let mut content = self.durable.clone();
        content.set_len(self.cached.len());
        let dirty = self.pending.iter().map(Pending::range).chain(self.forgotten.iter().cloned());
        for sector in dirty.flat_map(|range| range.step_by(SECTOR as usize)) {
            let fresh = self.durable.is_hole(sector);
            match rng.below(3) {
                0 => content.copy_range(&self.cached, sector, sector + SECTOR),
                1 if fresh => {
                    let mut garbage = [0; SECTOR as usize];
                    rng.fill(&mut garbage);
                    let room = self.cached.len().saturating_sub(sector).min(SECTOR) as usize;
                    content.write_slice(sector, &garbage[..room]);
                }
                _ => {}
            }
        }
        content
    }

    fn forgotten_sectors(&self) -> impl Iterator<Item = u64> {
        self.forgotten.iter().flat_map(|range| range.clone().step_by(SECTOR as usize))
    }
}

impl Pending {
    /// The sectors written, as a range of bytes.
    pub(super) fn range(&self) -> Range<u64> {
        let (start, end) = match &self.change {
            Change::Write { offset, bytes } => sectors(*offset, bytes.len() as u64),
            Change::SetLen(_) => (0, 0),
        };
        start..end
    }

    /// Sectors touched, count; a new length counts as one.
    fn sectors(&self) -> u64 {
        ((self.range().end - self.range().start) / SECTOR).max(1)
    }
}

/// Entries whose directory did not survive.
fn drop_orphans(names: &mut Names) {
    let all = names.clone();
    names.retain(|path, _| {
        path.match_indices('/').all(|(at, _)| path.get(..at).is_some_and(|dir| all.get(dir) == Some(&Node::Dir)))
    });
}

/// Chances drawn from the mode's seed and the cut.
struct Dice(fastrand::Rng);

impl Dice {
    fn new(mode: CrashMode, cut: u64) -> Self {
        let seed = match mode {
            CrashMode::Torn { seed }
            | CrashMode::Subset { seed }
            | CrashMode::SizeKept { seed }
            | CrashMode::Names { seed }
            | CrashMode::Revived { seed } => seed,
            CrashMode::KeepAll | CrashMode::DropUnsynced | CrashMode::StaleAfterFailedSync => 0,
        };
        Self(fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ cut))
    }

    fn coin(&mut self) -> bool {
        self.0.bool()
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound)
    }

    fn next(&mut self) -> u64 {
        self.0.u64(..)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}
