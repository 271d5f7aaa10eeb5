//! The admin socket: who may use it, what it bears, when it ends; and that a live program and a stopped directory say
//! the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::client::Client;
use super::look::look;
use super::verbs::{Look, Stream};
use super::wire::REQUEST_BYTES_MAX;
use crate::engine::{Acceptance, Counts, Requeued};
use crate::error::ErrorKind;
use crate::ids::JobId;
use crate::job::{Backoff, Codec};
use crate::queue::{Backlog, JobBuilder, Unique};

struct Home {
    _dir: tempfile::TempDir,
    jobs: PathBuf,
}

fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let jobs = dir.path().join("jobs");
    Home { _dir: dir, jobs }
}

fn raw(kind: &str) -> JobBuilder {
    JobBuilder::raw(kind, b"{\"n\": 1.0}".to_vec(), Codec::Json)
}

/// A connection that says hello and then what a test wants.
fn stranger(home: &Home) -> (UnixStream, BufReader<UnixStream>) {
    let mut stream = UnixStream::connect(home.jobs.join("admin.sock")).unwrap();
    stream.write_all(b"{\"backlog\":1}\n").unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut hello = String::new();
    lines.read_line(&mut hello).unwrap();
    assert!(hello.starts_with("{\"backlog\":1,"), "{hello}");
    (stream, lines)
}

fn says(lines: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    line
}

#[test]
fn the_socket_is_its_owners_alone() {
    let home = home();
    let backlog = Backlog::open(&home.jobs).unwrap();
    let path = backlog.admin_socket().unwrap().unwrap().to_owned();
    assert_eq!(path.file_name().unwrap(), "admin.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_stale_socket_is_replaced_and_anything_else_is_left_alone() {
    let home = home();
    Backlog::open(&home.jobs).unwrap().close().unwrap();
    let path = home.jobs.join("admin.sock");
    assert!(!path.exists(), "a clean close leaves none");
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(Client::connect(&home.jobs).unwrap_err().kind(), ErrorKind::Closed);
    let backlog = Backlog::open(&home.jobs).unwrap();
    Client::connect(&home.jobs).unwrap();
    backlog.close().unwrap();

    std::fs::write(&path, b"mine").unwrap();
    let backlog = Backlog::open(&home.jobs).unwrap();
    let said = backlog.admin_socket().unwrap_err().to_string();
    assert!(said.contains("no socket"), "{said}");
    backlog.enqueue_raw("k", b"{}".to_vec(), Codec::Json).unwrap();
    backlog.close().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}

#[test]
fn a_directory_deeper_than_a_socket_s_name_may_be_long_is_served_too() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = dir.path().join("a".repeat(120)).join("jobs");
    let backlog = Backlog::open(&jobs).unwrap();
    if cfg!(target_os = "linux") {
        let accepted = Client::connect(&jobs).unwrap().enqueue_all([raw("k")]).unwrap();
        assert_eq!(backlog.counts().total().ready, 1, "{accepted:?}");
    } else {
        assert!(backlog.admin_socket().unwrap_err().to_string().contains("107"));
    }
}

#[test]
fn a_backlog_that_serves_none_says_so_and_ends_like_any_other() {
    let home = home();
    let backlog = Backlog::builder().admin(false).open(&home.jobs).unwrap();
    assert_eq!(backlog.admin_socket().unwrap(), None);
    assert!(!home.jobs.join("admin.sock").exists());
    assert_eq!(Client::connect(&home.jobs).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_client_keeps_no_backlog_open_and_its_socket_ends_with_it() {
    let home = home();
    let backlog = Backlog::open(&home.jobs).unwrap();
    let client = Client::connect(&home.jobs).unwrap();
    let (_silent, mut lines) = stranger(&home);
    client.enqueue_raw("k", b"{}".to_vec(), Codec::Json).unwrap();
    // Dropped without a close: the directory is free although clients are connected.
    drop(backlog);
    assert_eq!(says(&mut lines), "", "the connection has ended");
    let kind = client.enqueue_raw("k", b"{}".to_vec(), Codec::Json).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::Unknown | ErrorKind::Closed), "{kind:?}");
    let backlog = Backlog::open(&home.jobs).unwrap();
    // The same client goes on with the next owner.
    client.enqueue_raw("k", b"{}".to_vec(), Codec::Json).unwrap();
    assert_eq!(backlog.counts().total().ready, 2);
    backlog.close().unwrap();
    assert!(!home.jobs.join("admin.sock").exists());
}

