//! Baton as a process of its own: to be killed, and started again on the same records.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A running `baton serve`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) mllp: SocketAddr,
}

impl Process {
    /// Starts the server on the records of a folder, and waits until it listens.
    pub(crate) fn start(folder: &Path, settings: &Path) -> Self {
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
            .arg("--data")
            .arg(folder)
            .arg("--config")
            .arg(settings)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mllp = loop {
            let line = lines
                .next()
                .expect("the server ended before it listened")
                .unwrap();
            if let Some(address) = line.split("mllp=").nth(1) {
                break address.split_whitespace().next().unwrap().parse().unwrap();
            }
        };
        // The pipe must be read, or the server would wait for it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, mllp }
    }

    /// SIGKILL: no chance to finish anything.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: an orderly stop.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
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
