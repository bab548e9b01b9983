//! How a training shows how far it is, and how often it is saved.

use std::time::Duration;

use indicatif::{HumanDuration, ProgressStyle};

/// How much time passes, at most by the length of a step, until a training under way is saved again: what a power cut costs.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(300);

/// The bar of a training.
pub fn progress_style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} ETA {eta} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// For a log, which shows no bar: how long `steps` of `batch` photos take at so many photos per second. Empty at the end, and
/// where the pace is not known.
pub fn time_left(steps: u64, batch: usize, photos_per_second: Option<f64>) -> String {
    let seconds = photos_per_second.map(|pace| steps as f64 * batch as f64 / pace);
    let left = seconds.filter(|_| steps > 0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    left.map_or(String::new(), |left| format!("; {} left", HumanDuration(left)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_for_people() {
        assert_eq!(time_left(1800, 4, Some(1.0)), "; 2 hours left");
        assert_eq!(time_left(0, 4, Some(1.0)), "");
        assert_eq!(time_left(9, 4, None), "");
        assert_eq!(time_left(9, 4, Some(0.0)), "");
    }
}
