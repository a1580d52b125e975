//! The SHA-256 of a file that may be larger than memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::read_error;
use crate::Result;

/// Bytes of a file that are in memory at a time.
const CHUNK: usize = 1 << 20;

/// Adds all bytes of a file to a hash.
pub(crate) fn hash_file(path: &Path, hash: &mut Sha256) -> Result<()> {
    let mut file = File::open(path).map_err(|e| read_error(path, &e))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).map_err(|e| read_error(path, &e))? {
            0 => return Ok(()),
            n => hash.update(&chunk[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::scratch::Scratch;

    #[test]
    fn a_file_is_hashed_whole() {
        let dir = Scratch::new();
        let path = dir.file("long");
        let bytes: Vec<u8> = (0..CHUNK + 3).map(|i| i as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mut hash = Sha256::new();
        hash_file(&path, &mut hash).unwrap();
        assert_eq!(hash.finalize(), Sha256::digest(&bytes));
        assert!(hash_file(&dir.file("none"), &mut Sha256::new()).is_err());
    }
}
