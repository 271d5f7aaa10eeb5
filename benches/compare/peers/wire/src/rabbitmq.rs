//! RabbitMQ as its guides have a work queue that must not lose anything: a durable queue, persistent messages, publisher
//! confirms, acknowledgements by hand. Many jobs are published one after the other, then their confirms are awaited.

use std::collections::HashSet;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use compare_harness::{Handler, Peer, Producer, Work};

use crate::amqp::{self, Args, Frames, Input};

const QUEUE: &str = "jobs";
/// Bit of `queue.declare`.
const DURABLE: u8 = 2;
/// Messages given to the workers before their acks: the guides' "100 through 300" for throughput.
const PREFETCH: u16 = 256;

pub(crate) struct RabbitMq {
    port: u16,
}

impl RabbitMq {
    pub(crate) fn open(port: u16) -> Self {
        let (mut out, mut input) = amqp::connect(port);
        let args = Args::default().bytes(&[0; 2]).short(QUEUE).bytes(&[DURABLE]).no_table();
        amqp::call(&mut out, &mut input, amqp::QUEUE_DECLARE, &args);
        Self { port }
    }
}

impl Peer for RabbitMq {
    fn producer(&self) -> Box<dyn Producer + '_> {
        let (mut out, mut input) = amqp::connect(self.port);
        amqp::call(&mut out, &mut input, amqp::CONFIRM_SELECT, &Args::default().bytes(&[0]));
        Box::new(Session { out, input, confirmed: 0 })
    }

    /// One consumer for all workers, who answer through its channel.
    fn start_workers(&self, workers: usize, handler: Handler) {
        let (mut out, mut input) = amqp::connect(self.port);
        let qos = Args::default().bytes(&[0; 4]).bytes(&PREFETCH.to_be_bytes()).bytes(&[0]);
        amqp::call(&mut out, &mut input, amqp::BASIC_QOS, &qos);
        let consume = Args::default().bytes(&[0; 2]).short(QUEUE).short("workers").bytes(&[0]).no_table();
        amqp::call(&mut out, &mut input, amqp::BASIC_CONSUME, &consume);
        let (give, take) = mpsc::channel::<(u64, Vec<u8>)>();
        thread::spawn(move || {
            loop {
                let args = input.expect(amqp::BASIC_DELIVER);
                // Behind the consumer's tag.
                let at = 1 + usize::from(args[0]);
                let tag = u64::from_be_bytes(args[at..at + 8].try_into().expect("eight bytes"));
                give.send((tag, input.message())).expect("workers take it");
            }
        });
        let (take, out) = (Arc::new(Mutex::new(take)), Arc::new(Mutex::new(out)));
        for _ in 0..workers {
            let (take, out, handler) = (Arc::clone(&take), Arc::clone(&out), Arc::clone(&handler));
            thread::spawn(move || {
                loop {
                    let taken = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let (tag, json) = taken.expect("the consumer goes on");
                    handler(Work::from_json(&json));
                    let mut ack = Frames::default();
                    ack.method(amqp::BASIC_ACK, &Args::default().bytes(&tag.to_be_bytes()).bytes(&[0]));
                    ack.send(&mut out.lock().unwrap_or_else(PoisonError::into_inner));
                }
            });
        }
    }
}

struct Session {
    out: TcpStream,
    input: Input,
    /// Messages of this channel, all of them confirmed.
    confirmed: u64,
}

impl Producer for Session {
    fn one(&mut self, job: &Work) {
        self.many(std::slice::from_ref(job));
    }

    fn many(&mut self, jobs: &[Work]) {
        let mut frames = Frames::default();
        jobs.iter().for_each(|job| frames.persistent(QUEUE, &job.to_json()));
        frames.send(&mut self.out);
        self.wait_for(jobs.len() as u64);
    }
}

impl Session {
    /// A confirm stands for one message, or for all up to it; they may come in any order.
    fn wait_for(&mut self, messages: u64) {
        let last = self.confirmed + messages;
        let mut alone = HashSet::new();
        while self.confirmed + (alone.len() as u64) < last {
            let args = self.input.expect(amqp::BASIC_ACK);
            let tag = u64::from_be_bytes(args[..8].try_into().expect("eight bytes"));
            if args[8] & 1 == 1 {
                self.confirmed = self.confirmed.max(tag);
                alone.retain(|&one| one > tag);
            } else {
                alone.insert(tag);
            }
        }
        self.confirmed = last;
    }
}
