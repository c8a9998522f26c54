//! A slave's side: keeps a link to the master, and says what it is doing.
//!
//! Owns the slave's log and the one thread that writes it. The thread plans a link, runs it, waits, and begins again;
//! it never stops trying, because masters come back. Must not know what is in a frame.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::attempt::{Attempts, Outcome};
use super::options::SlaveOptions;
use super::seam::{LogSink, MasterFacts};
use super::socket::{self, Waker};
use super::state::{SlavePhase, SlaveState};

/// What the thread and everybody else share.
pub(super) struct Board {
    state: Mutex<SlaveState>,
    master_end: AtomicI64,
    rate: AtomicU64,
    is_stopping: AtomicBool,
    /// The master's address has changed since the thread last took it.
    is_moved: AtomicBool,
    waker: Waker,
}

impl Board {
    fn new(master: Option<SocketAddr>) -> io::Result<Self> {
        let state = SlaveState {
            phase: SlavePhase::NoMaster,
            master,
            start: 0,
            end: 0,
            durable: 0,
            master_end: 0,
            bytes_per_second: 0,
            links: 0,
            last_end: None,
        };
        Ok(Self {
            state: Mutex::new(state),
            master_end: AtomicI64::new(0),
            rate: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
            is_moved: AtomicBool::new(false),
            waker: Waker::new()?,
        })
    }

    fn state(&self) -> MutexGuard<'_, SlaveState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Where the master is from now on; calls the thread there.
    fn move_to(&self, master: SocketAddr) {
        let mut state = self.state();
        if state.master == Some(master) {
            return;
        }
        state.master = Some(master);
        self.is_moved.store(true, Ordering::SeqCst);
        // Under the lock: a call that reached a thread which has the address already would keep the descriptor readable
        // for as long as the link stands, and each wait on it would end at once.
        self.waker.wake();
    }

    /// Where the master is; the call is heard.
    fn take_master(&self) -> Option<SocketAddr> {
        let state = self.state();
        self.waker.clear();
        self.is_moved.store(false, Ordering::SeqCst);
        state.master
    }

    /// Whether the thread is wanted elsewhere: another master, or the end.
    pub(super) fn is_called(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst) || self.is_moved.load(Ordering::SeqCst)
    }

    /// The end of the master's log when last heard of.
    pub(super) fn master_end(&self) -> i64 {
        self.master_end.load(Ordering::Relaxed)
    }

    pub(super) fn master_ends_at(&self, offset: i64) {
        self.master_end.store(offset, Ordering::Relaxed);
    }

    pub(super) fn rate(&self, bytes_per_second: u64) {
        self.rate.store(bytes_per_second, Ordering::Relaxed);
    }

    pub(super) fn offsets(&self, sink: &dyn LogSink) {
        let (start, end, durable) = (sink.start(), sink.end(), sink.durable());
        let mut state = self.state();
        (state.start, state.end, state.durable) = (start, end, durable);
    }

    /// The phase is this one. The log has a line for each that lasts, not for the way there.
    pub(super) fn phase(&self, phase: SlavePhase) {
        let mut state = self.state();
        if state.phase == phase {
            return;
        }
        let is_same_kind = state.phase.word() == phase.word();
        let master = state.master.map_or_else(|| "-".to_owned(), |master| master.to_string());
        state.phase = phase.clone();
        let end = state.end;
        drop(state);
        match phase {
            SlavePhase::Asking | SlavePhase::Connecting | SlavePhase::Comparing | SlavePhase::Stopped => {}
            SlavePhase::CatchingUp { .. } | SlavePhase::InStep if is_same_kind => {}
            SlavePhase::CatchingUp { .. } | SlavePhase::InStep | SlavePhase::NoMaster => {
                tracing::info!(master, end, "slave: {phase}");
            }
            SlavePhase::Lost { .. } | SlavePhase::StoreRefuses { .. } => tracing::warn!(master, end, "slave: {phase}"),
            _ => tracing::error!(master, end, "slave: {phase}"),
        }
    }

    /// A phase on the way to another. It does not hide one that an operator has to see.
    pub(super) fn passing(&self, phase: SlavePhase) {
        let is_hiding = {
            let state = self.state();
            state.phase.needs_operator()
                || matches!(state.phase, SlavePhase::Lost { .. } | SlavePhase::StoreRefuses { .. })
        };
        if !is_hiding {
            self.phase(phase);
        }
    }

    /// Whether an operator has to do something.
    pub(super) fn is_stuck(&self) -> bool {
        self.state().phase.needs_operator()
    }

    pub(super) fn is_in_step(&self) -> bool {
        self.state().phase == SlavePhase::InStep
    }

    pub(super) fn linked(&self) {
        self.state().links += 1;
    }

    pub(super) fn ended(&self, why: String) {
        self.state().last_end = Some(why);
    }

    /// Waits, unless the thread is called before.
    fn pause(&self, pause: Duration) -> io::Result<()> {
        let deadline = Instant::now() + pause;
        while !self.is_called() && Instant::now() < deadline {
            socket::wait(&mut [socket::interest(self.waker.fd(), false, true)], deadline)?;
        }
        Ok(())
    }
}

