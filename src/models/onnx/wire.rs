//! Protocol buffers' wire format: fields of a number and a value, one after the other.
//!
//! Read here rather than with a crate: ONNX needs eight messages and none of the rest, `prost` would bring five crates
//! for them, and a reader that lends slices of the file copies no weights.

/// A field's value as the wire has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// Reads the fields of one message.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    failed: bool,
}

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, failed: false }
    }

    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(*self.take(8)?.first_chunk()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(*self.take(4)?.first_chunk()?),
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(n)?;
        self.bytes = rest;
        Some(taken)
    }
}

/// Ends after the first field that is broken, with an error.
impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Wire<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.bytes.is_empty() {
            return None;
        }
        let field = self.field();
        self.failed = field.is_none();
        Some(field.ok_or_else(|| "a field is cut short or of no known kind".to_string()))
    }
}

impl<'a> Wire<'a> {
    pub fn int(self) -> Result<i64, String> {
        match self {
            Wire::Varint(n) => Ok(n as i64),
            _ => Err("expected a number".into()),
        }
    }

    pub fn float(self) -> Result<f32, String> {
        match self {
            Wire::Fixed32(bytes) => Ok(f32::from_le_bytes(bytes)),
            _ => Err("expected a float".into()),
        }
    }

    pub fn bytes(self) -> Result<&'a [u8], String> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err("expected bytes".into()),
        }
    }

    pub fn text(self) -> Result<String, String> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// Appends one number, or a run of them: writers may do either.
    pub fn ints(self, out: &mut Vec<i64>) -> Result<(), String> {
        match self {
            Wire::Bytes(bytes) => {
                let mut run = Fields::new(bytes);
                while !run.bytes.is_empty() {
                    out.push(run.varint().ok_or("a run of numbers is cut short")? as i64);
                }
                Ok(())
            }
            one => one.int().map(|n| out.push(n)),
        }
    }

    pub fn floats(self, out: &mut Vec<f32>) -> Result<(), String> {
        match self {
            Wire::Bytes(bytes) => {
                let (run, rest) = bytes.as_chunks();
                out.extend(run.iter().map(|&chunk| f32::from_le_bytes(chunk)));
                if rest.is_empty() { Ok(()) } else { Err("a run of floats is cut short".into()) }
            }
            one => one.float().map(|x| out.push(x)),
        }
    }

    pub fn doubles(self, out: &mut Vec<f32>) -> Result<(), String> {
        match self {
            Wire::Fixed64(bytes) => out.push(f64::from_le_bytes(bytes) as f32),
            Wire::Bytes(bytes) => {
                let (run, rest) = bytes.as_chunks();
                out.extend(run.iter().map(|&chunk| f64::from_le_bytes(chunk) as f32));
                if !rest.is_empty() {
                    return Err("a run of doubles is cut short".into());
                }
            }
            _ => return Err("expected doubles".into()),
        }
        Ok(())
    }
}
