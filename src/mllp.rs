//! The MLLP listener: accepts connections, limits them, stops in order.
//!
//! Minimal Lower Layer Protocol, HL7 v2 appendix C. What a frame means is decided by the intake;
//! what bytes are a frame by `hl7v2::mllp`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::intake::Intake;

mod connection;

/// After a failed accept (no more file descriptors, say) the listener waits so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `stop`; each goes on in a worker of `workers`.
pub async fn listen(
    listener: TcpListener,
    intake: Arc<Intake>,
    limits: Arc<config::Intake>,
    workers: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Places::new(
        limits.connections_max,
        limits.connections_per_source_max,
    ));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = %error, "Accepting an MLLP connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(place) = Places::take(&places, peer.ip()) else {
            tracing::warn!(peer = %peer.ip(), "MLLP connection refused: too many connections");
            continue;
        };
        let connection = connection::serve(
            socket,
            Arc::clone(&intake),
            Arc::clone(&limits),
            stop.clone(),
        );
        workers.spawn(async move {
            connection.await;
            drop(place);
        });
    }
}

/// How many connections there are, in all and from each address.
struct Places {
    all_max: usize,
    per_source_max: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

impl Places {
    fn new(all_max: usize, per_source_max: usize) -> Self {
        Self {
            all_max,
            per_source_max,
            taken: Mutex::default(),
        }
    }

    fn take(places: &Arc<Self>, source: IpAddr) -> Option<Place> {
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= places.all_max {
            return None;
        }
        let from_source = taken.entry(source).or_default();
        if *from_source >= places.per_source_max {
            return None;
        }
        *from_source += 1;
        Some(Place {
            places: Arc::clone(places),
            source,
        })
    }
}

/// One connection's place; given back when dropped.
struct Place {
    places: Arc<Places>,
    source: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_limited_and_given_back() {
        let places = Arc::new(Places::new(3, 2));
        let near: IpAddr = "127.0.0.1".parse().unwrap();
        let far: IpAddr = "127.0.0.2".parse().unwrap();
        let first = Places::take(&places, near);
        let second = Places::take(&places, near);
        assert!(first.is_some() && second.is_some());
        assert!(Places::take(&places, near).is_none(), "two from one source");
        let third = Places::take(&places, far);
        assert!(third.is_some());
        assert!(
            Places::take(&places, "127.0.0.3".parse().unwrap()).is_none(),
            "three in all"
        );
        drop(first);
        assert!(Places::take(&places, near).is_some());
    }
}
