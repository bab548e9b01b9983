//! A camera, a machine and a clock, all made up.

use proptest::prelude::*;

use super::*;

const ALL: [Scale; 3] = [Scale::Full, Scale::ThreeQuarters, Scale::Half];

/// What a frame costs: seconds at full scale at this moment, before `work` and noise.
type Cost<'a> = &'a dyn Fn(f64) -> f64;

struct World<'a> {
    fps: u32,
    pace: Pace,
    live: bool,
    cost: Cost<'a>,
    /// What the cost depends on the area by: 1 in proportion.
    exponent: f64,
    /// Relative spread of the cost.
    noise: f64,
    /// Of the machine's cores, this many are busy while a frame is drawn.
    busy: f64,
    cores: usize,
    /// Processor time for receiving a frame.
    receiving: f64,
}

impl Default for World<'_> {
    fn default() -> Self {
        Self {
            fps: 30,
            pace: Pace::default(),
            live: true,
            cost: &|_| 0.02,
            exponent: 1.0,
            noise: 0.1,
            busy: 2.0,
            cores: 2,
            receiving: 0.002,
        }
    }
}

#[derive(Default)]
struct Outcome {
    /// When the scale changed, and to what.
    steps: Vec<(f64, Scale)>,
    /// When a frame was done, and how long after its capture.
    frames: Vec<(f64, f64)>,
    dropped: u64,
    over_budget: u64,
    cpu: f64,
    longest: f64,
}

impl Outcome {
    fn latency(&self, share: f64) -> f64 {
        let mut latencies: Vec<f64> = self.frames.iter().map(|frame| frame.1).collect();
        latencies.sort_by(f64::total_cmp);
        latencies[((latencies.len() - 1) as f64 * share) as usize]
    }

    fn scale(&self) -> Scale {
        self.steps.last().map_or(Scale::Full, |step| step.1)
    }

    fn steps_after(&self, moment: f64) -> usize {
        self.steps.iter().filter(|step| step.0 > moment).count()
    }

    /// Frames per second, from `moment` to `end`.
    fn rate(&self, moment: f64, end: f64) -> f64 {
        self.frames.iter().filter(|frame| (moment..end).contains(&frame.0)).count() as f64 / (end - moment)
    }
}

impl World<'_> {
    fn run(&self, seconds: f64, smallest: Scale) -> Outcome {
        let rate = Rate::new(self.fps, 1).expect("a rate");
        let situation = Situation { source: Some(rate), live: self.live, smallest, cores: self.cores };
        let mut control = RateControl::new(self.pace, situation);
        let period = 1.0 / f64::from(self.fps);
        let mut outcome = Outcome::default();
        let mut random = 1_u64;
        let (mut free, mut next, mut scale, mut spent) = (0.0_f64, 0_u64, Scale::Full, 0.0);
        while free < seconds {
            // The newest frame that is there; else the next one. Without a live end, each in its turn, when it is wanted.
            let newest = if self.live { (free / period) as u64 } else { next };
            outcome.dropped += newest.saturating_sub(next);
            let frame = newest.max(next);
            next = frame + 1;
            let captured = if self.live { frame as f64 * period } else { free };
            let mut start = free.max(captured);
            let receiving = |frames: u64| frames as f64 * self.receiving;
            let moment = |now: f64, spent: f64| Moment {
                now: Duration::from_secs_f64(now),
                cpu: Some(Duration::from_secs_f64(spent + receiving(next))),
            };
            match control.judge(moment(start, spent), Duration::from_secs_f64(captured)) {
                Verdict::Draw => {}
                Verdict::Skip => {
                    outcome.dropped += 1;
                    free = start;
                    continue;
                }
                Verdict::Rest(wait) => start += wait.as_secs_f64(),
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let spread = ((random >> 33) as f64 / f64::from(u32::MAX >> 1) - 1.0) * self.noise;
            let took = (self.cost)(start) * scale.work().powf(self.exponent) * (1.0 + spread);
            free = start + took;
            spent += took * self.busy;
            let finding = control.drawn(moment(free, spent), Duration::from_secs_f64(took));
            outcome.over_budget += u64::from(finding.over_budget);
            outcome.frames.push((free, free - captured));
            outcome.longest = outcome.longest.max(took);
            if let Some(step) = finding.step {
                scale = step;
                outcome.steps.push((free, step));
            }
        }
        outcome.cpu = (spent + next as f64 * self.receiving) / (seconds * self.cores as f64);
        outcome
    }
}

#[test]
fn what_fits_is_left_alone() {
    let outcome = World::default().run(600.0, Scale::Half);
    assert_eq!((outcome.steps.len(), outcome.dropped, outcome.over_budget), (0, 0, 0));
    assert!(outcome.latency(1.0) < 0.023);
}

