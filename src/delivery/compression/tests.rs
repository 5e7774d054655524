use std::io::Read as _;

use proptest::prelude::*;

use super::*;

fn decoded(coding: ContentCoding, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        ContentCoding::Identity => plain.extend_from_slice(body),
        // Not the decoder of several members: it must be one, and nothing may follow it.
        ContentCoding::Gzip => {
            let mut decoder = flate2::bufread::GzDecoder::new(body);
            decoder.read_to_end(&mut plain).expect("one valid member");
            assert!(
                decoder.into_inner().is_empty(),
                "nothing follows the member"
            );
        }
        ContentCoding::Zstd if body.is_empty() => {}
        ContentCoding::Zstd => {
            zstd::stream::read::Decoder::new(body)
                .expect("a decoder")
                .read_to_end(&mut plain)
                .expect("whole frames");
        }
    }
    plain
}

#[test]
fn checksums_are_combined_and_separated() {
    let one = Bytes::from_static(b"one");
    let other = Bytes::from_static(b"and another");
    let both = Checksum::of(&[one.clone(), other.clone()]);
    let a = Checksum::of(&[one]);
    let b = Checksum::of(&[other]);
    assert_eq!(
        (
            a.then(b),
            both.since(a),
            both.since(Checksum::default()),
            both.since(both)
        ),
        (both, b, both, Checksum::default())
    );
}

#[test]
fn a_window_of_zstd_is_no_larger_than_every_decoder_allows() {
    // RFC 9659: content codings stay within 8 MB.
    const { assert!(1 << ZSTD_WINDOW_LOG <= 8 * 1024 * 1024) };
}

/// What happens to a body.
#[derive(Clone, Debug)]
enum Step {
    /// It is written alone.
    Alone(Vec<u8>),
    /// The client joins the group.
    Join,
    /// The group writes it.
    Shared(Vec<u8>),
    /// The group's compressor restarts.
    Restart,
    /// The client leaves the group.
    Leave,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(0_u8..4, 0..5000)
        ]
    };
    let step = prop_oneof![
        2 => bytes().prop_map(Step::Alone),
        2 => Just(Step::Join),
        4 => bytes().prop_map(Step::Shared),
        1 => Just(Step::Restart),
        1 => Just(Step::Leave),
    ];
    prop::collection::vec(step, 0..40)
}

/// Runs the steps for one client. Returns the body that it received, and what that must decode to.
fn run(coding: ContentCoding, steps: Vec<Step>) -> (Vec<u8>, Vec<u8>) {
    let mut own = Compressor::new(coding);
    let mut shared = SharedCompressor::new(coding, &MemoryBudget::new(1 << 30));
    let mut joined = None;
    let mut wire = own.head().to_vec();
    let mut plain = Vec::new();
    for step in steps {
        match step {
            Step::Alone(bytes) if joined.is_none() => {
                plain.extend_from_slice(&bytes);
                wire.extend(own.compress(vec![bytes.into()]).concat());
            }
            Step::Join if joined.is_none() && shared.at_restart_point() => {
                joined = Some(shared.checksum());
            }
            Step::Shared(bytes) => {
                let half = bytes.len() / 2;
                let written = shared
                    .compress(vec![
                        bytes[..half].to_vec().into(),
                        bytes[half..].to_vec().into(),
                    ])
                    .concat();
                if joined.is_some() {
                    plain.extend_from_slice(&bytes);
                    wire.extend(written);
                }
            }
            Step::Restart => {
                let end = shared.restart();
                if joined.is_some() {
                    wire.extend(end);
                }
            }
            Step::Leave => {
                if let Some(joined) = joined.take() {
                    let (end, sum) = shared.leave(joined);
                    wire.extend(end);
                    own.add(sum);
                }
            }
            Step::Alone(_) | Step::Join => {}
        }
    }
    if let Some(joined) = joined {
        let (end, sum) = shared.leave(joined);
        wire.extend(end);
        own.add(sum);
    }
    wire.extend(own.tail());
    (wire, plain)
}

proptest! {
    #[test]
    fn every_body_is_decoded_completely(steps in steps()) {
        for coding in [ContentCoding::Identity, ContentCoding::Gzip, ContentCoding::Zstd] {
            let (wire, plain) = run(coding, steps.clone());
            prop_assert!(decoded(coding, &wire) == plain, "{coding:?}");
        }
    }
}
