//! What is odd about a data set: counted, with the first places of each kind.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{Error, Result};

/// Places that are kept of each kind; the others are counted.
const KEPT: usize = 100;

/// What becomes of something odd, from harmless to fatal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing changes.
    Note,
    /// It is read as it was meant.
    Repaired,
    /// The box, the image or the file is left out.
    LeftOut,
    /// It is taken as it is, and should be looked at.
    Warning,
    /// A network would learn something wrong: the set is refused.
    Refused,
}

impl Severity {
    /// In a word or two, for a table.
    pub fn words(self) -> &'static str {
        match self {
            Severity::Note => "as it is",
            Severity::Repaired => "repaired",
            Severity::LeftOut => "left out",
            Severity::Warning => "look at it",
            Severity::Refused => "refused",
        }
    }
}

macro_rules! traps {
    ($($(#[$doc:meta])* $name:ident, $severity:ident, $text:literal;)+) => {
        /// A kind of oddity in a data set.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Trap {
            $($(#[$doc])* $name,)+
        }

        impl Trap {
            /// In words, and what is done about it.
            pub fn words(self) -> &'static str {
                match self {
                    $(Trap::$name => $text,)+
                }
            }

            /// What becomes of it.
            pub fn severity(self) -> Severity {
                match self {
                    $(Trap::$name => Severity::$severity,)+
                }
            }
        }
    };
}

traps! {
    /// A label file that can't be read, or a line of one.
    BadLabel, Refused, "a label that can't be read: correct or remove it";
    /// A class number that the list of names does not have.
    ClassNumber, Refused, "a class number past the list of names: correct it, or the list";
    /// A class name or id that the list does not have.
    ClassName, Refused, "a class that the list of names lacks: correct it, or the list";
    /// A box that reaches far out of its image.
    Outside, Refused, "a box that reaches out of its image by more than the tolerance, 1 % of a side where `tolerance` says nothing else: is it of another image, or in other units?";
    /// An image that can't be decoded, or breaks off.
    Damaged, LeftOut, "damaged image: replace or remove it";
    /// An image of a format that is not read.
    OtherFormat, LeftOut, "image that is neither PNG nor JPEG: convert it";
    /// A list names what is not there.
    Missing, LeftOut, "listed, but not there";
    /// Twice in a list.
    ListedTwice, LeftOut, "listed twice in one part";
    /// In the training part and in another.
    InTwoParts, Warning, "image of the training part that another part has, too";
    /// There, but in no list.
    Unlisted, Note, "there, but in no list: not used";
    /// A label file whose image is not there.
    LabelsAlone, LeftOut, "label file without an image";
    /// An image without a label file.
    NoLabels, Note, "image without a label file: background";
    /// A label file without boxes.
    EmptyLabels, Note, "image whose labels have no box: background";
    /// No width or no height on its image.
    Point, LeftOut, "box without width or height on its image";
    /// Right before left, or bottom before top.
    Reversed, Repaired, "box whose corners are in the wrong order: exchanged";
    /// A box that reaches out a little.
    Clipped, Repaired, "box that reaches out of its image, by no more than the tolerance: cut off for learning";
    /// The same box of the same class again.
    Duplicate, LeftOut, "box that is there twice";
    /// Many boxes.
    TooMany, LeftOut, "boxes past the limit of one image";
    /// A crowd of COCO.
    Crowd, Note, "crowd: measured by its own rule, not learned";
    /// A difficult one of Pascal VOC.
    Difficult, Note, "difficult: neither learned nor counted";
    /// An outline with corners.
    Polygon, Repaired, "outline: the box around it is taken";
    /// COCO's masks as run lengths.
    RunLengths, Note, "mask as run lengths: passed over, its box is taken";
    /// `0.0` for `0`.
    FloatClass, Repaired, "class number with a decimal point";
    /// Windows' line ends.
    CarriageReturn, Repaired, "file with Windows' line ends";
    /// A mark before the text.
    ByteOrderMark, Repaired, "file that begins with a byte order mark";
    /// Tabs between numbers.
    Tabs, Repaired, "label file with tabs";
    /// Turned by EXIF.
    Turned, Repaired, "image that its camera says is turned (EXIF): turned upright";
    /// Labelled as stored.
    LabelledUnturned, Repaired, "image that its camera says is turned, but labelled as stored: left as stored";
    /// One channel.
    Grey, Repaired, "grey image: made red, green and blue";
    /// Transparency.
    Alpha, Repaired, "image with transparency: that is dropped";
    /// Four inks.
    FourInks, Repaired, "CMYK image: made red, green and blue";
    /// More than eight bits.
    Deep, Repaired, "image of 16 bits a value: made 8";
    /// An animation.
    Animated, Repaired, "animated image: its first picture is taken";
    /// A size of 0.
    NoSize, Note, "label file that says no size of the image, or 0: the image's own is taken";
    /// Another size.
    OtherSize, Warning, "label file that says another size than the image has: were its boxes drawn on another version?";
    /// Another name.
    OtherName, Note, "label file that names another image than its own";
    /// A, a.
    NameCase, Repaired, "file whose name differs by capital letters from the listed one";
    /// A path of another machine.
    OtherPlace, Repaired, "path that is not there, but by its end elsewhere: read from there";
    /// Ids with gaps.
    IdGaps, Note, "class ids with gaps: numbered from 0 in their order";
    /// No list.
    NamesSorted, Note, "no list of class names: those of the labels, sorted";
    /// No names.
    NoNames, Warning, "no list of class names: classes are called by their number";
}

/// All that is odd about a data set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traps {
    found: BTreeMap<Trap, Found>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Found {
    count: usize,
    places: Vec<String>,
    /// How many each of the places stands for.
    counts: Vec<usize>,
}

impl Traps {
    /// Counts one. `place` says where: a file, `file:line`, perhaps with what stands there.
    pub(super) fn add(&mut self, trap: Trap, place: impl FnOnce() -> String) {
        self.add_many(trap, 1, place);
    }

    /// Counts several of one place.
    pub(super) fn add_many(&mut self, trap: Trap, count: usize, place: impl FnOnce() -> String) {
        if count > 0 {
            let found = self.found.entry(trap).or_default();
            found.count += count;
            if found.places.len() < KEPT {
                found.places.push(place());
                found.counts.push(count);
            }
        }
    }

    /// Adds those of another part.
    pub(super) fn extend(&mut self, other: Traps) {
        for (trap, found) in other.found {
            let own = self.found.entry(trap).or_default();
            own.count += found.count;
            let free = KEPT.saturating_sub(own.places.len());
            own.places.extend(found.places.into_iter().take(free));
            own.counts.extend(found.counts.into_iter().take(free));
        }
    }

    /// How many of a kind there are.
    pub fn count(&self, trap: Trap) -> usize {
        self.found.get(&trap).map_or(0, |found| found.count)
    }

    /// The first places of a kind, at most 100.
    pub fn places(&self, trap: Trap) -> &[String] {
        self.found.get(&trap).map_or(&[], |found| &found.places)
    }

    /// The kinds there are, the gravest first.
    pub fn kinds(&self) -> Vec<Trap> {
        let mut kinds: Vec<Trap> = self.found.keys().copied().collect();
        kinds.sort_by_key(|kind| (std::cmp::Reverse(kind.severity()), *kind));
        kinds
    }

    /// Whether there is nothing odd.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Fails where something is so wrong that a network would learn it wrong.
    ///
    /// # Errors
    /// [`Error::File`] for `root` with the first places of each such kind and what to do.
    pub fn refuse(&self, root: &Path) -> Result<()> {
        let fatal = self.kinds().into_iter().filter(|kind| kind.severity() == Severity::Refused);
        match self.said(fatal).as_str() {
            "" => Ok(()),
            fatal => Err(Error::file(root, format!("{fatal}; `limbeck data check` lists them all"))),
        }
    }

    /// The first `n` places of a kind, and how many more there are, not counting what the places shown stand for.
    pub fn first(&self, trap: Trap, n: usize) -> String {
        let Some(found) = self.found.get(&trap) else { return String::new() };
        let shown = found.places.iter().take(n).cloned().collect::<Vec<_>>().join(", ");
        match found.count - found.counts.iter().take(n).sum::<usize>() {
            0 => shown,
            more if shown.is_empty() => format!("{more} of them"),
            more => format!("{shown}, and {more} more"),
        }
    }

    /// Kinds in words, each with its first places; empty where none of them was found.
    pub(super) fn said(&self, kinds: impl IntoIterator<Item = Trap>) -> String {
        let found = kinds.into_iter().filter(|kind| self.count(*kind) > 0);
        let said: Vec<String> =
            found.map(|kind| format!("{}: {}", kind.words(), self.first(kind, 3))).collect();
        said.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::message;

    #[test]
    fn the_gravest_come_first_and_are_refused_with_their_places() {
        let mut traps = Traps::default();
        traps.add(Trap::Grey, || "a.jpg".into());
        assert!(traps.refuse(Path::new("set")).is_ok());
        for line in 1..=5 {
            traps.add(Trap::ClassNumber, || format!("a.txt:{line}"));
        }
        let mut more = Traps::default();
        more.add(Trap::ClassNumber, || "b.txt:1".into());
        traps.extend(more);
        assert_eq!(traps.kinds(), [Trap::ClassNumber, Trap::Grey]);
        assert_eq!((traps.count(Trap::ClassNumber), traps.count(Trap::Point)), (6, 0));
        let text = message(traps.refuse(Path::new("set")));
        assert!(
            text.starts_with("set: ") && text.contains("a.txt:1, a.txt:2, a.txt:3, and 3 more"),
            "{text}"
        );
    }

    #[test]
    fn places_are_bounded_and_counts_are_not() {
        let mut traps = Traps::default();
        (0..1000).for_each(|k| traps.add(Trap::Point, || k.to_string()));
        traps.add_many(Trap::TooMany, 40, || "a.jpg".into());
        assert_eq!((traps.count(Trap::Point), traps.places(Trap::Point).len()), (1000, KEPT));
        assert_eq!(traps.first(Trap::TooMany, 2), "a.jpg");
        assert_eq!(traps.first(Trap::Point, 2), "0, 1, and 998 more");
        assert_eq!(traps.first(Trap::Point, 0), "1000 of them");
        assert_eq!(traps.first(Trap::Grey, 2), "");
    }

    #[test]
    fn places_that_stand_for_several_count_as_many() {
        let mut traps = Traps::default();
        traps.add_many(Trap::OtherPlace, 40, || "a.txt".into());
        let mut more = Traps::default();
        more.add_many(Trap::OtherPlace, 3, || "b.txt".into());
        more.add(Trap::OtherPlace, || "c.txt".into());
        traps.extend(more);
        assert_eq!(traps.first(Trap::OtherPlace, 1), "a.txt, and 4 more");
        assert_eq!(traps.first(Trap::OtherPlace, 2), "a.txt, b.txt, and 1 more");
        assert_eq!(traps.first(Trap::OtherPlace, 3), "a.txt, b.txt, c.txt");
    }
}
