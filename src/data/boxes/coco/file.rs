//! One JSON file of COCO, read as a stream: what is not needed is passed over and never in memory.

use std::fmt;
use std::io::BufReader;
use std::path::Path;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::{Error, Result, files};

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct CocoFile {
    pub images: Option<Vec<CocoImage>>,
    pub annotations: Option<Vec<CocoBox>>,
    pub categories: Option<Vec<Category>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CocoImage {
    pub id: Id,
    pub file_name: String,
    #[serde(default)]
    pub width: Side,
    #[serde(default)]
    pub height: Side,
}

#[derive(Debug, Deserialize)]
pub(super) struct CocoBox {
    #[serde(default)]
    pub id: Id,
    pub image_id: Id,
    pub category_id: Id,
    #[serde(default)]
    pub bbox: Bbox,
    #[serde(default)]
    pub area: Option<f64>,
    #[serde(default)]
    pub iscrowd: Flag,
    #[serde(default)]
    pub segmentation: Mask,
}

#[derive(Debug, Deserialize)]
pub(super) struct Category {
    pub id: Id,
    pub name: String,
}

/// A number by which others refer to it; some programs write it as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(pub i64);

/// Pixels of a side; 0 for what is no such number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Side(pub u32);

/// 0 or 1, or a truth value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flag(pub bool);

/// Left, top, width and height; `None` for another number of values.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bbox(pub Option<[f64; 4]>);

/// How the mask is written, which is all that is read of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mask {
    #[default]
    NoneOrOutline,
    RunLengths,
}

macro_rules! from_json {
    ($name:ident, $expecting:literal, { $($method:ident($($arg:ident: $type:ty)?) => $value:expr;)+ }) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Of;
                impl<'de> Visitor<'de> for Of {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    $(fn $method<E: serde::de::Error>(self $(, $arg: $type)?) -> Result<$name, E> {
                        $value
                    })+
                }
                from.deserialize_any(Of)
            }
        }
    };
}

from_json!(Id, "a whole number", {
    visit_i64(v: i64) => Ok(Id(v));
    visit_u64(v: u64) => i64::try_from(v).map(Id).map_err(|_| E::custom("an id over 2^63"));
    visit_f64(v: f64) => if v.fract() == 0.0 && v.abs() < 9e15 { Ok(Id(v as i64)) } else { Err(E::custom("an id that is no whole number")) };
    visit_str(v: &str) => v.trim().parse().map(Id).map_err(|_| E::custom("an id that is no whole number"));
});

from_json!(Side, "a number of pixels", {
    visit_i64(v: i64) => Ok(Side(u32::try_from(v).unwrap_or(0)));
    visit_u64(v: u64) => Ok(Side(u32::try_from(v).unwrap_or(0)));
    visit_f64(v: f64) => Ok(Side(if v.fract() == 0.0 && (0.0..4e9).contains(&v) { v as u32 } else { 0 }));
    visit_unit() => Ok(Side(0));
});

from_json!(Flag, "0, 1, true or false", {
    visit_i64(v: i64) => Ok(Flag(v != 0));
    visit_u64(v: u64) => Ok(Flag(v != 0));
    visit_f64(v: f64) => Ok(Flag(v != 0.0));
    visit_bool(v: bool) => Ok(Flag(v));
    visit_unit() => Ok(Flag(false));
});

impl<'de> Deserialize<'de> for Bbox {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Bbox;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of 4 numbers")
            }

            fn visit_unit<E>(self) -> Result<Bbox, E> {
                Ok(Bbox(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Bbox, A::Error> {
                let (mut values, mut count) = ([0.0; 4], 0);
                while let Some(value) = list.next_element::<f64>()? {
                    if let Some(place) = values.get_mut(count) {
                        *place = value;
                    }
                    count += 1;
                }
                Ok(Bbox((count == 4).then_some(values)))
            }
        }
        from.deserialize_any(Of)
    }
}

impl<'de> Deserialize<'de> for Mask {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Mask;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an outline or run lengths")
            }

            fn visit_unit<E>(self) -> Result<Mask, E> {
                Ok(Mask::NoneOrOutline)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Mask, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Mask::NoneOrOutline)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mask, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Mask::RunLengths)
            }
        }
        from.deserialize_any(Of)
    }
}

impl<'de> Deserialize<'de> for CocoFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = CocoFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with images, annotations and categories")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CocoFile, A::Error> {
                let mut file = CocoFile::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "images" => file.images = Some(map.next_value()?),
                        "annotations" => file.annotations = Some(map.next_value()?),
                        "categories" => file.categories = Some(map.next_value()?),
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(file)
            }
        }
        from.deserialize_map(Of)
    }
}

/// Reads a file.
///
/// # Errors
/// [`Error::File`] with line and column of what is no such JSON.
pub(super) fn read(path: &Path) -> Result<CocoFile> {
    let (file, _) = files::open_as(path, "a JSON file of COCO")?;
    serde_json::from_reader(BufReader::with_capacity(1 << 18, file)).map_err(|e| {
        let message = format!(
            "expected COCO's images, annotations and categories, but: {e}; correct the file, or get it again"
        );
        Error::file(path, message)
    })
}

/// Whether a file begins as one of COCO: some of its keys stand near its beginning.
pub(super) fn looks_so(path: &Path) -> bool {
    use std::io::Read;
    let mut start = Vec::new();
    let Ok((file, _)) = files::open_as(path, "a JSON file") else { return false };
    if file.take(1 << 16).read_to_end(&mut start).is_err() {
        return false;
    }
    let text = String::from_utf8_lossy(&start);
    text.trim_start().starts_with('{')
        && ["\"images\"", "\"annotations\"", "\"categories\""].iter().any(|key| text.contains(key))
}
