//! What the opened device offers, as the kernels choose their variants by it.

use super::matrices::Matrices;
use super::options::GpuOptions;

/// Limits and features of an open device.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Caps {
    /// Adapter name.
    pub name: String,
    /// Backend name: Vulkan, Metal, Dx12, Gl.
    pub backend: String,
    /// Driver name and version.
    pub driver: String,
    /// The adapter runs on CPU cores (lavapipe, WARP, llvmpipe).
    pub is_cpu: bool,
    /// The one subgroup size of the device, where subgroup operations are enabled and the size is fixed.
    pub subgroup_size: Option<u32>,
    /// Largest storage binding in bytes.
    pub max_binding_bytes: u64,
    /// Workgroups a dimension.
    pub max_workgroups: u32,
    /// Alignment of a storage binding's offset, bytes.
    pub storage_alignment: u32,
    /// Passes can be timed by timestamp queries.
    pub timestamps: bool,
    /// Tensors may be stored as f16.
    pub f16: bool,
    /// Kernels load and store vectors two words at a time: software Vulkan with 64-bit integers does better so.
    pub pairs: bool,
    /// Which tile engine gemm and convolution use.
    pub tile: TileVariant,
    /// The cooperative matrices that gemm and convolution use: none unless they were asked for.
    pub matrices: Option<Matrices>,
}

/// How a gemm or convolution computes its output tile (shaders/tile/).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileVariant {
    /// 64x64 outputs a workgroup of 256, operands staged in workgroup memory: the safe choice on every GPU.
    Workgroup,
    /// 32x32 outputs a subgroup of 8, operands shared by broadcast: loads are expensive on CPU adapters, broadcasts cheap.
    Subgroup,
}

impl Caps {
    pub(super) fn new(device: &wgpu::Device, options: &GpuOptions, matrices: Option<Matrices>) -> Self {
        let (info, limits) = (device.adapter_info(), device.limits());
        let fixed = info.subgroup_min_size == info.subgroup_max_size && info.subgroup_min_size > 0;
        let subgroups = device.features().contains(wgpu::Features::SUBGROUP);
        let subgroup_size = (subgroups && fixed).then_some(info.subgroup_min_size);
        let best = match subgroup_size {
            Some(8) => TileVariant::Subgroup,
            _ => TileVariant::Workgroup,
        };
        let tile = match options.tile {
            Some(TileVariant::Subgroup) if subgroup_size != Some(8) => best,
            Some(variant) => variant,
            None => best,
        };
        let is_cpu = info.device_type == wgpu::DeviceType::Cpu;
        let words64 = device.features().contains(wgpu::Features::SHADER_INT64);
        // Where it was measured; WARP, by way of DX12, was not.
        let pairs = is_cpu && words64 && info.backend == wgpu::Backend::Vulkan;
        Self {
            name: info.name.clone(),
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            is_cpu,
            subgroup_size,
            max_binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            storage_alignment: limits.min_storage_buffer_offset_alignment,
            timestamps: device.features().contains(wgpu::Features::TIMESTAMP_QUERY),
            f16: device.features().contains(wgpu::Features::SHADER_F16),
            pairs: pairs && !options.unpaired,
            tile,
            matrices,
        }
    }
}
