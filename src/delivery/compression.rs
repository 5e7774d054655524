//! Content codings of a body (RFC 9110, section 8.4.1): gzip and zstd in blocks that a stream can
//! join.
//!
//! No client has a compressor of its own. What is written to one client alone is a block that
//! refers to nothing before it ([`Compressor`]). A write group shares one compressor
//! ([`SharedCompressor`]), which restarts when a stream joins.
//!
//! * gzip (RFC 1952): one member for the whole response. It consists of blocks of deflate, each
//!   ended by a sync flush, so that the next block starts at a whole byte. The checksum and the
//!   length at its end are combined from those of the blocks.
//! * zstd (RFC 8878): one frame for each block of a single client; in a group, one frame from
//!   restart to restart. A stream that leaves a group in the middle of a frame ends the frame with
//!   an empty block.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};
use http::HeaderValue;
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation as _, OutBuffer};

use crate::limits;
use crate::memory::{Held, MemoryBudget, Use};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentCoding {
    /// Uncompressed.
    Identity,
    /// gzip (RFC 1952).
    Gzip,
    /// zstd (RFC 8878).
    Zstd,
}

/// Level 1 for both: with frames of JSON, each further level costs more time than it saves bytes.
const LEVEL: u32 = 1;

/// The window of zstd, as a power of two. A decoder needs as much memory, and a larger window does
/// not help with events of a few kilobytes.
const ZSTD_WINDOW_LOG: u32 = 17;

/// The head of a gzip member: deflate, no flags, no time, no name, unknown system (RFC 1952,
/// section 2.3).
const GZIP_HEAD: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The last block of deflate: empty, with fixed codes (RFC 1951, section 3.2.6).
const DEFLATE_LAST_BLOCK: &[u8] = &[3, 0];

/// The last block of a zstd frame: raw and empty (RFC 8878, section 3.1.1.2).
const ZSTD_LAST_BLOCK: &[u8] = &[1, 0, 0];

impl ContentCoding {
    /// The coding that the query parameter `compression` names: `gzip`, `zstd` or `none`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            "none" => Some(Self::Identity),
            _ => None,
        }
    }

    /// The value of `Content-Encoding`; `None` for [`Self::Identity`].
    #[must_use]
    pub fn name(self) -> Option<HeaderValue> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
            Self::Zstd => Some(HeaderValue::from_static("zstd")),
        }
    }
}

/// The checksum and the length of uncompressed bytes (RFC 1952, section 2.3.1). Only gzip keeps
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checksum {
    crc: u32,
    bytes: u64,
}

impl Checksum {
    fn of(pieces: &[Bytes]) -> Self {
        let mut hasher = Hasher::new();
        for piece in pieces {
            hasher.update(piece);
        }
        let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self {
            crc: hasher.finalize(),
            bytes,
        }
    }

    /// The checksum of these bytes followed by those of `next`.
    pub(super) fn then(self, next: Self) -> Self {
        let mut hasher = Hasher::new_with_initial_len(self.crc, self.bytes);
        hasher.combine(&Hasher::new_with_initial_len(next.crc, next.bytes));
        Self {
            crc: hasher.finalize(),
            bytes: self.bytes + next.bytes,
        }
    }

    /// The checksum of the bytes after `before`.
    fn since(self, before: Self) -> Self {
        let bytes = self.bytes - before.bytes;
        let shifted = before.then(Self { crc: 0, bytes });
        Self {
            crc: self.crc ^ shifted.crc,
            bytes,
        }
    }
}

/// Compresses for one client alone. It keeps a checksum and no state of a compressor.
#[derive(Debug)]
pub(super) struct Compressor {
    coding: ContentCoding,
    checksum: Checksum,
}

impl Compressor {
    pub(super) fn new(coding: ContentCoding) -> Self {
        Self {
            coding,
            checksum: Checksum::default(),
        }
    }

    pub(super) fn coding(&self) -> ContentCoding {
        self.coding
    }