#[test]
fn a_client_s_job_is_the_one_its_builder_describes() {
    let home = home();
    let backlog = Backlog::open(&home.jobs).unwrap();
    let client = Client::connect(&home.jobs).unwrap();
    let full = |args: &[u8], codec| {
        JobBuilder::raw("send_mail", args.to_vec(), codec)
            .queue("mail")
            .priority(-3)
            .max_attempts(4)
            .unique(Unique::key("sale:7").until_started())
            .delay(Duration::from_secs(3_600))
            .expires_in(Duration::from_secs(7_200))
            .timeout(Duration::from_millis(1_500))
            .keep_result(Duration::from_secs(60))
            .backoff(Backoff::Exponential { base: Duration::from_secs(1), cap: Duration::from_secs(9) })
            .limit_key("tenant")
            .tag("x")
            .tag("y")
            .metadata("a", "b")
    };
    // Bytes that a JSON writer would not write so.
    for (n, (args, codec)) in [
        (&b"{\"n\":1.00, \"big\":12345678901234567890123}"[..], Codec::Json),
        (b" {\"blank\": \"before\"}", Codec::Json),
        (b"{\n\"two\": \"lines\"}", Codec::Json),
        (b"\x00\xff raw", Codec::Raw),
        (b"other", Codec::Other(9)),
    ]
    .into_iter()
    .enumerate()
    {
        let direct = backlog.enqueue_all([full(args, codec).unique(format!("d{n}"))]).unwrap()[0].id;
        let sent = client.enqueue_all([full(args, codec).unique(format!("s{n}"))]).unwrap()[0].id;
        let (mut one, codec_one, args_one) = backlog.with_args(direct).unwrap().unwrap();
        let (mut two, codec_two, args_two) = backlog.with_args(sent).unwrap().unwrap();
        assert_eq!((codec_one, &args_one[..]), (codec, args));
        assert_eq!((codec_two, &args_two[..]), (codec, args));
        assert!(two.run_at >= one.run_at && two.expires_at >= one.expires_at);
        (one.id, one.unique, one.created_at, one.run_at, one.expires_at) =
            (two.id, two.unique.take(), two.created_at, two.run_at, two.expires_at);
        two.unique.clone_from(&one.unique);
        assert_eq!(one, two);
    }
    let first = client.enqueue_all([full(b"1", Codec::Json)]).unwrap()[0];
    let again = client.enqueue_all([full(b"1", Codec::Json)]).unwrap()[0];
    assert_eq!(again.acceptance, Acceptance::Duplicate(first.id));
    assert_eq!(client.requeue(first.id).unwrap(), Requeued::Done);
    // One that is refused is refused in the words of the library, and so is the whole batch.
    let refused = client.enqueue_all([raw("fine"), raw("")]).unwrap_err();
    assert_eq!((refused.kind(), refused.to_string().contains("kind is empty")), (ErrorKind::Invalid, true));
    assert_eq!(backlog.counts().total().live(), 11);
}

#[test]
fn a_request_that_is_too_long_is_refused_and_not_kept_in_memory() {
    let home = home();
    let backlog = Backlog::open(&home.jobs).unwrap();
    let (mut stream, mut lines) = stranger(&home);
    // Without any end: it would go on for ever.
    let chunk = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while sent < 4 * REQUEST_BYTES_MAX && stream.write_all(&chunk).is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 4 * REQUEST_BYTES_MAX, "the program goes on reading");
    let said = says(&mut lines);
    assert!(said.contains("too_large") && said.contains("limit=8388608"), "{said}");
    backlog.enqueue_raw("k", b"{}".to_vec(), Codec::Json).unwrap();
}

#[test]
fn what_is_no_request_is_refused_in_words_and_the_next_one_is_answered() {
    let home = home();
    let _backlog = Backlog::open(&home.jobs).unwrap();
    let (mut stream, mut lines) = stranger(&home);
    for nonsense in
        ["", "nonsense", "{}", "[[[[", "{\"look\":{\"fly\":{}}}", "{\"act\":{\"cancel\":{\"id\":-1}}}", "\u{1b}[2J"]
    {
        stream.write_all(format!("{nonsense}\n").as_bytes()).unwrap();
        let said = says(&mut lines);
        assert!(said.contains("\"kind\":\"invalid\"") && said.contains("protocol=1"), "{nonsense}: {said}");
    }
    stream.write_all(("[".repeat(100_000) + "\n").as_bytes()).unwrap();
    assert!(says(&mut lines).contains("\"kind\":\"invalid\""));
    let deep = format!("{{\"act\":{{\"enqueue\":{{\"jobs\":[{{\"kind\":\"k\",\"args\":{}\n", "[".repeat(100_000));
    stream.write_all(deep.as_bytes()).unwrap();
    assert!(says(&mut lines).contains("\"kind\":\"invalid\""));
    stream.write_all(b"{\"look\":{\"stats\":{}}}\n").unwrap();
    assert!(says(&mut lines).starts_with("{\"ok\":{\"queues\":{}"));

    let mut newer = UnixStream::connect(home.jobs.join("admin.sock")).unwrap();
    newer.write_all(b"{\"backlog\":2}\n").unwrap();
    let mut said = String::new();
    newer.read_to_string(&mut said).unwrap();
    assert!(said.contains("newer_format") && said.contains("protocol=2"), "{said}");
}

#[test]
fn more_clients_than_there_is_room_for_are_refused_and_harm_nobody() {
    let home = home();
    let backlog = Backlog::open(&home.jobs).unwrap();
    let held: Vec<_> = (0..32).map(|_| stranger(&home)).collect();
    let refused = Client::connect(&home.jobs).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InUse, "{refused}");
    backlog.enqueue_raw("k", b"{}".to_vec(), Codec::Json).unwrap();
    backlog.close().unwrap();
    drop(held);
}

