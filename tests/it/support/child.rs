//! Baton as a process of its own: to be killed, and started again on the same records.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A running `baton serve`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) mllp: SocketAddr,
}

impl Process {
    /// The FHIR base.
    pub(crate) fn base(&self) -> String {
        format!("http://{}/fhir", self.http)
    }

    /// Starts the server on the records at `place` (`--data FOLDER` or `--database URL`), and waits
    /// until it listens.
    pub(crate) fn start(place: [&str; 2], settings: &Path) -> Self {
        Self::start_with(place, settings, &[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(place: [&str; 2], settings: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_baton"))
            .args([
                "serve",
                "--http",
                "127.0.0.1:0",
                "--mllp",
                "127.0.0.1:0",
                "--log",
                "info",
            ])
            .args(place)
            .args(more)
            .arg("--config")
            .arg(settings)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (http, mllp) = loop {
            let line = lines
                .next()
                .expect("the server ended before it listened")
                .unwrap();
            if let (Some(http), Some(mllp)) = (address(&line, "http="), address(&line, "mllp=")) {
                break (http, mllp);
            }
        };
        // The pipe must be read, or the server would wait for it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, http, mllp }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no chance to finish anything.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: an orderly stop.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address(line: &str, key: &str) -> Option<SocketAddr> {
    line.split(key)
        .nth(1)?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}
