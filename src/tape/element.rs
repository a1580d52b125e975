//! What the host calls the elements of a tensor.

use super::shape::DType;

/// A number of the host that a tensor has as its elements.
pub trait Element: bytemuck::Pod {
    /// The tensor's element type.
    const DTYPE: DType;
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
}

impl Element for i32 {
    const DTYPE: DType = DType::I32;
}

/// Packed bytes, ids and random words: kernels cast the i32 that they find.
impl Element for u32 {
    const DTYPE: DType = DType::I32;
}
