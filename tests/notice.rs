//! Drawing allocates nothing once its letters are there.

use std::alloc::System;

use nijigen::draw::{Canvas, Notice, NoticePainter};
use nijigen::frame::Size;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn a_notice_that_was_painted_is_painted_again_without_allocating() {
    let size = Size::new(320, 240);
    let mut pixels = vec![0; size.rgb_len()];
    let mut painter = NoticePainter::default();
    let mut notice = Notice {
        title: "Camera lost",
        text: "camera 0 (Café Größe, /dev/video0) is gone; plug it in again",
        footer: "attempt 0123456789 in 4 s",
        turn: Some(0.0),
    };
    painter.paint(&mut Canvas::new(&mut pixels, size), &notice);
    let rounds = [(); 10].map(|()| {
        let region = Region::new(ALLOCATOR);
        for n in 0..10_u8 {
            notice.turn = Some(f32::from(n) / 15.0);
            notice.footer = ["attempt 3 in 4 s", "attempt 12 in 10 s"][usize::from(n % 2)];
            painter.paint(&mut Canvas::new(&mut pixels, size), &notice);
        }
        let seen = region.change();
        seen.allocations + seen.reallocations
    });
    // What the test's own harness allocates on its thread at the start is seen too; what painting does is in each round.
    assert_eq!(rounds.iter().min(), Some(&0), "{rounds:?}");
}
