//! Damage to files, for tests of what reads them.

use crate::rng::Stream;

/// What tends to break readers.
const TOKENS: [&[u8]; 24] = [
    b"\0",
    b"-1",
    b"1e999",
    b"NaN",
    b"-inf",
    b"99999999999999999999",
    b"99999999 ",
    b"\n",
    b"\n\n",
    b"\r\n",
    b"\r",
    b"\t",
    b"  ",
    b" 1 2\n",
    b" \n",
    b"\"",
    b"\\",
    b"}",
    b"[",
    b"]",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc3",
    b"\x1f\x8b",
];

/// Some bytes changed, cut out, repeated or replaced, and sometimes the end cut off.
pub(crate) fn damage(bytes: &[u8], stream: &mut Stream) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + stream.below(3) {
        let (at, length) = (stream.below(bytes.len()), stream.below(12));
        let end = (at + length).min(bytes.len());
        let at = at.min(end);
        match stream.below(7) {
            0 if at < end => bytes[at] = stream.bits() as u8,
            1 if at < end => bytes[at] ^= 1 << stream.below(8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].repeat(1 + stream.below(40));
                bytes.splice(at..at, part);
            }
            4 | 5 => drop(bytes.splice(at..end, TOKENS[stream.below(TOKENS.len())].iter().copied())),
            _ if stream.below(4) == 0 => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}
