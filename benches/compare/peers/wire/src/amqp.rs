//! As much of AMQP 0-9-1 as a work queue needs: frames, methods, their arguments.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

/// Between two tries to reach a server that is still starting.
const TRY_AGAIN: Duration = Duration::from_millis(1);
const CHANNEL: u16 = 1;
const FRAME_END: u8 = 0xce;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

/// Class and number.
pub(crate) type Method = (u16, u16);
pub(crate) const CONNECTION_START: Method = (10, 10);
pub(crate) const CONNECTION_TUNE: Method = (10, 30);
pub(crate) const CONNECTION_OPEN_OK: Method = (10, 41);
pub(crate) const CHANNEL_OPEN: Method = (20, 10);
pub(crate) const QUEUE_DECLARE: Method = (50, 10);
pub(crate) const BASIC_QOS: Method = (60, 10);
pub(crate) const BASIC_CONSUME: Method = (60, 20);
pub(crate) const BASIC_PUBLISH: Method = (60, 40);
pub(crate) const BASIC_DELIVER: Method = (60, 60);
pub(crate) const BASIC_ACK: Method = (60, 80);
pub(crate) const CONFIRM_SELECT: Method = (85, 10);
const CONNECTION_START_OK: Method = (10, 11);
const CONNECTION_TUNE_OK: Method = (10, 31);
const CONNECTION_OPEN: Method = (10, 40);

/// Written as they come: numbers are big-endian.
#[derive(Default)]
pub(crate) struct Args(Vec<u8>);

impl Args {
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn short(self, text: &str) -> Self {
        self.bytes(&[u8::try_from(text.len()).expect("a short text")]).bytes(text.as_bytes())
    }

    fn long(self, text: &[u8]) -> Self {
        self.bytes(&u32::try_from(text.len()).expect("fits").to_be_bytes()).bytes(text)
    }

    /// A table without entries.
    pub(crate) fn no_table(self) -> Self {
        self.long(b"")
    }
}

/// Frames that go out in one write.
#[derive(Default)]
pub(crate) struct Frames(Vec<u8>);

impl Frames {
    fn frame(&mut self, kind: u8, channel: u16, body: &[&[u8]]) {
        let bytes: usize = body.iter().map(|part| part.len()).sum();
        self.0.push(kind);
        self.0.extend_from_slice(&channel.to_be_bytes());
        self.0.extend_from_slice(&u32::try_from(bytes).expect("fits").to_be_bytes());
        body.iter().for_each(|part| self.0.extend_from_slice(part));
        self.0.push(FRAME_END);
    }

    pub(crate) fn method(&mut self, method: Method, args: &Args) {
        let channel = if method.0 == CONNECTION_OPEN.0 { 0 } else { CHANNEL };
        self.frame(METHOD, channel, &[&method.0.to_be_bytes(), &method.1.to_be_bytes(), &args.0]);
    }

    /// A message that the queue shall keep on disk: delivery mode 2 is the only property.
    pub(crate) fn persistent(&mut self, queue: &str, body: &[u8]) {
        self.method(BASIC_PUBLISH, &Args::default().bytes(&[0; 3]).short(queue).bytes(&[0]));
        let length = (body.len() as u64).to_be_bytes();
        let class = BASIC_PUBLISH.0.to_be_bytes();
        self.frame(HEADER, CHANNEL, &[&class, &[0, 0], &length, &0x1000_u16.to_be_bytes(), &[2]]);
        self.frame(BODY, CHANNEL, &[body]);
    }

    pub(crate) fn send(&self, out: &mut TcpStream) {
        out.write_all(&self.0).expect("the server takes it");
    }
}

/// What the server says, frame by frame.
pub(crate) struct Input(BufReader<TcpStream>);

impl Input {
    fn number<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).expect("the server answers");
        bytes
    }

    fn frame(&mut self) -> (u8, Vec<u8>) {
        let [kind, _, _] = self.number();
        let mut body = vec![0; u32::from_be_bytes(self.number()) as usize];
        self.0.read_exact(&mut body).expect("the server answers");
        assert_eq!(self.number(), [FRAME_END], "the end of a frame");
        if kind == HEARTBEAT { self.frame() } else { (kind, body) }
    }

    /// The next method and its arguments.
    pub(crate) fn method(&mut self) -> (Method, Vec<u8>) {
        let (kind, body) = self.frame();
        assert_eq!(kind, METHOD, "a method");
        let at = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
        ((at(0), at(2)), body[4..].to_vec())
    }

    pub(crate) fn expect(&mut self, method: Method) -> Vec<u8> {
        let (said, args) = self.method();
        assert_eq!(said, method, "the server said {}", String::from_utf8_lossy(&args));
        args
    }

    /// The message behind a delivery.
    pub(crate) fn message(&mut self) -> Vec<u8> {
        let (kind, header) = self.frame();
        assert_eq!(kind, HEADER, "a header");
        let length = u64::from_be_bytes(header[4..12].try_into().expect("eight bytes"));
        let mut message = Vec::new();
        while (message.len() as u64) < length {
            let (kind, body) = self.frame();
            assert_eq!(kind, BODY, "a body");
            message.extend_from_slice(&body);
        }
        message
    }
}

/// A connection with one open channel; waits for a server that is still starting.
pub(crate) fn connect(port: u16) -> (TcpStream, Input) {
    let mut out = loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => break stream,
            Err(_) => thread::sleep(TRY_AGAIN),
        }
    };
    out.set_nodelay(true).expect("nodelay");
    let mut input = Input(BufReader::with_capacity(1 << 16, out.try_clone().expect("clone")));
    out.write_all(b"AMQP\0\0\x09\x01").expect("the server takes it");
    input.expect(CONNECTION_START);
    let login = Args::default().no_table().short("PLAIN").long(b"\0guest\0guest").short("en_US");
    ask(&mut out, CONNECTION_START_OK, &login);
    let tune = input.expect(CONNECTION_TUNE);
    // Its limits, and no heartbeats.
    ask(&mut out, CONNECTION_TUNE_OK, &Args::default().bytes(&tune[..6]).bytes(&[0; 2]));
    ask(&mut out, CONNECTION_OPEN, &Args::default().short("/").bytes(&[0; 2]));
    input.expect(CONNECTION_OPEN_OK);
    call(&mut out, &mut input, CHANNEL_OPEN, &Args::default().short(""));
    (out, input)
}

fn ask(out: &mut TcpStream, method: Method, args: &Args) {
    let mut frames = Frames::default();
    frames.method(method, args);
    frames.send(out);
}

/// Sends a method and waits for its answer, whose number is the next.
pub(crate) fn call(out: &mut TcpStream, input: &mut Input, method: Method, args: &Args) {
    ask(out, method, args);
    input.expect((method.0, method.1 + 1));
}
