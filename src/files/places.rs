//! Folders of the user that limbeck may use, by the XDG base directory specification.

use std::ffi::OsString;
use std::path::PathBuf;

/// Reads a variable of the environment; tests give their own.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A kind of folder that each user has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UserFolder {
    /// What can be made again.
    Cache,
    /// What was fetched or made to stay.
    Data,
}

impl UserFolder {
    /// limbeck's part of it: below the XDG variable, else below the home folder, on Windows below `%LOCALAPPDATA%`. None
    /// where the environment says nothing.
    pub(crate) fn of_limbeck(self, env: Environment<'_>) -> Option<PathBuf> {
        let (variable, under_home) = match self {
            UserFolder::Cache => ("XDG_CACHE_HOME", ".cache"),
            UserFolder::Data => ("XDG_DATA_HOME", ".local/share"),
        };
        let root = if cfg!(windows) {
            path_in(env, "LOCALAPPDATA")
        } else {
            let home = || Some(path_in(env, "HOME")?.join(under_home));
            // The specification has a relative path ignored.
            path_in(env, variable).filter(|path| path.is_absolute()).or_else(home)
        };
        Some(root?.join("limbeck"))
    }
}

/// The environment of this process.
pub(crate) fn environment(variable: &str) -> Option<OsString> {
    std::env::var_os(variable)
}

/// A variable's value as a path; one set to nothing counts as not set.
pub(crate) fn path_in(env: Environment<'_>, variable: &str) -> Option<PathBuf> {
    env(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// limbeck's folder in the user's cache: `$LIMBECK_CACHE`, else `$XDG_CACHE_HOME/limbeck`, `~/.cache/limbeck`, on Windows
/// `%LOCALAPPDATA%\limbeck`. None where the environment says nothing.
pub fn cache_dir() -> Option<PathBuf> {
    path_in(&environment, "LIMBECK_CACHE").or_else(|| UserFolder::Cache.of_limbeck(&environment))
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    #[test]
    fn absolute_variables_come_before_the_home_folder() {
        let of = |folder: UserFolder, xdg: &'static str| {
            folder.of_limbeck(&|name| match name {
                "HOME" => Some("/home/me".into()),
                "XDG_CACHE_HOME" | "XDG_DATA_HOME" => Some(xdg.into()),
                _ => None,
            })
        };
        assert_eq!(of(UserFolder::Cache, "/cache"), Some("/cache/limbeck".into()));
        assert_eq!(of(UserFolder::Cache, "relative"), Some("/home/me/.cache/limbeck".into()));
        assert_eq!(of(UserFolder::Data, ""), Some("/home/me/.local/share/limbeck".into()));
        assert_eq!(UserFolder::Data.of_limbeck(&|_| None), None);
    }
}
