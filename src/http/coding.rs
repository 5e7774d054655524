//! How a body is coded: `Accept-Encoding`, and gzip and zstd in blocks that anybody can begin to read at.
//!
//! Nobody has a compressor of its own. What is written to one client is a block that refers to nothing before it ([`encode_alone`]); a
//! convoy has one compressor for all its streams ([`SharedCoder`]), which begins anew when somebody is to come aboard.
//!
//! * gzip (RFC 1952) is one member for the life of a response: blocks of deflate, each ended by a sync flush, so that the next
//!   begins at a whole byte. Length and checksum at its end are added up from those of the blocks.
//! * zstd (RFC 8878) is a frame for each block of one client, and a frame from one beginning to the next in a convoy. Who leaves a
//!   convoy in the middle of a frame ends it with an empty block.

use std::cell::RefCell;
use std::sync::Arc;

use super::negotiation::weighted;
use axum::http::HeaderValue;
use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation as _, OutBuffer};

use crate::limits;
use crate::memory::{Held, MemoryBudget, Use};

/// The codings of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

/// Level 1 of both: each further one costs more time than it saves bytes, for frames of JSON.
const LEVEL: u32 = 1;

/// What zstd looks back at, as a power of two: a decoder needs as much memory, and more does not help with events of a few kilobytes.
const ZSTD_WINDOW_LOG: u32 = 17;

/// Head of a gzip member: deflate, no flags, no time, no name, unknown system (RFC 1952 §2.3).
const GZIP_HEAD: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The last block of deflate: empty, with fixed codes (RFC 1951 §3.2.6).
const DEFLATE_LAST_BLOCK: &[u8] = &[3, 0];

/// The last block of a zstd frame: raw and empty (RFC 8878 §3.1.1.2).
const ZSTD_LAST_BLOCK: &[u8] = &[1, 0, 0];

impl Coding {
    /// The one that a request prefers by its `Accept-Encoding` (RFC 9110 §12.5.3), of two with one weight the one that saves more.
    /// Who asks for nothing gets identity; who refuses everything too.
    pub(super) fn preferred(accept_encoding: &str) -> Self {
        let weight = |coding: &str| {
            let of = |wanted: &str| {
                weighted(accept_encoding).find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            };
            of(coding).or_else(|| of("*")).map(|(_, weight)| weight)
        };
        let identity = weight("identity");
        let of = |coding, name| (weight(name).unwrap_or(0.0), coding);
        let (best, coding) = [of(Self::Zstd, "zstd"), of(Self::Gzip, "gzip")]
            .into_iter()
            .fold((0.0, Self::Identity), |best, next| {
                if next.0 > best.0 { next } else { best }
            });
        if best > 0.0 && identity.is_none_or(|identity| identity <= best) {
            coding
        } else {
            Self::Identity
        }
    }

    /// The one that the query's `compression` names.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            "none" => Some(Self::Identity),
            _ => None,
        }
    }

    /// What `Content-Encoding` says.
    pub(super) fn name(self) -> Option<HeaderValue> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
            Self::Zstd => Some(HeaderValue::from_static("zstd")),
        }
    }
}

/// Checksum and length of what was coded (RFC 1952 §2.3.1); only gzip keeps it.
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

    /// That of this followed by that.
    pub(super) fn then(self, next: Self) -> Self {
        let mut hasher = Hasher::new_with_initial_len(self.crc, self.bytes);
        hasher.combine(&Hasher::new_with_initial_len(next.crc, next.bytes));
        Self {
            crc: hasher.finalize(),
            bytes: self.bytes + next.bytes,
        }
    }

    /// That of what came after `before`.
    fn since(self, before: Self) -> Self {
        let bytes = self.bytes - before.bytes;
        let shifted = before.then(Self { crc: 0, bytes });
        Self {
            crc: self.crc ^ shifted.crc,
            bytes,
        }
    }
}

/// One response's body.
#[derive(Debug)]
pub(super) struct Coder {
    coding: Coding,
    sum: Checksum,
}

impl Coder {
    pub(super) fn new(coding: Coding) -> Self {
        Self {
            coding,
            sum: Checksum::default(),
        }
    }

    pub(super) fn coding(&self) -> Coding {
        self.coding
    }

    /// Checksum of all that was coded.
    pub(super) fn sum(&self) -> Checksum {
        self.sum
    }

    /// What comes before everything.
    pub(super) fn head(&self) -> Bytes {
        if self.coding == Coding::Gzip {
            Bytes::from_static(GZIP_HEAD)
        } else {
            Bytes::new()
        }
    }

