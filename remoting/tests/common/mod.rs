//! A small server for the tests: an echo-like service on one or more shards, each with a committer that flushes.

#![allow(dead_code)]

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use protocol::{Command, Head, HeaderForm, write_command};
use remoting::net::{self, AcceptedFd, Acceptor, ConnId, Connection, FilePart, ServerOptions, Service};
use shard::{MeshPort, RemoteWaker, ShardSpec, ShardThread};

/// Answers with the body of the request.
pub const ECHO: i32 = 1;
/// Answers with `size` bytes.
pub const SIZED: i32 = 2;
/// Answers with the file's bytes: `pieces` ranges of `len` bytes from `position` on, `step` apart.
pub const FILE: i32 = 3;
/// The handler panics half through its reply.
pub const PANIC: i32 = 4;
/// The server answers and closes the connection.
pub const CLOSE: i32 = 5;
/// Answers with the number of the connection's shard.
pub const SHARD: i32 = 6;

/// Answers and reads no further on this connection.
pub const HOLD: i32 = 7;
/// Reads on where [`HOLD`] stopped.
pub const RESUME: i32 = 8;

/// When a wait of the tests gives up.
pub const LONG: Duration = Duration::from_secs(60);

/// A file in memory and on disk.
pub struct Data {
    pub file: File,
    pub bytes: Vec<u8>,
}

