//! A decoder of `Content-Encoding` that returns all that each piece completes, as a client does
//! that shows events at once.

use std::fmt;
use std::io::Write as _;

use flate2::write::GzDecoder;
use zstd::stream::raw::{DParameter, Decoder as Zstd, InBuffer, Operation as _, OutBuffer};

/// The largest window that a zstd decoder must support, as a power of two: 8 MiB (RFC 9659, section
/// 3).
const WINDOW_LOG_MAX: u32 = 23;

/// A strict decoder: input that a decoder may reject is an error.
pub enum Decoder {
    /// One member (RFC 1952) with nothing after it.
    Gzip(Box<GzDecoder<Vec<u8>>>),
    /// Frames (RFC 8878), and whether the last one is complete.
    Zstd(Zstd<'static>, bool),
}

impl Decoder {
    /// The decoder for a name in `Content-Encoding`.
    pub fn new(coding: &str) -> Self {
        match coding {
            "gzip" => Self::Gzip(Box::new(GzDecoder::new(Vec::new()))),
            "zstd" => {
                let mut zstd = Zstd::new().expect("a decoder");
                zstd.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
                    .expect("a window that zstd allows");
                Self::Zstd(zstd, true)
            }
            _ => panic!("unexpected coding {coding:?}"),
        }
    }

    /// Appends all data that these bytes complete to `body`.
    ///
    /// # Errors
    /// The bytes are not of this coding, a checksum or length is wrong, or there is data after the
    /// end.
    pub fn feed(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Gzip(gzip) => {
                gzip.write_all(bytes)
                    .and_then(|()| gzip.flush())
                    .map_err(|err| format!("gzip: {err}"))?;
                body.append(gzip.get_mut());
                Ok(())
            }
            Self::Zstd(zstd, is_whole) => feed_zstd(zstd, is_whole, bytes, body),
        }
    }

    /// Checks that the coding is complete: the checksum and length of the one member, or the end of
    /// a frame.
    ///
    /// # Errors
    /// It is incomplete.
    pub fn check_complete(&mut self) -> Result<(), String> {
        match self {
            Self::Gzip(gzip) => gzip
                .try_finish()
                .map_err(|err| format!("gzip is incomplete: {err}")),
            Self::Zstd(_, true) => Ok(()),
            Self::Zstd(_, false) => Err("zstd is incomplete: inside a frame".to_owned()),
        }
    }
}

fn feed_zstd(
    zstd: &mut Zstd<'_>,
    is_whole: &mut bool,
    bytes: &[u8],
    body: &mut Vec<u8>,
) -> Result<(), String> {
    let mut input = InBuffer::around(bytes);
    let mut piece = Vec::with_capacity(128 * 1024);
    let mut is_full = false;
    while input.pos() < bytes.len() || is_full {
        piece.clear();
        let mut output = OutBuffer::around(&mut piece);
        let wanted = zstd
            .run(&mut input, &mut output)
            .map_err(|err| format!("zstd: {err}"))?;
        *is_whole = wanted == 0;
        is_full = !*is_whole && output.pos() == output.capacity();
        body.extend_from_slice(&piece);
    }
    Ok(())
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Gzip(_)) {
            "Gzip"
        } else {
            "Zstd"
        })
    }
}
