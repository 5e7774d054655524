//! Watches files by polling: mounted configuration is replaced through symbolic links, which change
//! notifications miss.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::time::sleep;

use crate::limits;

/// When a file was changed, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileState {
    pub(super) modified: SystemTime,
    pub(super) bytes: u64,
}

/// The states of several files; `None` for one that cannot be read.
pub(super) type FileStates = Vec<Option<FileState>>;

pub(super) fn file_states(files: &[PathBuf]) -> FileStates {
    files.iter().map(|path| file_state(path).ok()).collect()
}

fn file_state(path: &Path) -> std::io::Result<FileState> {
    let metadata = path.metadata()?;
    Ok(FileState {
        modified: metadata.modified()?,
        bytes: metadata.len(),
    })
}

/// Waits until two polls see the same states: nothing is writing the files.
pub(super) async fn settled(files: &[PathBuf]) -> FileStates {
    let mut states = file_states(files);
    loop {
        sleep(limits::RELOAD_POLL_INTERVAL).await;
        let before = std::mem::replace(&mut states, file_states(files));
        if states == before {
            return states;
        }
    }
}

/// Waits until the states of the files are not `before` any more.
pub(super) async fn changed(files: Vec<PathBuf>, before: FileStates) {
    while file_states(&files) == before {
        sleep(limits::RELOAD_POLL_INTERVAL).await;
    }
}
