//! f32 operands that lie in memory as f16.
//!
//! For a binding that is stored as f16 its global becomes `array<f16>` or `array<vec4<f16>>`; a conversion follows every
//! load from it, and one comes before every store to it. A kernel that moves f32 as words (`array<u32>`) sees the words
//! that the f32 would have: it too need not know how they are stored.

use naga::{Arena, Expression, Handle, Scalar, ScalarKind, Span, Type, TypeInner, VectorSize};

use super::rewrite::{Form, StoredBindings};
use super::text_of;
use crate::gpu::reflect::{Parsed, parse};
use crate::{Error, Result};

const F32_BYTES: u8 = 4;
const F16_BYTES: u8 = 2;

/// The WGSL of `source` with the marked bindings of `entry` stored as f16. Bit i of `mask` stands for the binding with the
/// i-th lowest `@binding` of those that `entry` uses. `place` names the kernel in errors.
///
/// Fails where a marked binding is no array of f32, u32 or i32, or of vectors of two or four of them.
pub fn store_as_half(source: &str, entry: &str, mask: u32, place: &str) -> Result<String> {
    let mut parsed = parse(source, entry, place)?;
    mark_halves(&mut parsed, mask, place)?;
    let fail = |what| Error::Validation { place: place.to_string(), message: format!("as f16: {what}") };
    text_of(&parsed.module).map_err(fail)
}

/// Has the marked bindings of a parsed kernel stored as f16.
pub(in crate::gpu) fn mark_halves(parsed: &mut Parsed, mask: u32, place: &str) -> Result<()> {
    let Parsed { module, bindings } = parsed;
    let fail = |message: String| Error::Validation { place: place.to_string(), message };
    let mut stored = StoredBindings::default();
    for (i, (_, global)) in bindings.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1) {
        let name = module.global_variables[*global].name.clone().unwrap_or_default();
        let refuse = |what| fail(format!("binding {name} (number {i}) can't be stored as f16: {what}"));
        let (ty, kind) = half_type(module, *global).map_err(refuse)?;
        module.global_variables[*global].ty = ty;
        stored.globals.push((*global, Form::Half(kind)));
    }
    stored.rewrite(module).map_err(|what| fail(format!("as f16: {what}")))
}

/// The f16 type for a global, and the kind of number that its kernel takes the elements for; or why there is none.
fn half_type(
    module: &mut naga::Module,
    global: Handle<naga::GlobalVariable>,
) -> std::result::Result<(Handle<Type>, ScalarKind), &'static str> {
    const EXPECTED: &str = "expected an array of f32, u32 or i32, or of vectors of two or four of them";
    let TypeInner::Array { base, size, .. } = module.types[module.global_variables[global].ty].inner else {
        return Err(EXPECTED);
    };
    let (inner, kind, lanes) = match module.types[base].inner {
        TypeInner::Scalar(scalar) if scalar.width == 4 => (TypeInner::Scalar(Scalar::F16), scalar.kind, 1),
        // A vec3 has padding in an array, so that its f32 and its f16 are not the same run of numbers.
        TypeInner::Vector { size, scalar } if scalar.width == 4 && size != VectorSize::Tri => {
            (TypeInner::Vector { size, scalar: Scalar::F16 }, scalar.kind, size as u32)
        }
        _ => return Err(EXPECTED),
    };
    let element = module.types.insert(Type { name: None, inner }, Span::UNDEFINED);
    let array = TypeInner::Array { base: element, size, stride: 2 * lanes };
    Ok((module.types.insert(Type { name: None, inner: array }, Span::UNDEFINED), kind))
}

/// A loaded f16 as the f32 that it is, or as the word of that f32.
pub(super) fn loaded(
    to: &mut Arena<Expression>,
    half: Handle<Expression>,
    kind: ScalarKind,
    span: Span,
) -> Handle<Expression> {
    let float = ScalarKind::Float;
    let wide = to.append(Expression::As { expr: half, kind: float, convert: Some(F32_BYTES) }, span);
    match kind {
        ScalarKind::Float => wide,
        word => to.append(Expression::As { expr: wide, kind: word, convert: None }, span),
    }
}

/// An f32, or the word of one, as the f16 to store.
pub(super) fn before_store(
    to: &mut Arena<Expression>,
    value: Handle<Expression>,
    kind: ScalarKind,
    span: Span,
) -> Handle<Expression> {
    let float = ScalarKind::Float;
    let wide = match kind {
        ScalarKind::Float => value,
        _ => to.append(Expression::As { expr: value, kind: float, convert: None }, span),
    };
    to.append(Expression::As { expr: wide, kind: float, convert: Some(F16_BYTES) }, span)
}
