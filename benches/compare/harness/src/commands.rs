//! What the peers are measured in. Time starts with the command, opening included only in `recover`.

mod enqueue;
mod size;
mod work;

use serde_json::Value;

use crate::{Options, Peer};

pub(crate) fn run(options: &Options, open: &dyn Fn(&Options) -> Box<dyn Peer>) -> Value {
    match options.command.as_str() {
        "enqueue" => enqueue::enqueue(options, &*open(options)),
        "fill" => enqueue::fill(options, &*open(options)),
        "accept" => enqueue::accept(options, &*open(options)),
        "cycle" => work::cycle(options, &*open(options)),
        "hold" => work::hold(options, &*open(options)),
        "drain" => work::drain(options, &*open(options)),
        "recover" => work::recover(options, open),
        "size" => size::size(options),
        other => panic!("unknown command {other}"),
    }
}
