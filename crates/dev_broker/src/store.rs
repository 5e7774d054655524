//! The optional folder. It survives a kill of the process, not of the machine: nothing is synced.
//!
//! ```text
//! DIR/lock                                          held while a broker uses the folder
//! DIR/catalog.json                                  cluster id and topics; replaced as a whole
//! DIR/<topic id>/<partition>/<base offset>.log      batches as on the wire
//! DIR/<topic id>/<partition>/log-start              first offset that is not deleted
//! ```
//!
//! A topic's files are under its id, so that a late write to a deleted topic cannot reach a new
//! topic of that name. Each write is one batch and ends in the system's page cache, so it is made
//! at once, on the runtime's own threads.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::BrokerError;
use crate::batch::Batch;

const LOG_START: &str = "log-start";

/// How long to wait for a folder's lock: a killed process keeps it until the system has reclaimed
/// its memory.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// What the folder keeps besides records.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Catalog {
    pub(crate) cluster_id: String,
    pub(crate) topics: Vec<CatalogTopic>,
}

/// A topic in the catalog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CatalogTopic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    pub(crate) configs: BTreeMap<String, String>,
}

/// The folder of a broker, locked against a second one.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens or creates the folder, takes its lock (blocking for up to [`LOCK_PATIENCE`]), and
    /// reads the catalog (`None` in a new folder). Removes what a kill left of deleted topics.
    pub(crate) fn open(root: &Path) -> Result<(Self, Option<Catalog>), BrokerError> {
        let error = |source| BrokerError::Folder {
            path: root.to_owned(),
            source,
        };
        fs::create_dir_all(root).map_err(error)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("lock"))
            .map_err(error)?;
        let patience = Instant::now() + LOCK_PATIENCE;
        while let Err(refused) = lock.try_lock() {
            match refused {
                TryLockError::WouldBlock if Instant::now() < patience => {
                    thread::sleep(Duration::from_millis(20));
                }
                TryLockError::WouldBlock => {
                    return Err(BrokerError::FolderInUse {
                        path: root.to_owned(),
                    });
                }
                TryLockError::Error(source) => return Err(error(source)),
            }
        }
        let folder = Self {
            root: root.to_owned(),
            _lock: lock,
        };
        let catalog = folder.read_catalog().map_err(error)?;
        folder.remove_strays(catalog.as_ref()).map_err(error)?;
        Ok((folder, catalog))
    }

    fn read_catalog(&self) -> io::Result<Option<Catalog>> {
        match fs::read(self.root.join("catalog.json")) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn remove_strays(&self, catalog: Option<&Catalog>) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let id = entry
                .file_name()
                .to_str()
                .and_then(|name| Uuid::try_parse(name).ok());
            let known = |id| {
                catalog.is_some_and(|catalog| catalog.topics.iter().any(|topic| topic.id == id))
            };
            if id.is_some_and(|id| !known(id)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    pub(crate) fn write_catalog(&self, catalog: &Catalog) -> io::Result<()> {
        replace(
            &self.root.join("catalog.json"),
            &serde_json::to_vec_pretty(catalog)?,
        )
    }

    pub(crate) fn remove_topic(&self, id: Uuid) -> io::Result<()> {
        fs::remove_dir_all(self.root.join(id.to_string()))
    }

    pub(crate) fn partition(&self, id: Uuid, partition: usize) -> PathBuf {
        self.root.join(id.to_string()).join(partition.to_string())
    }
}

/// A segment read back.
pub(crate) struct StoredSegment {
    pub(crate) base_offset: i64,
    pub(crate) batches: Vec<Batch>,
}

/// The segment files of one partition; the last one is open for appending.
#[derive(Debug)]
pub(crate) struct SegmentFiles {
    folder: PathBuf,
    active: File,
    active_bytes: u64,
}

impl SegmentFiles {
    /// Opens a partition's folder; reads back its segments (at least one) and its log start offset.
    ///
    /// A file is cut before its first batch that is torn, corrupt or out of sequence. If that
    /// leaves a hole in the offsets, the log ends there. Any other hole comes from old segments
    /// that could not be removed, which are removed now.
    pub(crate) fn open(folder: PathBuf) -> io::Result<(Self, Vec<StoredSegment>, i64)> {
        fs::create_dir_all(&folder)?;
        let mut segments: Vec<StoredSegment> = Vec::new();
        let mut is_cut = false;
        for base_offset in base_offsets(&folder)? {
            let path = segment_path(&folder, base_offset);
            let end = segments.last().map(|before| {
                before
                    .batches
                    .last()
                    .map_or(before.base_offset, Batch::next_offset)
            });
            if end.is_some_and(|end| end != base_offset) {
                tracing::warn!(
                    path = %path.display(),
                    end,
                    "a segment does not follow the one before it: removed stale ones"
                );
                if is_cut {
                    fs::remove_file(&path)?;
                    continue;
                }
                for stale in segments.drain(..) {
                    fs::remove_file(segment_path(&folder, stale.base_offset))?;
                }
            }
            let (batches, cut) = read_segment(&path, base_offset)?;
            is_cut |= cut;
            segments.push(StoredSegment {
                base_offset,
                batches,
            });
        }
        let start = read_log_start(&folder)?;
        if segments.is_empty() {
            segments.push(StoredSegment {
                base_offset: start,
                batches: Vec::new(),
            });
        }
        let last = segments.last().map_or(0, |segment| segment.base_offset);
        let (active, active_bytes) = open_segment(&folder, last)?;
        Ok((
            Self {
                folder,
                active,
                active_bytes,
            },
            segments,
            start,
        ))
    }

    /// Appends a batch to the active segment. After an error nothing of it is left in the file.
    pub(crate) fn append(&mut self, batch: &Batch) -> io::Result<()> {
        if let Err(e) = self.active.write_all(batch.bytes()) {
            self.active.set_len(self.active_bytes)?;
            return Err(e);
        }
        self.active_bytes += batch.size() as u64;
        Ok(())
    }

    /// Starts a new active segment.
    pub(crate) fn roll(&mut self, base_offset: i64) -> io::Result<()> {
        (self.active, self.active_bytes) = open_segment(&self.folder, base_offset)?;
        Ok(())
    }

    /// Removes a segment that is not the active one. If that fails, the next start removes it.
    pub(crate) fn remove(&mut self, base_offset: i64) {
        let path = segment_path(&self.folder, base_offset);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove an old segment");
        }
    }

    /// Remembers that records before `offset` are deleted.
    pub(crate) fn set_log_start(&mut self, offset: i64) -> io::Result<()> {
        replace(&self.folder.join(LOG_START), offset.to_string().as_bytes())
    }
}

