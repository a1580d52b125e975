//! Choosing an adapter by flag, environment or API: backend, name substring, power preference.

use super::matrices::{Matrices, configurations};
use crate::{Error, Result};

/// Which adapter to open. The default takes the first of: discrete, integrated, virtual, software.
#[derive(Debug, Clone, Default)]
pub struct AdapterRequest {
    /// `vulkan`, `metal`, `dx12` or `gl`; any when absent.
    pub backend: Option<String>,
    /// Part of the adapter's name, case-insensitive; any when absent.
    pub name: Option<String>,
    /// Prefer the fast adapter or the frugal one.
    pub power: Power,
    /// Use cooperative matrices in gemm and convolution: an experiment of wgpu, refused where the adapter has
    /// none that limbeck can use.
    pub cooperative_matrix: bool,
}

/// Power preference where several adapters match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Power {
    /// Discrete before integrated before software.
    #[default]
    High,
    /// Integrated before discrete before software.
    Low,
}

impl AdapterRequest {
    /// Reads `LIMBECK_BACKEND`, `LIMBECK_ADAPTER`, `LIMBECK_POWER` (`high` or `low`) and
    /// `LIMBECK_COOPERATIVE_MATRIX` (`1` or `0`).
    pub fn from_env() -> Result<Self> {
        let read = |key: &str| std::env::var(key).ok().filter(|v| !v.is_empty());
        let power = match read("LIMBECK_POWER").as_deref() {
            None | Some("high") => Power::High,
            Some("low") => Power::Low,
            Some(other) => {
                return Err(Error::config("LIMBECK_POWER", format!("expected high or low, got \"{other}\"")));
            }
        };
        let cooperative_matrix = match read("LIMBECK_COOPERATIVE_MATRIX").as_deref() {
            None | Some("0" | "false" | "no" | "off") => false,
            Some("1" | "true" | "yes" | "on") => true,
            Some(other) => {
                let message = format!("expected 1 or 0, got \"{other}\"");
                return Err(Error::config("LIMBECK_COOPERATIVE_MATRIX", message));
            }
        };
        Ok(Self {
            backend: read("LIMBECK_BACKEND"),
            name: read("LIMBECK_ADAPTER"),
            power,
            cooperative_matrix,
        })
    }

    fn backends(&self) -> Result<wgpu::Backends> {
        Ok(match self.backend.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None => wgpu::Backends::all(),
            Some("vulkan" | "vk") => wgpu::Backends::VULKAN,
            Some("metal") => wgpu::Backends::METAL,
            Some("dx12" | "d3d12") => wgpu::Backends::DX12,
            Some("gl" | "gles" | "opengl") => wgpu::Backends::GL,
            Some("webgpu") => wgpu::Backends::BROWSER_WEBGPU,
            Some(other) => {
                let message = format!("expected vulkan, metal, dx12, gl or webgpu, got \"{other}\"");
                return Err(Error::config("backend", message));
            }
        })
    }

    /// The adapters that match, best first.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown back end; [`Error::NoAdapter`] where none matches, listing the ones there are.
    pub async fn list(&self) -> Result<Vec<AdapterSummary>> {
        Ok(self.matching().await?.iter().map(summary).collect())
    }

    /// The best matching adapter, or an error that lists the ones there are.
    pub(super) async fn find(&self) -> Result<wgpu::Adapter> {
        // `matching` gives at least one.
        Ok(self.matching().await?.swap_remove(0))
    }

    async fn matching(&self) -> Result<Vec<wgpu::Adapter>> {
        let mut found = enumerate(self.backends()?).await;
        let wanted = self.name.as_deref().map(str::to_lowercase);
        found.sort_by_key(|a| rank(&a.get_info(), self.power));
        let all: Vec<String> =
            found.iter().map(|a| format!("{} ({})", a.get_info().name, a.get_info().backend)).collect();
        found.retain(|a| wanted.as_ref().is_none_or(|w| a.get_info().name.to_lowercase().contains(w)));
        if found.is_empty() { Err(Error::NoAdapter(self.explain(&all))) } else { Ok(found) }
    }

    fn explain(&self, all: &[String]) -> String {
        let asked = match (&self.backend, &self.name) {
            (None, None) => "none found".to_string(),
            (backend, name) => format!(
                "none matches backend {} and name {}",
                backend.as_deref().unwrap_or("any"),
                name.as_deref().map_or("any".into(), |n| format!("\"{n}\""))
            ),
        };
        if all.is_empty() {
            format!(
                "{asked}; on Linux without a GPU install a software Vulkan driver \
                 (apt install libvulkan1 mesa-vulkan-drivers, dnf install vulkan-loader mesa-vulkan-drivers, \
                 pacman -S vulkan-icd-loader vulkan-swrast), or run `make setup`"
            )
        } else {
            format!("{asked}; there are: {}", all.join(", "))
        }
    }
}

