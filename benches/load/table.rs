//! Rows of a table, and how one is measured.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long each row is measured.
pub(crate) const PERIOD: Duration = Duration::from_secs(3);

/// What was measured.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) connections: usize,
    pub(crate) per_second: f64,
    /// The time that half and 99 % of the successes stayed below; `None` where single times mean
    /// nothing.
    pub(crate) percentiles: Option<[Duration; 2]>,
    pub(crate) errors: usize,
}

/// Runs `work` over and over on so many connections at once; it gets a number of its own each time
/// and says whether it succeeded.
pub(crate) async fn measure<F: Future<Output = bool> + Send>(
    name: &str,
    connections: usize,
    work: impl Fn(usize) -> F + Send + Sync + 'static,
) -> Row {
    let work = Arc::new(work);
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let workers: Vec<_> = (0..connections)
        .map(|_| {
            let (work, next) = (Arc::clone(&work), Arc::clone(&next));
            #[expect(
                clippy::disallowed_methods,
                reason = "no server whose shutdown would wait"
            )]
            tokio::spawn(async move {
                let (mut times, mut errors) = (Vec::new(), 0);
                while started.elapsed() < PERIOD {
                    let begun = Instant::now();
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if work(number).await {
                        times.push(begun.elapsed());
                    } else {
                        errors += 1;
                    }
                }
                (times, errors)
            })
        })
        .collect();
    let (mut times, mut errors) = (Vec::new(), 0);
    for worker in workers {
        let (own, failed) = worker.await.unwrap();
        times.extend(own);
        errors += failed;
    }
    row(name, connections, times, errors, started.elapsed())
}

/// A row out of the time that each success took.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) fn row(
    name: &str,
    connections: usize,
    mut times: Vec<Duration>,
    errors: usize,
    elapsed: Duration,
) -> Row {
    times.sort_unstable();
    let at = |part: usize| {
        times
            .get(times.len() * part / 100)
            .copied()
            .unwrap_or_default()
    };
    Row {
        name: name.to_owned(),
        connections,
        per_second: times.len() as f64 / elapsed.as_secs_f64(),
        percentiles: Some([at(50), at(99)]),
        errors,
    }
}

/// A row of which only the number of successes is known.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
pub(crate) fn counted(
    name: &str,
    connections: usize,
    count: usize,
    errors: usize,
    elapsed: Duration,
) -> Row {
    Row {
        name: name.to_owned(),
        connections,
        per_second: count as f64 / elapsed.as_secs_f64(),
        percentiles: None,
        errors,
    }
}

/// A Markdown table.
pub(crate) fn print(name: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "\n### {name}\n\n| what | connections | per second | p50 ms | p99 ms | errors |\n\
         |---|---:|---:|---:|---:|---:|\n"
    );
    for row in rows {
        let [p50, p99] = match row.percentiles {
            Some(times) => times.map(|time| format!("{:.2}", time.as_secs_f64() * 1000.0)),
            None => ["–", "–"].map(String::from),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {p50} | {p99} | {} |",
            row.name, row.connections, row.per_second, row.errors
        );
    }
    text
}
