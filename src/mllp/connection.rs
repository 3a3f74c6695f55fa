//! One MLLP connection: frames in, acknowledgements out, in the order of receipt.
//!
//! A sender may pipeline: while earlier messages are being stored, later ones are read, up to a
//! limit, and all share commits. An acknowledgement is written only after the message is durable.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use hl7v2::mllp::{Decoder, Event, Fatal, Limits, encode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::intake::{Intake, Reply};

/// Bytes taken from the socket at once.
const READ_BYTES: usize = 64 * 1024;
/// Bytes in a row outside frames before the connection is closed.
const STRAY_BYTES_MAX: usize = 64 * 1024;
/// How long the CR after an FS may keep us waiting.
const CARRIAGE_RETURN_GRACE: Duration = Duration::from_secs(2);
/// So long a peer may go on sending after its last answer.
const LINGER: Duration = Duration::from_secs(1);
/// A peer that does not take its acknowledgement for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves a connection until the peer, an error, a time-out or `stop` ends it.
pub(super) async fn serve(
    socket: TcpStream,
    intake: Arc<Intake>,
    limits: Arc<config::Intake>,
    stop: CancellationToken,
) {
    let peer = socket.peer_addr().ok();
    let _ = socket.set_nodelay(true);
    let decoder = Decoder::new(Limits {
        frame_bytes_max: limits.frame_bytes_max,
        stray_bytes_max: STRAY_BYTES_MAX,
    });
    let connection = Connection {
        socket,
        peer,
        intake,
        limits,
        stop,
        decoder,
        events: VecDeque::new(),
        frame_started: None,
    };
    connection.run().await;
}

struct Connection {
    socket: TcpStream,
    peer: Option<SocketAddr>,
    intake: Arc<Intake>,
    limits: Arc<config::Intake>,
    stop: CancellationToken,
    decoder: Decoder,
    /// What was found and not yet acted on; at most what one read can hold.
    events: VecDeque<Event>,
    /// When the frame that is being read began.
    frame_started: Option<Instant>,
}

/// What a connection does next.
enum Step {
    Reply(Reply),
    Read(std::io::Result<usize>),
    Grace,
    FrameTimeout,
    IdleTimeout,
    Stop,
}

impl Connection {
    async fn run(mut self) {
        let mut pending: FuturesOrdered<Receiving> = FuturesOrdered::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut idle_since = Instant::now();
        // Once closing, nothing is read; what is pending is still answered.
        let mut closing = false;
        loop {
            while !closing && pending.len() < self.limits.unacknowledged_max {
                match self.events.pop_front() {
                    None => break,
                    Some(Event::Frame(bytes)) => pending.push_back(receive(&self.intake, bytes)),
                    Some(Event::Warning(warning)) => self.warn(warning.code()),
                    Some(Event::Fatal(fatal)) => {
                        self.warn(fatal.code());
                        if let Fatal::FrameTooLarge { head, .. } = fatal {
                            let reply = self.intake.refuse_oversized(&head);
                            pending.push_back(answered(reply));
                        }
                        closing = true;
                    }
                }
            }
            if closing && pending.is_empty() {
                break;
            }
            let may_read = !closing && pending.len() < self.limits.unacknowledged_max;
            let awaits_return = self.decoder.awaits_carriage_return();
            let frame_deadline = self
                .frame_started
                .map(|started| started + self.limits.frame_timeout());
            let idle_deadline = self
                .limits
                .idle_timeout()
                .map(|timeout| idle_since + timeout);
            let step = tokio::select! {
                biased;
                Some(reply) = pending.next(), if !pending.is_empty() => Step::Reply(reply),
                () = self.stop.cancelled(), if !closing => Step::Stop,
                read = self.socket.read(&mut buffer), if may_read => Step::Read(read),
                () = tokio::time::sleep(CARRIAGE_RETURN_GRACE), if awaits_return => Step::Grace,
                () = until(frame_deadline), if may_read => Step::FrameTimeout,
                () = until(idle_deadline), if may_read && pending.is_empty() => Step::IdleTimeout,
            };
            match step {
                Step::Reply(reply) => {
                    if !self.write(reply).await {
                        break;
                    }
                    idle_since = Instant::now();
                }
                Step::Read(Ok(0)) => {
                    self.decoder.finish();
                    self.drain();
                    self.last_frames(&mut pending);
                    closing = true;
                }
                Step::Read(Ok(count)) => {
                    idle_since = Instant::now();
                    self.take(buffer.get(..count).unwrap_or_default());
                }
                Step::Read(Err(_)) => {
                    self.warn("connection-reset");
                    closing = true;
                }
                Step::Grace => {
                    self.decoder.flush_after_grace();
                    self.drain();
                    self.frame_started = None;
                }
                Step::FrameTimeout => {
                    self.warn("frame-timeout");
                    closing = true;
                }
                Step::IdleTimeout | Step::Stop => closing = true,
            }
        }
        let _ = self.socket.shutdown().await;
        let _ = tokio::time::timeout(LINGER, self.discard(&mut buffer)).await;
    }

    /// Reads what the peer still sends, and drops it: a socket that is closed with bytes unread
    /// resets the connection, and the peer may lose the acknowledgement that it was just sent.
    async fn discard(&mut self, buffer: &mut [u8]) {
        while matches!(self.socket.read(buffer).await, Ok(count) if count > 0) {}
    }

    fn take(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes);
        let ended_one = self.drain();
        self.frame_started = match self.frame_started {
            _ if !self.decoder.is_mid_frame() => None,
            Some(started) if !ended_one => Some(started),
            _ => Some(Instant::now()),
        };
    }

    /// Takes over what the decoder found; says whether a frame ended.
    fn drain(&mut self) -> bool {
        let before = self.events.len();
        self.events
            .extend(std::iter::from_fn(|| self.decoder.next()));
        self.events.len() > before
    }

    /// The peer sends no more: what it sent whole is still received.
    fn last_frames(&mut self, pending: &mut FuturesOrdered<Receiving>) {
        while let Some(event) = self.events.pop_front() {
            match event {
                Event::Frame(bytes) => pending.push_back(receive(&self.intake, bytes)),
                Event::Warning(warning) => self.warn(warning.code()),
                Event::Fatal(fatal) => self.warn(fatal.code()),
            }
        }
    }

    async fn write(&mut self, reply: Reply) -> bool {
        let Some(acknowledgement) = reply.acknowledgement else {
            return true;
        };
        let frame = encode(&acknowledgement);
        let written = tokio::time::timeout(WRITE_TIMEOUT, self.socket.write_all(&frame)).await;
        if !matches!(written, Ok(Ok(()))) {
            self.warn("acknowledgement-not-taken");
            return false;
        }
        true
    }

    fn warn(&self, code: &'static str) {
        let peer = self
            .peer
            .map(|peer| peer.ip().to_string())
            .unwrap_or_default();
        tracing::warn!(peer, code, "MLLP connection: {code}");
    }
}

type Receiving = std::pin::Pin<Box<dyn Future<Output = Reply> + Send>>;

fn receive(intake: &Arc<Intake>, bytes: Vec<u8>) -> Receiving {
    let intake = Arc::clone(intake);
    Box::pin(async move { intake.receive(bytes).await })
}

fn answered(reply: Reply) -> Receiving {
    Box::pin(std::future::ready(reply))
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
