//! A device that the application owns: wgpu's default limits, and buffers of the application's as tensors.

use limbeck::gpu::{Buffer, Gpu, GpuOptions, wgpu};
use limbeck::tape::{Meta, Plan, Step, Tape};

fn device() -> (wgpu::Device, wgpu::Queue) {
    pollster::block_on(async {
        let instance = wgpu::Instance::default();
        let adapter = instance.request_adapter(&Default::default()).await.expect("an adapter");
        adapter.request_device(&Default::default()).await.expect("a device")
    })
}

fn buffer(device: &wgpu::Device, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
}

#[test]
fn tensors_lie_in_the_applications_buffers() {
    let (device, queue) = device();
    let gpu = Gpu::from_device(device.clone(), queue.clone(), GpuOptions::default());
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let (from, to) = (buffer(&device, 16, usage), buffer(&device, 16, usage));
    queue.write_buffer(&from, 0, bytemuck::cast_slice(&[1.0f32, -2.0, 3.0, -4.0]));

    let tape = Tape::new();
    let x = tape.external("x", Meta::f32([4]), Buffer::wrap(from, "x").unwrap().whole(), false).unwrap();
    let y = x.relu().unwrap();
    let home = Buffer::wrap(to.clone(), "y").unwrap().whole();
    assert!(y.place(home.clone()));
    let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    assert_eq!(plan.read_f32(&y).unwrap(), [1.0, 0.0, 3.0, 0.0]);
    assert_eq!(pollster::block_on(plan.read_f32_async(&y)).unwrap(), [1.0, 0.0, 3.0, 0.0]);
    assert_eq!(home.buffer.raw(), &to);
}

#[test]
fn unusable_buffers_are_refused() {
    let (device, _) = device();
    for (size, usage) in [(16, wgpu::BufferUsages::UNIFORM), (20, wgpu::BufferUsages::STORAGE)] {
        let message = Buffer::wrap(buffer(&device, size, usage), "frame").unwrap_err().to_string();
        assert!(message.contains("frame") && message.contains("STORAGE"), "{message}");
    }
}
