//! Everything of a job follows from its key, so that whoever meets one knows what it must be.

use std::hash::{DefaultHasher, Hash, Hasher};

use backlog::{Codec, Durability, JobBuilder};

pub(crate) const KIND: &str = "kill";

/// What a job of this key is.
pub(crate) struct Spec {
    pub(crate) codec: Codec,
    pub(crate) args: Vec<u8>,
    pub(crate) queue: &'static str,
    pub(crate) priority: i16,
    pub(crate) max_attempts: u32,
    pub(crate) unique: Option<String>,
    pub(crate) durability: Durability,
}

/// Only keys of single enqueues (they begin with `e`) may carry a unique key.
pub(crate) fn spec(key: &str) -> Spec {
    let mut rng = fastrand::Rng::with_seed(hash(key));
    let length = if rng.u8(..10) == 0 { rng.usize(..3_500) } else { rng.usize(..200) };
    let (codec, args) = if rng.bool() {
        // Spaces as nobody writes them: who parses and writes anew is found out.
        let pad: String = (0..length).map(|_| rng.alphanumeric()).collect();
        (Codec::Json, format!("{{ \"key\" :\"{key}\",  \"pad\":\"{pad}\" }}").into_bytes())
    } else {
        let mut args = key.as_bytes().to_vec();
        args.push(0);
        args.extend((0..length).map(|_| rng.u8(..)));
        (Codec::Raw, args)
    };
    Spec {
        codec,
        args,
        queue: if rng.bool() { "first" } else { "second" },
        priority: rng.i16(-1..2),
        max_attempts: if rng.u8(..4) == 0 { rng.u32(1..4) } else { 1_000 },
        unique: (key.starts_with('e') && rng.u8(..3) == 0).then(|| format!("unique {}", rng.u8(..40))),
        durability: if rng.bool() { Durability::Sync } else { Durability::Buffered },
    }
}

/// The job on its way in.
pub(crate) fn job(key: &str) -> JobBuilder {
    let spec = spec(key);
    let mut job = JobBuilder::raw(KIND, spec.args, spec.codec)
        .queue(spec.queue)
        .priority(spec.priority)
        .max_attempts(spec.max_attempts)
        .durability(spec.durability);
    if let Some(unique) = spec.unique {
        job = job.unique(unique);
    }
    job
}

/// Whose args these are.
pub(crate) fn key_of(codec: Codec, args: &[u8]) -> String {
    match codec {
        Codec::Json => {
            let value: serde_json::Value = serde_json::from_slice(args).unwrap();
            value["key"].as_str().unwrap().to_owned()
        }
        _ => String::from_utf8(args.split(|byte| *byte == 0).next().unwrap().to_vec()).unwrap(),
    }
}

fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
