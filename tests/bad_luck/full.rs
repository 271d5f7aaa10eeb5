//! The disk is full.

use std::sync::Arc;

use backlog::testing::{Parts, SimDisk};
use backlog::{Codec, ErrorKind, JobBuilder, Phase, Receipt, Status};

use crate::small;

fn job(n: usize) -> JobBuilder {
    JobBuilder::raw("kind", vec![7; 400 + n % 300], Codec::Raw)
}

#[test]
fn on_a_full_disk_new_work_is_refused_and_every_accepted_job_can_still_be_ended() {
    for rooms in [8_u64, 9, 12, 17] {
        let disk = SimDisk::new();
        let home = crate::system::home();
        let parts = Parts { disk: Arc::new(disk.clone()), save_index: false, ..Parts::real(home.jobs()).unwrap() };
        let backlog = small().open_parts(parts).unwrap();
        disk.set_capacity(rooms * (64 << 10));
        let mut accepted = Vec::new();
        let error = loop {
            match backlog.enqueue_all([job(accepted.len())]) {
                Ok(answer) => accepted.push(answer[0].id),
                Err(e) => break e,
            }
            assert!(accepted.len() < 5_000, "the disk is never full");
        };
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        println!("full disk: rooms={rooms} accepted={} {error}", accepted.len());
        assert!(error.to_string().contains("log/next.tmp (free space on its disk"), "{error}");
        // Whatever the size, it is refused, and none of it is there; or compaction has found room for it meanwhile.
        for n in 0..20 {
            match backlog.enqueue_all((0..=n).map(job)) {
                Ok(answers) => accepted.extend(answers.iter().map(|answer| answer.id)),
                Err(e) => assert_eq!(e.kind(), ErrorKind::Full, "{e}"),
            }
        }
        assert_eq!(backlog.counts().total().ready, accepted.len() as u64);
        // Everything that was accepted can be acked, nacked, buried, cancelled.
        let queue = backlog.queue("default");
        let mut ended = 0;
        for n in 0..accepted.len() {
            let Some(lease) = queue.claim().unwrap() else { break };
            let id = lease.id();
            let receipt = match n % 5 {
                0 => lease.nack_in(crate::LONG, "no luck").unwrap(),
                1 => lease.bury("enough").unwrap(),
                _ => lease.ack().unwrap(),
            };
            assert_eq!(receipt, Receipt::Accepted);
            if n % 5 < 2 {
                let Status::Live(job) = backlog.inspect(id).unwrap() else { panic!("it did not end") };
                assert_eq!(job.phase, if n % 5 == 0 { Phase::Scheduled } else { Phase::Dead });
                backlog.cancel(id).unwrap();
            }
            ended += 1;
        }
        assert_eq!((ended, backlog.counts().total().live()), (accepted.len(), 0));
        // Space comes back by itself: no restart.
        backlog.compact().unwrap();
        disk.set_capacity(None);
        let again = backlog.enqueue_all([job(1)]).unwrap()[0].id;
        assert!(matches!(backlog.inspect(again).unwrap(), Status::Live(_)));
        backlog.close().unwrap();
    }
}
