//! The listener of the FHIR API: connections, and what each may cost.
//!
//! What a connection may send before its request is understood is bounded here; the rest of a
//! request by [`crate::rest::edge`] and the router.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Rest;
use crate::rest::edge::{HEADER_BYTES_MAX, URL_BYTES_MAX};

/// The most headers of a request; more are 431, without a body.
const HEADERS_MAX: usize = 128;

/// Room for the head of a request: what the edge refuses with reasons must arrive first.
const HEAD_BYTES_MAX: usize = 2 * (HEADER_BYTES_MAX + URL_BYTES_MAX);

/// How long to wait when no connection can be taken, because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until told to stop, then lets the requests under way finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &Rest,
    workers: TaskTracker,
    stop: CancellationToken,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(settings.header_timeout_secs))
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let connections = Arc::new(Semaphore::new(settings.connections_max));
    let graceful = GracefulShutdown::new();
    while let Some((stream, permit)) = next(&listener, &connections, &stop).await {
        // An answer is written at once and must not wait for the acknowledgement of an earlier one.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        workers.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "An HTTP connection ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The next connection and its place among those that may be open; nothing once told to stop.
///
/// Where all places are taken, the others wait unaccepted.
async fn next(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let connection = async {
        let permit = Arc::clone(connections).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(error) => {
                    tracing::warn!(error = %error, "No HTTP connection can be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => None,
        connection = connection => connection,
    }
}
