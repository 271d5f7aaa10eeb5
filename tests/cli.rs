//! The command line as it is used: the binary itself, on live and on stopped directories, killed and hurt.
#![cfg(unix)]
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]
#![allow(clippy::cast_possible_truncation, reason = "a test says what it tried")]

#[path = "system/mod.rs"]
mod system;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use backlog::{Backlog, Client, Codec, ErrorKind, Filter, JobBuilder, Phase};
use rustix::process::{Pid, Signal, kill_process};

use system::{Home, Process, effort, home, say};

const DIR: &str = "BACKLOG_TEST_DIR";

fn backlog(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backlog"));
    command.env("BACKLOG_DIR", dir).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    backlog(dir).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a verb says, which ends so.
fn says(dir: &Path, args: &[&str], code: i32) -> String {
    let output = run(dir, args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}: {out} {err}");
    out + &err
}

/// The binary with these lines on its standard input.
fn fed(dir: &Path, args: &[&str], lines: &str) -> Output {
    let mut child =
        backlog(dir).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let feeding = std::thread::spawn(move || drop(stdin.write_all(lines.as_bytes())));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

/// Some jobs of every sort; two of them dead, one of hostile text.
fn some_jobs(backlog: &Backlog) {
    let job = |kind: &str, n: u64| JobBuilder::raw(kind, format!("{{\"n\": {n}.0}}").into_bytes(), Codec::Json);
    for n in 0..30 {
        let one = job(if n % 2 == 0 { "send_mail" } else { "send_push" }, n).queue("mail").max_attempts(1).tag("t");
        let one = if n % 5 == 0 { one.delay(Duration::from_secs(3_600)) } else { one };
        backlog.enqueue_all([if n % 7 == 0 { one.hold() } else { one }]).unwrap();
    }
    for error in ["timed out after 30 s", HOSTILE] {
        let lease = backlog.queue("mail").claim().unwrap().unwrap();
        assert!(!lease.nack(error).unwrap().is_stale());
    }
    backlog.queue("mail").claim().unwrap().unwrap().ack().unwrap();
    backlog
        .enqueue_all([JobBuilder::raw("bytes", HOSTILE.as_bytes().to_vec(), Codec::Raw).metadata("k", HOSTILE)])
        .unwrap();
    backlog.pause("slow").unwrap();
    backlog.pause_kind("send_fax").unwrap();
}

const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n\u{9b}31m\u{202e}<script>alert(1)</script>";

/// Without the word for the way it was reached.
fn without_way(line: &str) -> String {
    ["socket", "read_only", "opened"]
        .iter()
        .fold(line.to_owned(), |line, way| line.replace(&format!("\"reached\":\"{way}\""), "\"reached\":_"))
}

#[test]
fn each_read_verb_gives_the_same_answer_on_a_live_and_on_a_stopped_backlog() {
    let home = home();
    let live = Backlog::open(home.jobs()).unwrap();
    some_jobs(&live);
    let reads: &[(&[&str], i32)] = &[
        (&["stats"], 0),
        (&["ls"], 0),
        (&["ls", "-n", "4", "--after", "3"], 0),
        (&["ls", "kind:*push", "state:ready", "tag:t", "id:2..20"], 0),
        (&["ls", "error:timed out"], 0),
        (&["ls", "state:nowhere"], 2),
        (&["show", "1"], 0),
        (&["show", "2"], 0),
        (&["show", "31"], 0),
        (&["show", "3"], 0),
        (&["show", "4"], 5),
        (&["show", "1000"], 5),
        (&["failures"], 0),
        (&["failures", "kind:send_push"], 0),
    ];
    let answers = || -> Vec<String> {
        reads
            .iter()
            .map(|(args, code)| {
                let output = run(&home.jobs(), &[&["--json"], *args].concat());
                assert_eq!(output.status.code(), Some(*code), "{args:?}: {}", text(&output.stderr));
                text(&output.stdout)
            })
            .collect()
    };
    let while_live = answers();
    assert!(while_live[0].contains("\"reached\":\"socket\""), "{}", while_live[0]);
    let exported = text(&run(&home.jobs(), &["export"]).stdout);
    assert!(says(&home.jobs(), &["verify"], 0).contains("sound"));
    live.close().unwrap();
    let before = system::files_below(&home.jobs());
    let when_stopped = answers();
    assert!(when_stopped[0].contains("\"reached\":\"read_only\""), "{}", when_stopped[0]);
    for ((args, _), (live, stopped)) in reads.iter().zip(while_live.iter().zip(&when_stopped)) {
        assert_eq!(without_way(live), without_way(stopped), "{args:?}");
    }
    assert_eq!(exported, text(&run(&home.jobs(), &["export"]).stdout));
    assert!(says(&home.jobs(), &["verify"], 0).contains("sound"));
    assert_eq!(system::files_below(&home.jobs()), before, "looking changes nothing");
}

#[test]
fn hostile_text_never_reaches_the_terminal_as_it_is() {
    let home = home();
    let live = Backlog::open(home.jobs()).unwrap();
    some_jobs(&live);
    live.enqueue_all([JobBuilder::raw("k<\u{202e}", b"{}".to_vec(), Codec::Json).queue("q\u{202e}")]).unwrap();
    let harmless = |said: &str| {
        let wrong = said.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(wrong, None, "{said:?}");
    };
    for args in [&["ls"][..], &["failures"], &["stats"], &["show", "31"], &["show", "3"], &["show", "32"], &["doctor"]]
    {
        let output = run(&home.jobs(), args);
        harmless(&(text(&output.stdout) + &text(&output.stderr)));
    }
    harmless(&says(&home.jobs(), &["ls", &format!("state:{HOSTILE}")], 2));
    harmless(&says(&home.jobs(), &["move", "1", "--to", "a\u{1b}b"], 2));
}

#[test]
fn exit_codes_say_what_went_wrong() {
    let home = home();
    let jobs = home.jobs();
    says(&jobs, &["stats"], 5);
    says(&jobs, &["nonsense"], 2);
    assert_eq!(
        Command::new(env!("CARGO_BIN_EXE_backlog"))
            .env_remove("BACKLOG_DIR")
            .arg("stats")
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
    assert!(says(&jobs, &["enqueue", "--kind", "k", "{\"a\":1}"], 0).contains("job 1"));
    assert!(says(&jobs, &["enqueue", "--kind", "k", "not json"], 2).contains("not JSON"));
    assert!(says(&jobs, &["ls", "colour:red"], 2).contains("colour:red"));
    says(&jobs, &["show", "1"], 0);
    says(&jobs, &["show", "77"], 5);
    says(&jobs, &["cancel", "77"], 5);
    says(&jobs, &["retry", "1"], 8);
    says(&jobs, &["history"], 6);
    says(&jobs, &["tail"], 6);
    // A change of what fits must be confirmed, and nobody is there to ask.
    assert!(says(&jobs, &["cancel", "kind:k"], 2).contains("--yes"));
    assert!(says(&jobs, &["cancel", "kind:k", "--dry-run"], 0).contains("1 jobs"));
    let mute = Backlog::builder().admin(false).open(&jobs).unwrap();
    says(&jobs, &["--wait", "0s", "cancel", "1"], 3);
    assert!(says(&jobs, &["stats"], 0).contains("serves no socket"));
    mute.close().unwrap();
    says(&jobs, &["cancel", "kind:k", "--yes"], 0);
    let segment = system::segments(&jobs).remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[4096 + 100] ^= 0x40;
    std::fs::write(&segment, bytes).unwrap();
    assert!([run(&jobs, &["verify"]).status.code(), run(&jobs, &["stats"]).status.code()].contains(&Some(4)));
}

#[test]
fn each_verb_that_changes_does_so_through_the_socket_and_on_a_stopped_directory() {
    let home = home();
    let jobs = home.jobs();
    let mut held = Some(Backlog::open(&jobs).unwrap());
    for round in 0..2 {
        let out = says(&jobs, &["--json", "enqueue", "--kind", "k", "--queue", "a", "{}"], 0);
        let id = serde_json::from_str::<serde_json::Value>(&out).unwrap()["data"]["last_id"].to_string();
        says(&jobs, &["move", &id, "--to", "b"], 0);
        assert!(says(&jobs, &["show", &id], 0).contains("queue  b"));
        says(&jobs, &["queue", "pause", "b"], 0);
        assert!(says(&jobs, &["stats"], 0).contains("paused"));
        says(&jobs, &["queue", "resume", "b"], 0);
        says(&jobs, &["kind", "pause", "k"], 0);
        says(&jobs, &["kind", "resume", "k"], 0);
        says(&jobs, &["checkpoint"], 0);
        says(&jobs, &["compact"], 0);
        says(&jobs, &["delete", &id], 0);
        assert_eq!(says(&jobs, &["--json", "ls"], 0).matches("\"id\":").count(), 0, "round {round}");
        if let Some(live) = held.take() {
            live.close().unwrap();
        }
    }
}

#[test]
fn retrying_what_fits_makes_every_dead_job_ready_and_no_other() {
    let home = home();
    let live = Backlog::open(home.jobs()).unwrap();
    some_jobs(&live);
    assert!(says(&home.jobs(), &["retry", "kind:send_*", "--dry-run"], 0).contains("2 jobs"));
    assert!(says(&home.jobs(), &["retry", "kind:send_*", "--yes"], 0).contains("2 of 2"));
    assert_eq!(live.counts().total().dead, 0);
    assert!(!live.list(&Filter::new().phase(Phase::Scheduled)).unwrap().is_empty());
}

/// The program that owns the directory, until it is killed.
#[test]
#[ignore = "another test runs it, in a process of its own"]
fn owner() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let _backlog = Backlog::open(dir).unwrap();
    say("open");
    loop {
        std::thread::park();
    }
}

#[test]
fn what_was_enqueued_through_the_socket_survives_a_kill_right_after_the_answer() {
    let rounds = effort("BACKLOG_CLI_KILLS", 5, 50);
    let home = home();
    let mut sent = Vec::new();
    for round in 0..rounds {
        let mut owner = Process::start("owner", &[(DIR, &home.jobs())]);
        owner.hear_that("open");
        let client = Client::connect(home.jobs()).unwrap();
        for n in 0..20 {
            let accepted = client.enqueue_raw("k", format!("\"{round} {n}\"").into_bytes(), Codec::Json).unwrap();
            sent.push(accepted.id);
        }
        owner.kill();
        assert!(!owner.end());
        // What is asked of a dead program is said to be unknown, and never sent again by itself.
        let kind = client.enqueue_raw("lost", b"{}".to_vec(), Codec::Json).unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Unknown | ErrorKind::Closed), "{kind:?}");
        // The socket of the dead one is still there, and stands in nobody's way.
        assert!(home.jobs().join("admin.sock").exists());
    }
    let look = Backlog::open_read_only(home.jobs()).unwrap();
    let found: Vec<_> = look.list(&Filter::new().limit(10_000)).unwrap().iter().map(|job| job.id).collect();
    assert_eq!(found, sent);
    println!("counted: kills {rounds}");
}

