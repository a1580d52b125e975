//! Shared by the integration tests.
#![allow(dead_code)]

pub mod fixture;
pub mod translate;

use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions, TileVariant};

/// The test device, with poisoned buffers. Fails with instructions where there is no adapter.
pub fn gpu() -> Gpu {
    open(None, None)
}

/// The devices the conformance runs on: the default adapter with each tile engine it offers, and OpenGL where there is
/// one beside it, because its drivers offer less and make the fall-backs run.
pub fn adapters() -> Vec<Gpu> {
    let first = open(None, None);
    let mut all = vec![];
    if first.caps().tile != TileVariant::Workgroup {
        all.push(open(None, Some(TileVariant::Workgroup)));
    }
    let chosen = std::env::var("LIMBECK_BACKEND").is_ok() || std::env::var("LIMBECK_ADAPTER").is_ok();
    if !chosen && first.caps().backend != "gl" {
        let request = AdapterRequest { backend: Some("gl".into()), ..Default::default() };
        all.extend(Gpu::open_blocking(&request, options(None)).ok());
    }
    all.insert(0, first);
    all
}

fn open(backend: Option<String>, tile: Option<TileVariant>) -> Gpu {
    let mut request = AdapterRequest::from_env().expect("LIMBECK_BACKEND, LIMBECK_ADAPTER, LIMBECK_POWER");
    request.backend = backend.or(request.backend);
    Gpu::open_blocking(&request, options(tile)).unwrap_or_else(|error| {
        panic!("these tests need a GPU adapter, a software one will do: {error}\nRun `make setup` to install one.")
    })
}

fn options(tile: Option<TileVariant>) -> GpuOptions {
    GpuOptions { tile, poison: true, ..Default::default() }
}
