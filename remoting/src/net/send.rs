//! Handing waiting bytes to the kernel without waiting: one sendmsg for memory, sendfile for long file ranges.
//!
//! Owns the raw system calls. Never blocks: memory goes with MSG_DONTWAIT, and sendfile, which has no such flag, meets a
//! socket that is non-blocking since it was accepted. SIGPIPE is ignored by Rust programs, which sendfile relies on.

use std::io;
use std::mem;
use std::os::fd::RawFd;

use super::file_part::FilePart;
use super::out::{Ended, Next, Out, Piece, SENDFILE_MIN};

/// How far one round of sending came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing is left.
    Done,
    /// The socket takes no more now.
    Blocked,
    /// More could be sent at once, but others shall have their turn.
    Yield,
}

/// What one round did.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) bytes: usize,
    pub(crate) ended: Ended,
}

/// Sends from the front of `out` until it is empty, the socket is full or `budget` bytes went.
pub(crate) fn send(
    fd: RawFd,
    out: &mut Out,
    budget: usize,
    pieces: &mut Vec<Piece>,
    sent: &mut Sent,
) -> io::Result<Progress> {
    loop {
        if sent.bytes >= budget {
            return Ok(if out.is_empty() { Progress::Done } else { Progress::Yield });
        }
        let result = match out.next() {
            Next::Nothing => return Ok(Progress::Done),
            Next::File(part) => {
                // A call as long as the budget at most: a socket with room takes several MiB at once.
                let len = part.len().min((budget - sent.bytes).max(SENDFILE_MIN));
                sendfile(fd, part, len)
            }
            Next::Memory => {
                let file_follows = out.pieces(pieces);
                sendmsg(fd, pieces, file_follows)
            }
        };
        let n = match result {
            Ok(n) => n,
            // Only this says that the socket is full and will be told of when it is not; a short count does not.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Blocked),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        sent.bytes += n;
        let ended = out.sent(n);
        sent.ended.long += ended.long;
        sent.ended.short += ended.short;
    }
}

fn sendmsg(fd: RawFd, pieces: &[Piece], more: bool) -> io::Result<usize> {
    const EMPTY: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    // Nearly every reply is one or two pieces; only scattered ranges need the heap.
    let mut few = [EMPTY; 8];
    let mut many = Vec::new();
    let iovecs: &mut [libc::iovec] = if pieces.len() <= few.len() {
        &mut few[..pieces.len()]
    } else {
        many.resize(pieces.len(), EMPTY);
        &mut many
    };
    for (iovec, piece) in iovecs.iter_mut().zip(pieces) {
        *iovec = libc::iovec { iov_base: piece.data as *mut libc::c_void, iov_len: piece.len };
    }
    // SAFETY: msghdr is integers and pointers, for which zeros (no address, no control data) are valid.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = iovecs.as_mut_ptr();
    message.msg_iovlen = iovecs.len() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    // SAFETY: the kernel only reads what the iovecs name. Each piece lies in the connection's own Vec, borrowed by the
    // caller for the length of this call, or in a file range whose lease is held by the queue the caller borrows.
    let result = unsafe { libc::sendmsg(fd, &message, flags) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn sendfile(fd: RawFd, part: &FilePart, len: usize) -> io::Result<usize> {
    let Ok(mut position) = libc::off64_t::try_from(part.position) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("file position {} is too large", part.position),
        ));
    };
    // SAFETY: the kernel reads and writes `position` only, which lives until the call returns; a wrong descriptor is an
    // error, not a memory access of ours.
    let result = unsafe { libc::sendfile64(fd, part.fd, &mut position, len) };
    match usize::try_from(result) {
        // Promised bytes that are not there: the peer already has the head that announces them, so nothing can be mended.
        Ok(0) => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the file ends before position {} + {} bytes", part.position, part.len()),
        )),
        Ok(n) => Ok(n),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Ends both directions; whoever waits for the socket is woken. Errors (not connected any more) change nothing.
pub(crate) fn shutdown(fd: RawFd) {
    // SAFETY: takes two numbers; the caller still owns the descriptor.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}
