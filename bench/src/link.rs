//! One non-blocking connection of the loader: bytes out, frames in.
//!
//! Owns the socket and both buffers. Must not know what the frames mean. One thread.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};

use protocol::frame_len;

use crate::epoll::Epoll;

const READ_SIZE: usize = 256 * 1024;

/// What [`Link::receive`] tells.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Bytes were read: the frames that follow arrived now.
    Arrived,
    /// A whole frame, its length word included.
    Frame(&'a [u8]),
}

/// A connection.
pub struct Link {
    stream: TcpStream,
    token: u64,
    /// Frames to send; append, then [`Link::send`]. At most twice what is unsent.
    pub out: Vec<u8>,
    sent: usize,
    watches_writable: bool,
    input: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Link {
    /// Connects and lets the epoll instance watch it.
    pub fn connect(address: SocketAddr, epoll: &Epoll, token: u64) -> io::Result<Link> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll.add(stream.as_raw_fd(), token)?;
        Ok(Link {
            stream,
            token,
            out: Vec::new(),
            sent: 0,
            watches_writable: false,
            input: vec![0; READ_SIZE],
            begin: 0,
            end: 0,
        })
    }

    fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Bytes not taken by the socket yet.
    pub fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Sends as much of `out` as the socket takes; the rest goes once it is writable.
    pub fn send(&mut self, epoll: &Epoll) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => self.sent += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.drop_sent();
                    if !self.watches_writable {
                        self.watches_writable = true;
                        epoll.watch_writable(self.fd(), self.token, true)?;
                    }
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        if self.watches_writable {
            self.watches_writable = false;
            epoll.watch_writable(self.fd(), self.token, false)?;
        }
        Ok(())
    }

    /// Frees what the socket took: a broker that is always a little behind never takes all of it. A byte moves once
    /// at most for each that was sent, and no more is kept than twice what is unsent.
    fn drop_sent(&mut self) {
        if self.sent >= self.unsent() {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Reads what is there; calls back when bytes have arrived and then with each whole frame among them.
    pub fn receive(&mut self, mut event: impl FnMut(Event<'_>) -> Result<(), String>) -> Result<(), String> {
        loop {
            if self.end == self.input.len() {
                self.make_room();
            }
            match self.stream.read(&mut self.input[self.end..]) {
                Ok(0) => return Err("the broker closed the connection".into()),
                Ok(len) => self.end += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("reading: {error}")),
            }
            event(Event::Arrived)?;
            while let Some(len) =
                frame_len(&self.input[self.begin..self.end], protocol::FRAME_MAX).map_err(|error| error.to_string())?
                && self.end - self.begin >= len
            {
                event(Event::Frame(&self.input[self.begin..self.begin + len]))?;
                self.begin += len;
            }
            if self.begin == self.end {
                (self.begin, self.end) = (0, 0);
                return Ok(());
            }
        }
    }

    /// Moves the half frame to the front; grows the buffer when it fills it.
    fn make_room(&mut self) {
        self.input.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        if self.end == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_slow_peer_gets_all_bytes_and_no_more_than_the_unsent_are_kept() {
        const CHUNK: usize = 256 * 1024;
        const TOTAL: usize = 128 * CHUNK;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let epoll = Epoll::new().unwrap();
        let mut link = Link::connect(listener.local_addr().unwrap(), &epoll, 0).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let byte = |at: usize| (at % 251) as u8;
        let (mut written, mut received, mut most, mut buffer) = (0, 0, 0, vec![0; CHUNK]);
        while received < TOTAL {
            // Always something unsent: the peer reads no faster than this writes.
            while written < TOTAL && link.unsent() < 4 * CHUNK {
                link.out.extend((written..written + CHUNK).map(byte));
                written += CHUNK;
                link.send(&epoll).unwrap();
                most = most.max(link.out.len());
            }
            let len = peer.read(&mut buffer).unwrap();
            assert!(buffer[..len].iter().zip(received..).all(|(found, at)| *found == byte(at)));
            received += len;
            link.send(&epoll).unwrap();
        }
        assert_eq!((written, link.unsent(), link.out.len()), (TOTAL, 0, 0));
        assert!(most <= 10 * CHUNK, "{most} bytes were kept");
    }
}
