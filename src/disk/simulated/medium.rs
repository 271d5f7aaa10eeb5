//! What the system shows and what the medium holds: the model of durability.
//!
//! # Invariants
//! * `cached` is what reads and listings show; `durable` is what the worst power cut leaves.
//! * Everything that stands between the two is in `pending`, in order, or was forgotten by a failed sync.
//!
//! Never here: faults, locks, room, and which of the pending changes a cut keeps (`crash`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::content::{Bytes, Content, sectors};

/// A file, whatever its name.
pub(super) type Ino = u64;
pub(super) type Names = BTreeMap<Arc<str>, Node>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(Ino),
}

/// One mutating operation of the trace.
#[derive(Clone)]
pub(super) enum Op {
    Create {
        path: Arc<str>,
        ino: Ino,
    },
    Write {
        path: Arc<str>,
        ino: Ino,
        offset: u64,
        bytes: Bytes,
    },
    SetLen {
        path: Arc<str>,
        ino: Ino,
        len: u64,
    },
    SyncData {
        path: Arc<str>,
        ino: Ino,
        ok: bool,
    },
    Rename {
        from: Arc<str>,
        to: Arc<str>,
    },
    Remove {
        path: Arc<str>,
    },
    CreateDir {
        path: Arc<str>,
    },
    SyncDir {
        dir: Arc<str>,
        ok: bool,
    },
    /// A hand from outside: durable at once. `None` removes.
    Tamper {
        path: Arc<str>,
        ino: Ino,
        content: Option<Content>,
    },
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: u64, bytes: Bytes },
    SetLen(u64),
}

#[derive(Clone)]
pub(super) struct Pending {
    pub(super) seq: u64,
    pub(super) change: Change,
}

#[derive(Clone, Default)]
pub(super) struct Inode {
    pub(super) cached: Content,
    pub(super) durable: Content,
    /// Changes since the last sync, in order.
    pub(super) pending: Vec<Pending>,
    /// `cached` as it was before the first of `pending`.
    before: Content,
    /// Sectors that a failed sync declared clean: shown by reads, not on the medium, in no later sync.
    pub(super) forgotten: Vec<Range<u64>>,
}

/// Entries that appear or go as one.
#[derive(Clone)]
pub(super) struct NameChange {
    pub(super) seq: u64,
    dir: Arc<str>,
    pub(super) entries: Vec<(Arc<str>, Option<Node>)>,
}

#[derive(Clone, Default)]
pub(super) struct Medium {
    pub(super) names: Arc<Names>,
    pub(super) durable_names: Arc<Names>,
    pub(super) pending_names: Vec<NameChange>,
    pub(super) inodes: BTreeMap<Ino, Inode>,
    /// Operations ever applied, also before the trace began.
    pub(super) seq: u64,
}

impl Node {
    pub(super) fn ino(self) -> Option<Ino> {
        match self {
            Self::File(ino) => Some(ino),
            Self::Dir => None,
        }
    }
}

impl Inode {
    /// A file whose bytes are all on the medium.
    pub(super) fn settled(content: Content) -> Self {
        Self { cached: content.clone(), durable: content, ..Self::default() }
    }

    pub(super) fn before_pending(&self) -> &Content {
        if self.pending.is_empty() { &self.cached } else { &self.before }
    }

    fn change(&mut self, seq: u64, change: Change) {
        if self.pending.is_empty() {
            self.before = self.cached.clone();
        }
        self.cached.apply(&change);
        self.pending.push(Pending { seq, change });
    }

    fn sync(&mut self) {
        if self.forgotten.is_empty() {
            self.durable = self.cached.clone();
        } else {
            for pending in &self.pending {
                match &pending.change {
                    Change::SetLen(len) => self.durable.set_len(*len),
                    Change::Write { offset, bytes } => {
                        let (start, end) = sectors(*offset, bytes.len() as u64);
                        self.durable.copy_range(&self.cached, start, end);
                    }
                }
            }
        }
        self.pending.clear();
    }

    fn forget(&mut self) {
        for pending in self.pending.drain(..) {
            let (start, end) = match &pending.change {
                Change::Write { offset, bytes } => sectors(*offset, bytes.len() as u64),
                Change::SetLen(len) => sectors(*len, 0),
            };
            self.forgotten.push(start..end);
        }
    }
}

impl Content {
    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { offset, bytes } => self.write(*offset, bytes),
            Change::SetLen(len) => self.set_len(*len),
        }
    }
}

impl Medium {
    pub(super) fn new() -> Self {
        let names: Arc<Names> = Arc::new(BTreeMap::from([("".into(), Node::Dir)]));
        Self { names: names.clone(), durable_names: names, ..Self::default() }
    }

