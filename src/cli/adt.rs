//! `baton adt`: messages over MLLP, as a hospital's interface engine would send them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use hl7v2::mllp::{Decoder, Event, Limits, encode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cli::say;

/// How long an acknowledgement may take.
const ACKNOWLEDGEMENT_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send the messages of files and print their acknowledgements.
    Send(Send),
}

#[derive(Debug, Args)]
pub(super) struct Send {
    /// Files with one message or several each (a batch, or one MSH after the other).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The MLLP listener to send to.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2575")]
    to: String,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Send(options) => send(options).await,
    }
}

async fn send(options: Send) -> anyhow::Result<ExitCode> {
    let mut negative = 0_usize;
    let mut sender = Sender::connect(&options.to).await?;
    for path in &options.files {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = hl7v2::batch::split(&bytes);
        if file.messages().next().is_none() {
            bail!(
                "{} holds no HL7 message: none of its lines begins with MSH",
                path.display()
            );
        }
        for message in file.messages() {
            let answer = sender.send(message).await?;
            let code = describe(&answer);
            say(&format!("{}: {code}", path.display()));
            negative += usize::from(!code.starts_with("AA") && !code.starts_with("CA"));
        }
    }
    Ok(if negative == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// `AA A-1`, or with what the receiver reports.
pub(super) fn describe(answer: &[u8]) -> String {
    let Ok(parsed) = hl7v2::parse(answer) else {
        return "an answer that is no message".to_owned();
    };
    let Ok(answer) = hl7v2::acknowledgement::read(&parsed.message) else {
        return "an answer that is no acknowledgement".to_owned();
    };
    let mut text = format!("{} {}", answer.code.as_str(), answer.control_id);
    for error in &answer.errors {
        if let Some(words) = &error.text {
            text.push_str(": ");
            text.push_str(words);
        }
    }
    text
}

/// A connection that sends one message at a time and waits for its answer.
pub(super) struct Sender {
    socket: TcpStream,
    decoder: Decoder,
}

impl Sender {
    /// Connects to an MLLP listener.
    pub(super) async fn connect(address: &str) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        socket.set_nodelay(true)?;
        Ok(Self {
            socket,
            decoder: Decoder::new(Limits::default()),
        })
    }

    /// Sends a message; gives the acknowledgement.
    pub(super) async fn send(&mut self, message: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.socket.write_all(&encode(message)).await?;
        tokio::time::timeout(ACKNOWLEDGEMENT_TIMEOUT, self.answer())
            .await
            .context("no acknowledgement came in time")?
    }

    async fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut buffer = [0; 4096];
        loop {
            while let Some(event) = self.decoder.next() {
                match event {
                    Event::Frame(bytes) => return Ok(bytes),
                    Event::Warning(_) => {}
                    Event::Fatal(fatal) => bail!("the answer cannot be read: {fatal}"),
                }
            }
            let count = self.socket.read(&mut buffer).await?;
            if count == 0 {
                bail!("the receiver closed the connection without an answer");
            }
            self.decoder.push(buffer.get(..count).unwrap_or_default());
        }
    }
}
