//! Finds the way to a backlog: through the program that has it open, or to the directory itself.
//!
//! # Invariants
//! * Who only looks never opens the directory, takes no lock and runs no recovery.
//! * Who changes opens it only if no program serves it.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::args::Args;
use super::trouble::{Ended, Trouble};
use crate::Client;
use crate::clock::{Clock, RealClock};
use crate::error::{Error, ErrorKind};
use crate::face;
use crate::face::shape::ExportShape;
use crate::face::verbs::{Act, Look, Stream};
use crate::face::wire::raw;
use crate::queue::{Backlog, Options, ReadOnly};

/// A backlog, however it is reached.
pub(super) enum Target {
    /// A program has it open.
    Live(Client),
    /// Nobody asked has it open, or he serves no socket: looked at as it lies.
    Stopped(ReadOnly),
    /// Opened here.
    Own(Backlog),
}

/// The directory that was named.
pub(super) fn dir(args: &Args) -> Ended<&Path> {
    args.dir.as_deref().ok_or_else(|| Trouble::usage("which directory? name it with --dir DIR, or in BACKLOG_DIR"))
}

pub(super) fn there(dir: &Path) -> Ended {
    match dir.metadata() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Trouble::not_found(format!("no directory {}", dir.display())))
        }
        _ => Ok(()),
    }
}

/// Through the socket, if a program serves it.
fn live(dir: &Path) -> Result<Option<Client>, Error> {
    match Client::connect(dir) {
        Ok(client) => Ok(Some(client)),
        // Nobody there, or no such thing as a socket.
        Err(e) if matches!(e.kind(), ErrorKind::Closed | ErrorKind::Invalid) => Ok(None),
        Err(e) => Err(e),
    }
}

/// For looking.
pub(super) fn to_look(args: &Args) -> Ended<Target> {
    let dir = dir(args)?;
    there(dir)?;
    Ok(match live(dir)? {
        Some(client) => Target::Live(client),
        None => Target::Stopped(Backlog::open_read_only(dir)?),
    })
}

/// For what only a running program can tell.
pub(super) fn to_listen(args: &Args) -> Ended<Client> {
    let dir = dir(args)?;
    there(dir)?;
    Ok(Client::connect(dir)?)
}

/// For changing; `create` makes the directory if it is not there.
pub(super) fn to_change(args: &Args, create: bool) -> Ended<Target> {
    let dir = dir(args)?;
    if !create {
        there(dir)?;
    }
    if let Some(client) = live(dir)? {
        return Ok(Target::Live(client));
    }
    let options = Options::new().admin(false).create(create).lock_wait(args.wait);
    match options.open(dir) {
        Ok(backlog) => Ok(Target::Own(backlog)),
        // Somebody opened it just now: he serves it.
        Err(e) if e.kind() == ErrorKind::InUse => live(dir)?.map(Target::Live).ok_or_else(|| e.into()),
        Err(e) => Err(e.into()),
    }
}

impl Target {
    /// The way, in a word.
    pub(super) fn way(&self) -> &'static str {
        match self {
            Self::Live(_) => "socket",
            Self::Stopped(_) => "read_only",
            Self::Own(_) => "opened",
        }
    }

    pub(super) fn look(&self, what: Look) -> Ended<Box<RawValue>> {
        let now = RealClock::new().now();
        Ok(match self {
            Self::Live(client) => client.look(what)?,
            Self::Stopped(view) => face::look(view, &what, now)?,
            Self::Own(backlog) => face::look(backlog, &what, now)?,
        })
    }

    /// The same, understood.
    pub(super) fn see<T: DeserializeOwned>(&self, what: Look) -> Ended<T> {
        Ok(serde_json::from_str(self.look(what)?.get())?)
    }

    pub(super) fn act<T: DeserializeOwned>(&self, what: Act) -> Ended<T> {
        let answer = match self {
            Self::Live(client) => client.change(what)?,
            Self::Own(backlog) => face::act(backlog, what, RealClock::new().now())?,
            Self::Stopped(_) => return Err(Trouble::failed("a directory that is only looked at cannot be changed")),
        };
        Ok(serde_json::from_str(answer.get())?)
    }

    /// Calls `each` for every live job, as a line of JSON.
    pub(super) fn export(&self, mut each: impl FnMut(&RawValue) -> Ended) -> Ended {
        let mut failed = None;
        // What `each` says is kept beside: the way knows only its own errors.
        let mut hand = |item: &RawValue| match each(item) {
            Ok(()) => true,
            Err(trouble) => {
                failed = Some(trouble);
                false
            }
        };
        match self {
            Self::Live(client) => client.stream(Stream::Export {}, |item| Ok(hand(item)))?,
            Self::Stopped(view) => pages(view, &mut hand)?,
            Self::Own(backlog) => pages(backlog, &mut hand)?,
        }
        failed.map_or(Ok(()), Err)
    }

    /// Ends in order what was opened here.
    pub(super) fn close(self) -> Ended {
        match self {
            Self::Own(backlog) => Ok(backlog.close()?),
            Self::Live(_) | Self::Stopped(_) => Ok(()),
        }
    }
}

fn pages(view: &impl face::look::View, hand: &mut dyn FnMut(&RawValue) -> bool) -> Ended {
    let (mut after, mut going) = (None, true);
    while going {
        after = face::look::export_some(view, after, |job: ExportShape| {
            going = going && hand(&raw(&job)?);
            Ok(())
        })?;
        going = going && after.is_some();
    }
    Ok(())
}
