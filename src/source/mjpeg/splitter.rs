//! Where one JPEG ends and the next begins, in a stream that holds nothing but JPEGs.
//!
//! The segments of a JPEG are followed (ITU-T T.81, section B.1.1), since the markers of beginning and end may also stand
//! within one: a thumbnail is a whole JPEG. What is malformed is handed on as far as it goes, for the decoder to judge, and
//! the next one is looked for behind it.

use std::io::{self, BufRead, BufReader, Read};

/// Bytes read at a time.
const BUFFER: usize = 1 << 16;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// What came out of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// A JPEG, maybe a damaged one.
    Picture,
    /// The stream ended between two JPEGs.
    End,
    /// The stream ended within a JPEG.
    Cut,
    /// A JPEG, or what lies between two, has more bytes than the limit.
    TooLong,
}

/// Splits a stream.
pub(super) struct Splitter<R> {
    from: BufReader<R>,
    limit: usize,
    /// Whether the beginning of the next JPEG has been read.
    begun: bool,
}

impl<R: Read> Splitter<R> {
    /// A splitter of `from` that takes no JPEG of more than `limit` bytes.
    pub(super) fn new(from: R, limit: usize) -> Self {
        Self { from: BufReader::with_capacity(BUFFER, from), limit, begun: false }
    }