    /// The checksum of all bytes so far.
    pub(super) fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// The first bytes of the body.
    pub(super) fn head(&self) -> Bytes {
        if self.coding == ContentCoding::Gzip {
            Bytes::from_static(GZIP_HEAD)
        } else {
            Bytes::new()
        }
    }

    /// Compresses the pieces into a block that refers to nothing before it.
    pub(super) fn compress(&mut self, pieces: Vec<Bytes>) -> Vec<Bytes> {
        if self.coding == ContentCoding::Gzip {
            self.checksum = self.checksum.then(Checksum::of(&pieces));
        }
        compress_alone(self.coding, pieces)
    }

    /// Adds what a group compressed for this client.
    pub(super) fn add(&mut self, by_group: Checksum) {
        self.checksum = self.checksum.then(by_group);
    }

    /// The last bytes of the body.
    pub(super) fn tail(&self) -> Bytes {
        if self.coding != ContentCoding::Gzip {
            return Bytes::new();
        }
        let crc = self.checksum.crc.to_le_bytes();
        #[expect(clippy::cast_possible_truncation, reason = "the length is modulo 2^32")]
        let length = (self.checksum.bytes as u32).to_le_bytes();
        [DEFLATE_LAST_BLOCK, &crc, &length].concat().into()
    }
}

/// Compresses one block with a compressor of the thread.
fn compress_alone(coding: ContentCoding, pieces: Vec<Bytes>) -> Vec<Bytes> {
    thread_local! {
        static DEFLATE: RefCell<Compress> = RefCell::new(new_deflate());
        static ZSTD: RefCell<Option<Encoder<'static>>> = const { RefCell::new(None) };
    }
    if coding == ContentCoding::Identity || pieces.iter().all(Bytes::is_empty) {
        return pieces;
    }
    let block = match coding {
        ContentCoding::Gzip => DEFLATE.with_borrow_mut(|deflate| {
            deflate.reset();
            deflated(deflate, &pieces)
        }),
        _ => ZSTD.with_borrow_mut(|zstd| {
            let zstd = zstd.get_or_insert_with(new_zstd);
            let mut block = compressed(zstd, &pieces);
            end_frame(zstd, &mut block);
            block
        }),
    };
    vec![block.into()]
}

/// The compressor of a write group.
pub(super) struct SharedCompressor {
    kind: Kind,
    checksum: Checksum,
    /// Nothing was compressed since the last restart.
    at_restart_point: bool,
    _held: Held,
}

enum Kind {
    Identity,
    Gzip(Box<Compress>),
    Zstd(Box<Encoder<'static>>),
}

impl SharedCompressor {
    pub(super) fn new(coding: ContentCoding, memory: &Arc<MemoryBudget>) -> Self {
        let bytes = match coding {
            ContentCoding::Identity => 0,
            ContentCoding::Gzip => limits::GZIP_COMPRESSOR_BYTES,
            ContentCoding::Zstd => limits::ZSTD_COMPRESSOR_BYTES,
        };
        let held = memory.hold(Use::Compressors, bytes);
        let kind = match coding {
            ContentCoding::Identity => Kind::Identity,
            ContentCoding::Gzip => Kind::Gzip(Box::new(new_deflate())),
            ContentCoding::Zstd => Kind::Zstd(Box::new(new_zstd())),
        };
        Self {
            kind,
            checksum: Checksum::default(),
            at_restart_point: true,
            _held: held,
        }
    }

    /// Compresses the pieces for all streams that were members at the last restart.
    pub(super) fn compress(&mut self, pieces: Vec<Bytes>) -> Vec<Bytes> {
        if pieces.iter().all(Bytes::is_empty) {
            return pieces;
        }
        let block = match &mut self.kind {
            Kind::Identity => return pieces,
            Kind::Gzip(deflate) => {
                self.checksum = self.checksum.then(Checksum::of(&pieces));
                deflated(deflate, &pieces)
            }
            Kind::Zstd(zstd) => compressed(zstd, &pieces),
        };
        self.at_restart_point = false;
        vec![block.into()]
    }

