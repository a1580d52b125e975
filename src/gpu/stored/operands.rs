//! The operands of naga's expressions and statements, as far as compute kernels have them.

use naga::{AtomicFunction, Expression, GatherMode, Handle, Statement};

/// Calls `visit` on every operand of an expression. False for a kind that no compute kernel of limbeck has.
pub fn of_expression(expression: &mut Expression, mut visit: impl FnMut(&mut Handle<Expression>)) -> bool {
    use Expression as E;
    match expression {
        E::Literal(_) | E::Constant(_) | E::ZeroValue(_) | E::FunctionArgument(_) | E::GlobalVariable(_) => {}
        E::LocalVariable(_) | E::CallResult(_) | E::AtomicResult { .. } | E::SubgroupBallotResult => {}
        E::WorkGroupUniformLoadResult { .. } | E::SubgroupOperationResult { .. } => {}
        E::Compose { components, .. } => components.iter_mut().for_each(visit),
        E::Access { base, index } => [base, index].into_iter().for_each(visit),
        E::AccessIndex { base, .. } => visit(base),
        E::Splat { value, .. } => visit(value),
        E::Swizzle { vector, .. } => visit(vector),
        E::Load { pointer } => visit(pointer),
        E::Unary { expr, .. } | E::As { expr, .. } => visit(expr),
        E::Binary { left, right, .. } => [left, right].into_iter().for_each(visit),
        E::Select { condition, accept, reject } => [condition, accept, reject].into_iter().for_each(visit),
        E::Relational { argument, .. } => visit(argument),
        E::Math { arg, arg1, arg2, arg3, .. } => {
            std::iter::once(arg).chain([arg1, arg2, arg3].into_iter().flatten()).for_each(visit);
        }
        E::ArrayLength(array) => visit(array),
        E::CooperativeLoad { data, .. } => [&mut data.pointer, &mut data.stride].into_iter().for_each(visit),
        E::CooperativeMultiplyAdd { a, b, c } => [a, b, c].into_iter().for_each(visit),
        _ => return false,
    }
    true
}

/// The same for a statement; its blocks and its range of emitted expressions are the caller's.
pub fn of_statement(statement: &mut Statement, mut visit: impl FnMut(&mut Handle<Expression>)) -> bool {
    use Statement as S;
    match statement {
        S::Emit(_) | S::Block(_) | S::Break | S::Continue | S::ControlBarrier(_) | S::MemoryBarrier(_) => {}
        S::If { condition, .. } => visit(condition),
        S::Switch { selector, .. } => visit(selector),
        S::Loop { break_if, .. } => break_if.iter_mut().for_each(visit),
        S::Return { value } => value.iter_mut().for_each(visit),
        S::Store { pointer, value } => [pointer, value].into_iter().for_each(visit),
        S::Atomic { pointer, fun, value, result } => {
            [pointer, value].into_iter().chain(result).for_each(&mut visit);
            if let AtomicFunction::Exchange { compare: Some(compare) } = fun {
                visit(compare);
            }
        }
        S::CooperativeStore { target, data } => {
            [target, &mut data.pointer, &mut data.stride].into_iter().for_each(visit);
        }
        S::WorkGroupUniformLoad { pointer, result } => [pointer, result].into_iter().for_each(visit),
        S::Call { arguments, result, .. } => arguments.iter_mut().chain(result).for_each(visit),
        S::SubgroupBallot { result, predicate } => {
            std::iter::once(result).chain(predicate).for_each(visit);
        }
        S::SubgroupCollectiveOperation { argument, result, .. } => {
            [argument, result].into_iter().for_each(visit);
        }
        S::SubgroupGather { mode, argument, result } => {
            use GatherMode as G;
            [argument, result].into_iter().for_each(&mut visit);
            match mode {
                G::Broadcast(lane) | G::Shuffle(lane) | G::ShuffleDown(lane) => visit(lane),
                G::ShuffleUp(lane) | G::ShuffleXor(lane) | G::QuadBroadcast(lane) => visit(lane),
                G::BroadcastFirst | G::QuadSwap(_) => {}
            }
        }
        _ => return false,
    }
    true
}
