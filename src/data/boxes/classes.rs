//! Classes by name: a number means nothing outside its own list.

use std::sync::Arc;

use super::BoxSet;
use crate::report::places;
use crate::{Error, Result};

/// How the classes of one list are found in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassMatch {
    /// For each class of the first list its number in the second.
    pub to: Vec<Option<usize>>,
    /// Names that the second list lacks.
    pub missing: Vec<String>,
    /// Names that the first list lacks.
    pub unused: Vec<String>,
}

/// Finds the classes `from` in `to` by name. Case and surrounding spaces do not count, and `_` and `-` are spaces: lists of
/// COCO's names differ in that. A name that fits several is found in none.
pub fn match_classes(from: &[String], to: &[String]) -> ClassMatch {
    let found = places(from, to);
    let missing = from.iter().zip(&found).filter(|(_, to)| to.is_none()).map(|(name, _)| name.clone());
    let unused = (0..to.len()).filter(|k| !found.contains(&Some(*k))).map(|k| to[k].clone());
    ClassMatch { missing: missing.collect(), unused: unused.collect(), to: found }
}

impl BoxSet {
    /// The same images with their boxes numbered by another list of classes, such as a network's, found by name. Boxes of
    /// classes that the list lacks go where `restrict` says so.
    ///
    /// # Errors
    /// [`Error::Config`] for a class that the list lacks where `restrict` is not set, or where none is in both lists.
    pub fn in_classes(&self, names: &[String], restrict: bool) -> Result<BoxSet> {
        let found = match_classes(self.class_names(), names);
        if found.to.iter().all(Option::is_none) || !restrict && !found.missing.is_empty() {
            let message = format!(
                "the network has no class {}; it has {}",
                shortened(&found.missing),
                shortened(names)
            );
            return Err(Error::config("classes", message));
        }
        let images = self.images().map(|image| {
            let mut image = image.clone();
            image.boxes.retain_mut(|annotation| match found.to.get(annotation.class).copied().flatten() {
                Some(class) => {
                    annotation.class = class;
                    true
                }
                None => false,
            });
            image
        });
        Ok(self.with_images(Arc::from(names), images.collect()))
    }
}

/// The first names of a list.
fn shortened(names: &[String]) -> String {
    let first: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
    let more = names.len().saturating_sub(8);
    if more == 0 { first.join(", ") } else { format!("{}, and {more} more", first.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::boxes::testing::tiny;
    use crate::data::testing::message;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_string()).collect()
    }

    #[test]
    fn classes_are_found_by_name() {
        let found =
            match_classes(&list(&["cell phone", "dog", "A"]), &list(&["Dog", "a", "A", "cell_phone"]));
        assert_eq!(found.to, [Some(3), Some(0), Some(2)]);
        assert_eq!((found.missing.len(), found.unused), (0, list(&["a"])));
    }

    #[test]
    fn a_set_takes_the_numbers_of_another_list() {
        let set = tiny(6);
        let other = set.in_classes(&list(&["extra", "two", "one"]), false).unwrap();
        for (before, after) in set.images().zip(other.images()) {
            for (before, after) in before.boxes.iter().zip(&after.boxes) {
                assert_eq!(after.class, 2 - before.class);
            }
        }
        assert_eq!(other.class_counts()[1..], [set.class_counts()[1], set.class_counts()[0]]);
        let text = message(set.in_classes(&list(&["one", "three"]), false));
        assert!(text.contains("no class two") && text.contains("one, three"), "{text}");
        let some = set.in_classes(&list(&["one", "three"]), true).unwrap();
        assert_eq!(some.class_counts(), [set.class_counts()[0], 0]);
        assert!(set.in_classes(&list(&["three"]), true).is_err());
    }
}