    /// Whether a stream that has nothing of what came before can join now.
    pub(super) fn at_restart_point(&self) -> bool {
        self.at_restart_point || matches!(self.kind, Kind::Identity)
    }

    /// Restarts. Returns the bytes that end the current frame for the members.
    pub(super) fn restart(&mut self) -> Bytes {
        if std::mem::replace(&mut self.at_restart_point, true) {
            return Bytes::new();
        }
        match &mut self.kind {
            Kind::Identity => Bytes::new(),
            Kind::Gzip(deflate) => {
                deflate.reset();
                Bytes::new()
            }
            Kind::Zstd(zstd) => {
                let mut end = Vec::new();
                end_frame(zstd, &mut end);
                end.into()
            }
        }
    }

    /// The checksum of all bytes so far.
    pub(super) fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// For a member that was admitted at the checksum `joined` and leaves now: the bytes that have
    /// to follow, and the checksum of what was compressed for it.
    pub(super) fn leave(&self, joined: Checksum) -> (Bytes, Checksum) {
        let in_frame = matches!(self.kind, Kind::Zstd(_)) && !self.at_restart_point;
        let end = if in_frame {
            Bytes::from_static(ZSTD_LAST_BLOCK)
        } else {
            Bytes::new()
        };
        (end, self.checksum.since(joined))
    }
}

fn deflated(deflate: &mut Compress, pieces: &[Bytes]) -> Vec<u8> {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let mut out = Vec::with_capacity(length / 2 + 256);
    for (number, piece) in pieces.iter().enumerate() {
        let flush = if number + 1 == pieces.len() {
            FlushCompress::Sync
        } else {
            FlushCompress::None
        };
        let begun = deflate.total_in();
        loop {
            let done = usize::try_from(deflate.total_in() - begun).unwrap_or(piece.len());
            if out.capacity() - out.len() < 64 {
                out.reserve(out.capacity());
            }
            deflate
                .compress_vec(&piece[done..], &mut out, flush)
                .expect("deflate without a dictionary takes all input");
            // Free room in the output means that nothing is held back.
            if deflate.total_in() - begun == piece.len() as u64 && out.len() < out.capacity() {
                break;
            }
        }
    }
    out
}

fn new_deflate() -> Compress {
    let zlib_header = false;
    Compress::new(Compression::new(LEVEL), zlib_header)
}

fn new_zstd() -> Encoder<'static> {
    let mut zstd =
        Encoder::new(i32::try_from(LEVEL).unwrap_or(1)).expect("memory for a compressor");
    zstd.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))
        .expect("a window that zstd allows");
    zstd
}

fn compressed(zstd: &mut Encoder<'_>, pieces: &[Bytes]) -> Vec<u8> {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    let mut out = Vec::with_capacity(zstd_bound(length));
    let mut buffer = OutBuffer::around(&mut out);
    for piece in pieces {
        let mut input = InBuffer::around(piece);
        while input.pos() < piece.len() {
            zstd.run(&mut input, &mut buffer)
                .expect("zstd takes any input");
        }
    }
    while zstd.flush(&mut buffer).expect("zstd gives what it has") > 0 {}
    out
}

fn end_frame(zstd: &mut Encoder<'_>, out: &mut Vec<u8>) {
    let mut end = Vec::with_capacity(zstd_bound(0));
    let mut buffer = OutBuffer::around(&mut end);
    while zstd
        .finish(&mut buffer, true)
        .expect("zstd gives what it has")
        > 0
    {}
    out.extend_from_slice(&end);
}

/// The size of the output buffer for this many bytes.
fn zstd_bound(bytes: usize) -> usize {
    zstd::zstd_safe::compress_bound(bytes) + 64
}

#[cfg(test)]
mod tests;
