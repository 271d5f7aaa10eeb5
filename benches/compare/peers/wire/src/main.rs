//! The servers, each through its own protocol over loopback: no client library between.

mod amqp;
mod beanstalkd;
mod line;
mod rabbitmq;
mod redis;

use compare_harness::{Options, Peer};

fn open(options: &Options) -> Box<dyn Peer> {
    match options.server.as_str() {
        "redis" => Box::new(redis::Redis::open(options.port)),
        "beanstalkd" => Box::new(beanstalkd::Beanstalkd::open(options.port)),
        "rabbitmq" => Box::new(rabbitmq::RabbitMq::open(options.port)),
        other => panic!("unknown server {other}"),
    }
}

fn main() {
    compare_harness::run(open)
}