    pub(super) fn apply(&mut self, op: &Op) {
        self.seq += 1;
        let seq = self.seq;
        match op {
            Op::Create { path, ino } => {
                self.inodes.insert(*ino, Inode::default());
                self.rename_entries(vec![(path.clone(), Some(Node::File(*ino)))]);
            }
            Op::Write { ino, offset, bytes, .. } => {
                self.inode_mut(*ino).change(seq, Change::Write { offset: *offset, bytes: bytes.clone() });
            }
            Op::SetLen { ino, len, .. } => self.inode_mut(*ino).change(seq, Change::SetLen(*len)),
            Op::SyncData { ino, ok: true, .. } => self.inode_mut(*ino).sync(),
            Op::SyncData { ino, ok: false, .. } => self.inode_mut(*ino).forget(),
            Op::Rename { from, to } => {
                let node = self.names.get(from).copied();
                self.rename_entries(vec![(from.clone(), None), (to.clone(), node)]);
            }
            Op::Remove { path } => self.rename_entries(vec![(path.clone(), None)]),
            Op::CreateDir { path } => self.rename_entries(vec![(path.clone(), Some(Node::Dir))]),
            Op::SyncDir { dir, ok: true } => self.sync_dir(dir),
            Op::SyncDir { ok: false, .. } => {}
            Op::Tamper { path, ino, content } => self.tamper(path, *ino, content.as_ref()),
        }
    }

    pub(super) fn file(&self, path: &str) -> Option<(Ino, &Inode)> {
        let ino = self.names.get(path)?.ino()?;
        Some((ino, self.inodes.get(&ino)?))
    }

    /// All plain files with what reads show.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Arc<str>, &Content)> {
        self.names.iter().filter_map(|(path, node)| Some((path, &self.inodes.get(&node.ino()?)?.cached)))
    }

    /// All of it durable as it is shown.
    pub(super) fn settled(&self) -> Self {
        let names = self.names.clone();
        let files = self.inodes.iter().filter(|(ino, _)| names.values().any(|node| *node == Node::File(**ino)));
        let inodes = files.map(|(ino, inode)| (*ino, Inode::settled(inode.cached.clone()))).collect();
        Self { durable_names: names.clone(), names, pending_names: Vec::new(), inodes, seq: 0 }
    }

    pub(super) fn next_ino(&self) -> Ino {
        self.inodes.last_key_value().map_or(1, |(ino, _)| ino + 1)
    }

    /// Files without a name, now or after any crash, that are not `held`.
    pub(super) fn forget_removed(&mut self, held: impl Fn(Ino) -> bool) {
        let mut named: BTreeSet<Ino> = [&self.names, &self.durable_names]
            .iter()
            .flat_map(|names| names.values())
            .filter_map(|node| node.ino())
            .collect();
        named.extend(
            self.pending_names.iter().flat_map(|change| &change.entries).filter_map(|(_, node)| node.as_ref()?.ino()),
        );
        // The last one stays: numbers rise.
        named.extend(self.inodes.last_key_value().map(|(ino, _)| *ino));
        self.inodes.retain(|ino, _| named.contains(ino) || held(*ino));
    }

    fn inode_mut(&mut self, ino: Ino) -> &mut Inode {
        self.inodes.entry(ino).or_default()
    }

    fn rename_entries(&mut self, entries: Vec<(Arc<str>, Option<Node>)>) {
        set_entries(Arc::make_mut(&mut self.names), &entries);
        let dir = entries.first().map_or("", |(path, _)| crate::disk::path::split(path).0).into();
        self.pending_names.push(NameChange { seq: self.seq, dir, entries });
    }

    fn sync_dir(&mut self, dir: &str) {
        let durable = Arc::make_mut(&mut self.durable_names);
        self.pending_names.retain(|change| {
            let synced = &*change.dir == dir;
            if synced {
                set_entries(durable, &change.entries);
            }
            !synced
        });
    }

    fn tamper(&mut self, path: &Arc<str>, ino: Ino, content: Option<&Content>) {
        let mut entries = vec![(path.clone(), content.map(|_| Node::File(ino)))];
        let parents = path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default());
        entries.extend(parents.map(|dir| (dir.into(), Some(Node::Dir))));
        for names in [&mut self.names, &mut self.durable_names] {
            set_entries(Arc::make_mut(names), &entries);
        }
        for change in &mut self.pending_names {
            change.entries.retain(|(changed, _)| entries.iter().all(|(path, _)| path != changed));
        }
        if let Some(content) = content {
            self.inodes.insert(ino, Inode::settled(content.clone()));
        }
    }
}

pub(super) fn set_entries(names: &mut Names, entries: &[(Arc<str>, Option<Node>)]) {
    for (path, node) in entries {
        match node {
            Some(node) => names.insert(path.clone(), *node),
            None => names.remove(path),
        };
    }
}
