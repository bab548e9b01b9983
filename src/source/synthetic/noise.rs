//! The noise of a webcam's sensor.

/// Standard deviation of each channel, in bytes: two frames of a standing scene then differ by 2σ/√π = 0.60 of 255 on
/// average, as the office webcam's do that the styles are tried on (0.57 to 0.60).
const SIGMA: f32 = 0.5317;
/// The part of the variance that the three channels have in common.
const COMMON: f32 = 0.62;

/// A stream of noise, the same for the same seed.
pub struct Noise(u64);

impl Noise {
    /// A stream that `seed` names.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits: SplitMix64 (Steele, Lea, Flood 2014).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to 1.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// What is added to the red, green and blue of one pixel.
    pub fn pixel(&mut self) -> [f32; 3] {
        let (common, red) = normal_pair(self.bits());
        let (green, blue) = normal_pair(self.bits());
        let shared = common * SIGMA * COMMON.sqrt();
        let own = SIGMA * (1.0 - COMMON).sqrt();
        [shared + red * own, shared + green * own, shared + blue * own]
    }
}

/// Two numbers of mean 0 and variance 1, each the sum of four uniform bytes (Irwin–Hall): near enough to normal here.
fn normal_pair(bits: u64) -> (f32, f32) {
    let sum = |half: u32| half.to_le_bytes().iter().map(|&b| f32::from(b)).sum::<f32>();
    // A byte has mean 127.5 and variance (256² − 1) / 12.
    let normal = |half: u32| (sum(half) - 4.0 * 127.5) / (4.0f32 * 65535.0 / 12.0).sqrt();
    (normal(bits as u32), normal((bits >> 32) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_spread_that_it_promises() {
        let mut noise = Noise::new(1);
        let count = 20_000;
        let mut sums = [(0.0f64, 0.0f64); 3];
        for _ in 0..count {
            for (sum, value) in sums.iter_mut().zip(noise.pixel()) {
                *sum = (sum.0 + f64::from(value), sum.1 + f64::from(value).powi(2));
            }
        }
        for (sum, squares) in sums {
            let (mean, deviation) = (sum / f64::from(count), (squares / f64::from(count)).sqrt());
            assert!(mean.abs() < 0.02 && (deviation - f64::from(SIGMA)).abs() < 0.02, "{mean} {deviation}");
        }
    }
}
