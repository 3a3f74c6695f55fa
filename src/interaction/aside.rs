//! Costly work aside from the workers that answer requests: parsing, validation and extraction of
//! what is large.
//!
//! Small work is done where it arises, as handing it over costs more than it takes. Large work goes
//! to threads that may be held up, so many at once as there are processors, whoever asks for it; the
//! store's writer is never among them.

use std::sync::{Arc, LazyLock};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Semaphore;

use crate::error::Error;

/// Resources from so many bytes on are worked on aside.
const BYTES_MIN: usize = 128 << 10;
/// So many items are worked on in one go.
const ITEMS_PER_GO: usize = 64;
/// Where the number of processors is not known.
const THREADS_DEFAULT: usize = 2;

static THREADS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(THREADS_DEFAULT, Into::into));
static PERMITS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(*THREADS)));

/// Does work on so many bytes.
///
/// # Errors
/// [`Error::Internal`] when the process stops meanwhile.
pub async fn work<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    if bytes < BYTES_MIN {
        return Ok(work());
    }
    hand_over(work).await
}

/// Does work on each of some items, which are of so many bytes together; the results are in their
/// order.
///
/// # Errors
/// As [`work`].
pub async fn each<I: Send + 'static, T: Send + 'static>(
    bytes: usize,
    items: Vec<I>,
    work: impl Fn(I) -> T + Clone + Send + 'static,
) -> Result<Vec<T>, Error> {
    if bytes < BYTES_MIN {
        return Ok(items.into_iter().map(work).collect());
    }
    let count = items.len();
    let goes = stream::iter(in_goes(items)).map(|items| {
        let work = work.clone();
        hand_over(move || items.into_iter().map(work).collect::<Vec<T>>())
    });
    let results = goes.buffered(*THREADS).try_fold(
        Vec::with_capacity(count),
        async |mut all: Vec<T>, some| {
            all.extend(some);
            Ok(all)
        },
    );
    results.await
}

fn in_goes<I>(items: Vec<I>) -> Vec<Vec<I>> {
    let mut items = items.into_iter();
    let mut goes = Vec::new();
    loop {
        let go: Vec<I> = items.by_ref().take(ITEMS_PER_GO).collect();
        if go.is_empty() {
            return goes;
        }
        goes.push(go);
    }
}

/// The permit goes with the work: it is held until that ends, also when nobody waits any more.
async fn hand_over<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let permit = Arc::clone(&PERMITS).acquire_owned().await;
    let permit = permit.map_err(|error| Error::Internal(error.into()))?;
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    match done.await {
        Ok(result) => Ok(result),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::Internal(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn results_are_in_the_order_of_the_items() {
        for (bytes, count) in [(0, 1000), (BYTES_MIN, 0), (BYTES_MIN, 1), (BYTES_MIN, 1000)] {
            let doubled = each(bytes, (0..count).collect(), |item: u32| item * 2).await;
            let expected: Vec<u32> = (0..count).map(|item| item * 2).collect();
            assert_eq!(doubled.unwrap(), expected, "{bytes} {count}");
        }
    }

    #[tokio::test]
    async fn large_work_is_done_on_another_thread() {
        let here = std::thread::current().id();
        let is_here = move || std::thread::current().id() == here;
        assert!(work(BYTES_MIN - 1, is_here).await.unwrap());
        assert!(!work(BYTES_MIN, is_here).await.unwrap());
    }
}
