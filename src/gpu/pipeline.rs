//! Compiled kernels. Equal kernels share one pipeline.
//!
//! naga is slow in a build without optimisation, so each text goes through it once: it is parsed, cut down to its entry
//! point, reflected and rewritten as one module, and wgpu gets that module and not its text. A browser has a compiler
//! of its own, and gets text.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use super::buffer::BufferSlice;
use super::device::{Gpu, lock};
use super::kernel::Kernel;
use super::reflect::{Access, Parsed, Reflection, parse};
use super::stored::{in_pairs, mark_halves, store_as_half};
use crate::Result;

/// The pipelines of a device, by [`key_of`] of their kernels.
#[derive(Default)]
pub(super) struct Pipelines {
    made: Mutex<HashMap<String, Pipeline>>,
    /// Kernels that were parsed and not compiled yet.
    pub parsed: Mutex<HashMap<String, Parsed>>,
    /// Hashes of the kernels that were parsed ahead.
    pub known: Mutex<HashSet<u64>>,
}

/// What kernels of one pipeline have in common: entry point, mask of f16 bindings and text.
pub(super) fn key_of(kernel: &Kernel, source: &str) -> String {
    format!("{} {}\n{source}", kernel.entry(), kernel.half_mask())
}

/// A kernel as naga holds it, of which `source` is the text before anything of it is stored as f16.
pub(super) fn parse_kernel(kernel: &Kernel, source: &str) -> Result<Parsed> {
    let label = kernel.label();
    let mut parsed = parse(source, kernel.entry(), &label)?;
    if kernel.half_mask() != 0 {
        mark_halves(&mut parsed, kernel.half_mask(), &label)?;
    }
    Ok(parsed)
}

/// A compiled kernel with what naga reflected of it. Clones share it.
#[derive(Debug, Clone)]
pub struct Pipeline {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    label: String,
    raw: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    reflection: Reflection,
    kernel: Kernel,
    source: String,
}

impl Gpu {
    /// The pipeline for `kernel`, compiled once for equal text.
    pub fn pipeline(&self, kernel: &Kernel) -> Result<Pipeline> {
        let source = kernel.source()?;
        if kernel.half_mask() != 0 {
            self.need_f16()?;
        }
        let key = key_of(kernel, &source);
        if let Some(found) = lock(&self.pipelines().made).get(&key) {
            return Ok(found.clone());
        }
        let parsed = lock(&self.pipelines().parsed).remove(&key);
        let parsed = parsed.map_or_else(|| parse_kernel(kernel, &source), Ok)?;
        let made = Pipeline::compile(self, kernel, source, parsed);
        // A lost device explains whatever came of it.
        self.check()?;
        let made = made?;
        self.count_object();
        lock(&self.pipelines().made).insert(key, made.clone());
        Ok(made)
    }

    /// The WGSL text of every pipeline made so far, with its entry point: for tools that look at kernels. It is the
    /// text that adapters other than this one would have, with f16 where it is stored.
    pub fn kernel_sources(&self) -> Result<Vec<(String, String)>> {
        let pipelines: Vec<Pipeline> = lock(&self.pipelines().made).values().cloned().collect();
        pipelines
            .iter()
            .map(|pipeline| Ok((pipeline.inner.kernel.entry().into(), pipeline.text()?)))
            .collect()
    }

    /// A bind group of `bindings`, in the order of the pipeline's.
    pub(super) fn bind_group(
        &self,
        pipeline: &Pipeline,
        bindings: &[BufferSlice],
    ) -> Result<wgpu::BindGroup> {
        let entries: Vec<_> = pipeline
            .reflection()
            .bindings
            .iter()
            .zip(bindings)
            .map(|(info, bound)| {
                let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: bound.buffer.raw_on(self.number())?,
                    offset: bound.offset,
                    size: std::num::NonZeroU64::new(bound.len),
                });
                Ok(wgpu::BindGroupEntry { binding: info.index, resource })
            })
            .collect::<Result<_>>()?;
        self.count_object();
        let scope = self.device().push_error_scope(wgpu::ErrorFilter::Validation);
        let group = self.device().create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(pipeline.label()),
            layout: &pipeline.inner.layout,
            entries: &entries,
        });
        self.end_scope(scope, pipeline.label().into())?;
        Ok(group)
    }
}

impl Pipeline {
    /// Compiles `kernel`, of which `source` is the text and `parsed` what became of it.
    fn compile(gpu: &Gpu, kernel: &Kernel, source: String, parsed: Parsed) -> Result<Self> {
        let label = kernel.label();
        let reflection = Reflection::of(&parsed, &label)?;
        let device = gpu.device();
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label),
            source: shader(parsed, kernel, &source, gpu.caps().pairs)?,
        });
        let entries: Vec<_> = reflection.bindings.iter().map(|b| layout_entry(b.index, b.access)).collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&label),
            entries: &entries,
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(kernel.entry()),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        gpu.end_scope(scope, label.clone())?;
        let kernel = kernel.clone();
        Ok(Self { inner: Arc::new(Inner { label, raw, layout, reflection, kernel, source }) })
    }

    pub(super) fn raw(&self) -> &wgpu::ComputePipeline {
        &self.inner.raw
    }

    /// `name/entry`
    pub fn label(&self) -> &str {
        &self.inner.label
    }

    /// Its WGSL text, with f16 where it is stored.
    fn text(&self) -> Result<String> {
        let Inner { label, kernel, source, .. } = self.inner.as_ref();
        match kernel.half_mask() {
            0 => Ok(source.clone()),
            mask => store_as_half(source, kernel.entry(), mask, label),
        }
    }

    /// What naga knows of it.
    pub fn reflection(&self) -> &Reflection {
        &self.inner.reflection
    }
}

/// What wgpu compiles: the module as it was rewritten.
#[cfg(not(target_family = "wasm"))]
fn shader<'a>(parsed: Parsed, _: &Kernel, _: &'a str, pairs: bool) -> Result<wgpu::ShaderSource<'a>> {
    let paired = pairs.then(|| in_pairs(&parsed)).flatten();
    Ok(wgpu::ShaderSource::Naga(Cow::Owned(paired.unwrap_or(parsed.module))))
}

/// What a browser compiles: the text as it was written, unless something of it is stored as f16.
#[cfg(target_family = "wasm")]
fn shader<'a>(parsed: Parsed, kernel: &Kernel, source: &'a str, _: bool) -> Result<wgpu::ShaderSource<'a>> {
    if kernel.half_mask() == 0 {
        return Ok(wgpu::ShaderSource::Wgsl(source.into()));
    }
    let text = super::stored::text_of(&parsed.module)
        .map_err(|message| crate::Error::Validation { place: kernel.label(), message })?;
    Ok(wgpu::ShaderSource::Wgsl(Cow::Owned(text)))
}

fn layout_entry(binding: u32, access: Access) -> wgpu::BindGroupLayoutEntry {
    let ty = match access {
        Access::Uniform => wgpu::BufferBindingType::Uniform,
        Access::Read => wgpu::BufferBindingType::Storage { read_only: true },
        Access::ReadWrite => wgpu::BufferBindingType::Storage { read_only: false },
    };
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
