//! The one door to the admin socket: where it lies, binding it, connecting to it.
//!
//! # Invariants
//! * Only the owner of the directory's lock binds: a socket found there is of a dead process, and is replaced. Anything
//!   else of that name is left alone.
//! * It is readable and writable by its owner alone before it listens, so before anybody can connect.

use std::fs::File;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// The socket's name in the directory.
pub(crate) const NAME: &str = "admin.sock";
/// Connections that may wait to be accepted, count.
const BACKLOG: i32 = 32;

/// Where the socket of `dir` lies.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// An address in `dir`, and what must stay open while it is used.
struct Address {
    name: SocketAddrUnix,
    path: PathBuf,
    _dir: Option<File>,
}

/// A name of a socket is at most 107 bytes long; of a deeper directory the way by its descriptor is short.
fn address(dir: &Path) -> io::Result<Address> {
    if let Ok(address) = SocketAddrUnix::new(path(dir)) {
        return Ok(Address { name: address, path: path(dir), _dir: None });
    }
    let too_long = || {
        let text = format!("the path is too long for a socket: {}; at most 107 bytes", path(dir).display());
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    if !cfg!(target_os = "linux") {
        return Err(too_long());
    }
    let held = File::open(dir)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", std::os::fd::AsRawFd::as_raw_fd(&held)));
    let address = SocketAddrUnix::new(&short).map_err(|_| too_long())?;
    Ok(Address { name: address, path: short, _dir: Some(held) })
}

/// Binds the socket of `dir`, whose lock the caller holds.
pub(crate) fn bind(dir: &Path) -> io::Result<UnixListener> {
    let at = address(dir)?;
    match rustix::fs::lstat(&at.path) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Socket => std::fs::remove_file(&at.path)?,
        Ok(_) => {
            let text = format!("{} is there and is no socket; move it away", path(dir).display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Err(rustix::io::Errno::NOENT) => {}
        Err(e) => return Err(e.into()),
    }
    let socket = new_socket()?;
    rustix::net::bind(&socket, &at.name)?;
    let mode = planted!(AdminSocketOpenToAll, Mode::from_raw_mode(0o666), Mode::RUSR | Mode::WUSR);
    rustix::fs::chmodat(rustix::fs::CWD, &at.path, mode, AtFlags::empty())?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn new_socket() -> io::Result<rustix::fd::OwnedFd> {
    #[cfg(not(any(target_os = "macos", target_os = "ios")))]
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    #[cfg(any(target_os = "macos", target_os = "ios"))]
    let socket = {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::empty(), None)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        socket
    };
    Ok(socket)
}

/// Takes the socket's name away. Only the owner of the lock may.
pub(crate) fn unbind(dir: &Path) -> io::Result<()> {
    std::fs::remove_file(path(dir))
}

/// Connects to the program that has `dir` open.
pub(crate) fn connect(dir: &Path) -> io::Result<UnixStream> {
    let at = address(dir)?;
    UnixStream::connect(&at.path)
}
