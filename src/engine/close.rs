//! The orderly end: everything synced, a closing frame, a last checkpoint, the lock given back.

use crate::error::{Error, ErrorKind, Result};
use crate::job::Record;
use crate::log::{Class, Flags};

use super::Core;
use super::commit::Ticket;
use super::settings::{Drive, Durability};
use super::staging::{Entry, entries_len};
use super::state::Life;

impl Core {
    /// Ends the handle. `InUse` while leases live; then nothing has changed and the handle goes on.
    pub(crate) fn close(&self) -> Result<()> {
        {
            let mut state = self.state.lock();
            self.check_life(&state)?;
            // What could not be handed out is nobody's: it comes back with the next open.
            let held = state.leases_held();
            if held > 0 && !planted!(CloseIgnoresLeases) {
                return Err(Error::new(
                    ErrorKind::InUse,
                    format!("leases={held}: ack, nack or release them before closing"),
                ));
            }
            state.life = Life::Closed;
        }
        let closed = self.close_log();
        // The checkpoint is a convenience: without it the next open reads more of the log.
        let _ = (closed.is_ok() && !planted!(CloseSavesNothing)).then(|| self.checkpoint());
        self.stop();
        if self.drive == Drive::Threads {
            self.join();
        }
        self.stream.close();
        self.keeper.lock().close();
        planted!(LockKeptByClose, (), *self.lock.lock() = None);
        closed
    }

    /// Syncs all, then a frame that says so, synced as well.
    fn close_log(&self) -> Result<()> {
        loop {
            let seen = self.room_seen();
            planted!(ClosedFrameVouchesBlindly, (), self.wait(self.seen_so_far())?);
            let ticket = {
                let mut state = self.state.lock();
                let entry = Entry::new(0, &Record::Totals(state.books.totals));
                if !self.make_room(&mut state, entries_len([&entry]), Class::Closing) {
                    None
                } else if planted!(ClosedFrameVouchesBlindly) || state.stage.tail() == self.log.durable() {
                    let lsn = self.put(&mut state, Flags::CLOSED, &[entry], |_, _| {});
                    Some(Ticket { lsn, level: Durability::Sync })
                } else {
                    // A service staged something in between, or the segment turned: sync that first.
                    continue;
                }
            };
            match ticket {
                Some(ticket) => return planted!(ClosedFrameNotSynced, Ok(()), self.wait(ticket)),
                None => self.wait_room(Class::Closing, seen)?,
            }
        }
    }
}
