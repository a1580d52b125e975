//! Names as people compare them.

/// For each of `names` its only place in `list`: case and surrounding spaces do not count, and `_` and `-` are spaces; but
/// a name that is there as it is written is that one. `None` for a name that is not there, or there more than once.
pub fn places(names: &[String], list: &[String]) -> Vec<Option<usize>> {
    let plain = |name: &String| name.trim().to_lowercase().replace(['_', '-'], " ");
    let plains: Vec<String> = list.iter().map(plain).collect();
    let only = |list: &[String], name: &String| {
        let mut fit = list.iter().enumerate().filter(|(_, other)| *other == name);
        fit.next().map(|(place, _)| place).filter(|_| fit.next().is_none())
    };
    let place = |name| if list.contains(name) { only(list, name) } else { only(&plains, &plain(name)) };
    names.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_place_or_none() {
        let list = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let among = list(&["Dog", "a", "A", "cell_phone", "cat", "cat", "tree-frog", "tree frog"]);
        let found =
            places(&list(&["cell phone", "dog", "A", "cat", "Tree Frog", "tree-frog", "bird"]), &among);
        assert_eq!(found, [Some(3), Some(0), Some(2), None, None, Some(6), None]);
    }
}
