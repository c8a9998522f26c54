//! Carries out what a master's session decides: one link, one ordinary thread.
//!
//! Owns the socket and the frame under way. Waits in `poll` for the slave, the log and the end; what is sent goes from
//! the file to the socket, and a thread that meets a page on the disk waits for it alone. Must not decide anything.

use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::ending::LinkEnd;
use super::master::{Effect, Input, Rules, Session};
use super::rate::Rate;
use super::seam::{LogPiece, LogSource};
use super::server::{Row, Server};
use super::socket;
use super::wire;

/// Bytes sent before the slave is listened to again.
const TURN: usize = 4 * 1024 * 1024;

/// A frame of which not all is with the kernel.
struct Outgoing {
    header: [u8; wire::HEADER_LEN],
    header_sent: usize,
    piece: LogPiece,
    piece_sent: usize,
}

impl Outgoing {
    /// Sends what the socket takes; `true` once all is sent.
    fn push(&mut self, socket: &TcpStream) -> io::Result<bool> {
        let len = self.piece.len();
        while let Some(rest) = self.header.get(self.header_sent..).filter(|rest| !rest.is_empty()) {
            self.header_sent += socket::send(socket, rest, len > 0)?;
        }
        while self.piece_sent < len {
            let sent = match &self.piece {
                LogPiece::File(range) => {
                    let position = range.position.saturating_add(self.piece_sent as u64);
                    socket::send_file(socket, range.segment.raw_fd(), position, len - self.piece_sent)?
                }
                LogPiece::Memory(bytes) => {
                    socket::send(socket, bytes.get(self.piece_sent..).unwrap_or_default(), false)?
                }
            };
            if sent == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a commitlog file is shorter than it was"));
            }
            self.piece_sent += sent;
        }
        Ok(true)
    }
}

/// A link that counts as long as this lives.
struct Counted<'a> {
    source: &'a dyn LogSource,
    link: u64,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.source.link_down(self.link);
    }
}

/// One link.
struct Link<'a> {
    server: &'a Server,
    row: &'a Row,
    session: Session,
    outgoing: Option<Outgoing>,
    counted: Option<Counted<'a>>,
    effects: Vec<Effect>,
    rate: Rate,
}

/// Runs a link to its end. The socket does not block.
pub(super) fn run(server: &Server, row: &Row, mut socket: TcpStream) -> LinkEnd {
    let now = Instant::now();
    let source = server.source.as_ref();
    let rules = Rules {
        heartbeat: server.options.heartbeat,
        housekeeping: server.options.housekeeping,
        batch: server.options.batch.max(1),
        file_size: source.file_size().max(1),
        #[cfg(feature = "planted-bug")]
        bug: server.options.bug,
    };
    let mut link = Link {
        server,
        row,
        session: Session::new(now, rules, source.extent()),
        outgoing: None,
        counted: None,
        effects: Vec::new(),
        rate: Rate::new(now),
    };
    match link.serve(&mut socket) {
        Ok(end) | Err(end) => end,
    }
}

fn failed(error: io::Error) -> LinkEnd {
    LinkEnd::Failed(error.to_string())
}

impl Link<'_> {
    fn serve(&mut self, socket: &mut TcpStream) -> Result<LinkEnd, LinkEnd> {
        let watch = self.server.source.watch().map_err(failed)?;
        let mut buffer = [0; 4096];
        loop {
            if self.server.is_stopping.load(Ordering::SeqCst) {
                return Ok(LinkEnd::Stopped);
            }
            let is_blocked = self.send(socket)?;
            let mut deadline = self.session.deadline();
            if !is_blocked && !self.session.is_idle() {
                // There is more to send; the slave is only listened to in between.
                deadline = Instant::now();
            } else if self.session.is_idle() && watch.arm(self.session.log().max) > self.session.log().max {
                self.step(Input::Log(self.server.source.extent()))?;
                continue;
            }
            let mut polls = [
                socket::interest(socket.as_raw_fd(), is_blocked, true),
                socket::interest(watch.fd(), false, true),
                socket::interest(self.server.waker.fd(), false, true),
            ];
            socket::wait(&mut polls, deadline).map_err(failed)?;
            let [from_slave, from_log, _] = polls;
            if socket::is_readable(&from_log) {
                watch.clear();
                self.step(Input::Log(self.server.source.extent()))?;
            }
            if socket::is_readable(&from_slave) {
                match socket.read(&mut buffer) {
                    Ok(0) => return Ok(LinkEnd::Closed),
                    Ok(read) => {
                        self.step(Input::Log(self.server.source.extent()))?;
                        self.step(Input::Bytes(buffer.get(..read).unwrap_or_default()))?;
                    }
                    Err(error) if socket::is_later(&error) => {}
                    Err(error) => return Ok(failed(error)),
                }
            }
            self.step(Input::Tick)?;
        }
    }

    /// Sends frames until the socket is full (`true`), nothing is left, or it is somebody else's turn.
    fn send(&mut self, socket: &TcpStream) -> Result<bool, LinkEnd> {
        let mut turn = 0;
        while let Some(outgoing) = &mut self.outgoing {
            match outgoing.push(socket) {
                Ok(_) => {
                    let len = outgoing.piece.len();
                    turn += len;
                    self.outgoing = None;
                    self.row.rate.store(self.rate.add(Instant::now(), len as u64), Ordering::Relaxed);
                    self.step(Input::Log(self.server.source.extent()))?;
                    self.step(Input::Sent)?;
                    if turn >= TURN {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(false)
    }

    fn step(&mut self, input: Input<'_>) -> Result<(), LinkEnd> {
        let mut effects = std::mem::take(&mut self.effects);
        self.session.step(Instant::now(), input, &mut effects);
        let outcome = effects.drain(..).try_for_each(|effect| self.carry_out(effect));
        self.effects = effects;
        self.row.sent.store(self.session.sent(), Ordering::Relaxed);
        self.row.acked.store(self.session.acked(), Ordering::Relaxed);
        outcome
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), LinkEnd> {
        let source = self.server.source.as_ref();
        match effect {
            Effect::Up { start } => {
                source.link_up(self.row.link, start).map_err(LinkEnd::Refused)?;
                self.counted = Some(Counted { source, link: self.row.link });
                self.row.start.store(start, Ordering::Relaxed);
                self.row.is_up.store(true, Ordering::Release);
                tracing::info!(peer = %self.row.peer, link = self.row.link, offset = start, "a slave copies from here on");
                Ok(())
            }
            Effect::Ack(safe) => source.report(self.row.link, safe).map_err(LinkEnd::Refused),
            Effect::Frame { offset, len } => {
                let wanted = len as usize;
                let piece = if len == 0 {
                    LogPiece::Memory(Vec::new())
                } else {
                    let piece = source.piece(offset, wanted).filter(|piece| piece.len() == wanted);
                    piece.ok_or(LinkEnd::Deleted { offset })?
                };
                let header = wire::header(offset, len);
                self.outgoing = Some(Outgoing { header, header_sent: 0, piece, piece_sent: 0 });
                Ok(())
            }
            Effect::Close(end) => Err(LinkEnd::Decided(end)),
        }
    }
}
