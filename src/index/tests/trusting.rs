//! Rule 2: when a saved index is used, rebuilt, or speaks of a loss.

use super::saving::saved_program;
use crate::ids::Lsn;
use crate::index::{Keeper, Lie, Meta, Verdict, trust};

fn meta(index_lsn: u64, durable_lsn: u64) -> Meta {
    Meta { log_id: 7, index_lsn: Lsn(index_lsn), durable_lsn: Lsn(durable_lsn), engine: Vec::new() }
}

#[test]
fn an_index_is_used_only_between_the_log_s_start_and_end() {
    let verdict = |meta: &Meta| trust(Some(meta), 7, Lsn(100), Lsn(200));
    for lsn in [100, 150, 200] {
        assert_eq!(verdict(&meta(lsn, lsn)), Verdict::Use);
    }
    assert!(matches!(verdict(&meta(99, 99)), Verdict::Rebuild(_)), "older than the log");
    assert_eq!(verdict(&meta(201, 201)), Verdict::LogLost, "newer than the log");
    assert_eq!(verdict(&meta(150, 201)), Verdict::LogLost, "the log lost what was known durable");
    assert_eq!(verdict(&meta(99, 201)), Verdict::LogLost, "even if too old to be used");
    assert!(matches!(trust(Some(&meta(150, 150)), 8, Lsn(100), Lsn(200)), Verdict::Rebuild(_)), "of another log");
    assert!(matches!(trust(None, 7, Lsn(100), Lsn(200)), Verdict::Rebuild(_)));
}

#[test]
fn a_store_that_claims_to_be_beyond_the_log_convicts_the_log() {
    let (_, handle) = saved_program();
    handle.lie(Lie::NewerThanLog);
    let snapshot = Keeper::memory(&handle).load().unwrap().unwrap();
    assert_eq!(trust(Some(snapshot.meta()), 77, Lsn(0), Lsn(5000)), Verdict::LogLost);
}