fn segment_path(folder: &Path, base_offset: i64) -> PathBuf {
    folder.join(format!("{base_offset:020}.log"))
}

fn open_segment(folder: &Path, base_offset: i64) -> io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(segment_path(folder, base_offset))?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

fn base_offsets(folder: &Path) -> io::Result<Vec<i64>> {
    let mut offsets = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        offsets.extend(
            name.to_str()
                .and_then(|name| name.strip_suffix(".log"))
                .and_then(|digits| digits.parse::<i64>().ok()),
        );
    }
    offsets.sort_unstable();
    Ok(offsets)
}

/// The batches of one file, and whether it had to be cut.
fn read_segment(path: &Path, base_offset: i64) -> io::Result<(Vec<Batch>, bool)> {
    let mut rest = Bytes::from(fs::read(path)?);
    let mut good_bytes = 0;
    let mut batches = Vec::new();
    let mut next = base_offset;
    while let Some(bytes) = Batch::split_first(&mut rest) {
        match Batch::parse_stored(&bytes) {
            // Copied into memory of its own: a slice would keep the bytes of the whole file.
            Ok(batch) if batch.base_offset() == next => batches.push(batch.placed_at(next)),
            _ => break,
        }
        next = batches.last().map_or(next, Batch::next_offset);
        good_bytes += batches.last().map_or(0, Batch::size) as u64;
    }
    let bytes = fs::metadata(path)?.len();
    if bytes != good_bytes {
        tracing::warn!(
            path = %path.display(),
            bytes,
            good_bytes,
            next_offset = next,
            "cut a segment's torn tail"
        );
        OpenOptions::new()
            .write(true)
            .open(path)?
            .set_len(good_bytes)?;
    }
    Ok((batches, bytes != good_bytes))
}

fn read_log_start(folder: &Path) -> io::Result<i64> {
    match fs::read_to_string(folder.join(LOG_START)) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{LOG_START}: {e}"))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(e),
    }
}

/// Writes a small file so that a kill leaves either the old or the new one.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, contents)?;
    fs::rename(&new, path)
}
