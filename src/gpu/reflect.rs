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

/// A kernel's text as naga holds it.
pub(super) struct Parsed {
    /// The whole module.
    pub module: naga::Module,
    /// Place of the entry point.
    pub entry: usize,
    /// `@binding` and global of all that the entry point uses, ascending.
    pub bindings: Vec<(u32, naga::Handle<naga::GlobalVariable>)>,
}

/// Parses and validates `source`, and finds `entry`. `place` names the kernel in errors.
pub(super) fn parse(source: &str, entry: &str, place: &str) -> Result<Parsed> {
    let fail = |message: String| Error::Validation { place: place.to_string(), message };
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|e| fail(e.emit_to_string_with_path(source, &format!("{place}.wgsl"))))?;
    let flags = naga::valid::ValidationFlags::all();
    let info = naga::valid::Validator::new(flags, naga::valid::Capabilities::all())
        .validate(&module)
        .map_err(|e| fail(e.emit_to_string(source)))?;
    let entry = module
        .entry_points
        .iter()
        .position(|e| e.name == entry)
        .ok_or_else(|| fail(format!("no entry point \"{entry}\"")))?;
    let used = info.get_entry_point(entry);
    let mut bindings: Vec<_> = module
        .global_variables
        .iter()
        .filter(|(handle, _)| !used[*handle].is_empty())
        .filter_map(|(handle, global)| Some((global.binding.as_ref()?.binding, handle)))
        .collect();
    bindings.sort_by_key(|(index, _)| *index);
    Ok(Parsed { module, entry, bindings })
}

/// Parses and validates `source`, and reflects `entry`. `place` names the kernel in errors.
pub fn reflect(source: &str, entry: &str, place: &str) -> Result<Reflection> {
    Reflection::of(&parse(source, entry, place)?, place)
}

impl Reflection {
    pub(super) fn of(parsed: &Parsed, place: &str) -> Result<Self> {
        let Parsed { module, entry, bindings } = parsed;
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
        Ok(Self { bindings, workgroup_size: module.entry_points[*entry].workgroup_size })
    }
}
