//! Reads a request's body without trusting the lengths in it.
//!
//! The codec allocates an array before it reads the elements, with the length that the request
//! claims: 20 bytes could claim 200 GiB and end the process. A body is therefore decoded twice. The
//! first pass goes through [`Suspicious`], which shortens every claimed length to one more than the
//! bytes that are left: an element takes at least one byte, so a shortened array always fails. Only
//! if that succeeds is the body decoded as it is. Bodies are slices of the frame, so the second
//! pass copies nothing.

use bytes::{Buf, Bytes, TryGetError};
use kafka_protocol::protocol::Decodable;
use kafka_protocol::protocol::buf::ByteBuf;

/// A varint may exceed the bytes that are left by this much: it can be a field's tag, not only a
/// length.
const TAG_MAX: usize = 64;

/// Decodes a body in a version that the codec supports; the caller has checked that.
///
/// # Errors
/// When the body does not have the form of that version of `T`.
pub(crate) fn decode<T: Decodable>(body: &Bytes, version: i16) -> anyhow::Result<T> {
    T::decode(
        &mut Suspicious {
            bytes: body.clone(),
            refused: false,
            varint_seen: 0,
        },
        version,
    )?;
    T::decode(&mut body.clone(), version)
}

/// A buffer that returns no length larger than its contents.
///
/// The codec reads lengths in two ways: as `i32`, which may also be an ordinary field and is
/// therefore shortened in the first pass instead of refused, and as varints, byte by byte. Apart
/// from lengths and tags only booleans are read as `u8`, and they are small.
struct Suspicious {
    bytes: Bytes,
    refused: bool,
    /// The bytes still to be read of a varint that was inspected.
    varint_seen: usize,
}

impl Suspicious {
    fn look_at_varint(&mut self) {
        if self.varint_seen > 0 {
            self.varint_seen -= 1;
            return;
        }
        let (mut number, mut length) = (0_u64, 0_usize);
        for byte in self.bytes.iter().take(5) {
            number |= u64::from(byte & 0x7f) << (7 * length);
            length += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        self.refused |= number > (self.bytes.len() + TAG_MAX) as u64;
        self.varint_seen = length.saturating_sub(1);
    }
}

impl Buf for Suspicious {
    fn remaining(&self) -> usize {
        if self.refused { 0 } else { self.bytes.len() }
    }

    fn chunk(&self) -> &[u8] {
        if self.refused { &[] } else { &self.bytes }
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn try_get_u8(&mut self) -> Result<u8, TryGetError> {
        self.look_at_varint();
        if self.refused {
            return Err(TryGetError {
                requested: 1,
                available: 0,
            });
        }
        self.bytes.try_get_u8()
    }

    fn try_get_i32(&mut self) -> Result<i32, TryGetError> {
        if self.refused {
            return Err(TryGetError {
                requested: 4,
                available: 0,
            });
        }
        let number = self.bytes.try_get_i32()?;
        Ok(number.min(i32::try_from(self.bytes.len() + 1).unwrap_or(i32::MAX)))
    }
}

impl ByteBuf for Suspicious {
    fn peek_bytes(&mut self, range: std::ops::Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    fn get_bytes(&mut self, size: usize) -> Bytes {
        self.bytes.split_to(size)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, BytesMut};
    use kafka_protocol::messages::{FetchRequest, MetadataRequest, ProduceRequest};
    use kafka_protocol::protocol::Encodable;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_array_that_claims_billions_of_elements_is_refused() {
        // Metadata 4: an i32 length; 9: a varint. Believed, each would allocate more than 100 GiB.
        assert!(
            decode::<MetadataRequest>(&Bytes::from_static(b"\x7f\xff\xff\xff\0\0\0\0"), 4).is_err()
        );
        assert!(
            decode::<MetadataRequest>(&Bytes::from_static(b"\xff\xff\xff\xff\x0f\0\0\0\0"), 9)
                .is_err()
        );
    }

    #[test]
    fn numbers_larger_than_the_request_are_left_alone() {
        for version in 4..=18 {
            let request = FetchRequest::default()
                .with_max_bytes(i32::MAX)
                .with_max_wait_ms(1 << 30);
            let mut body = BytesMut::new();
            request.encode(&mut body, version).unwrap();
            assert_eq!(
                decode::<FetchRequest>(&body.freeze(), version).unwrap(),
                request,
                "version {version}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_decoder_panic_or_allocate_without_bound(
            body: Vec<u8>, version in 3..=13_i16, claimed: u32, at in 0..40_usize,
        ) {
            let mut bytes = BytesMut::from(&body[..]);
            let tail = bytes.split_off(at.min(bytes.len()));
            bytes.put_u32(claimed);
            bytes.extend_from_slice(&tail);
            let body = bytes.freeze();
            let _ = decode::<ProduceRequest>(&body, version);
            let _ = decode::<FetchRequest>(&body, version.max(4));
            let _ = decode::<MetadataRequest>(&body, version);
        }
    }
}
