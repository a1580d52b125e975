//! The parts of a pickle that follow an opcode, read one after the other.

use super::value::Value;

/// Bytes and the place in them.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| format!("the pickle ends at byte {}, too early", self.bytes.len()))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A little-endian number without a sign.
    pub fn number(&mut self, width: usize) -> Result<u64, String> {
        Ok(self.take(width)?.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    /// LONG: two's complement after its length. What does not fit 64 bits is no size and no counter.
    pub fn long(&mut self, width: usize) -> Result<Value, String> {
        let length = self.number(width)? as usize;
        let bytes = self.take(length)?;
        let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [sign; 8];
        // The legacy format's magic number has ten bytes; its low ones still tell it apart.
        wide[..length.min(8)].copy_from_slice(&bytes[..length.min(8)]);
        Ok(Value::Int(i64::from_le_bytes(wide)))
    }

    pub fn text(&mut self, width: usize) -> Result<Value, String> {
        let length = usize::try_from(self.number(width)?).unwrap_or(usize::MAX);
        Ok(Value::Text(String::from_utf8_lossy(self.take(length)?).into()))
    }

    pub fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&b| b == b'\n').ok_or("a name that does not end")?;
        let line = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.at += 1;
        Ok(line)
    }
}
