//! Where data sets are looked for when no directory is given.

use std::path::PathBuf;

use super::DatasetInfo;
use crate::files::places::{Environment, UserFolder, environment, path_in};

/// The directory that downloads go to: `$LIMBECK_DATA/<name>` where set, else the user's data directory
/// (`$XDG_DATA_HOME/limbeck/<name>`, `~/.local/share/limbeck/<name>`, on Windows `%LOCALAPPDATA%\limbeck\<name>`),
/// else `data/<name>`.
pub fn default_dir(name: &str) -> PathBuf {
    default_dir_with(name, &environment)
}

fn default_dir_with(name: &str, env: Environment<'_>) -> PathBuf {
    path_in(env, "LIMBECK_DATA")
        .or_else(|| UserFolder::Data.of_limbeck(env))
        .unwrap_or_else(|| "data".into())
        .join(name)
}

/// Every directory to look in, in order: `$LIMBECK_DATA`, `./data`, the user's data directory, system packages.
pub(super) fn search(info: &DatasetInfo, env: Environment<'_>) -> Vec<PathBuf> {
    let roots = [path_in(env, "LIMBECK_DATA"), Some("data".into()), UserFolder::Data.of_limbeck(env)];
    let mut places: Vec<PathBuf> = roots.into_iter().flatten().map(|root| root.join(info.name)).collect();
    places.extend(info.system_dirs.iter().map(PathBuf::from));
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::find;

    #[test]
    fn looks_in_every_place_in_order() {
        let env = |name: &str| match name {
            "LIMBECK_DATA" => Some("/sets".into()),
            "HOME" | "LOCALAPPDATA" => Some("/home/me".into()),
            _ => None,
        };
        let places = search(find("fashion-mnist").unwrap(), &env);
        let user = if cfg!(windows) { "/home/me/limbeck" } else { "/home/me/.local/share/limbeck" };
        let expected = [
            PathBuf::from("/sets/fashion-mnist"),
            PathBuf::from("data/fashion-mnist"),
            PathBuf::from(user).join("fashion-mnist"),
            PathBuf::from("/usr/share/datasets/fashion-mnist"),
        ];
        assert_eq!(places, expected);
        assert_eq!(default_dir_with("mnist", &env), PathBuf::from("/sets/mnist"));
    }

    #[test]
    fn empty_and_relative_variables_are_ignored() {
        let env = |name: &str| match name {
            "LIMBECK_DATA" => Some("".into()),
            "XDG_DATA_HOME" => Some("relative".into()),
            _ => None,
        };
        assert_eq!(search(find("mnist").unwrap(), &env), [PathBuf::from("data/mnist")]);
        assert_eq!(default_dir_with("mnist", &env), PathBuf::from("data/mnist"));
    }
}
