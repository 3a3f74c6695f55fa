//! How the texts of resources are kept: compressed, with a dictionary learned from the database.
//!
//! Resources of one database resemble one another more than they resemble anybody else's, so the
//! store samples what is written and trains a dictionary from it (`text_dictionary`), once when
//! there is something to learn from and once more when there is plenty. Each text names the
//! dictionary that it was written with, so that another one can follow; one is committed before it
//! is used, and so is found by whoever reads its first text. Everybody else sees text only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe;

use crate::store::sql::{Bind, Connection, Sql};
use crate::store::{Error, Store, Transaction, Work};

/// Measured: a higher level takes three times as long for a twelfth less.
const LEVEL: i32 = 3;
/// Every frame starts with these bytes; they are not kept.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Longest text that is read back; bodies of requests are far below.
const TEXT_BYTES_MAX: u64 = 1 << 30;
/// Largest dictionary.
const DICTIONARY_BYTES_MAX: usize = 110 << 10;
/// Texts written, since the start and by this process, when a dictionary is trained.
const LESSONS: [u64; 2] = [1_000, 16_000];
/// Bytes of texts that are sampled for it at most.
const SAMPLE_BYTES_MAX: usize = 8 << 20;
/// Longer texts are rare and teach less.
const SAMPLED_TEXT_BYTES_MAX: usize = 16 << 10;

/// A dictionary, ready for use.
struct Dictionary {
    encoder: EncoderDictionary<'static>,
    decoder: DecoderDictionary<'static>,
}

/// Every dictionary that this process met, by the number that its texts carry, which is a digest of
/// its content: databases never disagree about one. There are two to a database.
static DICTIONARIES: LazyLock<RwLock<HashMap<NonZeroU32, &'static Dictionary>>> =
    LazyLock::new(RwLock::default);

fn dictionary(id: NonZeroU32) -> Option<&'static Dictionary> {
    DICTIONARIES
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&id)
        .copied()
}

/// Makes a dictionary known to this process; gives its number.
fn introduce(bytes: &[u8]) -> Result<NonZeroU32, Error> {
    let id = zstd_safe::get_dict_id_from_dict(bytes).ok_or(Error::Corrupt("dictionary"))?;
    let mut known = DICTIONARIES.write().unwrap_or_else(PoisonError::into_inner);
    known.entry(id).or_insert_with(|| {
        Box::leak(Box::new(Dictionary {
            encoder: EncoderDictionary::copy(bytes, LEVEL),
            decoder: DecoderDictionary::copy(bytes),
        }))
    });
    Ok(id)
}

thread_local! {
    static COMPRESSORS: RefCell<HashMap<u32, Compressor<'static>>> = RefCell::default();
    static DECOMPRESSORS: RefCell<HashMap<u32, Decompressor<'static>>> = RefCell::default();
}

fn number(id: Option<NonZeroU32>) -> u32 {
    id.map_or(0, NonZeroU32::get)
}

/// A text as it is kept: a zstd frame without its magic number.
fn encode(text: &str, id: Option<NonZeroU32>) -> std::io::Result<Vec<u8>> {
    COMPRESSORS.with_borrow_mut(|compressors| {
        let compressor = match compressors.entry(number(id)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(compressor(id)?),
        };
        let mut kept = compressor.compress(text.as_bytes())?;
        kept.drain(..MAGIC.len());
        Ok(kept)
    })
}

fn compressor(id: Option<NonZeroU32>) -> std::io::Result<Compressor<'static>> {
    match id.and_then(dictionary) {
        Some(dictionary) => Compressor::with_prepared_dictionary(&dictionary.encoder),
        None => Compressor::new(LEVEL),
    }
}

/// The text that is kept so. [`Error::Dictionary`] when its dictionary is not known yet.
pub(crate) fn decode(kept: &[u8]) -> Result<Arc<str>, Error> {
    let frame = [&MAGIC, kept].concat();
    let size = match zstd_safe::get_frame_content_size(&frame) {
        Ok(Some(size)) if size <= TEXT_BYTES_MAX => usize::try_from(size).ok(),
        _ => None,
    };
    let size = size.ok_or(Error::Corrupt("text"))?;
    let id = zstd_safe::get_dict_id_from_frame(&frame);
    let bytes = DECOMPRESSORS.with_borrow_mut(|decompressors| {
        let decompressor = match decompressors.entry(number(id)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(decompressor(id)?),
        };
        decompressor
            .decompress(&frame, size)
            .map_err(|_| Error::Corrupt("text"))
    })?;
    let text = String::from_utf8(bytes).map_err(|_| Error::Corrupt("text"))?;
    Ok(text.into())
}

fn decompressor(id: Option<NonZeroU32>) -> Result<Decompressor<'static>, Error> {
    let made = match id {
        Some(id) => {
            let dictionary = dictionary(id).ok_or(Error::Dictionary)?;
            Decompressor::with_prepared_dictionary(&dictionary.decoder)
        }
        None => Decompressor::new(),
    };
    made.map_err(|_| Error::Corrupt("text"))
}

