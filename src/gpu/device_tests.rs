//! Device lost, out of memory and validation reach the caller as errors of their own.

use super::*;
use crate::gpu::Kernel;
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
    gpu.errors().note(Failure::of("the device", &memory));
    // The first explains the second.
    gpu.errors().note(Failure::of("the device", &invalid));
    assert!(matches!(gpu.check(), Err(Error::OutOfMemory(_))));
    gpu.check().unwrap();
    gpu.errors().note(Failure::of("the device", &invalid));
    gpu.errors().note(Failure::Lost("unplugged".into()));
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

/// What naga's parser takes and a validator does not must not make anything panic on the way to it.
#[test]
fn kernels_that_parse_but_are_wrong_are_refused_by_name() {
    let gpu = gpu();
    let storage = "@group(0) @binding(0) var<storage, read_write> x: array<f32>;";
    for wrong in [
        // Writes to what is only read.
        "@group(0) @binding(0) var<storage, read> x: array<f32>;
         @compute @workgroup_size(1) fn forward() { x[0] = 1.0; }"
            .into(),
        // No value on one path.
        format!(
            "{storage} fn f(i: u32) -> f32 {{ if i > 1u {{ return 1.0; }} }}
                 @compute @workgroup_size(1) fn forward() {{ x[0] = f(2u); }}"
        ),
        // No binding.
        "var<storage, read_write> x: array<f32>; @compute @workgroup_size(1) fn forward() { x[0] = 1.0; }"
            .into(),
        // A workgroup of nothing.
        format!("{storage} @compute @workgroup_size(0) fn forward() {{ x[0] = 1.0; }}"),
    ] {
        let kernel = Kernel::new("wrong", "forward", Box::leak(wrong.clone().into_boxed_str()));
        match gpu.pipeline(&kernel) {
            Err(Error::Validation { place, .. }) => assert!(place.contains("wrong/forward"), "{place}"),
            other => panic!("{wrong}: {:?}", other.err()),
        }
        gpu.check().unwrap();
    }
}

#[test]
fn copies_have_two_ends_of_one_length() {
    let gpu = gpu();
    let (a, b) = (gpu.buffer("a", 64).unwrap(), gpu.buffer("b", 32).unwrap());
    gpu.write(&a.whole(), &[7.0f32; 16]).unwrap();
    let message = gpu.copy(&a.whole(), &b.whole()).unwrap_err().to_string();
    for part in ["a to b", "64 bytes", "32 bytes"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let end = a.slice(32, 32).unwrap();
    gpu.copy(&end, &b.whole()).unwrap();
    assert_eq!(gpu.read(&b.whole()).unwrap().wait().unwrap(), bytemuck::cast_slice::<f32, u8>(&[7.0; 8]));
}
