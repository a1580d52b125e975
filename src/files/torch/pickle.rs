//! A pickle reader that runs nothing: the opcodes of tensor dictionaries, and an allow-list of what they may name.
//!
//! A pickle is a program for a stack machine. Two of its instructions are dangerous: GLOBAL names any Python function,
//! and REDUCE calls it. Here GLOBAL takes the few names of [`Global`], everything else is refused by name, and REDUCE
//! builds plain data. Objects live in one list and refer to each other by place, so that neither deep nesting nor a
//! cycle can overflow the stack.

use std::collections::HashMap;
use std::rc::Rc;

use super::reader::Reader;
use super::tensor::{Storage, TensorView};
use super::value::{Global, Value};

/// What a [`Value`] may point to. Tuples are lists.
#[derive(Debug)]
enum Object {
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
}

/// The stack machine over one run of bytes.
pub(super) struct Machine<'a> {
    reader: Reader<'a>,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    objects: Vec<Object>,
    storage_widths: HashMap<Rc<str>, usize>,
}

/// Most dimensions of a tensor, so that a shape which many tensors refer to cannot fill the memory.
const MAX_RANK: usize = 16;

type Refusal = String;

impl<'a> Machine<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        let (stack, marks, memo, objects, storage_widths) = Default::default();
        Self { reader: Reader::new(bytes), stack, marks, memo, objects, storage_widths }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.reader.position()
    }

    /// Bytes of an element of each storage met so far, by key.
    pub fn storage_widths(&self) -> &HashMap<Rc<str>, usize> {
        &self.storage_widths
    }

    /// Runs one pickle and returns what it built. Another may follow it.
    pub fn run(&mut self) -> Result<Value, Refusal> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        loop {
            let start = self.position();
            let opcode = self.reader.take(1)?[0];
            if opcode == b'.' {
                return self.pop();
            }
            self.execute(opcode).map_err(|e| format!("{e} (byte {start} of the pickle)"))?;
        }
    }

    /// The items of a list or tuple.
    pub fn items(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::List(at) => match &self.objects[*at] {
                Object::List(items) => Some(items),
                Object::Dict(_) => None,
            },
            _ => None,
        }
    }

    /// The entries of a dictionary.
    pub fn entries(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Dict(at) => match &self.objects[*at] {
                Object::Dict(entries) => Some(entries),
                Object::List(_) => None,
            },
            _ => None,
        }
    }

    fn execute(&mut self, opcode: u8) -> Result<(), Refusal> {
        if self.rearrange(opcode)? {
            return Ok(());
        }
        let value = match self.literal(opcode)? {
            Some(value) => value,
            None => self.build(opcode)?,
        };
        self.stack.push(value);
        Ok(())
    }

    /// Opcodes that push no value: false for one that does.
    fn rearrange(&mut self, opcode: u8) -> Result<bool, Refusal> {
        match opcode {
            // PROTO, FRAME: nothing to do.
            0x80 => self.reader.take(1).map(drop)?,
            0x95 => self.reader.take(8).map(drop)?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.pop().map(drop)?,
            b'q' => self.remember(1)?,
            b'r' => self.remember(4)?,
            0x94 => {
                let value = self.peek()?.clone();
                self.memo.insert(self.memo.len() as u64, value);
            }
            b'a' => {
                let item = self.pops(1)?;
                self.append(item)?;
            }
            b'e' | 0x90 => {
                let items = self.since_mark()?;
                self.append(items)?;
            }
            b's' => {
                let entry = self.pops(2)?;
                self.insert(entry)?;
            }
            b'u' => {
                let entries = self.since_mark()?;
                self.insert(entries)?;
            }
            // BUILD sets attributes, such as a state dict's `_metadata`: nothing that weights need.
            b'b' => self.pop().map(drop)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Opcodes whose value stands in the bytes that follow: `None` for others.
    fn literal(&mut self, opcode: u8) -> Result<Option<Value>, Refusal> {
        Ok(Some(match opcode {
            b'N' => Value::None,
            0x88 | 0x89 => Value::Bool,
            b'K' => Value::Int(self.reader.number(1)? as i64),
            b'M' => Value::Int(self.reader.number(2)? as i64),
            b'J' => Value::Int(self.reader.number(4)? as u32 as i32 as i64),
            0x8a => self.reader.long(1)?,
            0x8b => self.reader.long(4)?,
            b'G' => self.reader.take(8).map(|_| Value::Float)?,
            // Strings of protocol 2, 3 and 4, and those of Python 2.
            b'X' | b'T' | b'B' => self.reader.text(4)?,
            0x8c | b'U' | b'C' => self.reader.text(1)?,
            0x8d | 0x8e => self.reader.text(8)?,
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'c' => {
                let (module, name) = (self.reader.line()?, self.reader.line()?);
                Value::Global(Global::named(&module, &name)?)
            }
            _ => return Ok(None),
        }))
    }

    /// Opcodes whose value is made of what is on the stack.
    fn build(&mut self, opcode: u8) -> Result<Value, Refusal> {
        Ok(match opcode {
            b'}' => self.object(Object::Dict(Vec::new())),
            // Lists, tuples and sets.
            b']' | b')' | 0x8f => self.object(Object::List(Vec::new())),
            b't' | b'l' => {
                let items = self.since_mark()?;
                self.object(Object::List(items))
            }
            0x85..=0x87 => {
                let items = self.pops(usize::from(opcode - 0x84))?;
                self.object(Object::List(items))
            }
            b'd' => {
                let entries = pairs(self.since_mark()?)?;
                self.object(Object::Dict(entries))
            }
            0x93 => match &self.pops(2)?[..] {
                [Value::Text(module), Value::Text(name)] => Value::Global(Global::named(module, name)?),
                _ => return Err("a name that is not text".into()),
            },
            b'R' => {
                let arguments = self.pop()?;
                let function = self.pop()?;
                self.reduce(&function, &arguments)?
            }
            b'Q' => {
                let id = self.pop()?;
                let items = self.items(&id).ok_or("a reference to a storage that is not a tuple")?;
                let storage = Storage::from_id(items)?;
                self.storage_widths.insert(storage.key.clone(), storage.dtype.bitsize() / 8);
                Value::Storage(Rc::new(storage))
            }
            other => return Err(format!("opcode {:?} (0x{other:02x}) is not supported", char::from(other))),
        })
    }

    /// Calls of the allow-list; none runs anything.
    fn reduce(&mut self, function: &Value, arguments: &Value) -> Result<Value, Refusal> {
        let Value::Global(global) = function else {
            return Err("a call of something that is no name".into());
        };
        let arguments = self.items(arguments).ok_or("a call without a tuple of arguments")?;
        match (global, arguments) {
            (Global::OrderedDict, []) => Ok(self.object(Object::Dict(Vec::new()))),
            (Global::Size, [sizes]) => Ok(sizes.clone()),
            (Global::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => Ok(tensor.clone()),
            (Global::RebuildTensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
                let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
                let view = TensorView::new(storage.clone(), *offset, shape, strides)?;
                Ok(Value::Tensor(Rc::new(view)))
            }
            (global, arguments) => Err(format!("{global:?} with {} unexpected arguments", arguments.len())),
        }
    }

    fn sizes(&self, value: &Value) -> Result<Vec<usize>, Refusal> {
        let items = self.items(value).filter(|items| items.len() <= MAX_RANK);
        let items = items.ok_or("a shape that is no tuple of a few sizes")?;
        let size = |item: &Value| match item {
            Value::Int(n) => usize::try_from(*n).map_err(|_| format!("a size of {n}")),
            _ => Err("a size that is not a number".to_string()),
        };
        items.iter().map(size).collect()
    }

    fn object(&mut self, object: Object) -> Value {
        let at = self.objects.len();
        let value = if matches!(object, Object::Dict(_)) { Value::Dict(at) } else { Value::List(at) };
        self.objects.push(object);
        value
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), Refusal> {
        match self.peek()? {
            &Value::List(at) => match &mut self.objects[at] {
                Object::List(list) => list.extend(items),
                Object::Dict(_) => return Err("items for a list, but it is a dictionary".into()),
            },
            _ => return Err("items for something that is no list".into()),
        }
        Ok(())
    }

    fn insert(&mut self, items: Vec<Value>) -> Result<(), Refusal> {
        let entries = pairs(items)?;
        match self.peek()? {
            &Value::Dict(at) => match &mut self.objects[at] {
                Object::Dict(dict) => dict.extend(entries),
                Object::List(_) => return Err("entries for a dictionary, but it is a list".into()),
            },
            _ => return Err("entries for something that is no dictionary".into()),
        }
        Ok(())
    }

    fn remember(&mut self, width: usize) -> Result<(), Refusal> {
        let (place, value) = (self.reader.number(width)?, self.peek()?.clone());
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<Value, Refusal> {
        let place = self.reader.number(width)?;
        self.memo.get(&place).cloned().ok_or_else(|| format!("nothing was remembered at {place}"))
    }

    fn peek(&self) -> Result<&Value, Refusal> {
        self.stack.last().ok_or_else(|| "the stack is empty".into())
    }

    fn pop(&mut self) -> Result<Value, Refusal> {
        // What lies under a mark belongs to whoever set it.
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the stack is empty".into());
        }
        self.stack.pop().ok_or_else(|| "the stack is empty".into())
    }

    fn pops(&mut self, n: usize) -> Result<Vec<Value>, Refusal> {
        let mut all = (0..n).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        all.reverse();
        Ok(all)
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, Refusal> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or("no mark is set")?;
        Ok(self.stack.split_off(mark))
    }
}

fn pairs(items: Vec<Value>) -> Result<Vec<(Value, Value)>, Refusal> {
    if items.len() % 2 == 1 {
        return Err("a key without a value".into());
    }
    let mut items = items.into_iter();
    Ok(std::iter::from_fn(|| items.next().zip(items.next())).collect())
}
