//! The invariants of a packed map, walked; for tests.

use super::{Layout, Packed};

impl<L: Layout> Packed<L> {
    pub(in crate::index) fn assert_invariants(&self) {
        let mut leaves = Vec::new();
        for (low, leaf) in &self.closed {
            let entries: Vec<_> = leaf.decode::<L>(*low).collect();
            assert_eq!(entries.len(), usize::from(leaf.count), "a closed leaf decodes");
            assert_eq!(leaf.dirty, self.dirty.contains(low), "dirty closed leaves are listed");
            leaves.push((*low, entries, leaf.saved));
        }
        assert!(self.open.is_sorted_by(|a, b| a.low < b.low));
        assert!(self.open.len() <= super::OPEN_MAX);
        assert_eq!(self.dirty.iter().filter(|low| !self.closed.contains_key(low)).count(), 0);
        for leaf in &self.open {
            leaves.push((leaf.low, leaf.entries.iter().copied().collect(), leaf.saved));
        }
        leaves.sort_by_key(|leaf| leaf.0);
        for pair in leaves.windows(2) {
            assert!(pair[0].0 < pair[1].0, "a low key stands once");
            let last = pair[0].1.last().expect("no leaf is empty");
            assert!(L::last(last) < pair[1].0, "a leaf ends before the next begins");
        }
        for (low, entries, saved) in &leaves {
            assert!(!entries.is_empty() && *low <= entries[0].0);
            assert!(entries.windows(2).all(|pair| L::last(&pair[0]) < pair[1].0));
            assert!(!saved || !self.gone.contains(low));
            assert!(!self.gone.contains(low), "gone keys have no leaf");
        }
        for leaf in &self.open {
            let high = leaves.iter().map(|other| other.0).find(|low| *low > leaf.low);
            assert_eq!(leaf.high, high, "high is the next low");
        }
        assert_eq!(self.entries, leaves.iter().map(|leaf| leaf.1.len() as u64).sum::<u64>());
        assert_eq!(self.closed_bytes, self.closed.values().map(|leaf| leaf.bytes.len()).sum::<usize>());
    }

    /// Leaves, open and closed.
    pub(in crate::index) fn leaf_count(&self) -> usize {
        self.open.len() + self.closed.len()
    }
}
