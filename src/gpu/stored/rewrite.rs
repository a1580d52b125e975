//! Conversions after loads from globals that are stored in another form, and before stores to them.
//!
//! The expressions are laid down anew in order, so that what is put in comes right after the load it belongs to: what
//! naga emits as one run stays one run.

use naga::{Arena, Block, Expression, GlobalVariable, Handle, Module, Range, ScalarKind, Span, Statement};

use super::pairs::Pair;
use super::{half, operands};

/// How the elements of a global are stored.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// As f16; the kernel takes them for 32-bit numbers of that kind.
    Half(ScalarKind),
    /// Vectors of 32-bit numbers as 64-bit words.
    Pairs(Pair),
}

/// The globals that are stored in another form than the functions were written for.
#[derive(Debug, Default)]
pub struct StoredBindings {
    pub globals: Vec<(Handle<GlobalVariable>, Form)>,
}

/// What could not be rewritten, in words.
type Rewritten<T> = std::result::Result<T, String>;

impl StoredBindings {
    /// Rewrites all functions; the globals have their new types already.
    pub fn rewrite(&self, module: &mut Module) -> Rewritten<()> {
        let functions = module.functions.iter_mut().map(|(_, function)| function);
        let mut all = functions.chain(module.entry_points.iter_mut().map(|e| &mut e.function));
        all.try_for_each(|to| function(to, self))
    }
}

/// Rewrites one function.
fn function(function: &mut naga::Function, stored: &StoredBindings) -> Rewritten<()> {
    let mut new = Arena::new();
    // Literals are no part of what naga emits: this one lies before all that is.
    let shift = new.append(Expression::Literal(naga::Literal::U32(32)), Span::UNDEFINED);
    let mut rewriter = Rewriter { stored, new, shift, map: Vec::new() };
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
struct Moved {
    /// Itself.
    first: Handle<Expression>,
    /// Its value as the kernel knows it: itself, or the last conversion of it.
    value: Handle<Expression>,
    /// For a pointer into one of the globals.
    form: Option<Form>,
}

struct Rewriter<'a> {
    stored: &'a StoredBindings,
    new: Arena<Expression>,
    /// The number 32.
    shift: Handle<Expression>,
    /// By index of the old expression.
    map: Vec<Moved>,
}

impl Rewriter<'_> {
    fn moved(&self, old: Handle<Expression>) -> Moved {
        self.map[old.index()]
    }

    fn value(&self, old: Handle<Expression>) -> Handle<Expression> {
        self.moved(old).value
    }

    fn expression(&mut self, mut expression: Expression, span: Span) -> Rewritten<()> {
        let form = self.form_of(&expression);
        // A matrix would be of another type than the kernel says: matrices come from workgroup memory, which stays.
        if let Expression::CooperativeLoad { data, .. } = &expression
            && self.moved(data.pointer).form.is_some()
        {
            return Err("a cooperative matrix can't be loaded from it".into());
        }
        let known = operands::of_expression(&mut expression, |operand| *operand = self.value(*operand));
        if !known {
            return Err(format!("expression {expression:?} is not known here"));
        }
        let loads = matches!(expression, Expression::Load { .. });
        let first = self.new.append(expression, span);
        let moved = match form {
            Some(form) if loads => Moved { first, value: self.loaded(first, form, span), form: None },
            form => Moved { first, value: first, form },
        };
        self.map.push(moved);
        Ok(())
    }

    /// For a pointer into one of the globals, and a load through one.
    fn form_of(&self, old: &Expression) -> Option<Form> {
        match old {
            Expression::GlobalVariable(global) => {
                self.stored.globals.iter().find(|(stored, _)| stored == global).map(|(_, form)| *form)
            }
            Expression::Access { base, .. }
            | Expression::AccessIndex { base, .. }
            | Expression::Load { pointer: base } => self.moved(*base).form,
            _ => None,
        }
    }

    /// What was loaded, as the kernel knows it.
    fn loaded(&mut self, value: Handle<Expression>, form: Form, span: Span) -> Handle<Expression> {
        match form {
            Form::Half(kind) => half::loaded(&mut self.new, value, kind, span),
            Form::Pairs(pair) => pair.loaded(&mut self.new, self.shift, value, span),
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
            && let Some(form) = self.moved(*pointer).form
        {
            let (pointer, value) = (self.value(*pointer), self.value(*value));
            return Ok(Statement::Store { pointer, value: self.before_store(value, form, span, out) });
        }
        let mut shared = false;
        let known = operands::of_statement(&mut statement, |operand| {
            let moved = self.moved(*operand);
            shared |= moved.form.is_some();
            *operand = moved.value;
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
            Some((first, last)) => Range::new_from_bounds(self.moved(first).first, self.value(last)),
            None => range,
        }
    }

    /// What the kernel knows, as it is stored.
    fn before_store(
        &mut self,
        value: Handle<Expression>,
        form: Form,
        span: Span,
        out: &mut Block,
    ) -> Handle<Expression> {
        let before = self.new.len();
        let stored = match form {
            Form::Half(kind) => half::before_store(&mut self.new, value, kind, span),
            Form::Pairs(pair) => pair.before_store(&mut self.new, self.shift, value, span),
        };
        out.push(Statement::Emit(self.new.range_from(before)), span);
        stored
    }
}
