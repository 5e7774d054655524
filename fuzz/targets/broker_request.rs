//! Any requests to the embedded broker, one after the other on one connection: each is answered
//! with a whole frame, or ends the connection. A request is three bytes (API, version, length of
//! its body) and its body; API 255 is for a frame without any header.

#![no_main]

use bytes::{BufMut, Bytes, BytesMut};
use eventstreams_fuzz::broker::{answers, head};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let mut requests: Vec<Bytes> = Vec::new();
    while let Some(([api, version, length], behind)) = rest.split_first_chunk::<3>() {
        let (body, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        let mut request = if *api == 255 {
            BytesMut::new()
        } else {
            head(i16::from(*api % 80), i16::from(*version % 20))
        };
        request.put_slice(body);
        requests.push(request.freeze());
        if requests.len() == 16 {
            break;
        }
    }
    let count = requests.len();
    let answers = answers(requests);
    assert!(answers.len() <= count);
    for answer in answers {
        let length = answer
            .first_chunk::<4>()
            .map(|length| i32::from_be_bytes(*length));
        assert_eq!(
            length.map(i64::from),
            i64::try_from(answer.len() - 4).ok(),
            "an answer says how long it is"
        );
    }
});
