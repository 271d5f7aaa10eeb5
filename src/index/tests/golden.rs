//! The saved form, pinned: a change here is a change of format and needs another meta version.

use crate::ids::{JobId, Lsn, Millis, Place, Token};
use crate::index::delta::{Digest, Tree};
use crate::index::seal::{self, hex};
use crate::index::{Index, Key, LaneId, Meta, versions};

/// One of everything, some of it twice.
fn sample() -> Index {
    let mut index = Index::new();
    let (a, b) = (index.lane("a"), index.lane("b"));
    let place = |n: u64| Place { lsn: Lsn(4128 + n * 208), len: 208 };
    let token = Token { epoch: 3, counter: 9 };
    let keys = [
        Key::Ready { lane: a, priority: 0 },
        Key::Ready { lane: a, priority: 0 },
        Key::Ready { lane: b, priority: -5 },
        Key::Held { lane: a },
        Key::Scheduled { run_at: Millis(1_700_000_000_000), lane: a, priority: 0 },
        Key::Scheduled { run_at: Millis(1_700_000_000_500), lane: b, priority: 7 },
        Key::InFlight { token, lane: a, priority: 1 },
        Key::InFlight { token: Token { counter: 10, ..token }, lane: a, priority: 1 },
        Key::Dead { at: Millis(1_600_000_000_000), lane: b },
        Key::Parked { at: Millis(1_600_000_000_000), lane: b },
    ];
    for (n, key) in (0..).zip(keys) {
        index.insert(JobId(1000 + n), place(n), n % 4 == 3, key).unwrap();
    }
    index.relocate(JobId(1004), Place { lsn: Lsn(65_536), len: 77 }).unwrap();
    index.set_unique(1 << 120, JobId(1000));
    index.set_unique(1 << 120 | 0xabcd, JobId(1002));
    index.set_cell(1, b"queue", Some(b"on"), None, place(50));
    index.set_cell(9, &7_u64.to_be_bytes(), Some(&[5; 300]), Some(Millis(1_800_000_000_000)), place(51));
    assert_eq!(index.lane_name(LaneId(1)), "b");
    index
}

#[test]
fn the_saved_form_of_every_tree_is_pinned() {
    let delta = sample().freeze();
    let mut lines = Vec::new();
    for (tree, changes) in Tree::ALL.into_iter().zip(&delta.trees) {
        for (key, leaf) in &changes.puts {
            lines.push(format!("{} {} {}", tree.name(), hex(key), hex(leaf)));
        }
    }
    assert_eq!(lines, GOLDEN);
}

#[test]
fn the_meta_is_pinned() {
    let meta = Meta { log_id: 7, index_lsn: Lsn(8), durable_lsn: Lsn(9), engine: vec![1, 2] };
    let digests = std::array::from_fn(|at| Digest { count: at as u64, sum: at as u64 * 3 });
    let bytes = versions::encode_meta(&meta, 2, 5, &digests);
    let head = "01050000000000000007000000000000000000000000000000080000000000000009000000000000000200000000000000";
    let trees: String = (0..10_u64).flat_map(|at| [at, at * 3]).map(|word| hex(&word.to_le_bytes())).collect();
    assert_eq!(hex(&bytes), format!("{head}{trees}8f14abcf"));
}

#[test]
fn seals_and_digests_are_pinned() {
    let sealed = seal::seal(Tree::Jobs, b"key", Some(b"leaf"));
    assert_eq!(hex(&sealed), "016c65616643619044");
    assert_eq!(hex(&seal::seal(Tree::Jobs, b"key", None)), "02472dea74");
    assert_eq!(seal::open(Tree::Jobs, b"key", &sealed), Ok(Some(&b"leaf"[..])));
    assert!(seal::open(Tree::Ready, b"key", &sealed).is_err(), "of another tree");
    assert!(seal::open(Tree::Jobs, b"yek", &sealed).is_err(), "of another key");
    assert_eq!(seal::hash(Tree::Jobs, b"key", b"leaf"), 15_644_038_799_433_039_374);
}

const GOLDEN: [&str; 9] = [
    "jobs 00000000000003e8 0a03008808d00173737912a8764d128776d001747c7576",
    "ready 000000007fff00000000000003e8 0202000101848002ea07",
    "scheduled 0000018bcfe5680000000000000003ec 020100e807020107",
    "held 000000000000000000000000000003eb 010100",
    "in_flight 00000000000003ee 0200120300010302",
    "dead 00000174876e800000000000000003f0 020000010500010106",
    "unique 01000000000000000000000000000000 0200d00f02cdab04",
    "cells 017175657565 0601717565756506c071d0016f6e09090000000000000007019073d00180a0f1c2b134",
    "lanes 00000000 01610101020200000162000101000101",
];
