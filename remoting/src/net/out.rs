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
    /// Was long enough for sendfile, whatever is left of it now.
    long: bool,
}

/// File ranges that were sent to their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) long: u64,
    pub(crate) short: u64,
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
        let long = part.len() >= SENDFILE_MIN;
        self.parts.push_back(Queued { at: self.base + self.bytes.len() as u64, part, long });
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
    #[cfg(test)]
    fn front(&self) -> Option<Piece> {
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

    /// `n` bytes from the front were sent. Returns the file ranges that ended with them.
    pub(crate) fn sent(&mut self, mut n: usize) -> Ended {
        let mut ended = Ended::default();
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
                if queued.long {
                    ended.long += 1;
                } else {
                    ended.short += 1;
                }
                self.parts.pop_front();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn part(bytes: &[u8]) -> FilePart {
        FilePart::new(Arc::new(bytes.to_vec()), -1, 0, |lease| lease)
    }

    /// Takes everything out in steps of `step` bytes, the way a socket with that much room would.
    fn drain(out: &mut Out, step: usize) -> (Vec<u8>, Ended) {
        let mut taken = Vec::new();
        let mut ended = Ended::default();
        let mut pieces = Vec::new();
        while !out.is_empty() {
            let pending = out.pending();
            let (data, len) = match out.next() {
                Next::Nothing => panic!("{pending} bytes wait"),
                Next::File(part) => (part.data, part.len()),
                Next::Memory => {
                    let file_follows = out.pieces(&mut pieces);
                    assert!(pieces.len() <= IOVEC_MAX);
                    let total: usize = pieces.iter().map(|piece| piece.len).sum();
                    assert!(file_follows || pieces.len() + 1 >= IOVEC_MAX || total == pending);
                    (pieces[0].data, pieces[0].len)
                }
            };
            let front = out.front().unwrap();
            assert_eq!((front.data, front.len), (data, len));
            let len = len.min(step);
            // SAFETY: the piece lies in `out`, which is not changed before the copy is made.
            taken.extend_from_slice(unsafe { std::slice::from_raw_parts(data, len) });
            let now = out.sent(len);
            ended = Ended { long: ended.long + now.long, short: ended.short + now.short };
            assert_eq!(out.pending(), pending - len);
        }
        (taken, ended)
    }

    #[test]
    fn bytes_and_ranges_keep_their_order_at_any_step() {
        let long = vec![b'L'; SENDFILE_MIN + 5];
        for step in [1, 7, 1_000, 5_000, usize::MAX] {
            let mut out = Out::default();
            let mut expected = Vec::new();
            for round in 0..40u8 {
                let head = vec![b'a' + round % 26; 3_000];
                out.bytes.extend_from_slice(&head);
                expected.extend_from_slice(&head);
                if round % 3 == 0 {
                    out.push(part(b"short"));
                    out.push(part(b""));
                    out.push(part(b"er"));
                    expected.extend_from_slice(b"shorter");
                }
                if round == 20 {
                    out.push(part(&long));
                    expected.extend_from_slice(&long);
                }
            }
            let (taken, ended) = drain(&mut out, step);
            assert!(taken == expected, "step {step}");
            assert_eq!(ended, Ended { long: 1, short: 28 });
            assert!(out.bytes.is_empty());
        }
    }

    #[test]
    fn appending_while_sending_moves_the_rest_down() {
        let mut out = Out::default();
        let (mut expected, mut taken) = (Vec::new(), Vec::new());
        for round in 0..2_000u32 {
            let head = round.to_be_bytes().repeat(25);
            out.bytes.extend_from_slice(&head);
            expected.extend_from_slice(&head);
            out.push(part(b"range"));
            expected.extend_from_slice(b"range");
            // Less than is appended, so that the queue never empties.
            let front = out.front().unwrap();
            let len = front.len.min(90);
            // SAFETY: as in `drain`.
            taken.extend_from_slice(unsafe { std::slice::from_raw_parts(front.data, len) });
            out.sent(len);
            assert!(out.bytes.len() <= out.pending() + 2 * COMPACT_MIN + 100 || out.head * 2 < out.bytes.len());
        }
        taken.extend(drain(&mut out, 777).0);
        assert!(taken == expected);
    }

    #[test]
    fn leases_end_with_their_range() {
        let lease = Arc::new(b"lease".to_vec());
        let mut out = Out::default();
        out.bytes.extend_from_slice(b"head");
        out.push(FilePart::new(lease.clone(), -1, 0, |bytes| bytes));
        out.sent(8);
        assert_eq!(Arc::strong_count(&lease), 2);
        out.sent(1);
        assert_eq!(Arc::strong_count(&lease), 1);
        out.push(FilePart::new(lease.clone(), -1, 0, |bytes| bytes));
        out.clear();
        assert_eq!(Arc::strong_count(&lease), 1);
    }
}
