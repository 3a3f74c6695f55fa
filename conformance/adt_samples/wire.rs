//! Frames of a file, and their way over the wire, without any code of the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::expectation::Message;

/// A server that does not answer and close for so long hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came back for a frame.
pub(crate) struct Answer {
    /// MSA-1; `none` when the connection ended without one.
    pub(crate) code: String,
    pub(crate) took: Duration,
    bytes: Vec<u8>,
}

impl Answer {
    /// What is wrong with the way in which the answer names the message (R4): in its delimiters,
    /// from its receiver to its sender, in its version, with its MSH-10 byte for byte.
    pub(crate) fn misnames(&self, frame: &[u8]) -> Option<&'static str> {
        let (answer, message) = (Message::read(&self.bytes), Message::read(frame));
        if self.bytes.is_empty() || !message.is_message() {
            return None;
        }
        let is_copied = |to: usize, from: usize| answer.header(to) == message.header(from);
        let swapped = [(3, 5), (4, 6), (5, 3), (6, 4)];
        let checks = [
            (is_copied(2, 2), "MSH-2 differs"),
            (is_copied(12, 12), "MSH-12 differs"),
            (
                answer.field("MSA", 2) == message.header(10),
                "MSA-2 is not MSH-10",
            ),
            (
                swapped.iter().all(|(to, from)| is_copied(*to, *from)),
                "sender and receiver are not exchanged",
            ),
        ];
        let wrong = checks.iter().find(|(is_right, _)| !is_right);
        wrong.map(|(_, what)| *what)
    }

    /// MSH-10 of the answer.
    pub(crate) fn control_id(&self) -> Option<Vec<u8>> {
        let id = Message::read(&self.bytes).header(10);
        (!id.is_empty()).then(|| id.to_vec())
    }
}

/// What is sent for a file: a stream message by message; a batch whole, and then message by
/// message; anything else as it is, whatever it holds.
pub(crate) fn frames(file: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    let bytes = unframed(bytes);
    let is_batch = Message::read(bytes).is_batch();
    let mut frames = Vec::new();
    if is_batch || !file.starts_with("stream_") {
        frames.push(bytes.to_vec());
    }
    if is_batch || file.starts_with("stream_") {
        frames.extend(messages(bytes));
    }
    frames
}

/// Some files hold a frame, not a message.
fn unframed(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\x0b").unwrap_or(bytes);
    bytes.strip_suffix(b"\x1c\r").unwrap_or(bytes)
}

/// From each MSH to the next MSH or batch segment.
fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut messages: Vec<Vec<u8>> = Vec::new();
    let mut in_message = false;
    for line in bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
        let name = line.get(..3).unwrap_or_default();
        if name == b"MSH" {
            messages.push(Vec::new());
        }
        in_message = match name {
            b"MSH" => true,
            b"FHS" | b"BHS" | b"BTS" | b"FTS" => false,
            _ => in_message,
        };
        if let Some(message) = messages.last_mut().filter(|_| in_message) {
            message.extend_from_slice(line);
        }
    }
    messages
}

/// Sends one frame on a connection of its own, closes the sending half, reads to the end: so it is
/// known when no answer comes.
pub(crate) async fn send(address: SocketAddr, message: &[u8]) -> Answer {
    let begun = Instant::now();
    let received = tokio::time::timeout(PATIENCE, exchange(address, message)).await;
    let took = begun.elapsed();
    let (code, bytes) = match received {
        Err(_) => ("none in time".to_owned(), Vec::new()),
        Ok(bytes) if bytes.is_empty() => ("none".to_owned(), bytes),
        Ok(bytes) => {
            let code = Message::read(&bytes).field("MSA", 1).to_vec();
            (String::from_utf8_lossy(&code).into_owned(), bytes)
        }
    };
    Answer { code, took, bytes }
}

async fn exchange(address: SocketAddr, message: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(&[b"\x0b", message, b"\x1c\r"].concat())
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    unframed(&answer).to_vec()
}
