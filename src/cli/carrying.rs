//! Out of a backlog and into another: JSON lines with a header and a trailer, so that nobody is locked in.
//!
//! ```text
//! {"backlog_export":1,"release":"0.1.0"}
//! {"job":{"id":7,"kind":"send_mail",…},"args":{"codec":1,"args":{…}}}
//! {"end":true,"jobs":1,"digest":"…"}
//! ```
//!
//! # Invariants
//! * An import reads the whole file and compares count and digest before the first job goes in.
//! * The digest is `SipHash` 2-4 with 128 bits and no key, over every byte between header and trailer.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::args::Args;
use super::reach::{self, Target};
use super::show::Screen;
use super::trouble::{Ended, Trouble};
use crate::face::jobs::{JobLine, UniqueLine};
use crate::face::shape::{AcceptedShape, ExportShape};
use crate::face::verbs::Act;

/// The form of an export.
const FORM: u32 = 1;
/// Jobs in one commit of an import: with the largest args they still fit a request.
const BATCH_JOBS: usize = 1_000;
/// Bytes of them.
const BATCH_BYTES: usize = 2 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    backlog_export: u32,
    release: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Trailer {
    end: bool,
    jobs: u64,
    digest: String,
}

/// What went through.
#[derive(Default)]
struct Tally {
    jobs: u64,
    hasher: SipHasher24,
}

impl Tally {
    fn add(&mut self, line: &[u8]) {
        self.jobs += 1;
        self.hasher.write(line);
        self.hasher.write(b"\n");
    }

    fn trailer(&self) -> Trailer {
        Trailer { end: true, jobs: self.jobs, digest: format!("{:032x}", self.hasher.finish128().as_u128()) }
    }
}

pub(super) fn export(args: &Args, screen: &mut Screen, file: Option<&Path>) -> Ended {
    let target = reach::to_look(args)?;
    let named = |path: &Path, e: std::io::Error| Trouble::failed(format!("{}: {e}", path.display()));
    let mut out: Box<dyn Write> = match file {
        None => Box::new(BufWriter::new(std::io::stdout().lock())),
        Some(path) => {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            // Args are nobody else's business.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            Box::new(BufWriter::new(options.open(path).map_err(|e| named(path, e))?))
        }
    };
    let header = Header { backlog_export: FORM, release: env!("CARGO_PKG_VERSION").to_owned() };
    writeln!(out, "{}", serde_json::to_string(&header)?)?;
    let mut tally = Tally::default();
    target.export(|job| {
        tally.add(job.get().as_bytes());
        Ok(writeln!(out, "{}", job.get())?)
    })?;
    let trailer = tally.trailer();
    writeln!(out, "{}", serde_json::to_string(&trailer)?)?;
    out.flush()?;
    drop(out);
    if let Some(path) = file {
        File::open(path).and_then(|file| file.sync_all()).map_err(|e| named(path, e))?;
        screen.value(target.way(), &trailer)?;
        screen.line(&format!("{} jobs exported", trailer.jobs))?;
    }
    Ok(())
}

#[derive(Debug, Default, Serialize)]
struct Imported {
    new: u64,
    duplicate: u64,
    /// Dead and parked ones, which were left out.
    skipped: u64,
}

pub(super) fn import(args: &Args, screen: &mut Screen, path: &Path, with_dead: bool) -> Ended {
    each_job(path, |_| Ok(()))?;
    let target = reach::to_change(args, true)?;
    let mut sum = Imported::default();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    each_job(path, |line| {
        let job: ExportShape = serde_json::from_slice(line)?;
        if !with_dead && matches!(job.job.state.as_str(), "dead" | "parked") {
            sum.skipped += 1;
            return Ok(());
        }
        bytes += line.len();
        batch.push(job_line(job));
        if batch.len() >= BATCH_JOBS || bytes >= BATCH_BYTES {
            bytes = 0;
            put(&target, std::mem::take(&mut batch), &mut sum)?;
        }
        Ok(())
    })?;
    put(&target, batch, &mut sum)?;
    let way = target.way();
    target.close()?;
    screen.value(way, &sum)?;
    let mut text = format!("{} jobs imported", sum.new);
    for (count, word) in [(sum.duplicate, "there already"), (sum.skipped, "dead or parked and left out")] {
        if count > 0 {
            // Writing into a String cannot fail.
            let _ = write!(text, ", {count} {word}");
        }
    }
    screen.line(&text)
}

fn put(target: &Target, jobs: Vec<JobLine>, sum: &mut Imported) -> Ended {
    if jobs.is_empty() {
        return Ok(());
    }
    let accepted: AcceptedShape = target.act(Act::Enqueue { jobs })?;
    for job in accepted.jobs {
        if job.acceptance == "new" {
            sum.new += 1;
        } else {
            sum.duplicate += 1;
        }
    }
    Ok(())
}

/// The job as it is put in anew. What an export does not say has its default.
fn job_line(from: ExportShape) -> JobLine {
    let ExportShape { job, args } = from;
    JobLine {
        kind: job.kind,
        args: args.args,
        args_hex: args.args_hex,
        codec: Some(args.codec),
        queue: Some(job.queue),
        priority: Some(job.priority),
        max_attempts: Some(job.max_attempts),
        unique: job.unique.map(|key| UniqueLine { key, ..UniqueLine::default() }),
        run_at_ms: job.run_at_ms,
        expires_at_ms: job.expires_at_ms,
        limit_key: job.limit_key,
        tags: job.tags,
        metadata: job.metadata,
        hold: job.state == "held",
        ..JobLine::default()
    }
}

/// Calls `each` for every job's line, and checks header, count and digest.
fn each_job(path: &Path, mut each: impl FnMut(&[u8]) -> Ended) -> Ended {
    let wrong = |what: &str| Trouble::usage(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|e| {
        let missing = e.kind() == std::io::ErrorKind::NotFound;
        let text = format!("{}: {e}", path.display());
        if missing { Trouble::not_found(text) } else { Trouble::failed(text) }
    })?;
    let mut lines = BufReader::new(file).split(b'\n');
    let header = lines.next().transpose()?.unwrap_or_default();
    match serde_json::from_slice::<Header>(&header) {
        Ok(header) if header.backlog_export == FORM => {}
        Ok(header) => return Err(wrong(&format!("an export of form {}, not {FORM}", header.backlog_export))),
        Err(_) => return Err(wrong("not an export: its first line is no header")),
    }
    let (mut tally, mut trailer) = (Tally::default(), None);
    for line in lines {
        let line = line?;
        if trailer.is_some() {
            return Err(wrong("something stands behind the trailer"));
        }
        if line.starts_with(b"{\"end\":") {
            trailer = Some(serde_json::from_slice::<Trailer>(&line).map_err(|_| wrong("the trailer is damaged"))?);
            continue;
        }
        serde_json::from_slice::<&RawValue>(&line).map_err(|e| wrong(&format!("job {}: {e}", tally.jobs + 1)))?;
        tally.add(&line);
        each(&line)?;
    }
    let found = tally.trailer();
    match trailer {
        None => Err(wrong("the trailer is missing: the file is cut")),
        Some(said) if said.jobs != found.jobs || said.digest != found.digest => {
            Err(wrong(&format!("damaged: {} jobs where it says {}, or other bytes", found.jobs, said.jobs)))
        }
        Some(_) => Ok(()),
    }
}
