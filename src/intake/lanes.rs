//! Lanes: messages of one patient one after another, those of different patients at once (R13).
//!
//! A lane is a queue of inbox rows with one worker. The queue holds row numbers only, the inbox
//! itself is durable: after a crash the rows that were received and not processed are queued again.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

/// Lanes; messages of so many patients are processed at once.
const LANES: usize = 16;
/// Rows waiting in one lane; when a lane is full, its senders wait (R20).
const QUEUE_MAX: usize = 4096;

/// The ends of the lanes that messages are put into.
#[derive(Clone)]
pub struct Lanes {
    queues: Arc<[mpsc::Sender<i64>]>,
    /// Rows queued and not yet processed; one more until the inbox has been read at the start.
    waiting: Arc<watch::Sender<usize>>,
}

/// The ends of the lanes that workers read.
pub struct Queue {
    rows: mpsc::Receiver<i64>,
    waiting: Arc<watch::Sender<usize>>,
}

impl Lanes {
    /// Lanes, and the queue of each for its worker.
    pub fn new() -> (Self, Vec<Queue>) {
        let waiting = Arc::new(watch::Sender::new(1));
        let (queues, workers) = (0..LANES)
            .map(|_| {
                let (sender, rows) = mpsc::channel(QUEUE_MAX);
                (
                    sender,
                    Queue {
                        rows,
                        waiting: Arc::clone(&waiting),
                    },
                )
            })
            .unzip::<_, _, Vec<_>, Vec<_>>();
        (
            Self {
                queues: queues.into(),
                waiting,
            },
            workers,
        )
    }

    /// Queues a row in the lane of `key`.
    pub async fn push(&self, key: String, row: i64) {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % LANES as u64).unwrap_or(0);
        let Some(queue) = self.queues.get(lane) else {
            return;
        };
        self.waiting.send_modify(|waiting| *waiting += 1);
        if queue.send(row).await.is_err() {
            // The server stops; the row is durable and queued again at the next start.
            self.waiting.send_modify(|waiting| *waiting -= 1);
        }
    }

    /// What was in the inbox at the start is queued.
    pub fn resumed(&self) {
        self.waiting.send_modify(|waiting| *waiting -= 1);
    }

    /// Waits until every queued row is processed.
    pub async fn settle(&self) {
        let mut waiting = self.waiting.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = waiting.wait_for(|waiting| *waiting == 0).await;
    }
}

impl Queue {
    /// The next row; `None` when the lanes are closed.
    pub async fn next(&mut self) -> Option<i64> {
        self.rows.recv().await
    }

    /// The row given last is processed.
    pub fn done(&self) {
        self.waiting.send_modify(|waiting| *waiting -= 1);
    }
}
