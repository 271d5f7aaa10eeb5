//! Opens a damaged directory in every way there is and compares what comes of it with what must.

use std::ops::Range;
use std::sync::Arc;

use crate::disk::Disk;
use crate::disk::simulated::SimDisk;
use crate::engine::{Engine, LeaseKind, ReadOnlyEngine};
use crate::error::{Error, ErrorKind};
use crate::ids::Lsn;
use crate::index::MemoryHandle;
use crate::log::{Identity, verify};

use super::super::world::Verbs;
use super::anatomy::{Expected, Right, Template};
use super::served::{Served, idempotency_keys};
use super::spread::Outcome;

/// How much is done with one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// Opened, everything read.
    Opened,
    /// Also looked at read-only, and verified.
    Looked,
    /// Also worked to the end.
    Served,
}

/// Why an image is judged wrong, in words.
pub(super) type Judged<T = Outcome> = Result<T, String>;

impl Template {
    /// Opens without an index and says which of the allowed results it was; everything else is an error.
    pub(super) fn judge(&self, disk: SimDisk, expected: &Expected, depth: Depth) -> Judged {
        self.judge_with(disk, MemoryHandle::new(), expected, depth)
    }

    /// The same with a saved index.
    pub(super) fn judge_with(&self, disk: SimDisk, memory: MemoryHandle, expected: &Expected, depth: Depth) -> Judged {
        if depth >= Depth::Looked {
            self.look(&disk, expected)?;
        }
        match (self.world(disk.clone(), memory).try_open(), expected) {
            (Err(refused), Expected::Reported(files, bytes)) => {
                reports(&disk, &refused, files, bytes.clone())?;
                Ok(Outcome::Reported)
            }
            (Err(refused), Expected::ReportedOrState(file, _)) => {
                reports(&disk, &refused, std::slice::from_ref(file), None)?;
                Ok(Outcome::Reported)
            }
            (Err(refused), Expected::State(_)) => Err(format!("refused: {refused:?}")),
            (Ok(_), Expected::Reported(..)) => Err("opened".to_owned()),
            (Ok(engine), Expected::State(at) | Expected::ReportedOrState(_, at)) => {
                self.same(&engine, *at, depth)?;
                Ok(if *at == self.end { Outcome::Identical } else { Outcome::TailDropped })
            }
        }
    }

    fn right(&self, at: Lsn) -> &Right {
        self.right.get(&at).unwrap_or_else(|| panic!("nothing is known of lsn={at}"))
    }

    fn same(&self, engine: &Engine, at: Lsn, depth: Depth) -> Judged<()> {
        let right = self.right(at);
        let (found, troubles) = Served::read(&**engine, engine.counts());
        if let Some((thing, trouble)) = troubles.first() {
            return Err(format!("{thing:?} does not read: {trouble}"));
        }
        if let Some(difference) = right.opened.any_difference(&found) {
            return Err(difference);
        }
        if idempotency_keys(engine) != right.keys {
            return Err("other idempotency keys".to_owned());
        }
        engine.check_books()?;
        if depth >= Depth::Looked {
            let report = engine.verify().map_err(|e| e.to_string())?;
            if !report.is_sound() {
                return Err(format!("opened, but not sound: {:?}", report.damage));
            }
        }
        if depth >= Depth::Served { self.work(engine) } else { Ok(()) }
    }

    /// Everything that is ready can be worked, and is what was put in.
    fn work(&self, engine: &Engine) -> Judged<()> {
        let ready = engine.counts().total().ready;
        let mut worked = 0;
        loop {
            let grants = engine.claim(&[], 7, LeaseKind::Pool).map_err(|e| e.to_string())?;
            if grants.is_empty() {
                break;
            }
            for grant in grants {
                if Some(&grant.args) != self.args.get(&grant.id) {
                    return Err(format!("job {} was granted with other args", grant.id));
                }
                if !engine.ack(&grant) {
                    return Err(format!("the lease of job {} was stale", grant.id));
                }
                worked += 1;
            }
        }
        if worked != ready {
            return Err(format!("{worked} jobs of {ready} were granted"));
        }
        engine.compact_all().map_err(|e| e.to_string())?;
        engine.check_books()
    }

