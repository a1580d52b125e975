//! How the numbers of a table are stored.

use half::f16;

use super::Small;
use super::codes::Codes;
use crate::files::{Data, StoredTensor};
use crate::vectors::WordVectors;
use crate::vectors::files::{CODEBOOKS, CODES, SCALES, TENSOR};
use crate::{Error, Result};

/// A form of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Four bytes a number, as they are.
    F32,
    /// Two bytes a number.
    F16,
    /// A byte a number, and a scale for each dimension: the largest number is 127 of it.
    Int8,
    /// Product codes: so many parts, each of so many bits.
    Codes {
        /// Parts of a vector.
        parts: usize,
        /// Bits of a part, 1 to 8; a byte is stored.
        bits: usize,
    },
}

impl Store {
    /// The table in this form.
    pub(super) fn store(self, vectors: &WordVectors, seed: u64) -> Result<Small> {
        let (words, width) = (vectors.len(), vectors.width());
        let all = |name: &'static str, shape: [usize; 2], data: Data<'static>| {
            StoredTensor::new(name, shape.to_vec(), data)
        };
        let (form, values, tensors) = match self {
            Self::F32 => {
                let values = vectors.values().to_vec();
                ("f32", values.clone(), vec![all(TENSOR, [words, width], values.into())])
            }
            Self::F16 => {
                let largest = vectors.values().iter().fold(0f32, |most, v| most.max(v.abs()));
                if largest > f16::MAX.to_f32() {
                    let message =
                        format!("holds numbers up to {}, and the largest is {largest}; take int8", f16::MAX);
                    return Err(Error::config("step \"f16\"", message));
                }
                let halves: Vec<f16> = vectors.values().iter().map(|v| f16::from_f32(*v)).collect();
                let values = halves.iter().map(|v| v.to_f32()).collect();
                ("f16", values, vec![all(TENSOR, [words, width], halves.into())])
            }
            Self::Int8 => {
                let scales = scales(vectors);
                let byte = |(v, scale): (&f32, &f32)| (v / scale).round().clamp(-127.0, 127.0) as i8;
                let bytes: Vec<i8> = vectors.values().iter().zip(scales.iter().cycle()).map(byte).collect();
                let values =
                    bytes.iter().zip(scales.iter().cycle()).map(|(v, s)| f32::from(*v) * s).collect();
                let scales = StoredTensor::new(SCALES, vec![width], scales);
                ("int8", values, vec![all(TENSOR, [words, width], bytes.into()), scales])
            }
            Self::Codes { parts, bits } => {
                let found = Codes::find(vectors, parts, bits, seed)?;
                let values = found.decode();
                let shape = vec![parts, found.sizes[0], found.sizes[1]];
                let centroids = StoredTensor::new(CODEBOOKS, shape, found.centroids);
                ("codes", values, vec![all(CODES, [words, parts], found.codes.into()), centroids])
            }
        };
        Ok(Small { vectors: vectors.with_values(width, values)?, form, tensors })
    }
}

/// Of each dimension what 1 of 127 stands for; 1 where all numbers are 0.
fn scales(vectors: &WordVectors) -> Vec<f32> {
    let mut largest = vec![0f32; vectors.width()];
    for row in vectors.values().chunks_exact(vectors.width()) {
        largest.iter_mut().zip(row).for_each(|(most, v)| *most = most.max(v.abs()));
    }
    largest.into_iter().map(|most| if most / 127.0 > 0.0 { most / 127.0 } else { 1.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> WordVectors {
        let values = vec![1.0, -100.0, 0.0, 0.5, 50.0, 0.0, -0.25, 3.0, 0.0];
        WordVectors::new(["a", "b", "c"].into_iter().collect(), 3, values).unwrap()
    }

    #[test]
    fn bytes_are_what_is_stored_and_vectors_what_it_stands_for() {
        let of = |store: Store| store.store(&vectors(), 0).unwrap();
        assert_eq!((of(Store::F32).bytes(), of(Store::F32).vectors), (36, vectors()));
        let half = of(Store::F16);
        assert_eq!((half.bytes(), half.vectors.values()[1]), (18, -100.0));
        let int8 = of(Store::Int8);
        assert_eq!((int8.bytes(), int8.vectors.values()[1], int8.vectors.values()[2]), (9 + 12, -100.0, 0.0));
        for (row, (got, want)) in int8.vectors.values().iter().zip(vectors().values()).enumerate() {
            let step = [1.0, 100.0, 0.0][row % 3] / 127.0;
            assert!((got - want).abs() <= 0.5 * step + 1e-6, "{got} {want}");
        }
        let codes = of(Store::Codes { parts: 3, bits: 8 });
        assert_eq!((codes.bytes(), codes.form), (9 + 3 * 3 * 4, "codes"));
    }
}
