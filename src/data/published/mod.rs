//! Data sets that are published as many files: their addresses, lengths and checksums, a line each, packed.

use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;

use super::RemoteFile;

/// Blood cells: Shenggan/BCCD_Dataset at commit d272fb14.
pub(super) fn bccd() -> &'static [RemoteFile] {
    static TEXT: LazyLock<String> = LazyLock::new(|| unpacked(include_bytes!("bccd.files.gz")));
    static FILES: LazyLock<Vec<RemoteFile>> = LazyLock::new(|| listed(&TEXT));
    &FILES
}

/// Parts of COCO: lightly-ai/coco128_yolo at commit 6d6f7a05.
pub(super) fn coco128() -> &'static [RemoteFile] {
    static TEXT: LazyLock<String> = LazyLock::new(|| unpacked(include_bytes!("coco128.files.gz")));
    static FILES: LazyLock<Vec<RemoteFile>> = LazyLock::new(|| listed(&TEXT));
    &FILES
}

/// The text of a packed list. A damaged one, which tests would see, is empty.
fn unpacked(packed: &[u8]) -> String {
    let mut text = String::new();
    match GzDecoder::new(packed).read_to_string(&mut text) {
        Ok(_) => text,
        Err(_) => String::new(),
    }
}

/// Lines `name place bytes sha256`.
fn listed(text: &'static str) -> Vec<RemoteFile> {
    let file = |line: &'static str| {
        let mut words = line.split(' ');
        let (name, place) = (words.next()?, words.next()?);
        Some(RemoteFile {
            name,
            place,
            bytes: words.next()?.parse().ok()?,
            sha256: words.next()?,
            unpack: &[],
        })
    };
    text.lines().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_what_was_published() {
        let sum = |files: &[RemoteFile]| files.iter().map(|file| file.bytes).sum::<u64>();
        assert_eq!((bccd().len(), sum(bccd())), (733, 8_802_003));
        assert_eq!((coco128().len(), sum(coco128())), (513, 42_569_475));
        let places: std::collections::HashSet<&str> = bccd().iter().map(|file| file.place).collect();
        assert_eq!(places.len(), 733);
        let image = bccd().iter().find(|file| file.place == "JPEGImages/BloodImage_00000.jpg").unwrap();
        assert_eq!(image.name, "BCCD/JPEGImages/BloodImage_00000.jpg");
        assert!(image.sha256.starts_with("e1dcc488889acba2"));
        assert!(coco128().iter().any(|file| file.place == "data.yaml"));
    }
}