    /// What is written for these pieces: they can be read with nothing but what this body began with.
    pub(super) fn encode(&mut self, pieces: Vec<Bytes>) -> Vec<Bytes> {
        if self.coding == Coding::Gzip {
            self.sum = self.sum.then(Checksum::of(&pieces));
        }
        encode_alone(self.coding, pieces)
    }

    /// A convoy has coded something for it.
    pub(super) fn add(&mut self, by_others: Checksum) {
        self.sum = self.sum.then(by_others);
    }

    /// What ends the body in order.
    pub(super) fn last(&self) -> Bytes {
        if self.coding != Coding::Gzip {
            return Bytes::new();
        }
        #[allow(clippy::cast_possible_truncation, reason = "the length is modulo 2^32")]
        let (crc, length) = (
            self.sum.crc.to_le_bytes(),
            (self.sum.bytes as u32).to_le_bytes(),
        );
        [DEFLATE_LAST_BLOCK, &crc, &length].concat().into()
    }
}

/// A block of one client's own. Nothing is kept of it.
fn encode_alone(coding: Coding, pieces: Vec<Bytes>) -> Vec<Bytes> {
    thread_local! {
        static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(LEVEL), false));
        static ZSTD: RefCell<Option<Encoder<'static>>> = const { RefCell::new(None) };
    }
    if coding == Coding::Identity || pieces.iter().all(Bytes::is_empty) {
        return pieces;
    }
    let block = match coding {
        Coding::Gzip => DEFLATE.with_borrow_mut(|deflate| {
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

/// The one compressor of a convoy.
pub(super) struct SharedCoder {
    kind: Kind,
    sum: Checksum,
    /// Nothing was coded since the last beginning.
    is_fresh: bool,
    _held: Held,
}

enum Kind {
    Identity,
    Gzip(Box<Compress>),
    Zstd(Box<Encoder<'static>>),
}

impl SharedCoder {
    pub(super) fn new(coding: Coding, memory: &Arc<MemoryBudget>) -> Self {
        let bytes = match coding {
            Coding::Identity => 0,
            Coding::Gzip => limits::GZIP_CODER_BYTES,
            Coding::Zstd => limits::ZSTD_CODER_BYTES,
        };
        let held = memory.hold(Use::Coders, bytes);
        let kind = match coding {
            Coding::Identity => Kind::Identity,
            Coding::Gzip => Kind::Gzip(Box::new(Compress::new(Compression::new(LEVEL), false))),
            Coding::Zstd => Kind::Zstd(Box::new(new_zstd())),
        };
        Self {
            kind,
            sum: Checksum::default(),
            is_fresh: true,
            _held: held,
        }
    }

    /// What is written for these pieces to all who were there since the last beginning.
    pub(super) fn encode(&mut self, pieces: Vec<Bytes>) -> Vec<Bytes> {
        if pieces.iter().all(Bytes::is_empty) {
            return pieces;
        }
        let block = match &mut self.kind {
            Kind::Identity => return pieces,
            Kind::Gzip(deflate) => {
                self.sum = self.sum.then(Checksum::of(&pieces));
                deflated(deflate, &pieces)
            }
            Kind::Zstd(zstd) => compressed(zstd, &pieces),
        };
        self.is_fresh = false;
        vec![block.into()]
    }

    /// Whether what comes next can be read by somebody who has nothing of what was.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh || matches!(self.kind, Kind::Identity)
    }

    /// Begins anew; returns what ends the old for those who were there.
    pub(super) fn begin_anew(&mut self) -> Bytes {
        if std::mem::replace(&mut self.is_fresh, true) {
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

    /// Checksum of all that was coded.
    pub(super) fn sum(&self) -> Checksum {
        self.sum
    }

    /// For one who was there when the sum was `joined` and leaves now: what has to follow what was written to it, and the
    /// checksum of that.
    pub(super) fn leave(&self, joined: Checksum) -> (Bytes, Checksum) {
        let in_frame = matches!(self.kind, Kind::Zstd(_)) && !self.is_fresh;
        let end = if in_frame {
            Bytes::from_static(ZSTD_LAST_BLOCK)
        } else {
            Bytes::new()
        };
        (end, self.sum.since(joined))
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
            // Room that was left says that nothing is held back.
            if deflate.total_in() - begun == piece.len() as u64 && out.len() < out.capacity() {
                break;
            }
        }
    }
    out
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

/// Room for what zstd makes of so many bytes, blocks' heads and all.
fn zstd_bound(bytes: usize) -> usize {
    zstd::zstd_safe::compress_bound(bytes) + 64
}

#[cfg(test)]
mod tests;
