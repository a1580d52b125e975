//! Device lost, out of memory and validation reach the caller as errors of their own.

use super::*;
use crate::tape::{Plan, Step, Tape};

fn gpu() -> Gpu {
    let request = AdapterRequest::from_env().unwrap();
    Gpu::open_blocking(&request, GpuOptions::default())
        .expect("an adapter, a software one will do: make setup")
}

fn source(message: &str) -> Box<dyn std::error::Error + Send + Sync> {
    message.into()
}

#[test]
fn a_lost_device_is_said_by_every_later_call() {
    let gpu = gpu();
    let tape = Tape::new();
    let x = tape.input("x", [4]);
    let y = x.relu().unwrap();
    let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
    plan.write(&x, &[1.0f32, -1.0, 2.0, -2.0]).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    assert_eq!(plan.read_f32(&y).unwrap(), [1.0, 0.0, 2.0, 0.0]);
    gpu.device().destroy();
    for _ in 0..2 {
        let run = plan.run(&Step::new(1, 0)).and_then(|()| gpu.wait_idle());
        assert!(matches!(run, Err(Error::DeviceLost(_))), "{run:?}");
        let read = plan.read_f32(&y);
        assert!(matches!(read, Err(Error::DeviceLost(_))), "{read:?}");
        let made = gpu.buffer("late", 64);
        assert!(matches!(made, Err(Error::DeviceLost(_))), "{:?}", made.err());
        let again = Plan::new(&gpu, &tape, &[&x.sigmoid().unwrap()]);
        assert!(matches!(again, Err(Error::DeviceLost(_))), "{:?}", again.err());
    }
}

#[test]
fn what_the_device_reports_keeps_its_kind_and_is_said_once() {
    let gpu = gpu();
    let memory = wgpu::Error::OutOfMemory { source: source("full") };
    let invalid = wgpu::Error::Validation { source: source("no"), description: "no such binding".into() };
    note(&gpu.inner.failure, Failure::of(&memory));
    // The first explains the second.
    note(&gpu.inner.failure, Failure::of(&invalid));
    assert!(matches!(gpu.check(), Err(Error::OutOfMemory(_))));
    gpu.check().unwrap();
    note(&gpu.inner.failure, Failure::of(&invalid));
    note(&gpu.inner.failure, Failure::Lost("unplugged".into()));
    for _ in 0..2 {
        assert!(matches!(gpu.check(), Err(Error::DeviceLost(_))));
    }
}

#[test]
fn an_uncaptured_validation_error_is_found_by_the_next_call() {
    let gpu = gpu();
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE;
    let bad = wgpu::BufferDescriptor { label: Some("bad"), size: 16, usage, mapped_at_creation: false };
    drop(gpu.device().create_buffer(&bad));
    let found = gpu.check();
    assert!(matches!(found, Err(Error::Validation { .. })), "{found:?}");
    gpu.check().unwrap();
}

#[test]
fn a_refused_kernel_is_named_and_a_buffer_too_large_is_a_limit() {
    let gpu = gpu();
    let kernel = Kernel::new("broken", "forward", "@compute @workgroup_size(1) fn forward() { nothing(); }");
    let message = match gpu.pipeline(&kernel) {
        Err(Error::Validation { place, message }) => format!("{place}: {message}"),
        other => panic!("{:?}", other.err()),
    };
    assert!(message.contains("broken/forward") && message.contains("nothing"), "{message}");
    let made = gpu.buffer("everything", u64::MAX / 2);
    assert!(matches!(made, Err(Error::Limit { .. })), "{:?}", made.err());
}