impl Data {
    pub fn new(len: usize) -> Arc<Data> {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let name = format!("remoting-{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let bytes = pattern(len);
        std::fs::write(&path, &bytes).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        Arc::new(Data { file, bytes })
    }

    fn part(self: &Arc<Data>, position: usize, len: usize) -> FilePart {
        let fd: RawFd = self.file.as_raw_fd();
        FilePart::new(self.clone(), fd, position as u64, |data| &data.bytes[position..position + len])
    }
}

/// Bytes whose value depends on their whole position.
pub fn pattern(len: usize) -> Vec<u8> {
    const MOST: usize = 32 << 20;
    static ALL: OnceLock<Vec<u8>> = OnceLock::new();
    let byte = |i: u64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8;
    ALL.get_or_init(|| (0..MOST as u64).map(byte).collect())[..len].to_vec()
}

#[derive(Default)]
pub struct Seen {
    pub opened: AtomicU64,
    pub closed: AtomicU64,
    pub requests: AtomicU64,
    pub responses: AtomicU64,
    /// `closed` came twice for one connection, or it was still found.
    pub wrong: AtomicU64,
    /// The most bytes that waited on one connection.
    pub pending_max: AtomicU64,
}

struct EchoService {
    shard: usize,
    port: Option<Rc<MeshPort<Message>>>,
    data: Option<Arc<Data>>,
    seen: Arc<Seen>,
    gone: RefCell<HashSet<ConnId>>,
    held: RefCell<Option<Rc<Connection>>>,
}

impl EchoService {
    fn reply(&self, connection: &Connection, command: &Command<'_>, body: &[u8]) {
        let mut out = connection.out();
        write_command(&mut out, &command.reply_head(0, None), |_| (), body.len());
        out.extend_from_slice(body);
    }
}

fn number(command: &Command<'_>, key: &str) -> usize {
    command.fields.get(key).and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Service for EchoService {
    fn request(&self, connection: &Rc<Connection>, command: Command<'_>, frame: &[u8]) {
        assert_eq!(Command::decode(frame).unwrap().opaque, command.opaque);
        assert!(net::find(connection.id).is_some_and(|found| Rc::ptr_eq(&found, connection)));
        self.seen.requests.fetch_add(1, Ordering::Relaxed);
        match command.code {
            ECHO => self.reply(connection, &command, command.body),
            SIZED => self.reply(connection, &command, &pattern(number(&command, "size"))),
            SHARD => self.reply(connection, &command, self.shard.to_string().as_bytes()),
            FILE => {
                let (position, len) = (number(&command, "position"), number(&command, "len"));
                let (pieces, step) = (number(&command, "pieces"), number(&command, "step"));
                write_command(&mut connection.out(), &command.reply_head(0, None), |_| (), pieces * len);
                let data = self.data.as_ref().unwrap();
                for piece in 0..pieces {
                    connection.push_file(data.part(position + piece * step, len));
                }
            }
            PANIC => {
                connection.out().extend_from_slice(b"half a reply");
                panic!("a handler that panics on purpose");
            }
            CLOSE => {
                self.reply(connection, &command, b"bye");
                connection.close();
            }
            HOLD => {
                connection.hold_reading();
                *self.held.borrow_mut() = Some(connection.clone());
                self.reply(connection, &command, b"held");
            }
            RESUME => {
                self.held.borrow_mut().take().unwrap().resume_reading();
                self.reply(connection, &command, b"resumed");
            }
            other => panic!("the tests send no code {other}"),
        }
        self.seen.pending_max.fetch_max(connection.pending_bytes() as u64, Ordering::Relaxed);
        if let Some(port) = &self.port {
            port.poke();
        }
    }

    fn response(&self, _: &Rc<Connection>, _: Command<'_>) {
        self.seen.responses.fetch_add(1, Ordering::Relaxed);
    }

    fn opened(&self, _: &Rc<Connection>) {
        self.seen.opened.fetch_add(1, Ordering::Relaxed);
    }

    fn closed(&self, connection: &Rc<Connection>) {
        if !self.gone.borrow_mut().insert(connection.id) || net::find(connection.id).is_some() {
            self.seen.wrong.fetch_add(1, Ordering::Relaxed);
        }
        self.seen.closed.fetch_add(1, Ordering::Relaxed);
    }
}

enum Message {
    Serve(AcceptedFd),
}

pub struct Server {
    pub addr: SocketAddr,
    pub seen: Arc<Seen>,
    pub data: Option<Arc<Data>>,
    stop: Arc<AtomicBool>,
    wakers: Vec<RemoteWaker>,
    shards: Vec<ShardThread<()>>,
}

impl Server {
    /// Accepts on shard 0 and gives the connections to all shards in turn.
    pub fn start(shards: usize, options: ServerOptions, data: Option<Arc<Data>>) -> Server {
        let acceptor =
            Acceptor::bind("127.0.0.1:0".parse().unwrap()).unwrap().with_connections_max(options.connections_max);
        let addr = acceptor.local_addr();
        let seen = Arc::new(Seen::default());
        let stop = Arc::new(AtomicBool::new(false));
        let ports = shard::mesh::<Message>(shards, 256);
        let wakers = ports.iter().map(MeshPort::waker).collect();
        let mut acceptor = Some(acceptor);
        let shards = ports
            .into_iter()
            .map(|port| {
                let (seen, stop, data, options) = (seen.clone(), stop.clone(), data.clone(), options.clone());
                let acceptor = acceptor.take();
                let spec = ShardSpec { name: format!("server-{}", port.id()), cpu: None };
                shard::start(spec, move || run_shard(port, acceptor, options, data, seen, stop)).unwrap()
            })
            .collect();
        Server { addr, seen, data, stop, wakers, shards }
    }

    /// Waits until `what` says yes.
    pub fn until(&self, what: &str, check: impl Fn(&Seen) -> bool) {
        let began = Instant::now();
        while !check(&self.seen) {
            assert!(began.elapsed() < LONG, "not reached: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Closes all connections and ends the shards; every connection must have been closed exactly once.
    pub fn stop(self) -> Arc<Seen> {
        self.stop.store(true, Ordering::Release);
        for waker in &self.wakers {
            waker.wake();
        }
        for shard in self.shards {
            shard.join().unwrap();
        }
        let (opened, closed) = (self.seen.opened.load(Ordering::Relaxed), self.seen.closed.load(Ordering::Relaxed));
        assert_eq!(opened, closed, "connections opened and closed");
        assert_eq!(self.seen.wrong.load(Ordering::Relaxed), 0);
        self.seen
    }
}

async fn run_shard(
    port: MeshPort<Message>,
    acceptor: Option<Acceptor>,
    options: ServerOptions,
    data: Option<Arc<Data>>,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
) {
    port.attach();
    let port = Rc::new(port);
    if let Some(acceptor) = acceptor {
        let port = port.clone();
        shard::spawn_local(async move {
            let mut next = 0;
            loop {
                let mut message = Message::Serve(acceptor.accept().await);
                while let Err(back) = port.send(next % port.shards(), message) {
                    message = back;
                    shard::turn().await;
                }
                next += 1;
            }
        });
    }
    let flush_after_read = options.flush_after_read;
    let service = Rc::new(EchoService {
        shard: port.id(),
        port: (!flush_after_read).then(|| port.clone()),
        data,
        seen,
        gone: RefCell::default(),
        held: RefCell::default(),
    });
    let options = Rc::new(options);
    while !stop.load(Ordering::Acquire) {
        port.wait().await;
        port.drain(usize::MAX, |_, Message::Serve(accepted)| {
            net::adopt(accepted, port.id(), service.clone(), options.clone());
        });
        if !flush_after_read {
            net::flush_dirty();
        }
    }
    net::close_all();
    while net::connections() > 0 {
        shard::turn().await;
    }
}

/// A client that speaks raw bytes.
pub fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub fn request(code: i32, opaque: i32, fields: &[(&str, usize)], body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let head = Head { form: HeaderForm::Json, ..Head::request(code, opaque) };
    let write = |w: &mut protocol::FieldWriter<'_>| fields.iter().for_each(|(key, value)| w.i64(key, *value as i64));
    write_command(&mut frame, &head, write, body.len());
    frame.extend_from_slice(body);
    frame
}

pub fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let mut word = [0; 4];
    stream.read_exact(&mut word).unwrap();
    let mut frame = word.to_vec();
    frame.resize(4 + u32::from_be_bytes(word) as usize, 0);
    stream.read_exact(&mut frame[4..]).unwrap();
    frame
}

/// Sends an echo and checks what comes back.
pub fn check_echo(stream: &mut TcpStream, opaque: i32, body: &[u8]) {
    stream.write_all(&request(ECHO, opaque, &[], body)).unwrap();
    check_answer(&read_frame(stream), opaque, body);
}

pub fn check_answer(frame: &[u8], opaque: i32, body: &[u8]) {
    let command = Command::decode(frame).unwrap();
    assert!(command.is_response());
    assert_eq!((command.code, command.opaque), (0, opaque));
    assert!(command.body == body, "the body of answer {opaque} differs, {} bytes", body.len());
}

/// Whether the server closed the connection: end or reset, within the read timeout.
pub fn is_closed_by_server(stream: &mut TcpStream) -> bool {
    let mut byte = [0; 1];
    loop {
        match stream.read(&mut byte) {
            Ok(n) => return n == 0,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return true,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => panic!("neither closed nor answered: {error}"),
        }
    }
}

/// As many open files as this process may have: many systems begin with 1024.
pub fn allow_descriptors() {
    // SAFETY: both calls read or write one rlimit that lives here.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

/// Resident memory of this process, bytes.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}
