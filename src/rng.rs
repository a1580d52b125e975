//! Counter-based random numbers: the same bits on every adapter and platform, in any order.
//!
//! PCG-RXS-M-XS 32 as a hash (Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020);
//! `shaders/shared/prelude.wgsl` has the same functions.

/// One PCG hash round.
pub fn pcg(value: u32) -> u32 {
    let state = value.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

/// 32 random bits for `counter` under a three-word key.
pub fn random_bits(key: [u32; 3], counter: u32) -> u32 {
    pcg(counter ^ pcg(key[2] ^ pcg(key[1] ^ pcg(key[0]))))
}

/// Uniform in [0, 1) from the top 24 bits.
pub fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A stream of numbers under one key, for the host: initialisation, shuffles, test data.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 3],
    counter: u32,
}

impl Stream {
    /// The stream of `seed`, separated from other uses of the same seed by `name`.
    pub fn new(seed: u64, name: &str) -> Self {
        // FNV-1a: stable across platforms and Rust versions, unlike the standard library's hashers.
        let hash = name.bytes().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
        Self { key: [seed as u32, (seed >> 32) as u32, hash], counter: 0 }
    }

    /// The stream of this name for one thing among many, such as a sample of an epoch.
    pub fn of(seed: u64, name: &str, at: [u32; 2]) -> Self {
        let Self { key, counter } = Self::new(seed, name);
        Self { key: [random_bits(key, at[0]), at[1], key[2]], counter }
    }

    /// The next 32 bits.
    pub fn bits(&mut self) -> u32 {
        let bits = random_bits(self.key, self.counter);
        self.counter = self.counter.wrapping_add(1);
        bits
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        f64::from(unit(self.bits()))
    }

    /// Uniform in [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Standard normal (Box and Muller 1958). `libm`-free inputs keep it equal to the last bits on common platforms.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Uniform in 0..n, for n > 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.bits()) * n.max(1) as u64) >> 32) as usize
    }

    /// 0..n in random order (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_a_standard_normal() {
        let mut stream = Stream::new(7, "normal");
        let draws: Vec<f64> = (0..20_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
    }

    #[test]
    fn streams_of_different_names_differ() {
        assert_ne!(Stream::new(1, "a").bits(), Stream::new(1, "b").bits());
    }
}
