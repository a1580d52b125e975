//! Where data sets are looked for when no directory is given.

use std::ffi::OsString;
use std::path::PathBuf;

use super::DatasetInfo;

/// The directory that downloads go to: `$LIMBECK_DATA/<name>` where set, else the user's data directory
/// (`$XDG_DATA_HOME/limbeck/<name>`, `~/.local/share/limbeck/<name>`, on Windows `%LOCALAPPDATA%\limbeck\<name>`),
/// else `data/<name>`.
pub fn default_dir(name: &str) -> PathBuf {
    default_dir_with(name, &environment)
}

pub(super) fn environment(variable: &str) -> Option<OsString> {
    std::env::var_os(variable)
}

fn default_dir_with(name: &str, env: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    set(env, "LIMBECK_DATA").or_else(|| user_data_dir(env)).unwrap_or_else(|| "data".into()).join(name)
}

/// Every directory to look in, in order: `$LIMBECK_DATA`, `./data`, the user's data directory, system packages.
pub(super) fn search(info: &DatasetInfo, env: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let roots = [set(env, "LIMBECK_DATA"), Some("data".into()), user_data_dir(env)];
    let mut places: Vec<PathBuf> = roots.into_iter().flatten().map(|root| root.join(info.name)).collect();
    places.extend(info.system_dirs.iter().map(PathBuf::from));
    places.dedup();
    places
}

fn user_data_dir(env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let root = if cfg!(windows) {
        set(env, "LOCALAPPDATA")
    } else {
        // The XDG specification has a relative path ignored.
        set(env, "XDG_DATA_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| Some(set(env, "HOME")?.join(".local/share")))
    };
    Some(root?.join("limbeck"))
}

/// A variable's value as a path; one set to nothing counts as not set.
fn set(env: &dyn Fn(&str) -> Option<OsString>, variable: &str) -> Option<PathBuf> {
    env(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
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
