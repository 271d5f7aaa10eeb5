//! The program's end of the admin socket: one thread that accepts, one for each connection.
//!
//! # Invariants
//! * Nothing polls: the accepting thread waits for a connection or for the end, whichever comes.
//! * A connection's thread holds a handle only while it answers one request.
//! * Bounded: connections, the length of a request, the time it may take to come, the time a client may be silent, and
//!   the time it may take to read an answer. Whoever goes beyond loses his connection, and nobody else anything.
//! * The end is told while the directory's lock is still held, so the name that is taken away is our own.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Deserialize;

use super::act::act;
use super::look::look;
use super::verbs::{Request, Stream};
use super::wire::{Answer, Found, Hello, Lines, PROTOCOL, REQUEST_BYTES_MAX, line, raw};
use super::{shape, socket};
use crate::clock::{Clock, RealClock};
use crate::engine::{Beside, Heard};
use crate::error::{Error, ErrorKind, Result};
use crate::queue::{Backlog, WeakBacklog};
use crate::sync::{Builder, JoinHandle, Mutex};

/// Connections served at a time, count.
const CONNECTIONS_MAX: usize = 32;
/// How long a client may be silent between two requests.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long one request may take to come, and one answer to be read.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);

/// How long a client of a stream may not read.
const STREAM_SILENCE_MAX: Duration = Duration::from_secs(600);

/// The admin socket of one open directory.
struct Server {
    dir: PathBuf,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    ended: bool,
    /// Dropped, it wakes the accepting thread for good.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    connections: Vec<(u64, UnixStream)>,
    next: u64,
}

/// Serves `backlog` at the socket in `dir`; gives where that is.
pub(crate) fn start(backlog: &Backlog, dir: &Path) -> Result<PathBuf> {
    let failed = |e: io::Error| Error::io(format!("cannot serve {}", socket::path(dir).display()), e);
    let listener = socket::bind(dir).map_err(failed)?;
    let (stop, stopped) = UnixStream::pair().map_err(failed)?;
    let server =
        Arc::new(Server { dir: dir.to_owned(), open: Mutex::new(Open { stop: Some(stop), ..Open::default() }) });
    let (weak, home) = (Arc::downgrade(&server), backlog.downgrade());
    let thread = Builder::new()
        .name("backlog-admin".to_owned())
        .spawn(move || accept(&listener, &stopped, &weak, &home))
        .map_err(failed)?;
    server.open.lock().thread = Some(thread);
    backlog.keep_beside(server);
    Ok(socket::path(dir))
}

impl Beside for Server {
    fn end(&self) {
        let (thread, connections) = {
            let mut open = self.open.lock();
            if std::mem::replace(&mut open.ended, true) {
                return;
            }
            open.stop = None;
            (open.thread.take(), std::mem::take(&mut open.connections))
        };
        // A name that is gone already is as good.
        let _ = socket::unbind(&self.dir);
        for (_, connection) in connections {
            // A client that has left does not mind.
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        if let Some(thread) = thread {
            // It holds nothing and only ever hands connections on.
            drop(thread.join());
        }
    }
}

impl Server {
    /// Room for one more; `None`: there is none, or the end has come.
    fn enter(&self, connection: &UnixStream) -> Option<u64> {
        let mut open = self.open.lock();
        let is_full = open.connections.len() >= CONNECTIONS_MAX && !planted!(AdminConnectionsUnbounded);
        if open.ended || is_full {
            return None;
        }
        let number = open.next;
        open.next += 1;
        open.connections.push((number, connection.try_clone().ok()?));
        Some(number)
    }

