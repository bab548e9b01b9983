//! The engine allocates when it is given a size for the first time, and never again; so does what runs it at a scale, and
//! what finds out what has changed in a live picture.

#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::time::{Duration, Instant};

use nijigen::engine::Generator;
use nijigen::engine::contract::FloatNetwork;
use nijigen::engine::fused::{BlockMask, Changed, FusedGenerator};
use nijigen::engine::kernels::Isa;
use nijigen::engine::topology::{StudentSize, Topology};
use nijigen::frame::Size;
use nijigen::style::{Scale, Scaled, Stylizer};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test: what another does meanwhile would be counted.
#[test]
fn after_the_first_frame_nothing_is_allocated_on_any_thread() {
    engine_and_scale();
    live_picture();
}

/// Frames of a round.
const FRAMES: usize = 450;
/// Rounds until one must have passed without an allocation.
const ROUNDS: usize = 8;

/// Runs rounds until one of them allocates nothing. A thread that gets no core while other programs are busy makes what it
/// needs for itself in its first frames, whenever these are; what each frame, or one in hundreds, allocates shows in all
/// rounds.
fn settles(mut round: impl FnMut(usize), what: &str) {
    let seen: Vec<(usize, usize)> = (0..ROUNDS)
        .map(|number| {
            let region = Region::new(ALLOCATOR);
            round(number);
            let seen = region.change();
            (seen.allocations, seen.reallocations)
        })
        .take_while(|seen| *seen != (0, 0))
        .collect();
    assert!(seen.len() < ROUNDS, "{what}, allocations and reallocations of each round: {seen:?}");
}

fn engine_and_scale() {
    let net = FloatNetwork::random(Topology::two_scale(StudentSize::S), 1).quantize().unwrap();
    let size = Size::new(72, 50);
    let mut frame: Vec<u8> = (0..size.rgb_len()).map(|i| (i * 37 % 256) as u8).collect();
    let mut out = vec![0; size.rgb_len()];
    let mut mask = BlockMask::new(size);
    for threads in [1, 3] {
        let mut engine = FusedGenerator::new(&net, Isa::best(), threads).unwrap();
        let mut scaled = [Scale::ThreeQuarters, Scale::Half].map(|scale| {
            let mut scaled = Scaled::default();
            scaled.set_scale(scale);
            scaled
        });
        // Every way of running, so that what the threads need of their own is there.
        for i in 0..20 {
            engine.run(&frame, size, &mut out).unwrap();
            frame[i * 50] ^= 0x55;
            engine.run_changed(&frame, size, Changed::Unknown, 0, &mut out).unwrap();
            for scaled in &mut scaled {
                scaled.run(&mut engine, &frame, size, &mut out).unwrap();
                scaled.run_only(&mut engine, &frame, size, &mask, &mut out).unwrap();
                scaled.run_only(&mut engine, &frame, size, &mask, &mut out).unwrap();
            }
        }
        let round = |_| {
            for i in 0..500 {
                frame[i * 7] ^= 0x55;
                mask.set(i % mask.columns(), i % mask.rows(), i % 3 == 0);
                let ways = [Changed::Whole, Changed::Unknown, Changed::Blocks(&mask), Changed::Only(&mask)];
                let changed = ways[i % ways.len()];
                engine.run_changed(&frame, size, changed, (i % 2) as u8, &mut out).unwrap();
                for scaled in &mut scaled {
                    scaled.run_only(&mut engine, &frame, size, &mask, &mut out).unwrap();
                }
            }
        };
        settles(round, &format!("on {threads} threads"));
    }
}

fn live_picture() {
    let net = FloatNetwork::random(Topology::two_scale(StudentSize::S), 1).quantize().unwrap();
    let size = Size::new(72, 50);
    let (mut out, length) = (vec![0; size.rgb_len()], size.rgb_len());
    let began = Instant::now();
    let (good, low) = (256, 100);
    for (scale, enhanced, light) in [
        (Scale::Full, false, good),
        (Scale::Half, false, good),
        (Scale::Full, true, good),
        (Scale::Half, true, good),
        (Scale::Half, true, low),
    ] {
        let mut frame: Vec<u8> = (0..length).map(|i| (i * 37 % light) as u8).collect();
        let engine = || Box::new(FusedGenerator::new(&net, Isa::best(), 2).unwrap());
        let mut stylizer = Stylizer::new("random", engine(), 0.8);
        if enhanced {
            stylizer = stylizer.enhanced_by(engine());
        }
        stylizer.set_scale(scale);
        stylizer.set_stability(0.5);
        let mut draw = |i: usize| {
            frame.iter_mut().skip(i % 300).step_by(301).for_each(|byte| *byte ^= 1);
            frame[i * 7 % length] ^= 0x55;
            stylizer.run_live(&frame, size, began + Duration::from_millis(33) * i as u32, &mut out).unwrap()
        };
        let _: u64 = (0..50).map(|i| draw(i).computed).sum();
        let round = |number: usize| {
            let first = 50 + number * FRAMES;
            let computed: u64 = (first..first + FRAMES).map(|i| draw(i).computed).sum();
            assert!(computed > 0);
        };
        settles(round, &format!("at {scale}, enhanced: {enhanced}, values below {light}"));
    }
}
