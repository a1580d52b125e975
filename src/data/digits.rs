//! UCI's handwritten digits, built in: 1,797 images of 1x8x8, 10 classes. The source and licence stand in
//! `digits.LICENSE.md`.
//!
//! The file is gzip over one line per image: 64 values 0..=16, then the label. A value v becomes `round(v * 255 / 16)`.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{Dataset, Split};
use crate::{Error, Result};

const CSV_GZ: &[u8] = include_bytes!("digits.csv.gz");
const NAME: &str = "built-in digits.csv.gz";
const VALUES: usize = 64;

/// (train, test): a stratified part of `holdout` (between 0 and 1) chosen by `seed` is the test part; 0.2 gives 1,437 and
/// 360 samples.
///
/// # Errors
/// [`Error::Config`] for a `holdout` that leaves a part empty.
pub fn load(holdout: f64, seed: u64) -> Result<(Dataset, Dataset)> {
    all()?.split_holdout(holdout, seed)
}

/// All 1,797 images in the file's order.
///
/// # Errors
/// Only if the built-in file was damaged at build time.
pub fn all() -> Result<Dataset> {
    let mut text = String::new();
    GzDecoder::new(CSV_GZ).read_to_string(&mut text).map_err(|e| Error::file(NAME, e))?;
    let (pixels, labels) = parse(&text)?;
    Ok(Dataset {
        name: "digits".into(),
        split: Split::Train,
        pixels,
        labels,
        channels: 1,
        height: 8,
        width: 8,
        class_names: (0..10).map(|digit| digit.to_string()).collect(),
        mean: vec![0.3053],
        std: vec![0.3760],
    })
}

fn parse(text: &str) -> Result<(Vec<u8>, Vec<u32>)> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let bad = |what: &str| Error::file(NAME, format!("line {}: {what}", number + 1));
        let row: Vec<u8> = line
            .split(',')
            .map(|field| field.trim().parse::<f32>().map(|v| v as u8))
            .collect::<Result<_, _>>()
            .map_err(|e| bad(&format!("expected numbers: {e}")))?;
        let Some((&label, values)) = row.split_last().filter(|(_, values)| values.len() == VALUES) else {
            return Err(bad(&format!("expected {VALUES} values and a label, found {} fields", row.len())));
        };
        if label > 9 || values.iter().any(|&v| v > 16) {
            return Err(bad("expected values 0..=16 and a label 0..=9"));
        }
        pixels.extend(values.iter().map(|&v| ((u32::from(v) * 255 + 8) / 16) as u8));
        labels.push(u32::from(label));
    }
    Ok((pixels, labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{class_counts, message};

    #[test]
    fn has_the_published_contents() {
        let set = all().unwrap();
        set.check().unwrap();
        assert_eq!(set.len(), 1797);
        // Class counts as in UCI's description of the test set.
        assert_eq!(class_counts(&set), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        // The first line: 0 0 5 13 9 1 0 0 ..., a zero.
        assert_eq!(set.image(0).unwrap()[..8], [0, 0, 80, 207, 143, 16, 0, 0]);
        assert_eq!(set.labels[..3], [0, 1, 2]);
        assert_eq!(set.pixels.iter().max(), Some(&255));
    }

    #[test]
    fn default_statistics_are_those_of_the_data() {
        let set = all().unwrap();
        let (mean, std) = set.pixel_statistics();
        assert!(
            (mean[0] - set.mean[0]).abs() < 2e-3 && (std[0] - set.std[0]).abs() < 2e-3,
            "{mean:?} {std:?}"
        );
    }

    #[test]
    fn splits_into_1437_and_360() {
        let (train, test) = load(0.2, 0).unwrap();
        assert_eq!((train.len(), test.len()), (1437, 360));
        assert!(class_counts(&test).iter().all(|&c| (35..=37).contains(&c)));
    }

    #[test]
    fn a_damaged_line_is_named() {
        assert!(message(parse("1,2,3")).contains("line 1"));
        assert!(message(parse(&format!("{}17,0", "0,".repeat(63)))).contains("0..=16"));
        assert!(message(parse(&format!("{}x", "0,".repeat(64)))).contains("numbers"));
        assert!(message(parse(&format!("{}10", "0,".repeat(64)))).contains("label 0..=9"));
    }
}
