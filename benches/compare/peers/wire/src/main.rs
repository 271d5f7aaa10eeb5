//! The servers, each through its line protocol over loopback: no client library between.

mod beanstalkd;
mod line;
mod redis;

use compare_harness::{Options, Peer};

fn open(options: &Options) -> Box<dyn Peer> {
    match options.server.as_str() {
        "redis" => Box::new(redis::Redis::open(options.port)),
        "beanstalkd" => Box::new(beanstalkd::Beanstalkd::open(options.port)),
        other => panic!("unknown server {other}"),
    }
}

fn main() {
    compare_harness::run(open)
}
