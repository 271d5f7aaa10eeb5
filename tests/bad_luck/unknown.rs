//! Jobs that nobody here can run.

use std::sync::mpsc::channel;

use backlog::{Codec, ErrorKind, Job, JobBuilder, Phase, Status};
use serde::{Deserialize, Serialize};

use crate::system::home;
use crate::{LONG, refused, small};

#[derive(Serialize, Deserialize)]
struct Known {
    n: u32,
}

impl Job for Known {
    const KIND: &'static str = "known";
}

#[test]
fn args_that_do_not_parse_and_kinds_nobody_handles_are_parked_with_their_bytes() {
    let home = home();
    let backlog = small().open(home.jobs()).unwrap();
    let cases: [(&str, &[u8], Codec, &str); 9] = [
        ("known", b"{\"n\":\"seven\"}", Codec::Json, "do not parse"),
        ("known", b"{\"n\":7", Codec::Json, "do not parse"),
        ("known", b"", Codec::Json, "do not parse"),
        ("known", b"\xff\xfe\x00", Codec::Json, "do not parse"),
        ("known", b"{\"m\":7}", Codec::Json, "do not parse"),
        ("known", b"{\"n\":7}", Codec::Raw, "raw bytes, not JSON"),
        ("known", b"\x01\x07", Codec::Other(9), "codec=9"),
        ("known ", b"{\"n\":7}", Codec::Json, "no handler for kind=\"known \""),
        ("stranger", b"\x00\x01\x02\xff", Codec::Raw, "no handler for kind=\"stranger\""),
    ];
    let ids: Vec<_> = cases
        .iter()
        .map(|(kind, args, codec, _)| backlog.enqueue_raw(kind, args.to_vec(), *codec).unwrap().id)
        .collect();
    let last = backlog.enqueue(&Known { n: 1 }).unwrap().id;
    let (say, hear) = channel();
    let workers = backlog
        .workers()
        .handle(move |_: Known, cx: backlog::Context| Ok(say.send(cx.id())?))
        .concurrency(1)
        .start()
        .unwrap();
    assert_eq!(hear.recv().unwrap(), last);
    workers.stop(LONG).unwrap();
    backlog.close().unwrap();

    // Over a restart too: parked, no attempt spent, the reason told without the bytes, the bytes as they were.
    let backlog = small().open(home.jobs()).unwrap();
    assert_eq!((backlog.counts().total().parked, backlog.counts().total().live()), (9, 9));
    for ((_, args, _, why), id) in cases.iter().zip(&ids) {
        let Status::Live(job) = backlog.inspect(*id).unwrap() else { panic!("a parked job is kept") };
        assert_eq!((job.phase, job.attempts), (Phase::Parked, 0));
        let reason = job.reason.unwrap();
        assert!(reason.contains(why), "{reason}");
        assert!(args.len() < 6 || !reason.contains(&*String::from_utf8_lossy(args)), "{reason}");
    }
    let (say, hear) = channel();
    let mut workers = backlog.workers();
    for kind in ["known", "known ", "stranger"] {
        let say = say.clone();
        workers = workers.handle_raw(kind, move |args, cx| Ok(say.send((cx.id(), args.to_vec()))?));
    }
    let workers = workers.concurrency(2).start().unwrap();
    let mut ran: Vec<_> = hear.iter().take(9).collect();
    ran.sort();
    let wanted: Vec<_> = ids.iter().zip(&cases).map(|(id, (_, args, ..))| (*id, args.to_vec())).collect();
    assert_eq!(ran, wanted);
    workers.stop(LONG).unwrap();
    backlog.close().unwrap();
}

#[test]
fn by_hand_args_that_do_not_parse_are_an_error_that_gives_the_job_back_whole() {
    let home = home();
    let backlog = small().open(home.jobs()).unwrap();
    backlog.enqueue_raw("known", b"{\"n\":-3}".to_vec(), Codec::Json).unwrap();
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    refused(lease.args::<Known>().map(|known| known.n), ErrorKind::Invalid, &["kind=\"known\"", "bytes=8"]);
    assert_eq!(lease.payload(), b"{\"n\":-3}");
    let id = lease.id();
    lease.release().unwrap();
    assert!(matches!(backlog.inspect(id).unwrap(), Status::Live(_)));
}

#[test]
fn follow_ups_that_cannot_be_accepted_leave_the_job_as_it_was() {
    let home = home();
    let backlog = small().open(home.jobs()).unwrap();
    backlog.enqueue(&Known { n: 1 }).unwrap();
    let lease = backlog.queue("default").claim().unwrap().unwrap();
    let error = lease.ack_with([JobBuilder::new(&Known { n: 2 }), JobBuilder::new(&Known { n: 3 }).queue("")]);
    let error = error.expect_err("an empty queue name");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let lease = error.into_lease();
    assert_eq!(backlog.counts().total().live(), 1);
    assert!(!lease.ack().unwrap().is_stale());
    assert_eq!(backlog.counts().total().live(), 0);
}
