//! Translates a kernel to every shading language that wgpu's back ends take.

use naga::back::{glsl, hlsl, msl, spv};
use naga::{ShaderStage, valid};

/// An error in words, naming the language, where a translation fails.
pub fn translate(source: &str, entry: &str) -> Result<(), String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|e| format!("WGSL: {e}"))?;
    let info = valid::Validator::new(valid::ValidationFlags::all(), valid::Capabilities::all())
        .validate(&module)
        .map_err(|e| format!("WGSL: {e:?}"))?;
    let stage = ShaderStage::Compute;
    let half = source.contains("enable f16;");

    let options = spv::Options { lang_version: (1, 3), ..Default::default() };
    let pipeline = spv::PipelineOptions { shader_stage: stage, entry_point: entry.into() };
    spv::write_vec(&module, &info, &options, Some(&pipeline)).map_err(|e| format!("SPIR-V: {e}"))?;

    // Binding numbers are made up by naga where none are given.
    let options = msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..Default::default() };
    let pipeline = msl::PipelineOptions { entry_point: Some((stage, entry.into())), ..Default::default() };
    msl::write_string(&module, &info, &options, &pipeline).map_err(|e| format!("MSL: {e}"))?;

    // Only Vulkan and Metal have cooperative matrices.
    if source.contains("enable wgpu_cooperative_matrix;") {
        return Ok(());
    }
    let options = hlsl::Options {
        shader_model: if half { hlsl::ShaderModel::V6_2 } else { hlsl::ShaderModel::V6_0 },
        fake_missing_bindings: true,
        ..Default::default()
    };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((stage, entry.into())) };
    hlsl::Writer::new(String::new(), &options, &pipeline)
        .write(&module, &info, None)
        .map_err(|e| format!("HLSL: {e}"))?;

    // The OpenGL back end offers neither subgroups nor f16: those kernels never reach it.
    if half || source.contains("subgroupBroadcast") {
        return Ok(());
    }
    let options = glsl::Options { version: glsl::Version::Desktop(430), ..Default::default() };
    let pipeline = glsl::PipelineOptions { shader_stage: stage, entry_point: entry.into(), multiview: None };
    let policies = naga::proc::BoundsCheckPolicies::default();
    let mut text = String::new();
    glsl::Writer::new(&mut text, &module, &info, &options, &pipeline, policies)
        .and_then(|mut writer| writer.write())
        .map(drop)
        .map_err(|e| format!("GLSL: {e}"))
}