    /// What a reader sees, and what the check of the files says; nothing is changed by either.
    fn look(&self, disk: &SimDisk, expected: &Expected) -> Judged<()> {
        let (door, ops): (Arc<dyn Disk>, usize) = (Arc::new(disk.clone()), disk.ops());
        match (ReadOnlyEngine::open(&door, &self.clock()), expected) {
            (Err(refused), Expected::Reported(files, bytes)) => reports(disk, &refused, files, bytes.clone())?,
            (Err(refused), Expected::ReportedOrState(file, _)) => {
                reports(disk, &refused, std::slice::from_ref(file), None)?;
            }
            (Err(refused), Expected::State(_)) => return Err(format!("refused to look: {refused:?}")),
            (Ok(_), Expected::Reported(..)) => return Err("a look saw nothing".to_owned()),
            (Ok(look), Expected::State(at) | Expected::ReportedOrState(_, at)) => {
                let (found, troubles) = Served::read(&look, look.counts());
                if let Some((thing, trouble)) = troubles.first() {
                    return Err(format!("looked at, {thing:?} does not read: {trouble}"));
                }
                if let Some(difference) = self.right(*at).looked.any_difference(&found) {
                    return Err(format!("looked at, {difference}"));
                }
                let report = look.verify().map_err(|e| e.to_string())?;
                if !report.is_sound() {
                    return Err(format!("looked at, but not sound: {:?}", report.damage));
                }
            }
        }
        if disk.ops() != ops {
            return Err("looking changed something".to_owned());
        }
        Ok(())
    }

    /// The check of the files alone, before anybody opens them: a tail that nobody vouches for is no damage, and what
    /// stands behind the frames is nobody's.
    pub(super) fn check_files(&self, disk: &SimDisk, expected: &Expected) -> Judged<()> {
        let door: Arc<dyn Disk> = Arc::new(disk.clone());
        let identity = Identity::read(&*door).map_err(|e| e.to_string())?.ok_or("no format")?;
        let damage = verify(&door, &identity, None).map_err(|e| e.to_string())?.damage;
        match expected {
            Expected::State(_) if damage.is_empty() => Ok(()),
            Expected::State(_) => Err(format!("the check reports {damage:?}")),
            Expected::ReportedOrState(..) => Ok(()),
            Expected::Reported(files, bytes) => {
                let named = |file: &str| files.iter().any(|wanted| file == disk.display(wanted));
                let inside = |at: u64| bytes.as_ref().is_none_or(|bytes| bytes.contains(&at));
                if damage.iter().any(|damage| named(&damage.file) && inside(damage.offset)) {
                    return Ok(());
                }
                Err(format!("the check reports {damage:?}, should name {files:?} at {bytes:?}"))
            }
        }
    }
}

/// Does the error say which file and where?
pub(super) fn reports(disk: &SimDisk, error: &Error, files: &[String], bytes: Option<Range<u64>>) -> Judged<()> {
    if error.kind() != ErrorKind::Corrupt {
        return Err(format!("refused as something else: {error:?}"));
    }
    let text = error.to_string();
    if !files.iter().any(|file| text.contains(&disk.display(file))) {
        return Err(format!("should name {files:?}: {text}"));
    }
    match (offset_in(&text), bytes) {
        (Some(at), Some(bytes)) if !bytes.contains(&at) => Err(format!("should say an offset in {bytes:?}: {text}")),
        (None, Some(_)) => Err(format!("should say an offset: {text}")),
        _ => Ok(()),
    }
}

/// The first offset that a text tells.
pub(super) fn offset_in(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("offset=")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
