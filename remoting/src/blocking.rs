//! A channel to a nameserver or broker for ordinary threads: one socket, one call at a time, of std alone.
//!
//! Owns the socket, the bytes read from it and a short queue of requests the peer sent meanwhile (a broker tells its
//! clients of changes in their group that way). Never used on a shard: its calls block.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use protocol::code::response;
use protocol::{Command, FRAME_MAX, FieldWriter, FrameError, Head, HeaderForm, frame_len, write_command};

/// Requests of the peer kept for [`Channel::poll_request`]; more are dropped, the peer repeats what matters.
const REQUESTS_MAX: usize = 64;

/// Bytes of one read.
const CHUNK: usize = 64 << 10;

/// Why a call has no answer.
#[derive(Debug)]
pub enum CallError {
    /// The name does not resolve, or nobody accepts the connection.
    Connect { address: String, error: io::Error },
    /// No answer in time. The channel stays usable: an answer that comes later is dropped.
    TimedOut { peer: SocketAddr, timeout: Duration },
    /// The peer closed the connection, or it broke. The channel is of no more use.
    Closed { peer: SocketAddr, error: Option<io::Error> },
    /// The peer sent something that is no frame. The channel is of no more use.
    Frame { peer: SocketAddr, error: FrameError },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Connect { address, error } => write!(f, "cannot connect to {address}: {error}"),
            CallError::TimedOut { peer, timeout } => write!(f, "no answer from {peer} in {} ms", timeout.as_millis()),
            CallError::Closed { peer, error: None } => write!(f, "{peer} closed the connection"),
            CallError::Closed { peer, error: Some(error) } => write!(f, "the connection to {peer} broke: {error}"),
            CallError::Frame { peer, error } => write!(f, "{peer} sent what is no frame: {error}"),
        }
    }
}

impl std::error::Error for CallError {}

/// A whole frame that was received, a response or a request of the peer.
#[derive(Clone)]
pub struct Answer {
    pub frame: Vec<u8>,
}

impl Answer {
    /// The body, if this says that the request was carried out; else what `who`, the peer in the caller's words, says.
    pub fn body(&self, who: &str) -> Result<&[u8], String> {
        // Decoded when it was received; decoded again for the frame's lifetime.
        let command = Command::decode(&self.frame).map_err(|error| format!("{who} sent what is no frame: {error}"))?;
        if command.code == response::SUCCESS {
            return Ok(command.body);
        }
        let remark = command.remark.as_ref().map(|text| text.to_string()).unwrap_or_default();
        Err(format!("{who} answers code {}: {remark}", command.code))
    }

    /// The frame, decoded in place.
    ///
    /// # Panics
    /// If `frame` was changed into something that is no frame; as received it was decoded once already.
    pub fn command(&self) -> Command<'_> {
        match Command::decode(&self.frame) {
            Ok(command) => command,
            Err(error) => panic!("a frame that was decoded before can be decoded again: {error}"),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Command::decode(&self.frame) {
            Ok(command) => write!(f, "Answer({command:?})"),
            Err(error) => write!(f, "Answer({} bytes: {error})", self.frame.len()),
        }
    }
}

/// A connection to one peer.
pub struct Channel {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    last_opaque: i32,
    output: Vec<u8>,
    input: Vec<u8>,
    /// The first bytes of `input` that are handed out already.
    consumed: usize,
    chunk: Box<[u8]>,
    requests: VecDeque<Answer>,
    broken: bool,
}

