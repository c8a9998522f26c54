//! What waits to be sent on one connection: bytes and file ranges, in the order they were appended.
//!
//! Pure bookkeeping, no socket. All bytes lie in one `Vec`; a file range remembers how many bytes go before it.

use std::collections::VecDeque;

use super::file_part::FilePart;

/// File ranges this long go by sendfile, shorter ones as part of a sendmsg. Measured: sendfile wins from 32 KiB of
/// contiguous bytes up, scattered messages of 1 KiB cost ten times more by sendfile than by one sendmsg.
pub(crate) const SENDFILE_MIN: usize = 16 << 10;

/// Entries of one sendmsg; the kernel's limit is 1,024.
pub(crate) const IOVEC_MAX: usize = 1024;

/// Room kept for the next replies once everything is sent.
const KEEP_CAPACITY: usize = 256 << 10;

/// Sent bytes at the front of the `Vec` that are worth moving the rest down for.
const COMPACT_MIN: usize = 64 << 10;

#[derive(Default)]
pub(crate) struct Out {
    /// Appended by handlers. The first `head` bytes are sent.
    pub(crate) bytes: Vec<u8>,
    head: usize,
    /// Bytes ever cut off the front of `bytes`.
    base: u64,
    parts: VecDeque<Queued>,
    parts_len: usize,
}

struct Queued {
    /// Goes out after this many bytes, counted like `base`.
    at: u64,
    part: FilePart,
}

/// What comes next.
pub(crate) enum Next<'a> {
    Nothing,
    /// A file range long enough for sendfile.
    File(&'a FilePart),
    /// Bytes or short file ranges.
    Memory,
}

/// One piece of memory to send.
pub(crate) struct Piece {
    pub(crate) data: *const u8,
    pub(crate) len: usize,
}

impl Out {
    /// Bytes waiting, those of file ranges included.
    pub(crate) fn pending(&self) -> usize {
        self.bytes.len().saturating_sub(self.head) + self.parts_len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pending() == 0
    }

    pub(crate) fn push(&mut self, part: FilePart) {
        if part.is_empty() {
            return;
        }
        self.parts_len += part.len();
        self.parts.push_back(Queued { at: self.base + self.bytes.len() as u64, part });
    }

    /// Forgets everything and lets the leases go.
    pub(crate) fn clear(&mut self) {
        *self = Out::default();
    }

    /// Unsent bytes before the file range at absolute position `at`.
    fn index(&self, at: u64) -> usize {
        usize::try_from(at.saturating_sub(self.base))
            .unwrap_or(usize::MAX)
            .clamp(self.head, self.bytes.len().max(self.head))
    }

    fn run(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    pub(crate) fn next(&self) -> Next<'_> {
        match self.parts.front() {
            _ if self.is_empty() => Next::Nothing,
            Some(queued) if self.index(queued.at) == self.head && queued.part.len() >= SENDFILE_MIN => {
                Next::File(&queued.part)
            }
            _ => Next::Memory,
        }
    }

    /// The next pieces for one sendmsg, and whether a file range for sendfile follows them. At most [`IOVEC_MAX`].
    pub(crate) fn pieces(&self, pieces: &mut Vec<Piece>) -> bool {
        pieces.clear();
        let mut cursor = self.head;
        for queued in &self.parts {
            let at = self.index(queued.at);
            if at > cursor {
                let run = self.run(cursor, at);
                pieces.push(Piece { data: run.as_ptr(), len: run.len() });
                cursor = at;
            }
            if queued.part.len() >= SENDFILE_MIN {
                return true;
            }
            // One more entry may be needed for the bytes before the next range.
            if pieces.len() + 1 >= IOVEC_MAX {
                return false;
            }
            pieces.push(Piece { data: queued.part.data, len: queued.part.len() });
        }
        let run = self.run(cursor, self.bytes.len());
        if !run.is_empty() {
            pieces.push(Piece { data: run.as_ptr(), len: run.len() });
        }
        false
    }

    /// The first piece that waits, whatever its way out.
    pub(crate) fn front(&self) -> Option<Piece> {
        if self.is_empty() {
            return None;
        }
        let (run, part) = match self.parts.front() {
            Some(queued) => (self.run(self.head, self.index(queued.at)), Some(&queued.part)),
            None => (self.run(self.head, self.bytes.len()), None),
        };
        match part {
            Some(part) if run.is_empty() => Some(Piece { data: part.data, len: part.len() }),
            _ => Some(Piece { data: run.as_ptr(), len: run.len() }),
        }
    }

    /// `n` bytes from the front were sent. Returns how many file ranges ended with them.
    pub(crate) fn sent(&mut self, mut n: usize) -> u64 {
        let mut ended = 0;
        while let Some(queued) = self.parts.front() {
            let at = self.index(queued.at);
            let run = (at - self.head).min(n);
            self.head += run;
            n -= run;
            if n == 0 || self.head < at {
                break;
            }
            let Some(queued) = self.parts.front_mut() else { break };
            let taken = n.min(queued.part.len());
            queued.part.advance(taken);
            self.parts_len -= taken;
            n -= taken;
            if queued.part.is_empty() {
                self.parts.pop_front();
                ended += 1;
            }
        }
        if self.parts.is_empty() {
            self.head = self.head.saturating_add(n).min(self.bytes.len());
        }
        self.tidy();
        ended
    }

    fn tidy(&mut self) {
        if self.is_empty() {
            self.parts.clear();
            self.base = 0;
            self.head = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEEP_CAPACITY);
        } else if self.head >= COMPACT_MIN && self.head * 2 >= self.bytes.len() {
            let cut = self.head.min(self.bytes.len());
            self.bytes.drain(..cut);
            self.base += cut as u64;
            self.head = 0;
        }
    }
}