#[test]
fn each_look_says_the_same_of_a_live_backlog_and_of_a_stopped_one() {
    let home = home();
    let backlog = Backlog::open(&home.jobs).unwrap();
    let now = SystemTime::now();
    for n in 0..40_u64 {
        let job = raw(if n % 2 == 0 { "send_mail" } else { "send_push" }).priority((n % 5) as i16).tag("t");
        let job = if n % 4 == 0 { job.delay(Duration::from_secs(3_600)) } else { job };
        let job = if n % 7 == 0 { job.hold() } else { job };
        backlog.enqueue_all([job.queue(["mail", "push"][(n % 2) as usize]).max_attempts(1)]).unwrap();
    }
    for _ in 0..4 {
        let lease = backlog.queue("mail").claim().unwrap().unwrap();
        assert!(!lease.nack(format!("timed out after 12 s\n\u{1b}[31mred")).unwrap().is_stale());
    }
    backlog.queue("push").claim().unwrap().unwrap().ack().unwrap();
    backlog.pause("push").unwrap();
    backlog.pause_kind("send_fax").unwrap();
    let looks = || {
        let list = |filter: &str, after, limit| Look::List { filter: filter.to_owned(), after, limit };
        let mut looks = vec![
            Look::Stats {},
            list("", None, 7),
            list("", Some(7), 1_000),
            list("state:dead error:\"timed out\"", None, 100),
            list("kind:*mail priority:>1 id:5..30 queue:mail", None, 3),
            list("age:<1h tag:t", None, 100),
            Look::Count { filter: "state:scheduled".to_owned() },
            Look::Failures { filter: String::new() },
            list("state:nowhere", None, 1),
        ];
        looks.extend([0, 1, 2, 3, 8, 41, 1 << 21].map(|id| Look::Show { id }));
        looks
    };
    let told = |answer: crate::error::Result<Box<serde_json::value::RawValue>>| match answer {
        Ok(raw) => raw.get().to_owned(),
        Err(e) => format!("{:?}: {e}", e.kind()),
    };
    let client = Client::connect(&home.jobs).unwrap();
    let live: Vec<String> = looks().into_iter().map(|what| told(client.look(what))).collect();
    backlog.close().unwrap();
    let stopped = Backlog::open_read_only(&home.jobs).unwrap();
    for (what, live) in looks().iter().zip(&live) {
        assert_eq!(*live, told(look(&stopped, what, now)), "{what:?}");
    }
    assert!(live[7].contains("timed out after # s") && live[7].contains("\"dead\":4"), "{}", live[7]);
}

#[test]
fn an_id_in_a_gap_is_lost_to_a_reader_too() {
    let home = home();
    let backlog = Backlog::open(&home.jobs).unwrap();
    let id = backlog.enqueue_raw("k", b"{}".to_vec(), Codec::Json).unwrap().id;
    // Nobody closes it: the next owner begins at the ceiling, and the ids between were never given.
    drop(backlog);
    let backlog = Backlog::open(&home.jobs).unwrap();
    backlog.enqueue_raw("k", b"{}".to_vec(), Codec::Json).unwrap();
    let gap = JobId(id.0 + 5);
    let live = backlog.inspect(gap).unwrap();
    assert_eq!(live, crate::engine::Status::Lost);
    backlog.close().unwrap();
    assert_eq!(Backlog::open_read_only(&home.jobs).unwrap().inspect(gap).unwrap(), live);
}

#[test]
fn a_listener_hears_what_happens_and_an_export_holds_every_job() {
    let home = home();
    let backlog = Backlog::open(&home.jobs).unwrap();
    let client = Client::connect(&home.jobs).unwrap();
    let ids: Vec<JobId> = backlog.enqueue_all((0..200).map(|_| raw("k"))).unwrap().iter().map(|job| job.id).collect();
    let mut heard = Vec::new();
    let mut listen = |item: &serde_json::value::RawValue| {
        if item.get().contains("listening") {
            backlog.enqueue_raw("late", b"{}".to_vec(), Codec::Json)?;
        } else {
            heard.push(item.get().to_owned());
        }
        Ok(heard.is_empty())
    };
    client.stream(Stream::Tail {}, &mut listen).unwrap();
    assert!(heard[0].contains("\"what\":\"enqueued\"") && heard[0].contains("\"kind\":\"late\""), "{heard:?}");
    let mut exported = Vec::new();
    let mut each = |item: &serde_json::value::RawValue| {
        exported.push(serde_json::from_str::<super::shape::ExportShape>(item.get()).unwrap().job.id);
        Ok(true)
    };
    client.stream(Stream::Export {}, &mut each).unwrap();
    assert_eq!(exported[..200], ids.iter().map(|id| id.0).collect::<Vec<_>>());
    assert_eq!(exported.len(), 201);
    let _: Counts = backlog.counts();
}
