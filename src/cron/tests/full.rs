//! A disk without room.

use super::{World, daily, declare, info, minutely, moments, ms, take};
use crate::cron::CronSet;
use crate::error::ErrorKind;
use crate::job::Codec;

fn nightly() -> CronSet {
    CronSet::new("s").entry(daily("nightly"))
}

#[test]
fn on_a_full_disk_a_pool_starts_and_what_it_missed_fires_when_there_is_room() {
    let world = World::at("2026-06-01T12:00Z");
    let backlog = world.open();
    drop(declare(&backlog, nightly()));
    world.disk.set_capacity(world.disk.used());
    // To the last place that a small job could take.
    for bytes in [15_000, 1_000, 1] {
        let refused = loop {
            if let Err(refused) = backlog.enqueue_raw("filler", vec![b'x'; bytes], Codec::Raw) {
                break refused;
            }
        };
        assert_eq!(refused.kind(), ErrorKind::Full);
    }
    world.set_to("2026-06-02T12:00Z");
    let _declared = declare(&backlog, nightly());
    assert_eq!(info(&backlog, "nightly").last, None);
    assert!(info(&backlog, "nightly").trouble.is_some());
    let new = backlog.declare_cron(vec![nightly().entry(minutely("new"))]).map(drop).unwrap_err();
    assert_eq!(new.kind(), ErrorKind::Full);
    // What was accepted ends, and the firing is made up for.
    world.disk.set_capacity(None);
    backlog.serve().unwrap();
    while let Some(lease) = backlog.queue("default").claim().unwrap() {
        if lease.kind() == "tick" {
            lease.release().unwrap();
            break;
        }
        lease.ack().unwrap();
    }
    assert_eq!(info(&backlog, "nightly").last, Some(ms("2026-06-02T02:30Z").to_system()));
    assert_eq!(moments(&backlog), ["2026-06-02T02:30:00Z"]);
    assert!(take(&backlog).is_empty());
}
