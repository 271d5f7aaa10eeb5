//! Where the pages come from: a backlog that is open in this program, or a directory, whoever has it open.
//!
//! # Invariants
//! * No handle is held between two requests: a console never keeps a backlog open.
//! * A directory that no program serves is only looked at, never opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::Client;
use crate::clock::{Clock, RealClock};
use crate::error::{Error, ErrorKind, Result};
use crate::face;
use crate::face::shape::{AllShape, ChangeShape};
use crate::face::verbs::{Act, Change, Look};
use crate::queue::{Backlog, ReadOnly, WeakBacklog};
use crate::sync::Mutex;

/// How old a picture of a stopped directory may be; longer where taking it takes long.
const PICTURE_AGE_MAX: Duration = Duration::from_secs(5);

/// A backlog, however it is reached.
pub(super) struct Source {
    clock: RealClock,
    from: From,
}

enum From {
    Here(WeakBacklog),
    There { dir: PathBuf, client: Mutex<Option<Arc<Client>>>, picture: Mutex<Option<Picture>> },
}

/// What a stopped directory looked like.
struct Picture {
    view: Arc<ReadOnly>,
    taken: Duration,
    cost: Duration,
}

/// How it was reached just now.
pub(super) enum Reached {
    Here(Backlog),
    Socket(Arc<Client>),
    Stopped(Arc<ReadOnly>),
}

impl Source {
    pub(super) fn here(backlog: &Backlog) -> Self {
        Self { clock: RealClock::new(), from: From::Here(backlog.downgrade()) }
    }

    pub(super) fn there(dir: &Path) -> Self {
        let from = From::There { dir: dir.to_owned(), client: Mutex::new(None), picture: Mutex::new(None) };
        Self { clock: RealClock::new(), from }
    }

    pub(super) fn clock(&self) -> &RealClock {
        &self.clock
    }

    /// The way as it is now.
    pub(super) fn reach(&self) -> Result<Reached> {
        match &self.from {
            From::Here(home) => home
                .upgrade()
                .map(Reached::Here)
                .ok_or_else(|| Error::new(ErrorKind::Closed, "the program has closed this backlog")),
            From::There { dir, client, picture } => {
                if let Some(client) = Self::live(dir, client)? {
                    *picture.lock() = None;
                    return Ok(Reached::Socket(client));
                }
                self.picture(dir, picture).map(Reached::Stopped)
            }
        }
    }

    /// The client that is still answered, or a new one. `None`: nobody serves the directory.
    fn live(dir: &Path, client: &Mutex<Option<Arc<Client>>>) -> Result<Option<Arc<Client>>> {
        let known = client.lock().take();
        if let Some(known) = known.filter(|known| known.look(Look::Health {}).is_ok()) {
            *client.lock() = Some(Arc::clone(&known));
            return Ok(Some(known));
        }
        match Client::connect(dir) {
            Ok(new) => {
                let new = Arc::new(new);
                *client.lock() = Some(Arc::clone(&new));
                Ok(Some(new))
            }
            // Nobody there, or no such thing as a socket.
            Err(e) if matches!(e.kind(), ErrorKind::Closed | ErrorKind::Invalid) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn picture(&self, dir: &Path, picture: &Mutex<Option<Picture>>) -> Result<Arc<ReadOnly>> {
        let mut held = picture.lock();
        let began = self.clock.monotonic();
        let fresh =
            |known: &Picture| began.saturating_sub(known.taken) < PICTURE_AGE_MAX.max(known.cost.saturating_mul(20));
        if let Some(known) = held.as_ref().filter(|known| fresh(known)) {
            return Ok(Arc::clone(&known.view));
        }
        let view = Arc::new(Backlog::open_read_only(dir)?);
        let taken = self.clock.monotonic();
        *held = Some(Picture { view: Arc::clone(&view), taken, cost: taken.saturating_sub(began) });
        Ok(view)
    }
}

impl Reached {
    /// The way, for a person.
    pub(super) fn way(&self) -> &'static str {
        match self {
            Self::Here(_) => "live, in this program",
            Self::Socket(_) => "live, through the admin socket",
            Self::Stopped(_) => "not running: as it lies on disk",
        }
    }

    /// Whether anything can be changed through it.
    pub(super) fn takes_changes(&self) -> bool {
        !matches!(self, Self::Stopped(_))
    }

    fn look(&self, what: Look, clock: &RealClock) -> Result<Box<RawValue>> {
        match self {
            Self::Here(backlog) => face::look(backlog, &what, clock.now()),
            Self::Socket(client) => client.look(what),
            Self::Stopped(view) => face::look(&**view, &what, clock.now()),
        }
    }

    /// What was asked, understood.
    pub(super) fn see<T: DeserializeOwned>(&self, what: Look, clock: &RealClock) -> Result<T> {
        understood(&self.look(what, clock)?, ErrorKind::Io)
    }

    pub(super) fn act(&self, what: Act, clock: &RealClock) -> Result<ChangeShape> {
        self.done(what, clock)
    }

    fn done<T: DeserializeOwned>(&self, what: Act, clock: &RealClock) -> Result<T> {
        let answer = match self {
            Self::Here(backlog) => face::act(backlog, what, clock.now())?,
            Self::Socket(client) => client.change(what)?,
            Self::Stopped(_) => {
                return Err(Error::new(ErrorKind::Closed, "no program has this backlog open; it is only looked at"));
            }
        };
        understood(&answer, ErrorKind::Unknown)
    }

    /// One change of every job that fits.
    pub(super) fn act_on_all(&self, filter: String, change: Change, clock: &RealClock) -> Result<AllShape> {
        self.done(Act::All { filter, change, who: format!("console, pid={}", std::process::id()) }, clock)
    }
}

fn understood<T: DeserializeOwned>(answer: &RawValue, kind: ErrorKind) -> Result<T> {
    serde_json::from_str(answer.get())
        .map_err(|e| Error::new(kind, format!("an answer is not understood: {e}; is the program of another release?")))
}
