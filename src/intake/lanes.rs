//! Lanes: messages of one patient one after another, those of different patients at once (R13).
//!
//! A lane is a queue of inbox rows with one worker. The queue holds row numbers only, the inbox
//! itself is durable: after a crash the rows that were received and not processed are queued again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

/// Lanes; messages of so many patients are processed at once.
const LANES: i64 = 16;
/// Rows waiting in one lane; when a lane is full, its senders wait (R20).
const QUEUE_MAX: usize = 4096;

/// The ends of the lanes that messages are put into.
#[derive(Clone)]
pub struct Lanes {
    queues: Arc<[mpsc::Sender<i64>]>,
    /// Rows queued and not yet processed; one more until the inbox has been read at the start.
    waiting: Arc<watch::Sender<usize>>,
    rows: Rows,
}

/// The rows that are in a lane, or being processed: none of them is queued again.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<HashSet<i64>>>);

impl Rows {
    /// False where the row is there already.
    fn enter(&self, row: i64) -> bool {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.insert(row)
    }

    fn leave(&self, row: i64) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.remove(&row);
    }
}

/// The ends of the lanes that workers read.
pub struct Queue {
    entries: mpsc::Receiver<i64>,
    waiting: Arc<watch::Sender<usize>>,
    rows: Rows,
}

impl Lanes {
    /// Lanes, and the queue of each for its worker.
    pub fn new() -> (Self, Vec<Queue>) {
        let waiting = Arc::new(watch::Sender::new(1));
        let rows = Rows::default();
        let (queues, workers) = (0..LANES)
            .map(|_| {
                let (sender, entries) = mpsc::channel(QUEUE_MAX);
                let waiting = Arc::clone(&waiting);
                let rows = rows.clone();
                let queue = Queue {
                    entries,
                    waiting,
                    rows,
                };
                (sender, queue)
            })
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let queues = queues.into();
        let lanes = Self {
            queues,
            waiting,
            rows,
        };
        (lanes, workers)
    }

    /// Queues a row in its lane, unless it is there already.
    pub async fn push(&self, lane: i64, row: i64) {
        let place = usize::try_from(lane.rem_euclid(LANES)).unwrap_or(0);
        let Some(queue) = self.queues.get(place) else {
            return;
        };
        if !self.rows.enter(row) {
            return;
        }
        self.waiting.send_modify(|waiting| *waiting += 1);
        if queue.send(row).await.is_err() {
            // The server stops; the row is durable and queued again at the next start.
            self.rows.leave(row);
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
        self.entries.recv().await
    }

    /// A row that was given is processed.
    pub fn done(&self, row: i64) {
        self.rows.leave(row);
        self.waiting.send_modify(|waiting| *waiting -= 1);
    }
}