#[test]
fn a_heavier_load_makes_the_picture_smaller_at_once_and_a_lighter_one_larger_after_a_while() {
    let world = World { cost: &|t| if (20.0..60.0).contains(&t) { 0.045 } else { 0.015 }, ..World::default() };
    let outcome = world.run(120.0, Scale::Half);
    let steps: Vec<Scale> = outcome.steps.iter().map(|step| step.1).collect();
    assert_eq!(steps, [Scale::ThreeQuarters, Scale::Full]);
    assert!((20.0..20.7).contains(&outcome.steps[0].0), "{:?}", outcome.steps);
    assert!((63.0..65.0).contains(&outcome.steps[1].0), "{:?}", outcome.steps);
}

#[test]
fn a_machine_that_is_too_slow_drops_frames_and_never_lags() {
    let world = World { cost: &|_| 0.5, ..World::default() };
    let outcome = world.run(120.0, Scale::Half);
    assert_eq!((outcome.scale(), outcome.steps.len()), (Scale::Half, 2));
    assert!(outcome.steps[1].0 < 10.0, "{:?}", outcome.steps);
    let drawn = outcome.frames.len() as u64;
    assert!(outcome.dropped > 2 * drawn && outcome.over_budget > drawn * 9 / 10);
    assert!(outcome.latency(0.95) < 1.0 / 30.0 + 0.125 * 1.1);
}

