//! Conversions after loads from f16 globals and before stores to them, in one function.
//!
//! The expressions are laid down anew in order, so that what is put in comes right after the load it belongs to: what
//! naga emits as one run stays one run.

use naga::{Arena, Block, Expression, GlobalVariable, Handle, Range, ScalarKind, Span, Statement};

use super::operands;

/// f16 globals, each with the kind of number that the kernel takes its elements for.
type Halves = [(Handle<GlobalVariable>, ScalarKind)];

/// What could not be rewritten, in words.
type Rewritten<T> = std::result::Result<T, String>;

const F32_BYTES: u8 = 4;
const F16_BYTES: u8 = 2;

/// Rewrites one function.
pub fn function(function: &mut naga::Function, halves: &Halves) -> Rewritten<()> {
    let mut rewriter = Rewriter { halves, new: Arena::new(), map: Vec::new() };
    for (_, expression, span) in function.expressions.drain() {
        rewriter.expression(expression, span)?;
    }
    for (_, variable) in function.local_variables.iter_mut() {
        variable.init = variable.init.map(|init| rewriter.value(init));
    }
    let named = std::mem::take(&mut function.named_expressions);
    function.named_expressions = named.into_iter().map(|(e, name)| (rewriter.value(e), name)).collect();
    function.body = rewriter.block(std::mem::take(&mut function.body))?;
    function.expressions = rewriter.new;
    Ok(())
}

/// Where an expression went.
#[derive(Clone, Copy)]
struct Place {
    /// Itself.
    first: Handle<Expression>,
    /// Its value as f32: itself, or the last conversion of it.
    value: Handle<Expression>,
    /// For a pointer into an f16 global: what the kernel takes the number there for.
    half: Option<ScalarKind>,
}

struct Rewriter<'a> {
    halves: &'a Halves,
    new: Arena<Expression>,
    /// By index of the old expression.
    map: Vec<Place>,
}

impl Rewriter<'_> {
    fn place(&self, old: Handle<Expression>) -> Place {
        self.map[old.index()]
    }

    fn value(&self, old: Handle<Expression>) -> Handle<Expression> {
        self.place(old).value
    }

    fn expression(&mut self, mut expression: Expression, span: Span) -> Rewritten<()> {
        let half = self.kind_of(&expression);
        // A matrix would be of another type than the kernel says: matrices come from workgroup memory, which stays.
        if let Expression::CooperativeLoad { data, .. } = &expression
            && self.place(data.pointer).half.is_some()
        {
            return Err("a cooperative matrix can't be loaded from it".into());
        }
        let known = operands::of_expression(&mut expression, |operand| *operand = self.value(*operand));
        if !known {
            return Err(format!("expression {expression:?} is not known here"));
        }
        let loads = matches!(expression, Expression::Load { .. });
        let first = self.new.append(expression, span);
        let place = match half {
            Some(kind) if loads => Place { first, value: self.widen(first, kind, span), half: None },
            half => Place { first, value: first, half },
        };
        self.map.push(place);
        Ok(())
    }

    /// For a pointer into an f16 global, and a load through one: what the kernel takes the number for.
    fn kind_of(&self, old: &Expression) -> Option<ScalarKind> {
        match old {
            Expression::GlobalVariable(global) => {
                self.halves.iter().find(|(half, _)| half == global).map(|(_, kind)| *kind)
            }
            Expression::Access { base, .. }
            | Expression::AccessIndex { base, .. }
            | Expression::Load { pointer: base } => self.place(*base).half,
            _ => None,
        }
    }

    /// A loaded f16 as the f32 that it is, or as the word of that f32.
    fn widen(&mut self, half: Handle<Expression>, kind: ScalarKind, span: Span) -> Handle<Expression> {
        let float = ScalarKind::Float;
        let wide = Expression::As { expr: half, kind: float, convert: Some(F32_BYTES) };
        let wide = self.new.append(wide, span);
        match kind {
            ScalarKind::Float => wide,
            word => self.new.append(Expression::As { expr: wide, kind: word, convert: None }, span),
        }
    }

    fn block(&mut self, block: Block) -> Rewritten<Block> {
        let mut out = Block::new();
        for (statement, span) in block.span_into_iter() {
            let statement = self.statement(statement, span, &mut out)?;
            out.push(statement, span);
        }
        Ok(out)
    }

    fn statement(&mut self, mut statement: Statement, span: Span, out: &mut Block) -> Rewritten<Statement> {
        if let Statement::Store { pointer, value } = &statement
            && let Some(kind) = self.place(*pointer).half
        {
            let (pointer, value) = (self.value(*pointer), self.value(*value));
            return Ok(Statement::Store { pointer, value: self.narrow(value, kind, span, out) });
        }
        let mut shared = false;
        let known = operands::of_statement(&mut statement, |operand| {
            let place = self.place(*operand);
            shared |= place.half.is_some();
            *operand = place.value;
        });
        if !known || shared {
            return Err(format!("statement {statement:?} is not known here"));
        }
        self.nested(statement)
    }

    /// Rewrites the blocks and ranges inside a statement.
    fn nested(&mut self, statement: Statement) -> Rewritten<Statement> {
        Ok(match statement {
            Statement::Emit(range) => Statement::Emit(self.emitted(range)),
            Statement::Block(block) => Statement::Block(self.block(block)?),
            Statement::If { condition, accept, reject } => {
                Statement::If { condition, accept: self.block(accept)?, reject: self.block(reject)? }
            }
            Statement::Switch { selector, mut cases } => {
                for case in &mut cases {
                    case.body = self.block(std::mem::take(&mut case.body))?;
                }
                Statement::Switch { selector, cases }
            }
            Statement::Loop { body, continuing, break_if } => {
                Statement::Loop { body: self.block(body)?, continuing: self.block(continuing)?, break_if }
            }
            other => other,
        })
    }

    /// The run of expressions that an old run became.
    fn emitted(&self, range: Range<Expression>) -> Range<Expression> {
        match range.first_and_last() {
            Some((first, last)) => Range::new_from_bounds(self.place(first).first, self.value(last)),
            None => range,
        }
    }

    /// An f32, or the word of one, as the f16 to store.
    fn narrow(
        &mut self,
        value: Handle<Expression>,
        kind: ScalarKind,
        span: Span,
        out: &mut Block,
    ) -> Handle<Expression> {
        let (float, before) = (ScalarKind::Float, self.new.len());
        let wide = match kind {
            ScalarKind::Float => value,
            _ => self.new.append(Expression::As { expr: value, kind: float, convert: None }, span),
        };
        let half = Expression::As { expr: wide, kind: float, convert: Some(F16_BYTES) };
        let half = self.new.append(half, span);
        out.push(Statement::Emit(self.new.range_from(before)), span);
        half
    }
}
