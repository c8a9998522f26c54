//! Connections that only cost: many, idle, slow, and such as announce much and send little.
//!
//! Raises this process's own limit of open files; the broker's is its own affair.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use client::{Broker, Pull, Send, TopicSpec};
use tests::{Server, raw, wait};

use crate::{Row, expect, healthy};

pub const ROWS: &[Row] = &[
    Row { name: "2,000 idle connections", run: idle },
    Row { name: "500 connections announcing 16 MiB each", run: announced },
    Row { name: "1,000 connections opened and closed", run: churn },
    Row { name: "a puller that never reads", run: never_reads },
];

const IDLE: usize = 2_000;
const ANNOUNCED: usize = 500;

fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct lives through both calls; only the soft limit is moved, up to the hard one.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

fn open(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>, String> {
    raise_open_files();
    (0..count)
        .map(|number| {
            TcpStream::connect_timeout(&address, Duration::from_secs(10))
                .map_err(|error| format!("connection {number} of {count}: {error}"))
        })
        .collect()
}

fn idle(server: &Server) -> Result<(), String> {
    let streams = open(server.address(), IDLE)?;
    healthy(server, 5000)?;
    drop(streams);
    healthy(server, 5001)
}

fn announced(server: &Server) -> Result<(), String> {
    use std::io::Write;
    let mut streams = open(server.address(), ANNOUNCED)?;
    // The whole frame, length word included, is just within the bound; a little of it is sent.
    let mut bytes = ((16u32 << 20) - 4).to_be_bytes().to_vec();
    bytes.extend_from_slice(&100u32.to_be_bytes());
    bytes.extend_from_slice(&[b' '; 200]);
    for stream in &mut streams {
        let _ = stream.write_all(&bytes);
    }
    healthy(server, 5002)?;
    drop(streams);
    Ok(())
}

fn churn(server: &Server) -> Result<(), String> {
    for _ in 0..1_000 {
        let stream = TcpStream::connect_timeout(&server.address(), Duration::from_secs(10));
        drop(stream.map_err(|error| error.to_string())?);
    }
    healthy(server, 5003)
}

/// Asks for a megabyte a hundred times and reads nothing: the answers must not pile up without bound.
fn never_reads(server: &Server) -> Result<(), String> {
    let said = |error: client::Error| error.to_string();
    let mut broker = Broker::connect(server.address()).map_err(said)?;
    broker.create_topic(&TopicSpec::new("Large", 1)).map_err(said)?;
    let body = vec![1; 200 << 10];
    for _ in 0..8 {
        broker.send(&Send::to("Large", 0, &body)).map_err(said)?;
    }
    let pull = raw::request(
        11,
        |fields| {
            fields.str("consumerGroup", "CID_lazy");
            fields.str("topic", "Large");
            for (key, value) in [("queueId", 0), ("queueOffset", 0), ("maxMsgNums", 32), ("sysFlag", 4)] {
                fields.i64(key, value);
            }
            for key in ["commitOffset", "suspendTimeoutMillis", "subVersion"] {
                fields.i64(key, 0);
            }
            fields.str("subscription", "*");
            fields.str("expressionType", "TAG");
        },
        &[],
    );
    let mut lazy = raw::Raw::connect(server.address()).map_err(|error| error.to_string())?;
    for _ in 0..500 {
        lazy.write(&pull);
    }
    healthy(server, 5004)?;
    drop(lazy);
    let again = wait::until(Duration::from_secs(10), || broker.pull(&Pull::from("CID_next", "Large", 0, 0)).ok());
    expect(again.is_some_and(|pulled| !pulled.messages.is_empty()), || "others cannot pull any more".into())
}
