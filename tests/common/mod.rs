//! Shared by the integration tests.
#![allow(dead_code)]

pub mod digits;
pub mod fixture;
pub mod translate;

use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions, TileVariant};

/// The test device, with poisoned buffers. Fails with instructions where there is no adapter.
pub fn gpu() -> Gpu {
    open(None, options(None))
}

/// The test device with other options.
pub fn gpu_with(options: GpuOptions) -> Gpu {
    open(None, options)
}

/// The devices the conformance runs on: the default adapter with each tile engine it offers, and OpenGL where there is
/// one beside it, because its drivers offer less and make the fall-backs run.
pub fn adapters() -> Vec<Gpu> {
    let first = gpu();
    let mut all = vec![];
    if first.caps().tile != TileVariant::Workgroup {
        all.push(gpu_with(options(Some(TileVariant::Workgroup))));
    }
    let chosen = std::env::var("LIMBECK_BACKEND").is_ok() || std::env::var("LIMBECK_ADAPTER").is_ok();
    if !chosen && first.caps().backend != "gl" {
        let request = AdapterRequest { backend: Some("gl".into()), ..Default::default() };
        all.extend(Gpu::open_blocking(&request, options(None)).ok());
    }
    all.insert(0, first);
    all
}

/// The same device once more, which takes the variant of that place in all work that has variants.
pub fn again(gpu: &Gpu, place: usize) -> Gpu {
    let request = AdapterRequest {
        backend: Some(gpu.caps().backend.clone()),
        name: Some(gpu.caps().name.clone()),
        ..Default::default()
    };
    let options = GpuOptions { variant: Some(place), ..gpu.options().clone() };
    Gpu::open_blocking(&request, options).expect("the device that was there a moment ago")
}

fn open(backend: Option<String>, options: GpuOptions) -> Gpu {
    let mut request = AdapterRequest::from_env().expect("LIMBECK_BACKEND, LIMBECK_ADAPTER, LIMBECK_POWER");
    request.backend = backend.or(request.backend);
    Gpu::open_blocking(&request, options).unwrap_or_else(|error| {
        panic!("these tests need a GPU adapter, a software one will do: {error}\nRun `make setup` to install one.")
    })
}

/// With poisoned buffers.
pub fn options(tile: Option<TileVariant>) -> GpuOptions {
    GpuOptions { tile, poison: true, ..Default::default() }
}
