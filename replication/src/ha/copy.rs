//! Carries out what a slave's session decides, for as long as one link stands.
//!
//! Owns the socket and the report under way; borrows the log. Runs on the slave's thread, which may wait for the disk.
//! Must not decide anything, nor try again.

use std::io::{self, Read};
use std::net::TcpStream;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::client::Board;
use super::ending::CopyEnd;
use super::options::Resync;
use super::rate::Rate;
use super::seam::{LogSink, Watch};
use super::slave::{Effect, Input, Session};
use super::socket;
use super::state::SlavePhase;
use super::wire;

/// Bytes received at once.
const BUFFER: usize = 512 * 1024;
/// Bytes under way do not take a slave out of step.
const IN_STEP: i64 = 4 * 1024 * 1024;

/// The report under way and the newest one behind it; those between are out of date.
#[derive(Default)]
struct Reports {
    bytes: [u8; wire::REPORT_LEN],
    /// Bytes of it that are still to be sent.
    left: usize,
    next: Option<i64>,
}

impl Reports {
    fn push(&mut self, socket: &TcpStream) -> io::Result<()> {
        loop {
            if self.left == 0 {
                let Some(offset) = self.next.take() else { return Ok(()) };
                self.bytes = wire::report(offset);
                self.left = self.bytes.len();
            }
            let rest = self.bytes.get(self.bytes.len() - self.left..).unwrap_or_default();
            match socket::send(socket, rest, false) {
                Ok(sent) => self.left -= sent.min(self.left),
                Err(error) if socket::is_later(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn is_waiting(&self) -> bool {
        self.left > 0 || self.next.is_some()
    }
}

/// One link.
pub(super) struct Copy<'a> {
    pub(super) sink: &'a mut dyn LogSink,
    pub(super) board: &'a Board,
    pub(super) session: Session,
    pub(super) resync: Resync,
    pub(super) ahead_patience: Duration,
    /// Set once bytes of the log came: the link was worth something.
    pub(super) has_brought: bool,
}

fn failed(error: io::Error) -> CopyEnd {
    CopyEnd::Failed(error.to_string())
}

impl Copy<'_> {
    /// Runs the link to its end. The socket does not block.
    pub(super) fn run(&mut self, mut socket: TcpStream) -> CopyEnd {
        let Err(end) = self.copy(&mut socket);
        self.sink.show(true);
        end
    }

    fn copy(&mut self, socket: &mut TcpStream) -> Result<std::convert::Infallible, CopyEnd> {
        let durable_watch = self.sink.watch_durable().map_err(failed)?;
        let mut buffer = vec![0; BUFFER];
        let mut reports = Reports::default();
        let mut effects = Vec::new();
        let mut rate = Rate::new(Instant::now());
        let mut ahead_since = None;
        // What the session was last told to be safe; what became so since is yet to be reported.
        let mut told = i64::MIN;
        self.step(Input::Connected, &mut effects, &mut reports)?;
        loop {
            reports.push(socket).map_err(failed)?;
            self.publish(&mut ahead_since)?;
            if self.board.is_called() {
                return Err(CopyEnd::Called);
            }
            let mut deadline = if self.wait_for_durable(durable_watch.as_ref(), told) {
                self.session.deadline()
            } else {
                Instant::now()
            };
            if let Some(put_off) = self.sink.show(false) {
                deadline = deadline.min(Instant::now() + put_off);
            }
            let mut polls = [
                socket::interest(socket.as_raw_fd(), reports.is_waiting(), true),
                socket::interest(self.board.waker().fd(), false, true),
                socket::interest(durable_watch.fd(), false, true),
            ];
            socket::wait(&mut polls, deadline).map_err(failed)?;
            let [from_master, _, from_flush] = polls;
            if socket::is_readable(&from_flush) {
                durable_watch.clear();
            }
            if socket::is_readable(&from_master) {
                match socket.read(&mut buffer) {
                    Ok(0) => return Err(CopyEnd::Failed("the master closed the link; its log says why, unless this is not its replication port (listenPort + 1)".into())),
                    Ok(read) => {
                        self.step(Input::Bytes(buffer.get(..read).unwrap_or_default()), &mut effects, &mut reports)?;
                        self.board.rate(rate.add(Instant::now(), read as u64));
                    }
                    Err(error) if socket::is_later(&error) => {}
                    Err(error) => return Err(failed(error)),
                }
            }
            // Also says whether anything became safe meanwhile.
            told = self.sink.durable();
            self.step(Input::Stored { durable: told }, &mut effects, &mut reports)?;
        }
    }

    /// Asks to be woken when more is safe than the session was told; `false` if more is already.
    fn wait_for_durable(&self, watch: &dyn Watch, told: i64) -> bool {
        // Nothing waits to become safe, so nothing is to be woken for.
        if told >= self.sink.end() || self.session.is_comparing() {
            return true;
        }
        watch.arm(told) <= told
    }

    fn step(&mut self, input: Input<'_>, effects: &mut Vec<Effect>, reports: &mut Reports) -> Result<(), CopyEnd> {
        let bytes = match input {
            Input::Bytes(bytes) => bytes,
            _ => &[],
        };
        self.session.step(Instant::now(), input, effects);
        effects.drain(..).try_for_each(|effect| {
            let piece = |at: Range<usize>| bytes.get(at).unwrap_or_default();
            match effect {
                Effect::Begin { offset } => self.sink.begin_at(offset).map_err(CopyEnd::Sink),
                Effect::Compare { offset, at } => compare(self.sink, offset, piece(at)),
                Effect::Append { offset, at } => {
                    self.has_brought = true;
                    self.sink.append(offset, piece(at)).map_err(CopyEnd::Sink)
                }
                Effect::Report(offset) => {
                    reports.next = Some(offset);
                    Ok(())
                }
                Effect::Close(end) => Err(CopyEnd::Decided(end)),
            }
        })
    }

    /// Tells operators where things are; ends the link when the master's log was too short for too long.
    fn publish(&mut self, ahead_since: &mut Option<(i64, Instant)>) -> Result<(), CopyEnd> {
        let own = self.sink.end();
        self.board.offsets(&*self.sink);
        if !self.session.is_comparing() {
            let missing = self.board.master_end().saturating_sub(own);
            let bearable = if self.board.is_in_step() { IN_STEP } else { 0 };
            self.board.phase(if missing > bearable { SlavePhase::CatchingUp { missing } } else { SlavePhase::InStep });
            return Ok(());
        }
        let Some(master) = self.session.master_end() else {
            *ahead_since = None;
            self.board.passing(SlavePhase::Comparing);
            return Ok(());
        };
        self.board.phase(SlavePhase::Ahead { own, master });
        let now = Instant::now();
        match *ahead_since {
            Some((at, since)) if at == master => {
                if self.resync == Resync::Aside && now.saturating_duration_since(since) >= self.ahead_patience {
                    return Err(CopyEnd::Ahead { master });
                }
            }
            _ => *ahead_since = Some((master, now)),
        }
        Ok(())
    }
}

/// Sees that the log has these bytes.
fn compare(sink: &dyn LogSink, offset: i64, bytes: &[u8]) -> Result<(), CopyEnd> {
    let mut done = 0;
    while let Some(theirs) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add_unsigned(done as u64);
        let ours = sink.read(at, theirs.len()).map_err(CopyEnd::Sink)?;
        if ours.is_empty() {
            return Err(CopyEnd::Diverged { at });
        }
        if let Some(differs) = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs) {
            return Err(CopyEnd::Diverged { at: at.saturating_add_unsigned(differs as u64) });
        }
        done += ours.len();
    }
    Ok(())
}
