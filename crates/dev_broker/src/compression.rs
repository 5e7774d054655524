//! Unpacks a compressed batch within a bound.
//!
//! The decompression of `kafka-protocol` has no bound: a few kilobytes of zstd could claim all
//! memory. The same crates are therefore called here directly.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use kafka_protocol::records::Compression;

/// The most bytes that one batch may unpack to: a dozen times the largest record that production
/// allows (10 MiB).
const UNPACKED_BYTES_MAX: usize = 128 << 20;

/// The beginning of snappy-java's stream format. Blocks follow, each after its length (u32).
/// <https://github.com/xerial/snappy-java#compatibility-notes>
const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\0";
const XERIAL_HEADER_BYTES: usize = 16;

/// Unpacks the records of a batch.
///
/// # Errors
/// When `packed` is not what `codec` says, or unpacks to more than [`UNPACKED_BYTES_MAX`].
pub(crate) fn unpack(packed: &[u8], codec: Compression) -> io::Result<Cow<'_, [u8]>> {
    let unpacked = match codec {
        Compression::None => return Ok(Cow::Borrowed(packed)),
        Compression::Gzip => read_bounded(MultiGzDecoder::new(packed)),
        Compression::Snappy => unpack_snappy(packed),
        Compression::Lz4 => read_bounded(lz4::Decoder::new(packed)?),
        Compression::Zstd => read_bounded(zstd::stream::read::Decoder::with_buffer(packed)?),
    };
    unpacked.map(Cow::Owned)
}

fn read_bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    reader
        .take(UNPACKED_BYTES_MAX as u64 + 1)
        .read_to_end(&mut unpacked)?;
    if unpacked.len() > UNPACKED_BYTES_MAX {
        Err(too_large())
    } else {
        Ok(unpacked)
    }
}

/// Snappy comes in two shapes: a stream of blocks (snappy-java, librdkafka before 0.11) and one
/// bare block (librdkafka).
fn unpack_snappy(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    if !packed.starts_with(XERIAL_MAGIC) {
        unpack_snappy_block(packed, &mut unpacked)?;
        return Ok(unpacked);
    }
    let mut rest = packed.get(XERIAL_HEADER_BYTES..).ok_or_else(cut_short)?;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (block, after) = after.split_at_checked(length).ok_or_else(cut_short)?;
        unpack_snappy_block(block, &mut unpacked)?;
        rest = after;
    }
    if rest.is_empty() {
        Ok(unpacked)
    } else {
        Err(cut_short())
    }
}

fn unpack_snappy_block(block: &[u8], unpacked: &mut Vec<u8>) -> io::Result<()> {
    let length = snap::raw::decompress_len(block)?;
    let start = unpacked.len();
    if length > UNPACKED_BYTES_MAX - start {
        return Err(too_large());
    }
    unpacked.resize(start + length, 0);
    snap::raw::Decoder::new().decompress(block, &mut unpacked[start..])?;
    Ok(())
}

fn too_large() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("unpacks to more than {UNPACKED_BYTES_MAX} bytes"),
    )
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "a snappy block is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_snappy_shapes_unpack() {
        let block = snap::raw::Encoder::new()
            .compress_vec(b"hello hello hello")
            .unwrap();
        assert_eq!(
            unpack(&block, Compression::Snappy).unwrap()[..],
            *b"hello hello hello"
        );
        let mut stream = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
        for _ in 0..2 {
            stream.extend(u32::try_from(block.len()).unwrap().to_be_bytes());
            stream.extend(&block);
        }
        assert_eq!(
            unpack(&stream, Compression::Snappy).unwrap()[..],
            *b"hello hello hellohello hello hello"
        );
        assert!(unpack(&stream[..stream.len() - 1], Compression::Snappy).is_err());
    }

    #[test]
    fn a_bomb_is_refused_without_unpacking_it_all() {
        let zeros = vec![0; UNPACKED_BYTES_MAX + 1];
        let bomb = zstd::stream::encode_all(&zeros[..], 1).unwrap();
        assert!(bomb.len() < 100_000);
        assert!(unpack(&bomb, Compression::Zstd).is_err());
        // A bare snappy block that only claims to be 4 GiB.
        assert!(unpack(b"\xff\xff\xff\xff\x0f", Compression::Snappy).is_err());
    }
}
