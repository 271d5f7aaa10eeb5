//! What the peers are measured in. Time starts with the command, opening included only in `recover`.

mod enqueue;
mod latency;
mod size;
mod work;

use serde_json::Value;

use crate::{Options, Peer, Prepared};

pub(crate) fn run(options: &Options, open: &dyn Fn(&Options) -> Box<dyn Peer>, prepared: Prepared) -> Value {
    // Never dropped: closing would tidy up what a crash leaves.
    let opened = |options: &Options| -> &'static dyn Peer { Box::leak(open(options)) };
    match options.command.as_str() {
        "enqueue" => enqueue::enqueue(options, opened(options)),
        "fill" => enqueue::fill(options, opened(options)),
        "accept" => enqueue::accept(options, opened(options)),
        "cycle" => work::cycle(options, opened(options)),
        "latency" => latency::latency(options, opened(options)),
        "hold" => work::hold(options, opened(options)),
        "drain" => work::drain(options, opened(options)),
        "recover" => work::recover(options, &opened),
        "size" => size::size(options, prepared),
        other => panic!("unknown command {other}"),
    }
}