/// How the texts of one database are written, and what is learned from them.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// The number of the dictionary in use; 0 for none.
    current: AtomicU32,
    /// How many texts were written when it was trained.
    lesson: AtomicU32,
    sample: Mutex<Sample>,
    is_learning: AtomicBool,
}

/// Texts that were written: every `stride`-th.
#[derive(Debug, Default)]
struct Sample {
    texts: Vec<Arc<str>>,
    bytes: usize,
    seen: u64,
    stride_bits: u32,
}

impl Sample {
    fn add(&mut self, text: &Arc<str>) {
        self.seen += 1;
        let is_wanted = self.seen.trailing_zeros() >= self.stride_bits;
        if !is_wanted || text.len() > SAMPLED_TEXT_BYTES_MAX {
            return;
        }
        self.texts.push(Arc::clone(text));
        self.bytes += text.len();
        if self.bytes > SAMPLE_BYTES_MAX {
            self.stride_bits += 1;
            let mut place = 0_u32;
            self.texts.retain(|_| {
                place += 1;
                place.is_multiple_of(2)
            });
            self.bytes = self.texts.iter().map(|text| text.len()).sum();
        }
    }
}

impl Texts {
    /// A text as it is kept, with the dictionary in use; the store learns from it.
    pub(crate) fn keep(&self, text: Option<&Arc<str>>) -> Result<Bind, Error> {
        let Some(text) = text else {
            return Ok(Bind::NoBytes);
        };
        if self.has_lessons() {
            self.sample().add(text);
        }
        let id = NonZeroU32::new(self.current.load(Ordering::Acquire));
        let kept = encode(text, id).map_err(|_| Error::TooLarge)?;
        Ok(Bind::Bytes(kept))
    }

    fn has_lessons(&self) -> bool {
        (self.lesson.load(Ordering::Relaxed) as usize) < LESSONS.len()
    }

    fn sample(&self) -> MutexGuard<'_, Sample> {
        self.sample.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether enough was written to train the next dictionary.
    fn is_due(&self) -> bool {
        let lesson = self.lesson.load(Ordering::Relaxed);
        let wanted = LESSONS.get(lesson as usize);
        wanted.is_some_and(|wanted| self.sample().seen >= *wanted)
    }

    /// Makes the dictionaries of the database known, and writes with the newest.
    pub(crate) async fn read(&self, connection: &mut Connection<'_>) -> Result<(), Error> {
        let text = "SELECT lesson, bytes FROM text_dictionary ORDER BY lesson, id";
        let sql = Sql::fixed(connection.dialect(), text, []);
        for row in connection.fetch(sql).await? {
            let lesson = u32::try_from(row.integer(0)?).unwrap_or(u32::MAX);
            self.take(introduce(row.bytes(1)?)?, lesson);
        }
        Ok(())
    }

    fn take(&self, id: NonZeroU32, lesson: u32) {
        self.current.store(id.get(), Ordering::Release);
        self.lesson.store(lesson, Ordering::Relaxed);
        if !self.has_lessons() {
            *self.sample() = Sample::default();
        }
    }
}

/// A dictionary that was trained, on its way into the database.
#[derive(Debug)]
struct Learned {
    id: NonZeroU32,
    lesson: u32,
    bytes: Vec<u8>,
}

impl Work for Learned {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        transaction
            .add_dictionary(self.id.get(), self.lesson, self.bytes.clone())
            .await
    }
}

/// Trains a dictionary, if enough was written since the last one.
async fn train(texts: &Texts) -> Result<Option<Learned>, Error> {
    if !texts.is_due() || texts.is_learning.swap(true, Ordering::AcqRel) {
        return Ok(None);
    }
    let lesson = texts.lesson.load(Ordering::Relaxed) + 1;
    let sample = texts.sample().texts.clone();
    let trained = tokio::task::spawn_blocking(move || {
        let samples: Vec<&[u8]> = sample.iter().map(|text| text.as_bytes()).collect();
        zstd::dict::from_samples(&samples, DICTIONARY_BYTES_MAX)
    });
    let trained = trained.await.ok().and_then(Result::ok);
    let id = trained.as_deref().map(introduce).transpose();
    texts.is_learning.store(false, Ordering::Release);
    match (id?, trained) {
        (Some(id), Some(bytes)) => Ok(Some(Learned { id, lesson, bytes })),
        _ => {
            // Too little to learn from: the next lesson has more.
            texts.lesson.store(lesson, Ordering::Relaxed);
            Ok(None)
        }
    }
}

impl Store {
    /// Learns how to keep texts shorter, if enough was written since the last time; cheap otherwise.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learn(&self) -> Result<(), Error> {
        let texts = self.texts();
        let Some(learned) = train(texts).await? else {
            return Ok(());
        };
        let (id, lesson) = (learned.id, learned.lesson);
        self.transact(learned).await?;
        texts.take(id, lesson);
        Ok(())
    }

    /// Learns whenever it is time to, until there is nothing more to learn or Baton stops.
    pub async fn keep_learning(self, stop: CancellationToken) {
        let mut changed = self.changed();
        while self.texts().has_lessons() {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changed.changed() => if changed.is_err() { return },
            }
            if let Err(error) = self.learn().await {
                tracing::warn!(%error, "No dictionary was made for the texts of resources");
            }
        }
    }
}
