//! Definitions of average precision.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What "mean average precision" means. Boxes are continuous: a box from 10 to 20 is 10 wide, where Pascal VOC's own
/// programs count pixels and say 11.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapKind {
    /// COCO's (Lin et al. 1405.0312), as pycocotools computes it: precision at 101 recalls, mean over overlaps from .50 to
    /// .95 and over classes with truths. A box finds the free truth that it overlaps most, at least by the threshold. At most
    /// 100 boxes an image and class. Difficult truths are as truths of an area outside the range: not counted, nor what finds
    /// one.
    #[default]
    Coco,
    /// Pascal VOC's until 2009 (Everingham et al. 2010): mean over recalls 0, 0.1, .. 1 of the best precision from there on,
    /// at an overlap above one half. A box is judged by the truth that it overlaps most, and is wrong where a better
    /// one has found that. Difficult truths are not counted, nor what finds them. Of classes with truths, the mean.
    Voc07,
    /// Pascal VOC's since 2010: as before, but the area under the curve of the best precision at a recall or above.
    Voc,
    /// darknet's `detector map`: that area, but the mean is over all classes, and one without truths counts 0. Difficult truths
    /// hide only boxes that find no other truth.
    Darknet,
}

impl MapKind {
    /// All, the default first.
    pub const ALL: [Self; 4] = [Self::Coco, Self::Voc07, Self::Voc, Self::Darknet];

    /// What people write.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Voc07 => "voc07",
            Self::Voc => "voc",
            Self::Darknet => "darknet",
        }
    }
}

impl fmt::Display for MapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for MapKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            Error::config("map", format!("expected coco, voc07, voc or darknet, got \"{text}\""))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in MapKind::ALL {
            assert_eq!(kind.to_string().parse::<MapKind>().unwrap(), kind);
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        let error = "voc12".parse::<MapKind>().unwrap_err().to_string();
        assert_eq!(error, "map: expected coco, voc07, voc or darknet, got \"voc12\"");
    }
}
