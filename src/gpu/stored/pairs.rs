//! Vectors of 32-bit numbers that a CPU adapter loads and stores as 64-bit words.
//!
//! lavapipe does a load of 8 lanes lane by lane and component by component, each with its own bounds check: a `vec4<f32>`
//! costs it four of them, a `vec2<u64>` of the same bytes two. So every storage array of such vectors becomes one of
//! words. The bits are the same, and so is every result.

use naga::{
    Arena, BinaryOperator, Expression, Function, GlobalVariable, Handle, Module, Scalar, ScalarKind, Span,
    SwizzleComponent, Type, TypeInner, VectorSize,
};

use super::rewrite::{Form, StoredBindings};
use crate::gpu::reflect::Parsed;

const WORD_BYTES: u8 = 4;
const PAIR_BYTES: u8 = 8;

/// A vector of two or four 32-bit numbers, stored as one or two 64-bit words.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    /// What the numbers are.
    kind: ScalarKind,
    /// Two or four of them.
    size: VectorSize,
    /// The vector as `u32`.
    words: Handle<Type>,
}

/// A kernel with its storage arrays of vectors in 64-bit words, of those bindings whose vectors are loaded and stored as
/// wholes; nothing where there are none.
pub(in crate::gpu) fn in_pairs(parsed: &Parsed) -> Option<Module> {
    let mut module = parsed.module.clone();
    let mut stored = StoredBindings::default();
    for &(_, global) in &parsed.bindings {
        if !functions(&module).all(|function| takes_whole(function, global)) {
            continue;
        }
        let Some((ty, pair)) = pair_type(&mut module, global) else { continue };
        module.global_variables[global].ty = ty;
        stored.globals.push((global, Form::Pairs(pair)));
    }
    if stored.globals.is_empty() {
        return None;
    }
    // A kernel that can't be rewritten runs as it was written.
    stored.rewrite(&mut module).ok().map(|()| module)
}

fn functions(module: &Module) -> impl Iterator<Item = &Function> {
    let entries = module.entry_points.iter().map(|entry| &entry.function);
    module.functions.iter().map(|(_, function)| function).chain(entries)
}

/// Whether the function never points at a single component of the global's vectors.
fn takes_whole(function: &Function, global: Handle<GlobalVariable>) -> bool {
    let base = |expression: &Expression| match expression {
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => Some(*base),
        _ => None,
    };
    let is_component = |expression: &Expression| {
        let array = base(expression).and_then(|element| base(&function.expressions[element]));
        array.is_some_and(
            |of| matches!(&function.expressions[of], Expression::GlobalVariable(g) if *g == global),
        )
    };
    !function.expressions.iter().any(|(_, expression)| is_component(expression))
}

/// The type in 64-bit words for a storage array of vectors.
fn pair_type(module: &mut Module, global: Handle<GlobalVariable>) -> Option<(Handle<Type>, Pair)> {
    let TypeInner::Array { base, size: len, .. } = module.types[module.global_variables[global].ty].inner
    else {
        return None;
    };
    let TypeInner::Vector { size, scalar: Scalar { kind, width: WORD_BYTES } } = module.types[base].inner
    else {
        return None;
    };
    let inner = match size {
        VectorSize::Bi => TypeInner::Scalar(Scalar::U64),
        VectorSize::Quad => TypeInner::Vector { size: VectorSize::Bi, scalar: Scalar::U64 },
        VectorSize::Tri => return None,
    };
    let mut insert = |inner| module.types.insert(Type { name: None, inner }, Span::UNDEFINED);
    let words = insert(TypeInner::Vector { size, scalar: Scalar::U32 });
    let element = insert(inner);
    let stride = u32::from(WORD_BYTES) * size as u32;
    Some((insert(TypeInner::Array { base: element, size: len, stride }), Pair { kind, size, words }))
}

impl Pair {
    /// The vector in loaded words: in each the first number is the lower half. `shift` is the number 32.
    pub fn loaded(
        &self,
        to: &mut Arena<Expression>,
        shift: Handle<Expression>,
        value: Handle<Expression>,
        span: Span,
    ) -> Handle<Expression> {
        let mut add = |expression| to.append(expression, span);
        let count = self.shift(&mut add, shift);
        let high = add(Expression::Binary { op: BinaryOperator::ShiftRight, left: value, right: count });
        let [low, high] = [value, high].map(|half| cast(&mut add, half, ScalarKind::Uint, Some(WORD_BYTES)));
        let components = match self.size {
            VectorSize::Quad => [0, 1]
                .into_iter()
                .flat_map(|index| [low, high].map(|base| (base, index)))
                .map(|(base, index)| add(Expression::AccessIndex { base, index }))
                .collect(),
            _ => vec![low, high],
        };
        let words = add(Expression::Compose { ty: self.words, components });
        match self.kind {
            ScalarKind::Uint => words,
            kind => cast(&mut add, words, kind, None),
        }
    }

    /// The words that hold a vector.
    pub fn before_store(
        &self,
        to: &mut Arena<Expression>,
        shift: Handle<Expression>,
        value: Handle<Expression>,
        span: Span,
    ) -> Handle<Expression> {
        use SwizzleComponent::{W, X, Y, Z};
        let mut add = |expression| to.append(expression, span);
        let vector = match self.kind {
            ScalarKind::Uint => value,
            _ => cast(&mut add, value, ScalarKind::Uint, None),
        };
        let [low, high] = match self.size {
            VectorSize::Quad => [[X, Z, X, X], [Y, W, X, X]]
                .map(|pattern| add(Expression::Swizzle { size: VectorSize::Bi, vector, pattern })),
            _ => [0, 1].map(|index| add(Expression::AccessIndex { base: vector, index })),
        };
        let [low, high] = [low, high].map(|half| cast(&mut add, half, ScalarKind::Uint, Some(PAIR_BYTES)));
        let count = self.shift(&mut add, shift);
        let high = add(Expression::Binary { op: BinaryOperator::ShiftLeft, left: high, right: count });
        add(Expression::Binary { op: BinaryOperator::InclusiveOr, left: low, right: high })
    }

    /// The number of bits to shift by, for one word or for two.
    fn shift(
        &self,
        add: &mut impl FnMut(Expression) -> Handle<Expression>,
        value: Handle<Expression>,
    ) -> Handle<Expression> {
        match self.size {
            VectorSize::Quad => add(Expression::Splat { size: VectorSize::Bi, value }),
            _ => value,
        }
    }
}

fn cast(
    add: &mut impl FnMut(Expression) -> Handle<Expression>,
    expr: Handle<Expression>,
    kind: ScalarKind,
    convert: Option<u8>,
) -> Handle<Expression> {
    add(Expression::As { expr, kind, convert })
}
