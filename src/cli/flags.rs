//! Settings in messages, written as flags. The library knows no flags: its messages name settings in backquotes, as
//! `` `crop_padding` `` or `` `crop_padding = 4` ``, which are --crop-padding and --crop-padding 4 here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::{Command, CommandFactory};

use super::Cli;
use crate::Error;

/// What the library calls otherwise than a flag, and that flag's setting.
const OTHER_NAMES: [(&str, &str); 2] = [("mean", "data_mean"), ("std", "data_std")];

/// The flag of every setting, as the commands declare them.
static FLAGS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let mut flags = BTreeMap::new();
    collect(&Cli::command(), &mut flags);
    for (name, setting) in OTHER_NAMES {
        if let Some(flag) = flags.get(setting).cloned() {
            flags.insert(name.into(), flag);
        }
    }
    flags
});

fn collect(command: &Command, flags: &mut BTreeMap<String, String>) {
    let named = command.get_arguments().filter_map(|arg| Some((arg.get_id().to_string(), arg.get_long()?)));
    flags.extend(named.map(|(setting, flag)| (setting, format!("--{flag}"))));
    command.get_subcommands().for_each(|command| collect(command, flags));
}

/// The message with every setting in backquotes as its flag. Other text in backquotes stays.
pub fn as_flags(message: &str) -> String {
    replaced(message, |setting, value| {
        let flag = FLAGS.get(setting)?;
        Some(value.map_or(flag.clone(), |value| format!("{flag} {value}")))
    })
}

/// An error about a teacher's file, whose settings have names of their own beside the student's.
pub fn of_teacher(error: Error) -> Error {
    let name = |setting: &str, value: Option<&str>| {
        let setting = match setting {
            "model" => "teacher_model",
            "map" => "teacher_map",
            _ => return None,
        };
        Some(value.map_or(format!("`{setting}`"), |value| format!("`{setting} = {value}`")))
    };
    match error {
        Error::File { path, message, source } => {
            Error::File { path, message: replaced(&message, name), source }
        }
        other => other,
    }
}

/// The text with `` `setting` `` and `` `setting = value` `` replaced where `other` says by what.
fn replaced(text: &str, other: impl Fn(&str, Option<&str>) -> Option<String>) -> String {
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('`') {
        done.push_str(before);
        let found = after.split_once('`').and_then(|(inside, behind)| {
            let (setting, value) = match inside.split_once(" = ") {
                Some((setting, value)) => (setting, Some(value)),
                None => (inside, None),
            };
            Some((other(setting, value)?, behind))
        });
        match found {
            Some((new, behind)) => {
                done.push_str(&new);
                rest = behind;
            }
            None => {
                done.push('`');
                rest = after;
            }
        }
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_as_flags() {
        let message =
            "run `limbeck data`, lower `temperature`, or use `taps = a:b` and `mean = [0.5]`; `nope` stays";
        let expected =
            "run `limbeck data`, lower --temperature, or use --taps a:b and --data-mean [0.5]; `nope` stays";
        assert_eq!(as_flags(message), expected);
        // A file's text may have a backquote of its own.
        assert_eq!(as_flags("it`s open; pass `input = 3x32x32`"), "it`s open; pass --input 3x32x32");
    }

    #[test]
    fn a_teachers_settings_are_told_from_the_students() {
        let error = Error::file("t.pth", "pass `model`, such as `model = resnet20`, or `data`");
        let message = as_flags(&of_teacher(error).to_string());
        assert!(
            message.ends_with("pass --teacher-model, such as --teacher-model resnet20, or --data"),
            "{message}"
        );
    }
}