/// A worker process, killed with its test.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn worker(home: &Home, exec: &str, more: &[&str]) -> Worker {
    let mut command = backlog(&home.jobs());
    command.current_dir(home.path()).args(["work", "--concurrency", "4", "--exec", exec]).args(more);
    Worker(command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap())
}

/// The word that commands of a test wait for: said at its end at the latest, also when it fails.
struct Go(std::path::PathBuf);

impl Go {
    fn say(&self) {
        std::fs::write(&self.0, b"").unwrap();
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        let _ = std::fs::write(&self.0, b"");
    }
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let limit = std::time::Instant::now() + Duration::from_secs(120);
    while !is() {
        assert!(std::time::Instant::now() < limit, "never: {what}");
        std::thread::yield_now();
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_worker_that_is_killed_again_and_again_loses_no_line_and_runs_no_command_beside_itself() {
    let lines = effort("BACKLOG_CLI_LINES", 200, 10_000);
    let home = home();
    let input = (0..lines).map(|n| format!("line {n} 'quoted' \"$x\" `y`\n")).collect::<Vec<String>>().concat();
    let args = ["enqueue", "--stdin", "--backoff", "1ms", "--max-attempts", "1000"];
    let output = fed(&home.jobs(), &args, &input);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains(&format!("{lines} jobs")));
    // mkdir fails if a command of the same job runs still.
    let exec = r#"mkdir "at-$BACKLOG_JOB_ID" 2>/dev/null || { echo "$BACKLOG_JOB_ID" >>beside; exit 1; }
        [ "$(cat)" = "$1" ] || echo "$1" >>differs
        printf '%s\n' "$1" >>out
        rmdir "at-$BACKLOG_JOB_ID""#;
    let (out, mut kills) = (home.path().join("out"), 0_u64);
    let done = || read(&out).lines().count() as u64;
    for part in 1..4 {
        let mut worker = worker(&home, exec, &[]);
        until("a part of the lines", || done() >= lines * part / 5);
        worker.0.kill().unwrap();
        worker.0.wait().unwrap();
        kills += 1;
    }
    let mut last = worker(&home, exec, &["--drain"]);
    assert!(last.0.wait().unwrap().success());
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    read(&out).lines().for_each(|line| *times.entry(line.to_owned()).or_default() += 1);
    assert!(input.lines().all(|line| times.contains_key(line)), "lines are lost");
    assert_eq!(times.len() as u64, lines, "lines that nobody wrote");
    assert_eq!((read(&home.path().join("beside")), read(&home.path().join("differs"))), (String::new(), String::new()));
    let again: u64 = times.values().map(|n| n - 1).sum();
    assert!(again <= kills * 4 * 256, "{again}");
    assert_eq!(Backlog::open_read_only(home.jobs()).unwrap().counts().total().live(), 0);
    assert_eq!(std::fs::read_dir(home.jobs().join("exec")).unwrap().count(), 0);
    println!("cli: lines={lines} kills={kills} run again={again}");
}

#[test]
fn a_command_left_running_by_a_killed_worker_is_waited_for() {
    let home = home();
    says(&home.jobs(), &["enqueue", "--raw", "one"], 0);
    // Closes its standard input, as programs do that go on for long; waits for a word.
    let exec = "exec </dev/null; echo start >>log; until [ -e go ]; do :; done; echo end >>log";
    let go = Go(home.path().join("go"));
    let mut first = worker(&home, exec, &[]);
    let log = home.path().join("log");
    until("the command has started", || read(&log) == "start\n");
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    let mut second = worker(&home, exec, &["--drain"]);
    // It has the job, and waits.
    until("the second worker has claimed it", || {
        let said = text(&run(&home.jobs(), &["--json", "show", "1"]).stdout);
        said.contains("\"reached\":\"socket\"") && said.contains("\"in_flight\"")
    });
    assert_eq!(read(&log), "start\n", "started beside itself");
    go.say();
    assert!(second.0.wait().unwrap().success());
    assert_eq!(read(&log), "start\nend\nstart\nend\n");
}

#[test]
fn a_worker_that_is_asked_to_end_lets_its_commands_finish() {
    let home = home();
    says(&home.jobs(), &["enqueue", "--raw", "one"], 0);
    let exec = "echo start >>log; until [ -e go ]; do :; done; echo end >>log";
    let go = Go(home.path().join("go"));
    let mut worker = worker(&home, exec, &[]);
    let log = home.path().join("log");
    until("the command has started", || read(&log) == "start\n");
    kill_process(Pid::from_child(&worker.0), Signal::TERM).unwrap();
    go.say();
    assert!(worker.0.wait().unwrap().success());
    assert_eq!(read(&log), "start\nend\n");
    assert_eq!(Backlog::open_read_only(home.jobs()).unwrap().counts().completed, 1);
}

#[test]
fn a_cancelled_job_s_command_is_ended_and_a_failing_one_is_tried_again() {
    let home = home();
    let cases = [(&["--raw", "stuck"][..], 1), (&["--raw", "fails", "--backoff", "1ms", "--max-attempts", "3"], 2)];
    for (args, id) in cases {
        assert!(says(&home.jobs(), &[&["enqueue"], args].concat(), 0).contains(&format!("job {id}")));
    }
    let exec = "echo \"$1 $BACKLOG_ATTEMPT\" >>log; [ \"$1\" != stuck ] || exec tail -f /dev/null; exit 3";
    let mut worker = worker(&home, exec, &["--drain"]);
    let log = home.path().join("log");
    until("the stuck one has started", || read(&log).contains("stuck 1"));
    assert!(says(&home.jobs(), &["cancel", "1"], 0).contains("1 running and asked to stop"));
    assert!(worker.0.wait().unwrap().success());
    assert_eq!(read(&log).matches("fails").count(), 3, "{}", read(&log));
    assert!(says(&home.jobs(), &["show", "2"], 0).contains("the command ended with status 3"));
    says(&home.jobs(), &["show", "1"], 5);
}

#[test]
fn an_export_goes_into_another_directory_whole_or_not_at_all() {
    let (home, other) = (home(), system::home());
    let live = Backlog::open(home.jobs()).unwrap();
    some_jobs(&live);
    let file = home.path().join("jobs.jsonl");
    let path = file.to_str().unwrap();
    assert!(says(&home.jobs(), &["export", path], 0).contains("30 jobs"));
    says(&home.jobs(), &["export", path], 1);
    let whole = read(&file);
    let lines: Vec<&str> = whole.lines().collect();
    let mutilated = [
        lines[..lines.len() - 1].join("\n") + "\n",
        whole.replacen("send_mail", "send_Mail", 1),
        [&lines[..5], &lines[6..]].concat().join("\n"),
        lines[1..].join("\n"),
        String::new(),
    ];
    for broken in mutilated {
        let file = home.path().join("broken");
        std::fs::write(&file, &broken).unwrap();
        says(&other.jobs(), &["import", file.to_str().unwrap()], 2);
        assert!(!other.jobs().exists());
    }
    assert!(says(&other.jobs(), &["import", path], 0).contains("28 jobs imported, 2 dead or parked and left out"));
    let look = Backlog::open_read_only(other.jobs()).unwrap();
    let (ours, theirs) = (live.counts().total(), look.counts().total());
    assert_eq!((ours.ready, ours.scheduled, ours.held), (theirs.ready, theirs.scheduled, theirs.held));
    let args = |dir: &Path, id: &str| {
        let said = text(&run(dir, &["--json", "show", id]).stdout);
        serde_json::from_str::<serde_json::Value>(&said).unwrap()["data"]["args"].to_string()
    };
    assert_eq!(args(&home.jobs(), "31"), args(&other.jobs(), "28"));
}

#[test]
fn completions_and_manual_pages_name_every_verb() {
    let home = home();
    for shell in ["bash", "zsh", "fish"] {
        assert!(says(&home.jobs(), &["completions", shell], 0).contains("failures"), "{shell}");
    }
    assert!(says(&home.jobs(), &["man"], 0).contains(".TH backlog 1"));
    assert!(says(&home.jobs(), &["man", "work"], 0).contains("exec"));
    assert!(says(&home.jobs(), &["--help"], 0).contains("3  in use"));
}
