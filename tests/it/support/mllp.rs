//! A sender that talks MLLP by hand, without any code of the server.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An acknowledgement that does not come for so long does not come.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A stop-and-wait connection.
pub(crate) struct Sender(TcpStream);

impl Sender {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// Sends a message; gives MSA-1 and MSA-2 of the acknowledgement.
    pub(crate) fn send(&mut self, message: &str) -> io::Result<(String, String)> {
        self.0
            .write_all(format!("\x0b{message}\x1c\r").as_bytes())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        while !answer.ends_with(b"\x1c\r") {
            match self.0.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => answer.extend_from_slice(&buffer[..count]),
            }
        }
        Ok(msa(&answer[1..answer.len() - 2]))
    }
}

/// MSA-1 and MSA-2.
pub(crate) fn msa(answer: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(answer);
    let segment = text
        .split('\r')
        .find(|segment| segment.starts_with("MSA"))
        .unwrap();
    let mut fields = segment.split('|').skip(1).map(str::to_owned);
    (fields.next().unwrap(), fields.next().unwrap_or_default())
}
