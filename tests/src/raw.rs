//! A bare TCP connection for what no client would send.
//!
//! Owns the socket and the buffer of what came back. Must not check anything before it is sent.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use protocol::{Command, FieldWriter, Head, frame_len, write_command};

/// A connection.
pub struct Raw {
    stream: TcpStream,
    got: Vec<u8>,
}

impl Raw {
    /// Connects; reads and writes give up after 10 s.
    pub fn connect(address: SocketAddr) -> io::Result<Raw> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(10))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_write_timeout(Some(Duration::from_secs(10)))?;
        Ok(Raw { stream, got: Vec::new() })
    }

    /// Writes bytes as they are. The other side may have closed already: that is no error here.
    pub fn write(&mut self, bytes: &[u8]) {
        // A peer that refuses the bytes has done what most rows ask for; the answer tells.
        let _ = self.stream.write_all(bytes);
    }

    /// No more will be written.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Whether the other side closes without an answer.
    pub fn is_closed_silently(&mut self) -> bool {
        let mut byte = [0; 1];
        match self.stream.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }

    /// The next whole frame; an error when the other side closes or stays silent.
    pub fn frame(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(len) = frame_len(&self.got, protocol::FRAME_MAX).map_err(io::Error::other)?
                && self.got.len() >= len
            {
                return Ok(self.got.drain(..len).collect());
            }
            let mut part = [0; 16 * 1024];
            match self.stream.read(&mut part)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                len => self.got.extend_from_slice(&part[..len]),
            }
        }
    }

    /// Code and remark of the next answer.
    pub fn answer(&mut self) -> Result<(i32, String), String> {
        let frame = self.frame().map_err(|error| format!("no answer: {error}"))?;
        let command = Command::decode(&frame).map_err(|error| format!("answer cannot be read: {error}"))?;
        Ok((command.code, command.remark.map(|remark| remark.get().into_owned()).unwrap_or_default()))
    }

    /// Writes bytes and reads one answer.
    pub fn ask(&mut self, bytes: &[u8]) -> Result<(i32, String), String> {
        self.write(bytes);
        self.answer()
    }
}

/// A whole request in JSON.
pub fn request(code: i32, fields: impl FnOnce(&mut FieldWriter<'_>), body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_command(&mut out, &Head::request(code, 1), fields, body.len());
    out.extend_from_slice(body);
    out
}

/// A frame around any header bytes; `form` is the byte 0 JSON, 1 ROCKETMQ, others are unknown.
pub fn frame(form: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&((4 + header.len() + body.len()) as u32).to_be_bytes());
    out.extend_from_slice(&(u32::from(form) << 24 | header.len() as u32).to_be_bytes());
    out.extend_from_slice(header);
    out.extend_from_slice(body);
    out
}
