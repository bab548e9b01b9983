//! The machine that it runs on: for benchmarks, and for what is to be left of it.

use std::fs;
use std::time::Duration;

/// The processor's name, as far as the system tells it.
pub fn cpu() -> String {
    let from_cpuinfo = || {
        let text = fs::read_to_string("/proc/cpuinfo").ok()?;
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    // Arm boards name themselves instead of their processor.
    let from_device_tree = || {
        let text = fs::read_to_string("/proc/device-tree/model").ok()?;
        Some(text.trim_end_matches('\0').trim().to_string())
    };
    from_cpuinfo().or_else(from_device_tree).unwrap_or_else(|| format!("unknown {}", std::env::consts::ARCH))
}

/// The best instructions for the engine's arithmetic that this processor has, by the names of the engine's kernels.
pub fn isa() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            return "avx512vnni";
        }
        if is_x86_feature_detected!("avxvnni") {
            return "avxvnni";
        }
        if is_x86_feature_detected!("avx2") {
            return "avx2";
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            return "neondot";
        }
        if std::arch::is_aarch64_feature_detected!("neon") {
            return "neon";
        }
    }
    "scalar"
}

/// The cores that this process may use, at least 1.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor time that this process has taken so far, all threads together; `None` where the system does not tell.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub fn cpu_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

/// The processor time that this process has taken so far, all threads together; `None` where the system does not tell.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn cpu_time() -> Option<Duration> {
    None
}

/// The most memory that this process held at once, in MB of 10⁶ bytes; `None` where the system does not tell.
pub fn peak_memory_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib * 1.024).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_tells_of_itself() {
        let memory = peak_memory_mb().expect("Linux tells it");
        assert!((0.5..1e6).contains(&memory), "{memory} MB");
        assert!(!cpu().is_empty() && !cpu().contains('\n'));
    }

    #[cfg(any(target_os = "linux", target_os = "macos"))]
    #[test]
    fn work_takes_processor_time() {
        let before = cpu_time().expect("this system tells");
        let mut number = 1_u64;
        while cpu_time().expect("this system tells") < before + Duration::from_millis(5) {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert!(cores() >= 1);
    }
}
