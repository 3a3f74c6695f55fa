//! From the start of the process to its first answer, and what it needs when idle.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::child::Process;

/// Starts on one folder: the first makes the database, the others find it.
const STARTS: usize = 5;

pub(crate) fn measure(settings: &Path) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let mut text = String::from("Start to first answer:");
    let mut resident = 0;
    for start in 0..STARTS {
        let begun = Instant::now();
        let process = Process::start(["--data", data], settings);
        let mut stream = TcpStream::connect(process.http).unwrap();
        stream
            .write_all(b"GET /fhir/Patient/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        let name = if start == 0 {
            "new database"
        } else {
            "existing"
        };
        let _ = write!(text, " {name} {} ms,", begun.elapsed().as_millis());
        std::thread::sleep(Duration::from_secs(1));
        resident = resident_kib(process.id());
        assert!(process.terminate().success());
    }
    let binary = std::fs::metadata(env!("CARGO_BIN_EXE_baton"))
        .unwrap()
        .len();
    let _ = write!(
        text,
        " idle VmRSS {resident} KiB, binary {} KiB",
        binary / 1024
    );
    text
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap_or_else(|| panic!("the server has ended by itself:\n{status}"));
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
