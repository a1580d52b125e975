//! Shared by the integration tests.
#![allow(dead_code, unused_imports)]

pub mod bits;
pub mod digits;
pub mod fixture;
pub mod network;
pub mod setting;
pub mod translate;

pub use bits::bits;

use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions, Matrices, TileVariant};

/// A folder that is gone, with all in it, when dropped.
pub fn folder() -> tempfile::TempDir {
    tempfile::TempDir::with_prefix("limbeck-").expect("a temporary folder")
}

/// The test device, with poisoned buffers. Fails with instructions where there is no adapter.
pub fn gpu() -> Gpu {
    open(None, options(None))
}

/// The test device with other options.
pub fn gpu_with(options: GpuOptions) -> Gpu {
    open(None, options)
}

/// The devices the conformance runs on: the default adapter with each tile engine it offers, cooperative matrices
/// among them, and OpenGL where there is one beside it, because its drivers offer less and make the fall-backs run.
pub fn adapters() -> Vec<Gpu> {
    let first = gpu();
    let mut all = vec![];
    if first.caps().tile != TileVariant::Workgroup {
        // The engine of GPUs loads as GPUs do.
        let options = GpuOptions { unpaired: true, ..options(Some(TileVariant::Workgroup)) };
        all.push(gpu_with(options));
    }
    let chosen = std::env::var("LIMBECK_BACKEND").is_ok() || std::env::var("LIMBECK_ADAPTER").is_ok();
    if !chosen && first.caps().backend != "gl" {
        let request = AdapterRequest { backend: Some("gl".into()), ..Default::default() };
        all.extend(Gpu::open_blocking(&request, options(None)).ok());
    }
    all.insert(0, first);
    all.extend(with_matrices(options(Some(TileVariant::Workgroup))));
    all
}

/// The test device with cooperative matrices, where its adapter offers ones that limbeck can use.
pub fn with_matrices(options: GpuOptions) -> Option<Gpu> {
    let request = AdapterRequest { cooperative_matrix: true, ..request() };
    let found = pollster::block_on(request.list()).expect("an adapter");
    found[0].matrices?;
    Some(Gpu::open_blocking(&request, options).expect("an adapter with the matrices that it offers"))
}

/// The test device with the engine for cooperative matrices on plain arithmetic: f32 in 8 x 8, f16 in 16 x 16. A
/// subgroup of 8 has fewer invocations than are said to be possible, so that some do nothing of their own.
pub fn emulated_matrices() -> Gpu {
    let matrices = Matrices { full: Some(8), half: Some(16), lanes: 16, emulated: true };
    gpu_with(GpuOptions { emulate_matrices: Some(matrices), ..options(Some(TileVariant::Workgroup)) })
}

/// The same device once more, which takes the variant of that place in all work that has variants.
pub fn again(gpu: &Gpu, place: usize) -> Gpu {
    let request = AdapterRequest {
        backend: Some(gpu.caps().backend.clone()),
        name: Some(gpu.caps().name.clone()),
        cooperative_matrix: gpu.caps().matrices.is_some_and(|matrices| !matrices.emulated),
        ..Default::default()
    };
    let options = GpuOptions { variant: Some(place), ..gpu.options().clone() };
    Gpu::open_blocking(&request, options).expect("the device that was there a moment ago")
}

fn request() -> AdapterRequest {
    AdapterRequest::from_env()
        .expect("LIMBECK_BACKEND, LIMBECK_ADAPTER, LIMBECK_POWER, LIMBECK_COOPERATIVE_MATRIX")
}

fn open(backend: Option<String>, options: GpuOptions) -> Gpu {
    let asked = request();
    let request = AdapterRequest { backend: backend.or(asked.backend.clone()), ..asked };
    Gpu::open_blocking(&request, options).unwrap_or_else(|error| {
        panic!("these tests need a GPU adapter, a software one will do: {error}\nRun `make setup` to install one.")
    })
}

/// With poisoned buffers.
pub fn options(tile: Option<TileVariant>) -> GpuOptions {
    GpuOptions { tile, poison: true, ..Default::default() }
}

/// The task of telling the classes of `data` apart, with its defaults.
#[allow(dead_code)]
pub fn classify(data: &limbeck::data::Dataset) -> limbeck::tasks::Classify {
    limbeck::tasks::Classify::new(data, limbeck::tasks::ClassifyConfig::default()).unwrap()
}