/// What `limbeck adapters` prints of one adapter.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AdapterSummary {
    /// The adapter's name.
    pub name: String,
    /// Vulkan, Metal, Dx12, Gl.
    pub backend: String,
    /// DiscreteGpu, IntegratedGpu, VirtualGpu, Cpu, Other.
    pub device_type: String,
    /// Driver name and version.
    pub driver: String,
    /// Named limits that matter to compute work.
    pub limits: Vec<(&'static str, u64)>,
    /// Named optional features limbeck knows how to use, and whether they are there.
    pub features: Vec<(&'static str, bool)>,
    /// The cooperative matrices that [`AdapterRequest::cooperative_matrix`] would use.
    pub matrices: Option<Matrices>,
    /// All cooperative matrices that it offers, in words.
    pub matrix_configurations: Vec<String>,
}

async fn enumerate(backends: wgpu::Backends) -> Vec<wgpu::Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    wgpu::Instance::new(descriptor).enumerate_adapters(backends).await
}

fn rank(info: &wgpu::AdapterInfo, power: Power) -> (u8, u8) {
    use wgpu::DeviceType::*;
    let by_type = match (info.device_type, power) {
        (DiscreteGpu, Power::High) | (IntegratedGpu, Power::Low) => 0,
        (IntegratedGpu, Power::High) | (DiscreteGpu, Power::Low) => 1,
        (VirtualGpu, _) => 2,
        (Other, _) => 3,
        (Cpu, _) => 4,
    };
    // OpenGL is the fall-back: it offers fewer features on the same hardware.
    (by_type, (info.backend == wgpu::Backend::Gl) as u8)
}

fn summary(adapter: &wgpu::Adapter) -> AdapterSummary {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    AdapterSummary {
        name: info.name,
        backend: info.backend.to_string(),
        device_type: format!("{:?}", info.device_type),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        limits: vec![
            ("storage buffers a stage", limits.max_storage_buffers_per_shader_stage.into()),
            ("bytes a binding", limits.max_storage_buffer_binding_size),
            ("bytes a buffer", limits.max_buffer_size),
            ("invocations a workgroup", limits.max_compute_invocations_per_workgroup.into()),
            ("bytes of workgroup memory", limits.max_compute_workgroup_storage_size.into()),
            ("workgroups a dimension", limits.max_compute_workgroups_per_dimension.into()),
            ("subgroup size, least", info.subgroup_min_size.into()),
            ("subgroup size, most", info.subgroup_max_size.into()),
        ],
        features: vec![
            ("subgroups", features.contains(wgpu::Features::SUBGROUP)),
            ("f16", features.contains(wgpu::Features::SHADER_F16)),
            ("timestamps", features.contains(wgpu::Features::TIMESTAMP_QUERY)),
            ("pipeline cache", features.contains(wgpu::Features::PIPELINE_CACHE)),
            ("cooperative matrix", features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX)),
        ],
        matrices: Matrices::offered(adapter),
        matrix_configurations: configurations(adapter),
    }
}
