//! What naga knows of a kernel's text: bindings, access, workgroup size. Rust never repeats these by hand.

use crate::{Error, Result};

/// How a kernel uses one binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `var<uniform>`
    Uniform,
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// One binding of group 0.
#[derive(Debug, Clone)]
pub struct BindingInfo {
    /// The `@binding` index.
    pub index: u32,
    /// Its name in the text.
    pub name: String,
    /// How it is accessed.
    pub access: Access,
}

/// An entry point as naga sees it.
#[derive(Debug, Clone)]
pub struct Reflection {
    /// Bindings the entry point uses, ascending.
    pub bindings: Vec<BindingInfo>,
    /// Invocations a workgroup in x, y, z.
    pub workgroup_size: [u32; 3],
}

/// A kernel as naga holds it: an entry point with what it uses, and nothing else.
pub(super) struct Parsed {
    /// The module.
    pub module: naga::Module,
    /// `@binding` and global of all that the entry point uses, ascending.
    pub bindings: Vec<(u32, naga::Handle<naga::GlobalVariable>)>,
}

/// Parses `source` and cuts it down to `entry`. wgpu validates what becomes of it. `place` names the kernel in errors.
pub(super) fn parse(source: &str, entry: &str, place: &str) -> Result<Parsed> {
    let fail = |message: String| Error::Validation { place: place.to_string(), message };
    let mut module = naga::front::wgsl::parse_str(source)
        .map_err(|e| fail(e.emit_to_string_with_path(source, &format!("{place}.wgsl"))))?;
    module.entry_points.retain(|e| e.name == entry);
    if module.entry_points.is_empty() {
        return Err(fail(format!("no entry point \"{entry}\"")));
    }
    naga::compact::compact(&mut module, naga::compact::KeepUnused::No);
    let globals = module.global_variables.iter();
    let mut bindings: Vec<_> =
        globals.filter_map(|(handle, global)| Some((global.binding.as_ref()?.binding, handle))).collect();
    bindings.sort_by_key(|(index, _)| *index);
    Ok(Parsed { module, bindings })
}

/// Why naga refuses a module.
pub(super) fn validate(module: &naga::Module, source: &str) -> Result<naga::valid::ModuleInfo, String> {
    let flags = naga::valid::ValidationFlags::all();
    naga::valid::Validator::new(flags, naga::valid::Capabilities::all())
        .validate(module)
        .map_err(|e| e.emit_to_string(source))
}

/// Parses and validates `source`, and reflects `entry`. `place` names the kernel in errors.
pub fn reflect(source: &str, entry: &str, place: &str) -> Result<Reflection> {
    let parsed = parse(source, entry, place)?;
    validate(&parsed.module, source).map_err(|message| Error::Validation { place: place.into(), message })?;
    Reflection::of(&parsed, place)
}

impl Reflection {
    pub(super) fn of(parsed: &Parsed, place: &str) -> Result<Self> {
        let Parsed { module, bindings } = parsed;
        let bindings = bindings
            .iter()
            .map(|(index, handle)| {
                let global = &module.global_variables[*handle];
                let access = match global.space {
                    naga::AddressSpace::Uniform => Access::Uniform,
                    naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                        Access::ReadWrite
                    }
                    naga::AddressSpace::Storage { .. } => Access::Read,
                    other => {
                        let message = format!("binding in address space {other:?} is not supported");
                        return Err(Error::Validation { place: place.to_string(), message });
                    }
                };
                Ok(BindingInfo { index: *index, name: global.name.clone().unwrap_or_default(), access })
            })
            .collect::<Result<_>>()?;
        let workgroup_size = module.entry_points.first().map_or([1; 3], |entry| entry.workgroup_size);
        Ok(Self { bindings, workgroup_size })
    }
}
