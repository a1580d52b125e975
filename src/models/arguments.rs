//! What stands behind the colon of a model's name: the numbers of `cnn:8,16`, the settings of `yolov4:width=0.25,classes=3`.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{Head, InputSpec, ModelConfig, ModelSpec};
use crate::{Error, Result};

/// The largest number after a colon.
pub(super) const LARGEST: usize = 65_536;

/// The setting that says how many classes there are. Where a family takes it, what it says is checked here, and a
/// network's name is without it: the network's [`ModelConfig`] says the same.
pub const CLASSES: &str = "classes";
/// The setting that says how large images are, `160` or `160x224` (height and width). It is treated as [`CLASSES`] is.
pub const SIZE: &str = "size";

/// What a user wrote behind the colon of a model's name: numbers, and settings by name.
///
/// ```
/// use limbeck::models::{Arguments, Built, ModelConfig, ModelSpec};
///
/// static SPEC: ModelSpec =
///     ModelSpec { settings: &["share"], ..ModelSpec::new("mine", "mine:8,16,share=0.5", build) };
///
/// fn build(config: &ModelConfig, arguments: &Arguments) -> limbeck::Result<Built> {
///     let share = arguments.number("share", 0.0..=1.0)?.unwrap_or(0.5);
/// #   assert_eq!((arguments.numbers(), share), (&[8usize, 16][..], 0.25));
/// #   Err(limbeck::Error::config("model", "x"))
/// #   /*
///     ..
/// #   */
/// }
/// # limbeck::models::register(&SPEC)?;
/// # assert!(limbeck::models::build("mine:8,16,share=0.25", &ModelConfig::classifier([1, 2, 2], 2)).is_err());
/// # Ok::<(), limbeck::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    family: &'static str,
    numbers: Vec<usize>,
    /// In the order of the family's list.
    settings: Vec<(&'static str, String)>,
}

impl Arguments {
    /// Numbers alone, as a preset has them.
    pub(super) fn of_preset(spec: &ModelSpec, numbers: &[usize]) -> Self {
        Self { family: spec.name, numbers: numbers.to_vec(), settings: Vec::new() }
    }

