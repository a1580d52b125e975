//! How images with boxes are augmented.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Chances and ranges of what happens to an image and its boxes in training. The default is nothing; what users of YOLO know
/// is [`BoxAugment::usual`]. In a mosaic every piece has a scale, a shift and a flip of its own, and all have the same colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BoxAugment {
    /// Chance that an image is a mosaic of itself and three others of its batch (Bochkovskiy et al. 2004.10934), 0 to 1.
    pub mosaic: f32,
    /// Largest change of scale: an image is shown at 1 - scale to 1 + scale of its size. 0 to 0.9.
    pub scale: f32,
    /// Largest shift to any side, as a share of the image's width and height, 0 to 1.
    pub translate: f32,
    /// Chance that an image is mirrored, 0 to 1.
    pub flip: f32,
    /// Largest turn of the hue, as a share of the circle, 0 to 0.5, and largest changes of saturation and value, which are
    /// multiplied by 1 - change to 1 + change, 0 to 1.
    pub hsv: [f32; 3],
}

impl BoxAugment {
    /// The settings that YOLOv5 (Ultralytics) trains with.
    pub const fn usual() -> Self {
        Self { mosaic: 1.0, scale: 0.5, translate: 0.1, flip: 0.5, hsv: [0.015, 0.7, 0.4] }
    }

    /// Whether each epoch sees other images.
    pub fn is_random(&self) -> bool {
        *self != Self::default()
    }

    /// # Errors
    /// [`Error::Config`] that names the setting that is out of its range.
    pub fn check(&self) -> Result<()> {
        let [hue, saturation, value] = self.hsv;
        let settings = [
            ("mosaic", self.mosaic, 1.0, "a chance"),
            ("scale", self.scale, 0.9, "a share of the size"),
            ("translate", self.translate, 1.0, "a share of the size"),
            ("flip", self.flip, 1.0, "a chance"),
            ("hsv (hue)", hue, 0.5, "a share of the circle"),
            ("hsv (saturation)", saturation, 1.0, "a change of the factor 1"),
            ("hsv (value)", value, 1.0, "a change of the factor 1"),
        ];
        match settings.into_iter().find(|(_, got, most, _)| !(0.0..=*most).contains(got)) {
            None => Ok(()),
            Some((name, got, most, what)) => {
                Err(Error::config(name, format!("expected {what} from 0 to {most}, got {got}")))
            }
        }
    }

    /// Whether colours change.
    pub(super) fn recolours(&self) -> bool {
        self.hsv != [0.0; 3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        let refused = |settings: BoxAugment| settings.check().expect_err("out of range").to_string();
        let usual = BoxAugment::usual();
        assert!(usual.check().is_ok() && BoxAugment::default().check().is_ok());
        for (settings, name) in [
            (BoxAugment { mosaic: 1.5, ..usual }, "mosaic"),
            (BoxAugment { scale: 1.0, ..usual }, "scale"),
            (BoxAugment { translate: -0.1, ..usual }, "translate"),
            (BoxAugment { flip: f32::NAN, ..usual }, "flip"),
            (BoxAugment { hsv: [0.6, 0.0, 0.0], ..usual }, "hue"),
            (BoxAugment { hsv: [0.0, 1.1, 0.0], ..usual }, "saturation"),
            (BoxAugment { hsv: [0.0, 0.0, f32::INFINITY], ..usual }, "value"),
        ] {
            let message = refused(settings);
            assert!(message.contains(name) && message.contains("from 0 to"), "{name}: {message}");
        }
    }

    #[test]
    fn settings_are_read_by_name_and_off_where_they_are_absent() {
        let read: BoxAugment = toml::from_str("mosaic = 0.5\nhsv = [0.1, 0.2, 0.3]").unwrap();
        assert_eq!(read, BoxAugment { mosaic: 0.5, hsv: [0.1, 0.2, 0.3], ..Default::default() });
        assert!(!toml::from_str::<BoxAugment>("").unwrap().is_random());
    }
}
