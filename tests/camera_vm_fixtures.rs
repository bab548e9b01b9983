//! What `camera-vm.sh` gives to the virtual machine, written to `$CARGO_TARGET_TMPDIR/camera-vm`.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use nijigen::frame::Size;
use nijigen::pixels::mjpeg::Decoder;

const SIZE: Size = Size::new(320, 180);

/// The colour bars of vivid: 75 %, white to black.
fn bars() -> Vec<u8> {
    let colours = [[1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]];
    let row: Vec<u8> =
        (0..SIZE.width as usize).flat_map(|x| colours[x * 8 / SIZE.width as usize].map(|c: u8| c * 191)).collect();
    row.repeat(SIZE.height as usize)
}

/// The JPEG without its Huffman tables (DHT segments), as many cameras send it.
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut bare = jpeg[..2].to_vec();
    let mut at = 2;
    while jpeg[at + 1] != 0xda {
        let next = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        if jpeg[at + 1] != 0xc4 {
            bare.extend_from_slice(&jpeg[at..next]);
        }
        at = next;
    }
    bare.extend_from_slice(&jpeg[at..]);
    bare
}

#[test]
fn writes_frames_and_a_style() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("camera-vm");
    fs::create_dir_all(&folder).unwrap();

    let mut whole = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut whole, 95);
    encoder.encode(&bars(), SIZE.width, SIZE.height, image::ExtendedColorType::Rgb8).unwrap();
    let bare = without_tables(&whole);
    let half = whole[..whole.len() / 2].to_vec();
    let mut rgb = vec![0; SIZE.rgb_len()];
    for (name, jpeg, good) in [("whole.jpg", &whole, true), ("bare.jpg", &bare, true), ("half.jpg", &half, false)] {
        assert_eq!(Decoder::default().decode(jpeg, SIZE, &mut rgb).is_ok(), good, "{name}");
        fs::write(folder.join(name), jpeg).unwrap();
    }
    common::tiny_style(&folder);
}
