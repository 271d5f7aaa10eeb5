//! stub
#![allow(unused_variables, dead_code, clippy::todo)]
use super::frame::Draft;
use crate::ids::{Lsn, Place};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Ordinary,
    Closing,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Here,
    NextSegment,
    Wait,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) start: Lsn,
    pub(crate) end: Lsn,
}
#[derive(Debug)]
pub(crate) struct Chunk;
#[derive(Debug)]
pub(crate) struct Stage;
impl Stage {
    pub(crate) fn tail(&self) -> Lsn {
        todo!()
    }
    pub(crate) fn room(&self, frame_bytes: usize, head_bytes: usize, class: Class) -> Room {
        todo!()
    }
    pub(crate) fn rotate(&mut self) {}
    pub(crate) fn append(
        &mut self,
        flags: u8,
        drafts: &[Draft<'_>],
        durable: Lsn,
        placed: impl FnMut(usize, Place),
    ) -> Appended {
        todo!()
    }
    pub(crate) fn take(&mut self) -> Vec<Chunk> {
        todo!()
    }
    pub(crate) fn staged_bytes(&self) -> usize {
        todo!()
    }
}