impl Channel {
    /// Connects within `timeout` to the first address of `address` that accepts: a `SocketAddr`, or "host:port".
    pub fn connect(address: impl ToSocketAddrs + fmt::Debug, timeout: Duration) -> Result<Channel, CallError> {
        let failed = |error| CallError::Connect { address: format!("{address:?}"), error };
        let deadline = Instant::now() + timeout;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for candidate in address.to_socket_addrs().map_err(failed)? {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match TcpStream::connect_timeout(&candidate, left).and_then(|stream| Channel::over(stream, candidate)) {
                Ok(channel) => return Ok(channel),
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    fn over(stream: TcpStream, peer: SocketAddr) -> io::Result<Channel> {
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        // The kernel may give a socket the very port of this host it looks for, and connect it to itself.
        if local == peer {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens there"));
        }
        Ok(Channel {
            local,
            stream,
            peer,
            last_opaque: 0,
            output: Vec::new(),
            input: Vec::new(),
            consumed: 0,
            chunk: vec![0; CHUNK].into_boxed_slice(),
            requests: VecDeque::new(),
            broken: false,
        })
    }

    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends a request and waits for its response, together at most `timeout`.
    pub fn call(
        &mut self,
        code: i32,
        form: HeaderForm,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let deadline = Instant::now() + timeout;
        let opaque = self.send(code, form, fields, body, timeout)?;
        loop {
            let answer = self.next(deadline, timeout)?;
            let command = answer.command();
            if !command.is_response() {
                self.keep_request(answer);
            } else if command.opaque == opaque {
                return Ok(answer);
            }
            // Else: the late answer to a call that was given up. A peer may have no end of what nobody asked for.
            if Instant::now() >= deadline {
                return Err(CallError::TimedOut { peer: self.peer, timeout });
            }
        }
    }

    /// Sends a request and does not wait; returns its opaque. For several under way at once, with [`Channel::receive`].
    pub fn send(
        &mut self,
        code: i32,
        form: HeaderForm,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<i32, CallError> {
        let opaque = self.next_opaque();
        self.write(&Head { form, ..Head::request(code, opaque) }, fields, body, timeout)?;
        Ok(opaque)
    }

    /// Sends a request that gets no response.
    pub fn send_oneway(
        &mut self,
        code: i32,
        form: HeaderForm,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<(), CallError> {
        let opaque = self.next_opaque();
        self.write(&Head { form, ..Head::oneway(code, opaque) }, fields, body, timeout)
    }

    /// Sends a response to a request of the peer.
    pub fn respond(
        &mut self,
        head: &Head<'_>,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<(), CallError> {
        self.write(head, fields, body, timeout)
    }

    /// The next frame of any kind, requests kept earlier first.
    pub fn receive(&mut self, timeout: Duration) -> Result<Answer, CallError> {
        match self.requests.pop_front() {
            Some(request) => Ok(request),
            None => self.next(Instant::now() + timeout, timeout),
        }
    }

    /// The next request of the peer, if one comes within `timeout` (zero: if one is here). Responses that come meanwhile
    /// belong to calls given up and are dropped.
    pub fn poll_request(&mut self, timeout: Duration) -> Result<Option<Answer>, CallError> {
        let deadline = Instant::now() + timeout;
        if let Some(request) = self.requests.pop_front() {
            return Ok(Some(request));
        }
        loop {
            match self.next(deadline, timeout) {
                Ok(answer) if answer.command().is_response() => {}
                Ok(answer) => return Ok(Some(answer)),
                Err(CallError::TimedOut { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the connection is still there, as far as this side knows. Does not wait.
    pub fn is_alive(&mut self) -> bool {
        if self.broken {
            return false;
        }
        let mut byte = [0u8; 1];
        let peeked = self.stream.set_nonblocking(true).and_then(|()| self.stream.peek(&mut byte));
        let restored = self.stream.set_nonblocking(false);
        let alive = match peeked {
            Ok(n) => n > 0,
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        };
        self.broken = !alive || restored.is_err();
        !self.broken
    }

    fn next_opaque(&mut self) -> i32 {
        self.last_opaque = self.last_opaque.wrapping_add(1);
        self.last_opaque
    }

    fn keep_request(&mut self, request: Answer) {
        if self.requests.len() < REQUESTS_MAX {
            self.requests.push_back(request);
        } else {
            tracing::debug!(peer = %self.peer, code = request.command().code, "dropping a request, too many wait");
        }
    }

    fn closed(&mut self, error: Option<io::Error>) -> CallError {
        self.broken = true;
        CallError::Closed { peer: self.peer, error }
    }

    fn write(
        &mut self,
        head: &Head<'_>,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<(), CallError> {
        let mut output = std::mem::take(&mut self.output);
        output.clear();
        write_command(&mut output, head, fields, body.len());
        output.extend_from_slice(body);
        let result = self.write_all(&output, timeout);
        output.shrink_to(CHUNK);
        self.output = output;
        result
    }

    /// Sends bytes as they are.
    pub fn write_all(&mut self, mut bytes: &[u8], timeout: Duration) -> Result<(), CallError> {
        if self.broken {
            return Err(CallError::Closed { peer: self.peer, error: None });
        }
        let deadline = Instant::now() + timeout;
        while !bytes.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Half a frame may be out, so nothing sensible can follow it.
                self.broken = true;
                return Err(CallError::TimedOut { peer: self.peer, timeout });
            }
            match self.stream.set_write_timeout(Some(left)).and_then(|()| self.stream.write(bytes)) {
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(self.closed(Some(error))),
            }
        }
        Ok(())
    }

    /// The next whole frame.
    fn next(&mut self, deadline: Instant, timeout: Duration) -> Result<Answer, CallError> {
        let mut has_looked = false;
        loop {
            let received = self.input.get(self.consumed..).unwrap_or_default();
            match frame_len(received, FRAME_MAX * 4) {
                Ok(Some(len)) if len <= received.len() => {
                    let frame = received.get(..len).unwrap_or_default().to_vec();
                    self.consumed += len;
                    self.tidy();
                    if let Err(error) = Command::decode(&frame) {
                        self.broken = true;
                        return Err(CallError::Frame { peer: self.peer, error });
                    }
                    return Ok(Answer { frame });
                }
                Ok(_) => {}
                Err(error) => {
                    self.broken = true;
                    return Err(CallError::Frame { peer: self.peer, error });
                }
            }
            if self.broken {
                return Err(CallError::Closed { peer: self.peer, error: None });
            }
            // At least one look at the socket, also with no time left; no further one then, though there may be bytes.
            if std::mem::replace(&mut has_looked, true) && Instant::now() >= deadline {
                return Err(CallError::TimedOut { peer: self.peer, timeout });
            }
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.read(&mut self.chunk)) {
                Ok(0) => return Err(self.closed(None)),
                Ok(n) => self.input.extend_from_slice(self.chunk.get(..n).unwrap_or_default()),
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(self.closed(Some(error))),
            }
        }
    }

    fn tidy(&mut self) {
        if self.consumed == self.input.len() {
            self.input.clear();
            self.input.shrink_to(CHUNK * 2);
            self.consumed = 0;
        } else if self.consumed >= CHUNK && self.consumed * 2 >= self.input.len() {
            self.input.drain(..self.consumed);
            self.consumed = 0;
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests;