    fn leave(&self, number: u64) {
        self.open.lock().connections.retain(|(known, _)| *known != number);
    }
}

fn accept(listener: &UnixListener, stopped: &UnixStream, server: &Weak<Server>, home: &WeakBacklog) {
    loop {
        let mut ready = [PollFd::new(listener, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        let polled = poll(&mut ready, None);
        let [_, over] = &ready;
        if !over.revents().is_empty() || polled.is_err_and(|e| e != rustix::io::Errno::INTR) {
            return;
        }
        match listener.accept() {
            Ok((connection, _)) => {
                if let Some(server) = server.upgrade() {
                    receive(connection, &server, home.clone());
                }
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            // Out of descriptors or memory: those who wait are served when there are some again.
            Err(_) => {
                let pause = Timespec { tv_sec: 1, tv_nsec: 0 };
                let _ = poll(&mut [PollFd::new(stopped, PollFlags::IN)], Some(&pause));
            }
        }
    }
}

/// Gives the connection a thread, if there is room.
fn receive(mut connection: UnixStream, server: &Arc<Server>, home: WeakBacklog) {
    // Whatever fails here ends this connection and nothing else.
    let _ = connection.set_nonblocking(false);
    let _ = connection.set_write_timeout(Some(EXCHANGE_MAX));
    let Some(number) = server.enter(&connection) else {
        // Closed without a word, which a client takes for that: this thread waits for nobody.
        return;
    };
    let server_too = Arc::clone(server);
    let served = move || {
        // A client that went away or broke the rules is gone, and that is all.
        let _ = serve(&mut connection, &home);
        server_too.leave(number);
    };
    if Builder::new().name("backlog-admin-client".to_owned()).spawn(served).is_err() {
        server.leave(number);
    }
}

/// Answers one client until he leaves, is silent for too long, or breaks the rules.
fn serve(connection: &mut UnixStream, home: &WeakBacklog) -> Result<()> {
    let mut lines = Lines::new(REQUEST_BYTES_MAX);
    let clock = RealClock::new();
    let Some(hello) = next_request(connection, &mut lines, &clock)? else { return Ok(()) };
    let hello: Hello = parsed(&hello)?;
    if hello.backlog != PROTOCOL {
        let text = format!("protocol={} is not spoken here, but {PROTOCOL}; use the same release", hello.backlog);
        return answer(connection, &Answer::of(Err(Error::new(ErrorKind::NewerFormat, text))));
    }
    let release = Some(env!("CARGO_PKG_VERSION").to_owned());
    send(connection, &line(&Hello { backlog: PROTOCOL, pid: Some(std::process::id()), release })?)?;
    while let Some(request) = next_request(connection, &mut lines, &clock)? {
        match parsed::<Request>(&request) {
            Ok(Request::Stream(what)) => return stream(connection, home, &what),
            Ok(request) => {
                let answered = reply(home, request, clock.now());
                answer(connection, &Answer::of(answered))?;
            }
            Err(e) => answer(connection, &Answer::of(Err(e)))?,
        }
    }
    Ok(())
}

/// The next line. `None`: the client has left, or was silent for too long.
fn next_request(connection: &mut UnixStream, lines: &mut Lines, clock: &RealClock) -> Result<Option<Vec<u8>>> {
    let mut begun: Option<Duration> = None;
    let reading = connection.try_clone().map_err(lost)?;
    let bounded = |lines: &Lines| {
        let mut wait = IDLE_MAX;
        if lines.has_begun() {
            let since = clock.monotonic().saturating_sub(*begun.get_or_insert_with(|| clock.monotonic()));
            wait = EXCHANGE_MAX.saturating_sub(since);
            if wait.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        reading.set_read_timeout(Some(wait))
    };
    match lines.next(connection, bounded) {
        Ok(Found::Line(line)) => Ok(Some(line)),
        Ok(Found::End) => Ok(None),
        Ok(Found::TooLong) => {
            let text = format!("request too long: limit={REQUEST_BYTES_MAX} bytes; send less at a time");
            let refused = Error::too_large(text);
            answer(connection, &Answer::of(Err(refused.clone())))?;
            // What is left of it is not read, but for what the answer needs to get through.
            let _ = connection.shutdown(std::net::Shutdown::Write);
            let _ = connection.read(&mut [0; 4096]);
            Err(refused)
        }
        Err(e) => Err(lost(e)),
    }
}

fn parsed<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T> {
    serde_json::from_slice(line).map_err(|e| Error::invalid(format!("not a request of protocol={PROTOCOL}: {e}")))
}

fn at_home(home: &WeakBacklog) -> Result<Backlog> {
    home.upgrade().ok_or_else(|| Error::new(ErrorKind::Closed, "the program has closed this backlog"))
}

fn reply(home: &WeakBacklog, request: Request, now: SystemTime) -> Result<Box<serde_json::value::RawValue>> {
    let backlog = at_home(home)?;
    match request {
        Request::Look(what) => look(&backlog, &what, now),
        Request::Act(what) => act(&backlog, what, now),
        Request::Stream(_) => Err(Error::invalid("a stream has many answers")),
    }
}

/// Sends what there is to tell, then an `ok`, and ends the connection.
fn stream(connection: &mut UnixStream, home: &WeakBacklog, what: &Stream) -> Result<()> {
    // Whoever reads this may be a person with a pager.
    connection.set_write_timeout(Some(STREAM_SILENCE_MAX)).map_err(lost)?;
    let told = match what {
        Stream::Tail {} => tail(connection, home),
        Stream::Export {} => export(connection, home),
    };
    let last = told.and_then(|()| raw(&serde_json::json!({})));
    answer(connection, &Answer::of(last))
}

fn tail(connection: &mut UnixStream, home: &WeakBacklog) -> Result<()> {
    let events = at_home(home)?.events();
    // Told at once, so that the client knows from when on it misses nothing.
    answer(connection, &Answer { item: Some(raw(&serde_json::json!({"listening": true}))?), ..Answer::default() })?;
    let (alive, gone) = crossbeam_channel::bounded::<()>(0);
    let mut watched = connection.try_clone().map_err(lost)?;
    watched.set_read_timeout(None).map_err(lost)?;
    let watch = move || {
        let _alive = alive;
        // A client that only listens says nothing more until it leaves.
        let _ = watched.read(&mut [0; 1]);
    };
    Builder::new().name("backlog-admin-tail".to_owned()).spawn(watch).map_err(lost)?;
    while let Heard::Event(event) = events.recv_unless(&gone, None) {
        let item = raw(&shape::EventShape::of(&event, events.missed()))?;
        answer(connection, &Answer { item: Some(item), ..Answer::default() })?;
    }
    Ok(())
}

fn export(connection: &mut UnixStream, home: &WeakBacklog) -> Result<()> {
    let mut after = None;
    loop {
        let backlog = at_home(home)?;
        let mut some = Vec::new();
        after = super::look::export_some(&backlog, after, |job| {
            some.push(job);
            Ok(())
        })?;
        drop(backlog);
        for job in &some {
            answer(connection, &Answer { item: Some(raw(job)?), ..Answer::default() })?;
        }
        if after.is_none() {
            return Ok(());
        }
    }
}

fn answer(connection: &mut UnixStream, answer: &Answer) -> Result<()> {
    send(connection, &line(answer)?)
}

fn send(connection: &mut UnixStream, bytes: &[u8]) -> Result<()> {
    connection.write_all(bytes).map_err(lost)
}

fn lost(e: io::Error) -> Error {
    Error::io("an admin connection was lost", e)
}
