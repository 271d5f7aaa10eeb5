//! Everything has a limit; here they stand, with how they relate.

/// Args of one job, bytes.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// A kind or a queue name, bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// A unique key, a limit key or a tag, bytes.
pub const KEY_BYTES_MAX: usize = 512;
/// Tags of one job, count.
pub const TAGS_MAX: usize = 16;
/// Keys and values of one job's metadata together, bytes.
pub const METADATA_BYTES_MAX: usize = 8 << 10;
/// Value of one cell, bytes.
pub const CELL_BYTES_MAX: usize = 64 << 10;
/// Jobs in one `enqueue_many`, count.
pub const BATCH_JOBS_MAX: usize = 100_000;
/// Jobs that wait [`after`](crate::JobBuilder::after) one and the same job, count.
pub const AFTER_MAX: usize = 1_000;
/// Attempts a job may be given, count.
pub const ATTEMPTS_MAX: u32 = 1_000_000;
/// Errors kept with a job, count, and the bytes kept of each.
pub const ERRORS_KEPT_MAX: usize = 10;
/// Bytes kept of one error's text.
pub const ERROR_BYTES_MAX: usize = 2 << 10;
/// Length of a segment unless a test asks for less, bytes.
pub(crate) const SEGMENT_BYTES_DEFAULT: u32 = 32 << 20;
/// The smallest segment a test may ask for, bytes.
pub(crate) const SEGMENT_BYTES_MIN: u32 = 64 << 10;
/// How far the id ceiling is raised at a time, count.
pub(crate) const ID_CEILING_STEP: u64 = 1 << 20;

const _: () = assert!(PAYLOAD_BYTES_MAX * 30 < SEGMENT_BYTES_DEFAULT as usize, "a full batch fits a segment");
const _: () = assert!(ERRORS_KEPT_MAX * ERROR_BYTES_MAX + METADATA_BYTES_MAX + TAGS_MAX * KEY_BYTES_MAX < 64 << 10);

/// The limits that scale with the length of a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scaled {
    /// Args of one job, bytes.
    pub(crate) payload_bytes_max: usize,
    /// All record bodies of one frame, bytes.
    pub(crate) batch_bytes_max: usize,
    /// Jobs that wait after one, count: its end names them all in one frame.
    pub(crate) jobs_after_one: usize,
}

impl Scaled {
    pub(crate) fn for_segment(segment_bytes: u32) -> Self {
        let segment = segment_bytes as usize;
        Self {
            payload_bytes_max: PAYLOAD_BYTES_MAX.min(segment / 16),
            batch_bytes_max: segment / 32 * 30,
            jobs_after_one: AFTER_MAX.min(segment >> 10),
        }
    }
}
