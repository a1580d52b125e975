//! What the user writes to choose methods: `kd`, `kd+feature`, `kd:0.9+feature:50`.

use super::{MethodConfig, MethodSpec, Term, find};
use crate::{Error, Result};

/// The terms that `text` names, each with its default weight or the one after the colon, and the weight of the
/// cross-entropy beside them: that of the first method.
///
/// # Errors
/// [`Error::Config`] for a name that is not in [`super::METHODS`], a weight that is no number from 0, a method named
/// twice, and those of [`MethodConfig::validate`].
pub fn parse(text: &str, config: &MethodConfig) -> Result<(Vec<Term>, f32)> {
    config.validate()?;
    let mut terms: Vec<Term> = Vec::new();
    let mut first: Option<&MethodSpec> = None;
    for part in text.split('+') {
        let (name, weight) = part.split_once(':').map_or((part, None), |(n, w)| (n, Some(w)));
        let spec = find(name.trim())?;
        if terms.iter().any(|t| t.name == spec.name) {
            return Err(Error::config("method", format!("\"{}\" is named twice in \"{text}\"", spec.name)));
        }
        let mut term = spec.term(config);
        if let Some(weight) = weight {
            let number = weight.trim().parse().ok().filter(|w: &f32| w.is_finite() && *w >= 0.0);
            term.weight = number.ok_or_else(|| {
                let message = format!("expected a weight from 0 after \"{name}:\", got \"{weight}\"");
                Error::config("method", message)
            })?;
        }
        terms.push(term);
        first = first.or(Some(spec));
    }
    Ok((terms, first.map_or(1.0, |s| s.ce_weight)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_weights_and_mistakes() {
        let config = MethodConfig::default();
        let (terms, ce_weight) = parse("kd+feature:50", &config).unwrap();
        let read: Vec<_> = terms.iter().map(|t| (t.name, t.weight)).collect();
        assert_eq!((read, ce_weight), (vec![("kd", 0.9), ("feature", 50.0)], 0.1));
        for (text, part) in [
            ("kd+kd", "twice"),
            ("kd:x", "expected a weight"),
            ("kd:-1", "expected a weight"),
            ("", "no method \"\""),
            ("kdd", "activation, feature, kd"),
        ] {
            let message = parse(text, &config).err().expect("an error").to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn senseless_settings_are_named() {
        for (config, name) in [
            (MethodConfig { temperature: 0.0, ..Default::default() }, "temperature"),
            (MethodConfig { transfer: 1.5, ..Default::default() }, "transfer"),
            (MethodConfig { pull: f32::NAN, ..Default::default() }, "pull"),
        ] {
            assert!(parse("weights", &config).err().expect("an error").to_string().starts_with(name));
        }
    }
}