    /// Those in `text`, which may be empty.
    ///
    /// # Errors
    /// [`Error::Config`] for what is no number, and for a setting that the family does not have or that is said twice.
    pub(super) fn parse(spec: &ModelSpec, text: &str) -> Result<Self> {
        let mut made = Self::of_preset(spec, &[]);
        let mut given: Vec<(&str, &str)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|_| !text.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                let number = part.parse().ok().filter(|n| (1..=LARGEST).contains(n));
                made.numbers.push(number.ok_or_else(|| {
                    let message = format!("expected numbers from 1 to {LARGEST}, as in {}", spec.about);
                    Error::config("model", message)
                })?);
                continue;
            };
            let (name, value) = (name.trim_end(), value.trim_start());
            if !spec.settings.contains(&name) {
                let there = match spec.settings {
                    [] => format!("it has numbers only, as in {}", spec.about),
                    some => format!("there are {}", some.join(", ")),
                };
                return Err(Error::config("model", format!("no setting \"{name}\"; {there}")));
            }
            if given.iter().any(|(other, _)| *other == name) {
                return Err(Error::config("model", format!("{name} is said twice")));
            }
            given.push((name, value));
        }
        let value = |name: &str| given.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        made.settings =
            spec.settings.iter().filter_map(|name| Some((*name, value(name)?.to_string()))).collect();
        Ok(made)
    }

    /// The family's name.
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// The numbers, in order.
    pub fn numbers(&self) -> &[usize] {
        &self.numbers
    }

    /// A setting as it was written.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str())
    }

    /// A setting that is a number, whole or not as `T` is.
    ///
    /// # Errors
    /// [`Error::Config`] for another text, and for a number outside `range`.
    pub fn number<T>(&self, name: &str, range: RangeInclusive<T>) -> Result<Option<T>>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|n| range.contains(n));
        number.map(Some).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            Error::config("model", format!("{name}={text}: expected a number from {least} to {most}"))
        })
    }

    /// What [`CLASSES`] says.
    ///
    /// # Errors
    /// As [`Arguments::number`].
    pub fn classes(&self) -> Result<Option<usize>> {
        self.number(CLASSES, 1..=super::MAX_CLASSES)
    }

    /// Height and width that [`SIZE`] says.
    ///
    /// # Errors
    /// [`Error::Config`] for what is neither a number nor two.
    pub fn size(&self) -> Result<Option<[usize; 2]>> {
        let Some(text) = self.text(SIZE) else { return Ok(None) };
        let side = |side: &str| side.trim().parse().ok().filter(|n| (1..=LARGEST).contains(n));
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        side(height).zip(side(width)).map(|(h, w)| Some([h, w])).ok_or_else(|| {
            Error::config("model", format!("{SIZE}={text}: expected a side such as 160, or height x width"))
        })
    }

    /// `config` with the size and the classes that are said.
    pub(super) fn over(&self, config: ModelConfig) -> Result<ModelConfig> {
        let input = match (config.input, self.size()?) {
            (InputSpec::Image([c, ..]), Some([h, w])) => InputSpec::Image([c, h, w]),
            (other, _) => other,
        };
        let head = match (config.head, self.classes()?) {
            (Head::Boxes(_), Some(n)) => Head::Boxes(n),
            (Head::Classes(_), Some(n)) => Head::Classes(n),
            (other, _) => other,
        };
        Ok(ModelConfig { input, head })
    }

    /// Fails where the name says other sizes than what the network is built for.
    pub(super) fn agree(&self, config: &ModelConfig) -> Result<()> {
        let said = self.over(*config)?;
        let differ = |setting: &str, wanted: String| {
            let said = self.text(setting).unwrap_or_default();
            let message = format!(
                "{setting}={said}, and the network is wanted for {wanted}; leave {setting} out or change it"
            );
            Err(Error::config("model", message))
        };
        if said.input != config.input {
            return differ(SIZE, format!("{} of {}", config.input.name(), config.input));
        }
        if said.head != config.head {
            return differ(CLASSES, format!("{} {}", config.head.width(), config.head.noun()));
        }
        Ok(())
    }

    /// The name of the network: numbers, then settings in the family's order, without [`CLASSES`] and [`SIZE`].
    pub(super) fn name(&self) -> String {
        let numbers = self.numbers.iter().map(usize::to_string);
        let kept = self.settings.iter().filter(|(name, _)| ![CLASSES, SIZE].contains(name));
        let all: Vec<String> = numbers.chain(kept.map(|(name, value)| format!("{name}={value}"))).collect();
        match &all[..] {
            [] => self.family.to_string(),
            some => format!("{}:{}", self.family, some.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Built;

    fn none(_: &ModelConfig, _: &Arguments) -> Result<Built> {
        Err(Error::config("model", "nothing"))
    }

    const SPEC: ModelSpec =
        ModelSpec { settings: &["width", CLASSES, SIZE], ..ModelSpec::new("net", "net:8,width=0.5", none) };

    fn parse(text: &str) -> Result<Arguments> {
        Arguments::parse(&SPEC, text)
    }

    #[test]
    fn numbers_and_settings_are_told_apart() {
        let all = parse(" 8, classes = 3,16 ,size=64x96, width=0.50").unwrap();
        assert_eq!(all.numbers(), [8, 16]);
        assert_eq!(all.number("width", 0.1..=2.0f64).unwrap(), Some(0.5));
        assert_eq!((all.classes().unwrap(), all.size().unwrap()), (Some(3), Some([64, 96])));
        assert_eq!((all.name().as_str(), all.family()), ("net:8,16,width=0.50", "net"));
        let none = parse("").unwrap();
        assert_eq!((none.name().as_str(), none.numbers().len(), none.text("width")), ("net", 0, None));
        assert_eq!(parse("size=160").unwrap().size().unwrap(), Some([160, 160]));
    }

    #[test]
    fn what_a_name_says_is_what_is_wanted_or_an_error() {
        let said = parse("classes=3,size=64").unwrap();
        let config = ModelConfig { input: InputSpec::Image([3, 416, 416]), head: Head::Boxes(80) };
        let own = said.over(config).unwrap();
        assert_eq!(own, ModelConfig { input: InputSpec::Image([3, 64, 64]), head: Head::Boxes(3) });
        said.agree(&own).unwrap();
        let message = said.agree(&config).unwrap_err().to_string();
        assert!(message.contains("size=64") && message.contains("3x416x416"), "{message}");
        let message = said.agree(&ModelConfig { input: own.input, ..config }).unwrap_err().to_string();
        assert!(message.contains("classes=3") && message.contains("80 classes of boxes"), "{message}");
    }

    #[test]
    fn mistakes_are_named_with_what_there_is() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert!(message("wdth=1").contains("no setting \"wdth\"; there are width, classes, size"));
        assert!(message("width=1,width=2").contains("width is said twice"));
        for wrong in ["0", "8,,9", "8,", "x", "70000"] {
            assert!(message(wrong).contains("from 1 to 65536, as in net:8,width=0.5"), "{wrong}");
        }
        let plain = ModelSpec::new("net", "net:8", none);
        let message = Arguments::parse(&plain, "width=1").unwrap_err().to_string();
        assert!(message.contains("numbers only, as in net:8"), "{message}");
        let wrong = parse("width=wide,size=3x0,classes=-1").unwrap();
        let width = wrong.number("width", 0.1..=2.0f64).unwrap_err().to_string();
        assert!(width.contains("width=wide: expected a number from 0.1 to 2"), "{width}");
        assert!(wrong.size().unwrap_err().to_string().contains("size=3x0"));
        assert!(wrong.classes().unwrap_err().to_string().contains("classes=-1"));
        assert!(parse("width=nan").unwrap().number("width", 0.1..=2.0f64).is_err());
    }
}
