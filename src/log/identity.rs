//! The file `format`: which log this directory holds. Written once, never changed.
//!
//! ```text
//! 64 bytes, little-endian; later versions may append, and keep the meaning of these
//! offset size
//!      0    8  magic "BKLGFRMT"
//!      8    4  version of the format
//!     12    4  the oldest version whose readers can read it
//!     16   16  log id, random
//!     32    4  segment bytes: the length of every segment
//!     36    4  zero
//!     40   16  hash key of unique keys, random
//!     56    4  zero
//!     60    4  CRC-32 of bytes 0..60
//! ```
//!
//! # Invariants
//! * Stands complete or not at all: temporary name, sync, rename, sync of the directory.
//! * Is never made anew beside segments: they would belong to nobody.
//!
//! Never here: the segments (`segment`).

use std::io;

use crate::disk::{Access, Disk};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::SEGMENT_BYTES_MIN;
use crate::random::Random;

use super::bytes::{array_at, put, u32_at, u128_at};
use super::files::{again, create_afresh, is_full, sync_data, sync_dir};
use super::segment::{FOLDER, FORMAT_VERSION, HEADER_BYTES, Name, name};

const PATH: &str = "format";
const TEMPORARY: &str = "format.tmp";
const MAGIC: &[u8; 8] = b"BKLGFRMT";
const BYTES: usize = 64;
const CRC_AT: usize = BYTES - 4;

/// What the file `format` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) version: u32,
    pub(crate) min_reader: u32,
    pub(crate) log_id: u128,
    pub(crate) segment_bytes: u32,
    pub(crate) hash_key: [u8; 16],
}

impl Identity {
    /// `None`: there is no such file.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Option<Self>> {
        let shown = disk.display(PATH);
        let file = match again(|| disk.open(PATH, Access::Read)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(format!("cannot open {shown}"), e)),
        };
        let mut bytes = [0; BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Self::decode(&bytes, &shown).map(Some),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                let len = file.len().map_err(|e| Error::io(format!("cannot read {shown}"), e))?;
                Err(Error::corrupt(shown, len, "the file is cut short"))
            }
            Err(e) => Err(Error::io(format!("cannot read {shown}"), e)),
        }
    }

    /// Draws a new log id and writes the file. `segment_bytes` must be a multiple of 4096 and at least 64 KiB.
    pub(crate) fn create(disk: &dyn Disk, random: &dyn Random, segment_bytes: u32) -> Result<Self> {
        if segment_bytes < SEGMENT_BYTES_MIN || !(segment_bytes as usize).is_multiple_of(HEADER_BYTES) {
            return Err(Error::invalid(format!(
                "segment_bytes={segment_bytes}: give a multiple of {HEADER_BYTES}, {SEGMENT_BYTES_MIN} or more"
            )));
        }
        refuse_beside_segments(disk)?;
        let mut hash_key = [0; 16];
        random.fill(&mut hash_key)?;
        let mut log_id = [0; 16];
        random.fill(&mut log_id)?;
        let identity = Self {
            version: FORMAT_VERSION,
            min_reader: FORMAT_VERSION,
            log_id: u128::from_le_bytes(log_id),
            segment_bytes,
            hash_key,
        };
        identity.write(disk).map_err(|e| {
            let kind = if is_full(&e) { ErrorKind::Full } else { ErrorKind::Io };
            Error::io(format!("cannot create {}", disk.display(PATH)), e).with_kind(kind)
        })?;
        // Not under the rule for full disks: an unsynced name is an error of its own.
        sync_dir(disk, "")?;
        Ok(identity)
    }

    fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let file = create_afresh(disk, TEMPORARY)?;
        let written = file
            .write_all_at(&self.encode(), 0)
            .and_then(|()| sync_data(&file))
            .and_then(|()| again(|| disk.rename(TEMPORARY, PATH)));
        if written.is_err() {
            // Only tidiness: the next try takes a leftover away as well.
            let _ = disk.remove(TEMPORARY);
        }
        written
    }

    pub(super) fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        put(&mut bytes, 0, MAGIC);
        put(&mut bytes, 8, &self.version.to_le_bytes());
        put(&mut bytes, 12, &self.min_reader.to_le_bytes());
        put(&mut bytes, 16, &self.log_id.to_le_bytes());
        put(&mut bytes, 32, &self.segment_bytes.to_le_bytes());
        put(&mut bytes, 40, &self.hash_key);
        let crc = crc32fast::hash(bytes.get(..CRC_AT).unwrap_or_default());
        put(&mut bytes, CRC_AT, &crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; BYTES], shown: &str) -> Result<Self> {
        let corrupt = |at: u64, what: &str| Error::corrupt(shown, at, what);
        if !bytes.starts_with(MAGIC) {
            return Err(corrupt(0, "this is not the `format` file of a backlog"));
        }
        if u32_at(bytes, CRC_AT) != bytes.get(..CRC_AT).map(crc32fast::hash) && !planted!(FormatCrcUnchecked) {
            return Err(corrupt(CRC_AT as u64, "the file does not match its CRC"));
        }
        let read = || {
            let identity = Self {
                version: u32_at(bytes, 8)?,
                min_reader: u32_at(bytes, 12)?,
                log_id: u128_at(bytes, 16)?,
                segment_bytes: u32_at(bytes, 32)?,
                hash_key: array_at(bytes, 40)?,
            };
            Some(identity)
        };
        let identity = read().ok_or_else(|| corrupt(0, "the file is cut short"))?;
        if identity.min_reader > FORMAT_VERSION {
            return Err(Error::new(
                ErrorKind::NewerFormat,
                format!(
                    "file={shown}: written in format {}, which needs a release that reads format {} (this one reads {FORMAT_VERSION}); update the program",
                    identity.version, identity.min_reader
                ),
            ));
        }
        if identity.segment_bytes < SEGMENT_BYTES_MIN || !(identity.segment_bytes as usize).is_multiple_of(HEADER_BYTES)
        {
            return Err(corrupt(32, "segment_bytes is out of bounds"));
        }
        Ok(identity)
    }
}

fn refuse_beside_segments(disk: &dyn Disk) -> Result<()> {
    let names = match again(|| disk.list(FOLDER)) {
        Ok(names) => names,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(format!("cannot list {}", disk.display(FOLDER)), e)),
    };
    if names.iter().any(|file| matches!(name(file), Name::Segment(_))) {
        return Err(Error::corrupt(disk.display(PATH), 0, "the file is missing, but there are segments of a log"));
    }
    Ok(())
}
