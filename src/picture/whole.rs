//! Whether a picture's file is whole. Decoders draw what they have of a truncated one, and some say nothing.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

/// Whether PNG's last chunk (IEND) stands where the chunks before it lead (PNG, third edition, section 5). A trailer is
/// not minded.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn png<R: Read + Seek>(file: &mut R) -> io::Result<bool> {
    const SIGNATURE: u64 = 8;
    const CHECKSUM: i64 = 4;
    file.seek(SeekFrom::Start(SIGNATURE))?;
    loop {
        let mut head = [0; 8];
        match file.read_exact(&mut head) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            other => other?,
        }
        let [l0, l1, l2, l3, kind @ ..] = head;
        file.seek(SeekFrom::Current(i64::from(u32::from_be_bytes([l0, l1, l2, l3])) + CHECKSUM - 1))?;
        // The last byte of a chunk is read, since one can seek beyond the end.
        match file.read_exact(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            other => other?,
        }
        if kind == *b"IEND" {
            return Ok(true);
        }
    }
}

/// Whether a WebP file of `length` bytes is as long as its `head` declares (RIFF: the bytes after the first eight).
pub(super) fn webp(head: &[u8], length: u64) -> bool {
    let declared = head.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    declared.is_some_and(|declared| u64::from(declared) + 8 <= length)
}

/// Whether JPEG's end-of-image marker stands where the markers before it lead (ITU-T T.81, annex B).
///
/// A file whose markers make no sense counts as whole: that it is broken is for the decoder to say.
pub(super) fn jpeg(bytes: &[u8]) -> bool {
    const START: u8 = 0xD8;
    const END: u8 = 0xD9;
    const SCAN: u8 = 0xDA;
    let mut at = 0;
    loop {
        // Markers may be preceded by any number of fill bytes.
        while bytes.get(at) == Some(&0xFF) && bytes.get(at + 1) == Some(&0xFF) {
            at += 1;
        }
        let (Some(prefix), Some(marker)) = (bytes.get(at), bytes.get(at + 1)) else { return false };
        if *prefix != 0xFF {
            return true;
        }
        at += 2;
        match *marker {
            END => return true,
            START | 0x01 | 0xD0..=0xD7 => continue,
            _ => {}
        }
        let (Some(high), Some(low)) = (bytes.get(at), bytes.get(at + 1)) else { return false };
        at += usize::from(u16::from_be_bytes([*high, *low])).max(2);
        if *marker == SCAN {
            // Coded data: 0xFF is followed by 0 or a restart marker until the next real marker.
            loop {
                match bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xFF)) {
                    Some(skipped) => at += skipped,
                    None => return false,
                }
                match bytes.get(at + 1) {
                    Some(0x00 | 0xD0..=0xD7) => at += 2,
                    Some(0xFF) => at += 1,
                    Some(_) => break,
                    None => return false,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_truncation_is_noticed_and_a_trailer_is_not_minded() {
        let pixels: Vec<u8> = (0..40 * 30 * 3).map(|i| (i * 31 % 256) as u8).collect();
        let mut file = Vec::new();
        image::codecs::jpeg::JpegEncoder::new(&mut file)
            .encode(&pixels, 40, 30, image::ExtendedColorType::Rgb8)
            .unwrap();
        assert!(jpeg(&file));
        assert!((2..file.len()).all(|len| !jpeg(&file[..len])));
        file.extend_from_slice(b"a maker's trailer");
        assert!(jpeg(&file));
    }
}
