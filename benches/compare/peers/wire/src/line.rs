//! A connection that speaks in lines and counted bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

/// Between two tries to reach a server that is still starting.
const TRY_AGAIN: Duration = Duration::from_millis(1);

pub(crate) struct Line {
    out: TcpStream,
    input: BufReader<TcpStream>,
}

impl Line {
    /// Waits for a server that is still starting.
    pub(crate) fn connect(port: u16) -> Self {
        let out = loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                Ok(stream) => break stream,
                Err(_) => thread::sleep(TRY_AGAIN),
            }
        };
        out.set_nodelay(true).expect("nodelay");
        let input = BufReader::with_capacity(1 << 16, out.try_clone().expect("clone"));
        Self { out, input }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.out.write_all(bytes).expect("the server takes it");
    }

    /// The next line without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let n = self.input.read_line(&mut line).expect("the server answers");
        assert!(n > 0, "the server closed the connection");
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        line
    }

    /// So many bytes and the line end behind them.
    pub(crate) fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n + 2];
        self.input.read_exact(&mut bytes).expect("the server answers");
        bytes.truncate(n);
        bytes
    }
}
