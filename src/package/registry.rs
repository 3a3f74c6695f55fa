//! A FHIR package registry: <https://confluence.hl7.org/display/FHIR/FHIR+Package+Registry+User+Documentation>.
//!
//! `GET NAME` lists the versions, with the SHA-1 of each archive (`dist.shasum`); `GET
//! NAME/VERSION` gives the archive. It is unpacked into the package cache under another name and
//! moved to its own at the end, so that nobody ever finds half a package.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::package::content::{ARCHIVE_BYTES_MAX, Content, visit_archive};
use crate::package::coordinate::{Coordinate, compare};
use crate::package::source::ORIGIN;
use crate::package::{Error, Hash, hex};

/// So long one request to a registry may take, the download included.
const DEADLINE: Duration = Duration::from_mins(2);

/// Largest list of versions.
const LISTING_BYTES_MAX: u64 = 16 << 20;

/// Says by which library TLS is done in this process; no HTTP client can be made before. Whoever
/// said so earlier has the last word, which is as good.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A registry that may be asked.
pub(super) struct Registry<'u> {
    url: &'u str,
    client: Client,
}

/// A version that a registry has.
struct Listed {
    coordinate: Coordinate,
    /// SHA-1 of its archive in hexadecimal digits.
    shasum: Option<String>,
}

impl<'u> Registry<'u> {
    /// The registry at this URL.
    pub(super) fn new(url: &'u str) -> Result<Self, Error> {
        install_tls();
        let client = Client::builder()
            .timeout(DEADLINE)
            .build()
            .map_err(|error| refused(url, &error.to_string()))?;
        let url = url.trim_end_matches('/');
        Ok(Self { url, client })
    }

    /// Downloads a package into the cache. Returns which version it was, if there is one.
    pub(super) async fn fetch(
        &self,
        wanted: &Coordinate,
        cache: &Path,
    ) -> Result<Option<Coordinate>, Error> {
        let listed = self.listed(wanted).await?;
        let (coordinate, shasum) = match listed {
            Some(listed) => (listed.coordinate, listed.shasum),
            None if wanted.is_open() => return Ok(None),
            None => (wanted.clone(), None),
        };
        let url = format!("{}/{}/{}", self.url, coordinate.name, coordinate.version);
        let Some(response) = self.get(&url).await? else {
            return Ok(None);
        };
        let archive = body(&url, response, ARCHIVE_BYTES_MAX).await?;
        if let Some(expected) = shasum {
            let found = hex(&Sha1::digest(&archive));
            if !found.eq_ignore_ascii_case(&expected) {
                return Err(Error::Hash {
                    package: coordinate,
                    path: url.into(),
                    expected,
                    found,
                });
            }
        }
        tracing::info!(package = %coordinate, "Package {coordinate} was downloaded");
        unpack(&coordinate, &archive, cache)?;
        Ok(Some(coordinate))
    }

    /// The newest version that is meant, by the list of versions; a registry may have no list.
    async fn listed(&self, wanted: &Coordinate) -> Result<Option<Listed>, Error> {
        let url = format!("{}/{}", self.url, wanted.name);
        let Some(response) = self.get(&url).await? else {
            return Ok(None);
        };
        let bytes = body(&url, response, LISTING_BYTES_MAX).await?;
        let listing: Value = serde_json::from_slice(&bytes)
            .map_err(|error| refused(&url, &format!("its list of versions is no JSON: {error}")))?;
        let versions = listing.get("versions").and_then(Value::as_object);
        let admitted = versions
            .into_iter()
            .flatten()
            .filter_map(|(version, entry)| {
                let coordinate = Coordinate::new(&wanted.name, version)?;
                let shasum = entry.pointer("/dist/shasum").and_then(Value::as_str);
                wanted.admits(version).then(|| Listed {
                    coordinate,
                    shasum: shasum.map(str::to_owned),
                })
            });
        Ok(admitted
            .max_by(|left, right| compare(&left.coordinate.version, &right.coordinate.version)))
    }

    /// An answer with a body; nothing where there is nothing.
    async fn get(&self, url: &str) -> Result<Option<Response>, Error> {
        let response = self.client.get(url).send().await;
        let response = response.map_err(|error| refused(url, &error.without_url().to_string()))?;
        match response.status() {
            status if status.is_success() => Ok(Some(response)),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            status => Err(refused(url, &format!("it answers {status}"))),
        }
    }
}

fn refused(url: &str, reason: &str) -> Error {
    Error::Registry {
        url: url.to_owned(),
        reason: reason.to_owned(),
    }
}

async fn body(url: &str, mut response: Response, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|error| refused(url, &error.without_url().to_string()))?;
        let Some(chunk) = chunk else {
            return Ok(bytes);
        };
        bytes.extend_from_slice(&chunk);
        if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
            return Err(refused(url, &format!("it sends more than {limit} bytes")));
        }
    }
}

/// Unpacks an archive into the cache, as `NAME#VERSION`.
fn unpack(coordinate: &Coordinate, archive: &[u8], cache: &Path) -> Result<(), Error> {
    let name = format!("{}#{}", coordinate.name, coordinate.version);
    let folder = cache.join(&name);
    let partial = cache.join(format!(".{name}.{}", std::process::id()));
    let result = unpack_to(archive, &partial).and_then(|()| {
        // Where there is one, another process was faster.
        fs::rename(&partial, &folder).or_else(|error| {
            let is_there = folder.is_dir();
            is_there
                .then_some(())
                .ok_or_else(|| unwritten(&folder, error))
        })
    });
    let _ = fs::remove_dir_all(&partial);
    result
}

fn unpack_to(archive: &[u8], folder: &Path) -> Result<(), Error> {
    let mut failure = None;
    let result = visit_archive(archive, &mut |path, bytes| {
        let path = folder.join(path);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, bytes));
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(unwritten(&path, error));
                ControlFlow::Break(())
            }
        }
    });
    if let Some(error) = failure {
        return Err(error);
    }
    result.map_err(|reason| Error::Content {
        path: folder.to_owned(),
        reason,
    })?;
    let content = Content::at(folder).ok_or_else(|| Error::Content {
        path: folder.to_owned(),
        reason: "it has no package/package.json".to_owned(),
    })?;
    let origin = format!(
        "{} {}\n",
        Hash(Sha256::digest(archive).into()),
        content.hash()?
    );
    let path = folder.join(ORIGIN);
    fs::write(&path, origin).map_err(|error| unwritten(&path, error))
}

fn unwritten(path: &Path, source: std::io::Error) -> Error {
    Error::Write {
        path: PathBuf::from(path),
        source,
    }
}