    /// Puts the next JPEG into `jpeg`.
    ///
    /// # Errors
    /// What the reader gives.
    pub(super) fn next(&mut self, jpeg: &mut Vec<u8>) -> io::Result<Piece> {
        jpeg.clear();
        if !self.begun
            && let Some(end) = self.skip_to_beginning()?
        {
            return Ok(end);
        }
        self.begun = false;
        jpeg.extend_from_slice(&[0xff, SOI]);
        let mut in_scan = false;
        loop {
            if in_scan {
                if !self.copy_to_marker(jpeg)? {
                    return Ok(if jpeg.len() > self.limit { Piece::TooLong } else { Piece::Cut });
                }
            } else {
                match self.byte()? {
                    None => return Ok(Piece::Cut),
                    Some(byte) => jpeg.push(byte),
                }
                if jpeg.last() != Some(&0xff) {
                    return Ok(Piece::Picture);
                }
            }
            // Before the code there may be any number of fill bytes.
            let code = loop {
                match self.byte()? {
                    None => return Ok(Piece::Cut),
                    Some(0xff) if jpeg.len() > self.limit => return Ok(Piece::TooLong),
                    Some(0xff) => jpeg.push(0xff),
                    Some(code) => break code,
                }
            };
            if code == SOI {
                // The JPEG before broke off, in front of this marker.
                jpeg.pop();
                self.begun = true;
                return Ok(Piece::Picture);
            }
            jpeg.push(code);
            match code {
                EOI => return Ok(Piece::Picture),
                // Restarts, and one for temporary use: they have no content.
                0xd0..=0xd7 | 0x01 => {}
                // A byte of the picture, or damage in it.
                _ if in_scan && !may_follow_scan(code) => {}
                0x00 => return Ok(Piece::Picture),
                _ => {
                    match self.copy_segment(jpeg)? {
                        Some(true) => in_scan = code == SOS,
                        Some(false) => return Ok(Piece::Picture),
                        None => return Ok(Piece::Cut),
                    }
                    if jpeg.len() > self.limit {
                        return Ok(Piece::TooLong);
                    }
                }
            }
        }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        loop {
            match self.from.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) => return Ok(Some(byte[0])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads up to the next beginning of a JPEG; otherwise says what became of the search.
    fn skip_to_beginning(&mut self) -> io::Result<Option<Piece>> {
        let mut before = 0;
        for _ in 0..self.limit {
            match self.byte()? {
                None => return Ok(Some(Piece::End)),
                Some(SOI) if before == 0xff => return Ok(None),
                Some(byte) => before = byte,
            }
        }
        Ok(Some(Piece::TooLong))
    }

    /// Copies what comes up to the next 0xff, and that; `false` where the stream or the limit ends before it.
    fn copy_to_marker(&mut self, jpeg: &mut Vec<u8>) -> io::Result<bool> {
        while jpeg.len() <= self.limit {
            let bytes = match self.from.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            if bytes.is_empty() {
                return Ok(false);
            }
            let marker = bytes.iter().position(|&byte| byte == 0xff);
            let count = marker.map_or(bytes.len(), |at| at + 1);
            jpeg.extend_from_slice(&bytes[..count]);
            self.from.consume(count);
            if marker.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Copies a segment behind its marker: whether it is well-formed, `None` where the stream ends in it.
    fn copy_segment(&mut self, jpeg: &mut Vec<u8>) -> io::Result<Option<bool>> {
        let (Some(high), Some(low)) = (self.byte()?, self.byte()?) else { return Ok(None) };
        jpeg.extend_from_slice(&[high, low]);
        // The length counts itself.
        let Some(length) = u16::from_be_bytes([high, low]).checked_sub(2) else { return Ok(Some(false)) };
        let copied = self.from.by_ref().take(u64::from(length)).read_to_end(jpeg)?;
        Ok((copied == usize::from(length)).then_some(true))
    }
}

/// Whether a segment of this kind may stand behind the data of a scan: tables, comments, the number of lines, or the next
/// scan.
fn may_follow_scan(code: u8) -> bool {
    matches!(code, 0xc4 | 0xcc | 0xda..=0xdd | 0xe0..=0xef | 0xfe)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use image::codecs::jpeg::JpegEncoder;
    use proptest::prelude::*;

    use super::*;

    fn jpeg(seed: u8) -> Vec<u8> {
        let rgb: Vec<u8> = (0..24 * 16 * 3).map(|i| (i * 7 % 101) as u8 ^ seed).collect();
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 95).encode(&rgb, 24, 16, image::ExtendedColorType::Rgb8).unwrap();
        bytes
    }

    /// `jpeg` with a segment of a kind and content behind its beginning.
    fn with_segment(jpeg: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xff, kind], &length, content, &jpeg[2..]].concat()
    }

    const LIMIT: usize = 100_000;

    fn split_with(from: impl Read) -> (Vec<Vec<u8>>, Piece) {
        let mut splitter = Splitter::new(from, LIMIT);
        let (mut pieces, mut jpeg) = (Vec::new(), Vec::new());
        loop {
            match splitter.next(&mut jpeg).unwrap() {
                Piece::Picture => pieces.push(jpeg.clone()),
                end => return (pieces, end),
            }
        }
    }

    fn split(bytes: &[u8]) -> (Vec<Vec<u8>>, Piece) {
        split_with(bytes)
    }

    #[test]
    fn a_stream_is_split_into_what_it_was_made_of() {
        let thumbnail = with_segment(&jpeg(1), 0xe1, &[b"Exif\0\0".as_slice(), &jpeg(2)].concat());
        let filled = with_segment(&jpeg(3), 0xfe, b"no comment \xff\xd9\xff\xd8");
        let filled = [&filled[..2], &[0xff, 0xff], &filled[2..]].concat();
        let all = [jpeg(0), thumbnail, filled, jpeg(4)];
        assert!(split(&all.concat()) == (all.to_vec(), Piece::End));
        // Whatever portions they come in.
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
                let most = to.len().min(7);
                self.0.read(&mut to[..most])
            }
        }
        assert!(split_with(Slow(&all.concat())) == (all.to_vec(), Piece::End));
    }

    #[test]
    fn scans_may_have_restarts_stuffing_and_followers() {
        // Two scans with a table between them, a restart, a stuffed byte, and a marker that no scan can hold.
        let whole = b"\xff\xd8\xff\xda\0\x04ab scan \xff\0 \xff\xd3 \xff\xff\0 \xff\xc0 \
                      \xff\xc4\0\x03t\xff\xda\0\x02 more \xff\xd9";
        assert_eq!(split(&[&whole[..], whole].concat()), (vec![whole.to_vec(); 2], Piece::End));
    }

    #[test]
    fn what_lies_between_is_skipped() {
        let stream = [b"\r\n--frame\r\n\xff".as_slice(), &jpeg(0), &[0; 500], &jpeg(1), b"\xff"].concat();
        assert!(split(&stream) == (vec![jpeg(0), jpeg(1)], Piece::End));
        assert_eq!(split(b""), (vec![], Piece::End));
    }

    #[test]
    fn a_jpeg_that_broke_off_ends_where_the_next_begins() {
        let (first, second) = (jpeg(0), jpeg(1));
        // In its picture, in a segment, and behind one.
        for cut in [first.len() - 20, 30, 20] {
            let (pieces, end) = split(&[&first[..cut], &second, &first, &second].concat());
            assert_eq!(end, Piece::End);
            assert!(pieces.len() >= 2 && pieces.ends_with(&[first.clone(), second.clone()]), "cut at {cut}");
        }
        let (pieces, _) = split(&[&first[..first.len() - 20], &second[..]].concat());
        assert!(pieces == [first[..first.len() - 20].to_vec(), second]);
    }

    #[test]
    fn half_a_jpeg_at_the_end_is_told_apart() {
        let jpeg = jpeg(0);
        for cut in 2..jpeg.len() {
            let (pieces, end) = split(&[&jpeg[..], &jpeg[..cut]].concat());
            assert_eq!((pieces.len(), end), (1, Piece::Cut), "cut at {cut}");
        }
    }

    #[test]
    fn nothing_is_collected_beyond_the_limit() {
        let endless = b"\xff\xd8\xff\xda\0\x02".as_slice();
        for filling in [0, 0xff] {
            let mut splitter = Splitter::new(endless.chain(io::repeat(filling)), LIMIT);
            let mut jpeg = Vec::new();
            assert_eq!(splitter.next(&mut jpeg).unwrap(), Piece::TooLong);
            assert!(jpeg.len() <= LIMIT + BUFFER, "{}", jpeg.len());
        }
        let segments = b"\xff\xd8".iter().chain(b"\xff\xe0\xff\xff".iter().chain(&[b'x'; 65533]).cycle().take(200_000));
        assert_eq!(split(&segments.copied().collect::<Vec<u8>>()).1, Piece::TooLong);
        assert_eq!(split_with(io::repeat(0)).1, Piece::TooLong);
    }

    proptest! {
        #[test]
        fn whatever_comes_ends_and_is_found_again(
            noise in proptest::collection::vec(any::<u8>(), 0..300), marked: bool,
        ) {
            // Noise can swallow at most what one segment holds; behind that, JPEGs come out again.
            let calm = jpeg(0).repeat(65536 / jpeg(0).len() + 2);
            let beginning: &[u8] = if marked { &[0xff, 0xd8, 0xff] } else { &[] };
            let (pieces, end) = split(&[beginning, &noise, &calm, &jpeg(1)].concat());
            prop_assert_eq!(end, Piece::End);
            prop_assert!(pieces.last() == Some(&jpeg(1)));
        }
    }
}
