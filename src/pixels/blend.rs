//! Mixing two pictures.

/// Mixes `photo` into `styled`, byte by byte, rounded to nearest: a `strength` of 0 leaves the photo, 1 leaves `styled`.
pub fn blend(photo: &[u8], styled: &mut [u8], strength: f32) {
    let share = (strength.clamp(0.0, 1.0) * 65536.0).round() as u32;
    if share == 65536 {
        return;
    }
    for (styled, photo) in styled.iter_mut().zip(photo) {
        *styled = ((u32::from(*photo) * (65536 - share) + u32::from(*styled) * share + 32768) >> 16) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_bytes_is_mixed_to_the_nearest() {
        for strength in [0.0, 0.25, 0.5, 0.7, 1.0_f32] {
            for photo in 0..=255_u8 {
                let mut styled: Vec<u8> = (0..=255).collect();
                blend(&[photo; 256], &mut styled, strength);
                for (original, mixed) in styled.iter().enumerate() {
                    let exact = f64::from(photo) + (original as f64 - f64::from(photo)) * f64::from(strength);
                    assert!((f64::from(*mixed) - exact).abs() < 0.503, "{photo} {original} {strength}: {mixed}");
                }
            }
        }
    }
}