/// A slave's link and its thread; stops when dropped.
pub struct SlaveClient {
    board: Arc<Board>,
    thread: Option<JoinHandle<()>>,
}

impl SlaveClient {
    /// Starts copying into `sink` from the master at `master`, or as soon as [`SlaveClient::set_master`] names one.
    pub fn start(
        options: SlaveOptions,
        sink: Box<dyn LogSink>,
        facts: Box<dyn MasterFacts>,
        master: Option<SocketAddr>,
    ) -> io::Result<Self> {
        let board = Arc::new(Board::new(master)?);
        board.offsets(&*sink);
        let thread = {
            let board = board.clone();
            let attempts = Attempts::new(options, sink, facts);
            thread::Builder::new().name("ha-slave".into()).spawn(move || follow(&board, attempts))?
        };
        Ok(Self { board, thread: Some(thread) })
    }

    /// Where the master is now; a link to another address is closed. `None`: not known any more, which leaves a link
    /// that stands alone.
    pub fn set_master(&self, master: Option<SocketAddr>) {
        if let Some(master) = master {
            self.board.move_to(master);
        }
    }

    /// Tells where the master's log ends, as heard beside the link; only the state for operators uses it.
    pub fn master_ends_at(&self, offset: i64) {
        self.board.master_ends_at(offset);
    }

    /// What the slave is doing.
    pub fn state(&self) -> SlaveState {
        let mut state = self.board.state().clone();
        state.master_end = self.board.master_end().max(0);
        state.bytes_per_second = match state.phase {
            SlavePhase::Comparing | SlavePhase::CatchingUp { .. } | SlavePhase::InStep => {
                self.board.rate.load(Ordering::Relaxed)
            }
            _ => 0,
        };
        state
    }

    /// Closes the link; returns when the thread is gone and the log is let go. May wait for a request to the master.
    pub fn stop(&mut self) {
        self.board.is_stopping.store(true, Ordering::SeqCst);
        self.board.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the slave's thread had ended by a defect of this program");
        }
    }
}

impl Drop for SlaveClient {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread: one link after the other.
fn follow(board: &Board, mut attempts: Attempts) {
    while !board.is_stopping.load(Ordering::SeqCst) {
        let master = board.take_master();
        if board.is_stopping.load(Ordering::SeqCst) {
            break;
        }
        let pause = match master {
            Some(master) => match attempts.attempt(board, master) {
                Outcome::Again => Duration::ZERO,
                Outcome::After(pause) => pause,
            },
            None => {
                board.phase(SlavePhase::NoMaster);
                Duration::from_secs(3600)
            }
        };
        if let Err(error) = board.pause(pause) {
            tracing::error!(%error, "the slave's thread cannot wait; nothing more is copied until a restart");
            break;
        }
    }
    board.phase(SlavePhase::Stopped);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However mover and taker meet, the descriptor is readable while a call stands and not a moment longer.
    #[test]
    fn a_call_that_was_heard_wakes_nobody_any_more() {
        const MOVES: u32 = 200_000;
        let board = Board::new(None).expect("an eventfd");
        let master = |number: u32| SocketAddr::from((std::net::Ipv4Addr::from(number), 10912));
        thread::scope(|scope| {
            let mover = scope.spawn(|| {
                (0..MOVES).for_each(|number| board.move_to(master(number % 2)));
            });
            while !mover.is_finished() {
                board.take_master();
                let _state = board.state();
                let mut polls = [socket::interest(board.waker.fd(), false, true)];
                socket::wait(&mut polls, Instant::now()).expect("poll");
                assert_eq!(socket::is_readable(&polls[0]), board.is_called());
            }
        });
    }
}
