//! One link of a slave from plan to end, and what follows from its end.
//!
//! Owns the log and the pauses between links. Runs on the slave's thread. Must not know what is in a frame.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::message::layout;

use super::client::Board;
use super::copy::Copy;
use super::ending::{CopyEnd, SlaveEnd};
use super::options::{Resync, SlaveOptions};
use super::plan::{Own, Plan, Start, plan};
use super::seam::{LogExtent, LogSink, MasterFacts, SinkError};
use super::slave::{Rules, Session};
use super::socket;
use super::state::SlavePhase;

/// A pause that only the end of the broker, or another master, ends.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How often a slave gives up bytes and begins anew, in such a time: two masters that take turns must not fill the disk
/// with logs set aside.
const ANEW_MAX: usize = 3;
const ANEW_WITHIN: Duration = Duration::from_secs(3600);

/// What to do next.
pub(super) enum Outcome {
    /// Begin anew at once.
    Again,
    /// Begin anew after a pause.
    After(Duration),
}

/// See the module's head.
pub(super) struct Attempts {
    options: SlaveOptions,
    sink: Box<dyn LogSink>,
    facts: Box<dyn MasterFacts>,
    /// The next pause.
    pause: Duration,
    /// The master's log ended here, short of ours, since then.
    ahead_since: Option<(i64, Instant)>,
    /// When it began anew lately.
    anew: Vec<Instant>,
    /// Why the log is being set aside: the last try failed on its way, and nothing is taken before one succeeds.
    setting_aside: Option<SlavePhase>,
}

impl Attempts {
    pub(super) fn new(options: SlaveOptions, sink: Box<dyn LogSink>, facts: Box<dyn MasterFacts>) -> Self {
        let pause = options.retry_min;
        Self { pause, options, sink, facts, ahead_since: None, anew: Vec::new(), setting_aside: None }
    }

    /// Plans a link and runs it.
    pub(super) fn attempt(&mut self, board: &Board, master: SocketAddr) -> Outcome {
        board.offsets(&*self.sink);
        if let Some(phase) = self.setting_aside.take() {
            return self.set_aside(board, phase);
        }
        if let Some(why) = self.sink.unsound() {
            return self.unsound(board, why);
        }
        board.passing(SlavePhase::Asking);
        let facts = self.facts.extent();
        if let Ok(LogExtent { max, .. }) = facts {
            board.master_ends_at(max);
        }
        let own = Own {
            start: self.sink.start(),
            end: self.sink.end(),
            durable: self.sink.durable(),
            file_size: self.sink.file_size(),
        };
        let overlap = match self.overlap(own) {
            Ok(overlap) => overlap,
            Err(error) => return self.lost(board, format!("the end of its log cannot be looked at: {error}")),
        };
        let plan = plan(own, facts.as_ref().ok().copied(), self.options.initial, overlap);
        if !matches!(plan, Plan::Ahead { .. }) {
            self.ahead_since = None;
        }
        match plan {
            Plan::Link(start) => self.link(board, master, start),
            Plan::FetchFirst => match self.fetch_first() {
                Ok(()) => Outcome::Again,
                Err(why) => self.lost(board, why),
            },
            Plan::NeedFacts => {
                let why = facts.err().unwrap_or_default();
                self.lost(board, format!("an empty slave has to know where the master's log begins, but {why}"))
            }
            Plan::FileSize { first } => {
                let file_size = self.sink.file_size();
                self.stuck(board, SlavePhase::OtherFiles { first, file_size })
            }
            Plan::Ahead { master } => self.ahead(board, master),
            Plan::BehindFirst { first } => self.unlike(board, SlavePhase::BehindFirst { own: own.end, first }),
        }
    }

    /// Bytes to be compared before the end: as told, and the whole record those begin in. Two logs that part have
    /// different offsets or times at the head of each record, but a body or a blank may be the same in both.
    fn overlap(&self, own: Own) -> Result<u64, SinkError> {
        let overlap = self.options.overlap;
        if own.end <= own.start {
            return Ok(overlap);
        }
        let at = own.end.saturating_sub_unsigned(overlap).max(own.start);
        Ok(self.sink.record_before(at)?.abs_diff(own.end).max(overlap))
    }

    /// Fetches the record at offset 0, for a report of 0 would mean the master's last file.
    fn fetch_first(&mut self) -> Result<(), String> {
        let record = self.facts.record_at(0)?;
        let number = |at: usize| Some(u32::from_be_bytes(*record.get(at..)?.first_chunk()?));
        let physical = record.get(layout::PHYSICAL_OFFSET..).and_then(|bytes| bytes.first_chunk());
        let is_record = number(layout::TOTAL_SIZE).is_some_and(|size| size as usize == record.len())
            && matches!(number(layout::MAGIC), Some(layout::MESSAGE_MAGIC | layout::MESSAGE_MAGIC_V2))
            && physical.is_some_and(|bytes| i64::from_be_bytes(*bytes) == 0)
            && record.len() as u64 <= self.sink.file_size();
        if !is_record {
            return Err(format!("the master's answer for the record at offset 0 ({} bytes) is not that", record.len()));
        }
        let taken = self.sink.begin_at(0).and_then(|()| self.sink.append(0, &record));
        taken.map_err(|error| error.to_string())
    }

