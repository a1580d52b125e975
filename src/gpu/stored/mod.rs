//! Kernels whose operands lie in memory in another form than they are written for, derived from the ones that are written
//! by hand.
//!
//! A kernel is written once, for `array<f32>` and `array<vec4<f32>>`, and computes in f32. Its operands may be stored as
//! f16 (`half`), and a CPU adapter loads and stores vectors two words at a time (`pairs`): in either case the type of a
//! global changes, a conversion follows every load from it, and one comes before every store to it (`rewrite`).
//!
//! What is rewritten is naga's module of a kernel, which wgpu takes as it is. Browsers and whoever looks at kernels get
//! its WGSL text.

mod half;
mod operands;
mod pairs;
mod rewrite;

pub(super) use half::mark_halves;
pub use half::store_as_half;
pub(super) use pairs::in_pairs;

/// The WGSL of a rewritten module, or why there is none.
pub(super) fn text_of(module: &naga::Module) -> Result<String, String> {
    let info = super::reflect::validate(module, "")?;
    naga::back::wgsl::write_string(module, &info, naga::back::wgsl::WriterFlags::empty())
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