#[test]
fn a_style_that_gains_nothing_is_not_made_smaller() {
    let world = World { cost: &|_| 0.1, ..World::default() };
    assert_eq!(world.run(60.0, Scale::Full).steps.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_load_that_doubles_and_halves_never_oscillates_and_never_queues(
        cost in 0.002..0.07_f64, half_period in 0.2..55.0_f64, noise in 0.0..0.3_f64, exponent in 0.7..1.3_f64,
        fps in prop::sample::select(vec![15_u32, 30, 60]),
    ) {
        let cost = |t: f64| if (t / half_period) as u64 % 2 == 1 { 2.0 * cost } else { cost };
        let world = World { fps, cost: &cost, noise, exponent, ..World::default() };
        let outcome = world.run(3600.0, Scale::Half);
        // The waits from 3 s to 600 s are passed in eight failures; a try may take two steps up, and two down again.
        prop_assert!(outcome.steps.len() <= 4 * (8 + 6) + 2, "{} steps", outcome.steps.len());
        prop_assert!(outcome.steps_after(2400.0) <= 4 * 3, "{:?}", outcome.steps);
        // Nothing queues: no frame is older than a period when its turn comes.
        let period = 1.0 / f64::from(fps);
        for frame in &outcome.frames {
            prop_assert!(frame.1 <= period + outcome.longest + 1e-6, "{frame:?}");
        }
    }

    #[test]
    fn what_some_scale_can_hold_is_held(
        cost in 0.002..0.08_f64, noise in 0.0..0.15_f64, fps in prop::sample::select(vec![15_u32, 30, 60]),
    ) {
        let period = 1.0 / f64::from(fps);
        prop_assume!(cost * 0.25 * (1.0 + noise) < BUDGET * period);
        let outcome = World { fps, cost: &|_| cost, noise, ..World::default() }.run(600.0, Scale::Half);
        prop_assert!(outcome.latency(0.95) <= period + 0.01, "{} s", outcome.latency(0.95));
        prop_assert!(outcome.rate(60.0, 600.0) > 0.99 * f64::from(fps));
        prop_assert!(outcome.steps_after(10.0) <= 6, "{:?}", outcome.steps);
    }

    #[test]
    fn the_cap_is_kept_and_used(
        cost in 0.002..0.3_f64, percent in 10..95_u8, noise in 0.0..0.3_f64, busy in 0.5..2.0_f64, live: bool
    ) {
        let pace = Pace { cpu: Some(percent), ..Pace::default() };
        let world = World { pace, cost: &|_| cost, noise, busy, live, ..World::default() };
        let seconds = 600.0;
        let outcome = world.run(seconds, Scale::Half);
        let used = outcome.cpu * 100.0;
        prop_assert!(used <= f64::from(percent) + 1.0, "{used} % of {percent} %");
        // Less is used only by who has nothing more to draw, or no core that is free for it.
        let scale = outcome.scale();
        let all = outcome.rate(60.0, seconds) > 29.9 && live;
        let alone = cost * scale.work() * (1.0 + noise);
        let busy_always = outcome.frames.len() as f64 * alone > 0.9 * seconds;
        prop_assert!(used >= f64::from(percent) - 5.0 || all || busy_always, "{used} % of {percent} % at {scale}");
    }
}

/// A frame takes 60 ms of processor time on two cores in all.
fn capped(percent: u8) -> Outcome {
    let pace = Pace { cpu: Some(percent), ..Pace::default() };
    World { pace, cost: &|_| 0.028, ..World::default() }.run(300.0, Scale::Half)
}

#[test]
fn frames_that_each_wait_for_seconds_keep_the_cap() {
    let pace = Pace { cpu: Some(10), ..Pace::default() };
    let world = World { pace, cost: &|_| 0.29, noise: 0.0, busy: 1.9, live: false, ..World::default() };
    let used = world.run(600.0, Scale::Half).cpu * 100.0;
    assert!((9.0..10.2).contains(&used), "{used} % of 10 %");
}

#[test]
fn under_a_cap_frames_become_fewer_before_they_become_smaller() {
    let outcome = capped(60);
    assert_eq!(outcome.steps.len(), 0);
    assert!((18.0..22.0).contains(&outcome.rate(60.0, 300.0)), "{}", outcome.rate(60.0, 300.0));
    // 40 % would leave 13 frames per second.
    let outcome = capped(40);
    assert_eq!(outcome.scale(), Scale::ThreeQuarters);
    assert!(outcome.rate(60.0, 300.0) > FEWEST, "{}", outcome.rate(60.0, 300.0));
    // And 5 % leaves hardly any, even of the smallest.
    let outcome = capped(8);
    assert_eq!(outcome.scale(), Scale::Half);
    assert!((2.0..8.0).contains(&outcome.rate(60.0, 300.0)), "{}", outcome.rate(60.0, 300.0));
}

#[test]
fn a_capped_frame_is_not_old_when_it_is_drawn() {
    let outcome = capped(60);
    assert!(outcome.latency(1.0) < 0.031 + 1e-6, "{}", outcome.latency(1.0));
}

#[test]
fn a_process_that_takes_more_than_the_cap_by_receiving_alone_still_shows_a_picture() {
    let pace = Pace { cpu: Some(5), ..Pace::default() };
    let outcome = World { pace, receiving: 0.01, ..World::default() }.run(100.0, Scale::Half);
    assert!(outcome.rate(10.0, 100.0) > 0.15, "{}", outcome.rate(10.0, 100.0));
}

#[test]
fn where_every_frame_counts_none_is_skipped_or_made_smaller() {
    let pace = Pace { cpu: Some(50), ..Pace::default() };
    let outcome = World { pace, live: false, cost: &|_| 0.2, ..World::default() }.run(100.0, Scale::Half);
    assert_eq!((outcome.steps.len(), outcome.dropped), (0, 0));
}

#[test]
fn fewer_frames_than_the_source_gives_come_evenly() {
    for (source, wanted, spread) in
        [(60, 30, 0.002), (60, 25, 0.017), (30, 15, 0.002), (30, 30, 0.002), (30, 29, 0.002)]
    {
        let pace = Pace { fps: Rate::new(wanted, 1), cpu: None };
        let outcome = World { fps: source, pace, cost: &|_| 0.005, ..World::default() }.run(60.0, Scale::Half);
        let expected = if f64::from(source) / f64::from(wanted) > 1.1 { wanted } else { source };
        assert!((outcome.rate(0.0, 60.0) - f64::from(expected)).abs() < 0.1, "{source} to {wanted}");
        for pair in outcome.frames.windows(2) {
            let gap = pair[1].0 - pair[0].0;
            assert!((gap - 1.0 / f64::from(expected)).abs() <= spread, "{gap} from {source} to {wanted}");
        }
    }
}

#[test]
fn every_scale_is_reached_and_left_by_its_neighbour() {
    let world = World { cost: &|t| if t < 30.0 { 0.1 } else { 0.01 }, ..World::default() };
    let outcome = world.run(120.0, Scale::Half);
    let steps: Vec<Scale> = outcome.steps.iter().map(|step| step.1).collect();
    assert_eq!(steps, [ALL[1], ALL[2], ALL[1], ALL[0]]);
}

#[test]
fn another_style_begins_at_the_scale_of_the_one_before_if_it_can() {
    let situation = Situation { source: Rate::new(30, 1), live: true, smallest: Scale::Half, cores: 2 };
    let mut control = RateControl::new(Pace::default(), situation);
    let moment = |n: u64| Moment { now: Duration::from_millis(100 * n), cpu: None };
    let steps = (0..10).filter_map(|n| control.drawn(moment(n), Duration::from_millis(100)).step);
    assert_eq!(steps.collect::<Vec<_>>(), [Scale::ThreeQuarters]);
    control.begin_style(Scale::Half);
    assert_eq!(control.scale(), Scale::ThreeQuarters);
    control.begin_style(Scale::Full);
    assert_eq!(control.scale(), Scale::Full);
}

#[test]
fn a_frame_that_hangs_once_changes_nothing() {
    let cost = |t: f64| if (50.0..50.02).contains(&t) { 1.0 } else { 0.02 };
    let outcome = World { cost: &cost, ..World::default() }.run(100.0, Scale::Half);
    assert_eq!((outcome.steps.len(), outcome.over_budget), (0, 1));
}
