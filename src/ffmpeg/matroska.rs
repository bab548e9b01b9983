//! As much of Matroska (RFC 9559) as hands raw frames with their own times to ffmpeg: its raw formats have none.

use crate::frame::Size;

/// Ticks of a microsecond, in nanoseconds.
const TICK: u64 = 1000;

/// What stands before the first frame of RGB pictures of `size`: a segment without end, so that it can go into a pipe.
pub fn header(size: Size) -> Vec<u8> {
    let mut out = element(&[0x1A, 0x45, 0xDF, 0xA3], &element(&[0x42, 0x82], b"matroska"));
    out.extend([0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    let info =
        [number(&[0x2A, 0xD7, 0xB1], TICK), element(&[0x4D, 0x80], b"nijigen"), element(&[0x57, 0x41], b"nijigen")];
    out.extend(element(&[0x15, 0x49, 0xA9, 0x66], &info.concat()));
    let video = [
        number(&[0xB0], u64::from(size.width)),
        number(&[0xBA], u64::from(size.height)),
        // The code by which ffmpeg knows 24-bit RGB.
        element(&[0x2E, 0xB5, 0x24], b"RGB\x18"),
    ];
    let track = [
        number(&[0xD7], 1),
        number(&[0x73, 0xC5], 1),
        number(&[0x83], 1),
        element(&[0x86], b"V_UNCOMPRESSED"),
        element(&[0xE0], &video.concat()),
    ];
    out.extend(element(&[0x16, 0x54, 0xAE, 0x6B], &element(&[0xAE], &track.concat())));
    out
}

/// What stands before a frame of `len` bytes that is shown `micros` microseconds after the start: a cluster of its own.
pub fn before_frame(micros: u64, len: usize) -> Vec<u8> {
    // The frame's own block: track 1, at the cluster's time, a key frame.
    let mut block = vec![0xA3];
    block.extend(length(len as u64 + 4));
    block.extend([0x81, 0x00, 0x00, 0x80]);
    let time = number(&[0xE7], micros);
    let mut out = vec![0x1F, 0x43, 0xB6, 0x75];
    out.extend(length((time.len() + block.len() + len) as u64));
    out.extend(time);
    out.extend(block);
    out
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = id.to_vec();
    out.extend(length(content.len() as u64));
    out.extend_from_slice(content);
    out
}

fn number(id: &[u8], value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

/// A length in its 8-byte form.
fn length(len: u64) -> [u8; 8] {
    (len | 1 << 56).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_their_lengths() {
        assert_eq!(element(&[0x42, 0x82], b"ab"), [0x42, 0x82, 1, 0, 0, 0, 0, 0, 0, 2, b'a', b'b']);
        let cluster = before_frame(5, 12);
        // Identifier and length, then as many bytes as the length says, less the frame that follows.
        assert_eq!(cluster.len() - 12 + 12, usize::from(cluster[11]));
    }
}