    fn link(&mut self, board: &Board, master: SocketAddr, start: Start) -> Outcome {
        board.passing(SlavePhase::Connecting);
        let connected = socket::connect(master, self.options.connect_timeout, board.waker())
            .and_then(|socket| socket.set_nodelay(true).map(|()| socket));
        let socket = match connected {
            Ok(socket) => socket,
            Err(_) if board.is_called() => return Outcome::Again,
            Err(error) => return self.lost(board, format!("{master} does not answer: {error}")),
        };
        board.linked();
        let rules = Rules {
            heartbeat: self.options.heartbeat,
            housekeeping: self.options.housekeeping,
            body_max: self.options.body_max,
            file_size: self.sink.file_size().max(1),
            #[cfg(feature = "planted-bug")]
            bug: self.options.bug,
        };
        let mut copy = Copy {
            sink: &mut *self.sink,
            board,
            session: Session::new(Instant::now(), rules, start),
            resync: self.options.resync,
            ahead_patience: self.options.ahead_patience,
            has_brought: false,
        };
        let end = copy.run(socket);
        if copy.has_brought {
            self.pause = self.options.retry_min;
        }
        board.rate(0);
        board.offsets(&*self.sink);
        self.ended(board, end)
    }

    fn ended(&mut self, board: &Board, end: CopyEnd) -> Outcome {
        let own = self.sink.end();
        if let Some(why) = self.sink.unsound() {
            return self.unsound(board, why);
        }
        match end {
            CopyEnd::Called => Outcome::Again,
            CopyEnd::Failed(why) => self.lost(board, why),
            CopyEnd::Decided(SlaveEnd::FileSize { offset, file_size, .. }) => {
                self.stuck(board, SlavePhase::OtherFiles { first: offset, file_size })
            }
            CopyEnd::Decided(end) => self.lost(board, end.to_string()),
            CopyEnd::Diverged { at } => self.unlike(board, SlavePhase::Diverged { at, own }),
            CopyEnd::Ahead { master } => self.unlike(board, SlavePhase::Ahead { own, master }),
            CopyEnd::Sink(SinkError::NoSpace(why)) => self.refused(board, why, self.options.retry_max),
            // Another link would only make a master count on this slave.
            CopyEnd::Sink(SinkError::Final(why)) => self.refused(board, why, NEVER),
            CopyEnd::Sink(SinkError::Refused(why)) => self.lost(board, why),
        }
    }

    /// The master's log is too short to be compared. A master may be between two states, so ours is not given up at once.
    fn ahead(&mut self, board: &Board, master: i64) -> Outcome {
        let phase = SlavePhase::Ahead { own: self.sink.end(), master };
        let now = Instant::now();
        match self.ahead_since {
            Some((at, since)) if at == master => {
                if now.saturating_duration_since(since) >= self.options.ahead_patience {
                    return self.unlike(board, phase);
                }
            }
            _ => self.ahead_since = Some((master, now)),
        }
        self.stuck(board, phase)
    }

    /// Our log is no beginning of the master's: keep it and say so, or set it aside and begin anew.
    fn unlike(&mut self, board: &Board, phase: SlavePhase) -> Outcome {
        if self.options.resync == Resync::Never || !self.may_begin_anew() {
            return self.stuck(board, phase);
        }
        self.set_aside(board, phase)
    }

    fn set_aside(&mut self, board: &Board, phase: SlavePhase) -> Outcome {
        match self.sink.set_aside() {
            Ok(place) => {
                tracing::warn!(
                    "slave: haResync=aside: its log is set aside ({place}) and copied anew, because {phase}"
                );
                board.ended(phase.to_string());
                board.phase(SlavePhase::Asking);
                board.offsets(&*self.sink);
                self.ahead_since = None;
                Outcome::Again
            }
            Err(error) => {
                self.setting_aside = Some(phase);
                self.refused(board, format!("its log cannot be set aside: {error}"), self.options.retry_max)
            }
        }
    }

    /// Whether giving up bytes once more is no rut; counts it.
    fn may_begin_anew(&mut self) -> bool {
        let now = Instant::now();
        self.anew.retain(|since| now.saturating_duration_since(*since) < ANEW_WITHIN);
        let may = self.anew.len() < ANEW_MAX;
        if may {
            self.anew.push(now);
        }
        may
    }

    /// What came last is no sound log. Nobody has read or confirmed it, so it is dropped and asked for again; what comes
    /// again and again is the master's own damage.
    fn unsound(&mut self, board: &Board, why: String) -> Outcome {
        if !self.may_begin_anew() {
            return self.stuck(board, SlavePhase::Unsound { why });
        }
        match self.sink.drop_unsound() {
            Ok(()) => {
                tracing::warn!("slave: bytes that are no sound log are dropped and copied again: {why}");
                self.lost(board, why)
            }
            Err(error) => self.refused(board, format!("{why}; it cannot be cut: {error}"), self.options.retry_max),
        }
    }

    fn refused(&self, board: &Board, why: String, pause: Duration) -> Outcome {
        board.ended(why.clone());
        board.phase(SlavePhase::StoreRefuses { why });
        Outcome::After(pause)
    }

    /// Nothing gets better by itself, but an operator may do something at the master: looked at again now and then.
    fn stuck(&mut self, board: &Board, phase: SlavePhase) -> Outcome {
        board.ended(phase.to_string());
        board.phase(phase);
        Outcome::After(self.options.retry_max)
    }

    fn lost(&mut self, board: &Board, why: String) -> Outcome {
        board.ended(why.clone());
        if !board.is_stuck() {
            board.phase(SlavePhase::Lost { why });
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(self.options.retry_max);
        Outcome::After(pause)
    }
}
