//! An effect that may happen twice without harm: results are keyed by path, and the last one counts.
//!
//! A job may run more than once, because its process can die between the effect and the ack. So the effect is an
//! upsert. Lines are appended; a line cut short by a kill is skipped by the reader, since its job runs again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::files::Found;

pub(crate) struct Results(Mutex<File>);

#[derive(Serialize, Deserialize)]
struct Line {
    path: String,
    found: Found,
}

impl Results {
    pub(crate) fn append_to(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        // What the last process left unfinished must not swallow our first line.
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        Ok(Self(Mutex::new(file)))
    }

    pub(crate) fn put(&self, path: &str, found: &Found) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { path: path.to_owned(), found: found.clone() })?;
        line.push(b'\n');
        // Nothing was half written by a thread that panicked: the file is as usable as before.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).write_all(&line)
    }

    /// By path, the last one wins.
    pub(crate) fn read(path: &Path) -> io::Result<HashMap<String, Found>> {
        let bytes = std::fs::read(path)?;
        let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        Ok(lines.map(|line| (line.path, line.found)).collect())
    }
}
