//! Documents from files.

use std::io::ErrorKind;
use std::path::Path;

use tokio::fs;
use tokio::io::AsyncReadExt as _;

use super::error::BaseError;
use crate::limits::SCHEMA_BYTES_MAX;

/// Reads a file of a folder. A symbolic link is followed inside of the folder, and not out of it.
pub(super) async fn read_inside(folder: &Path, path: &Path) -> Result<Vec<u8>, BaseError> {
    let folder = fs::canonicalize(folder)
        .await
        .map_err(|error| describe(&error))?;
    let whole = folder.join(path);
    let whole = fs::canonicalize(whole)
        .await
        .map_err(|error| describe(&error))?;
    if !whole.starts_with(&folder) {
        return Err(BaseError::Outside);
    }
    read(&whole).await
}

pub(super) async fn read(path: &Path) -> Result<Vec<u8>, BaseError> {
    // Opening a pipe waits for its other end.
    let metadata = fs::metadata(path).await.map_err(|error| describe(&error))?;
    if !metadata.is_file() {
        return Err(BaseError::NotFound);
    }
    let file = fs::File::open(path)
        .await
        .map_err(|error| describe(&error))?;
    let mut bytes = Vec::new();
    let mut part = file.take(SCHEMA_BYTES_MAX as u64 + 1);
    part.read_to_end(&mut bytes)
        .await
        .map_err(|error| describe(&error))?;
    if bytes.len() > SCHEMA_BYTES_MAX {
        return Err(BaseError::TooLarge);
    }
    Ok(bytes)
}

fn describe(error: &std::io::Error) -> BaseError {
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename => BaseError::NotFound,
        _ => BaseError::Unreachable(error.to_string()),
    }
}
