//! Kernels whose operands lie in memory in another form than they are written for, derived from the ones that are written
//! by hand.
//!
//! A kernel is written once, for `array<f32>` and `array<vec4<f32>>`, and computes in f32. Its operands may be stored as
//! f16 (`half`), and a CPU adapter loads and stores vectors two words at a time (`pairs`): in either case the type of a
//! global changes, a conversion follows every load from it, and one comes before every store to it (`rewrite`).
//!
//! The result is WGSL text again, and not a naga module: the same text reaches naga on native and the compiler of a
//! browser, the pipeline cache and whoever looks at kernels keep dealing in text, and an error can show it.

mod half;
mod operands;
mod pairs;
mod rewrite;

pub use half::store_as_half;
pub(super) use pairs::in_pairs;

/// The WGSL of a rewritten module, or why there is none.
fn text_of(module: &naga::Module) -> Result<String, String> {
    let flags = naga::valid::ValidationFlags::all();
    let info = naga::valid::Validator::new(flags, naga::valid::Capabilities::all())
        .validate(module)
        .map_err(|e| e.emit_to_string(""))?;
    naga::back::wgsl::write_string(module, &info, naga::back::wgsl::WriterFlags::empty())
        .map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
