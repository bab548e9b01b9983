//! Whether a JPEG file is whole. The decoder draws what it has of a truncated one and says nothing.

/// Whether the end-of-image marker stands where the markers before it lead (ITU-T T.81, annex B).
///
/// A file whose markers make no sense counts as whole: that it is broken is for the decoder to say.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
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
        assert!(is_whole(&file));
        assert!((2..file.len()).all(|len| !is_whole(&file[..len])));
        file.extend_from_slice(b"a maker's trailer");
        assert!(is_whole(&file));
    }
}
