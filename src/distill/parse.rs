//! What the user writes to choose methods: `kd`, `kd+feature`, `kd:0.9+dkd:1,beta=8,warmup=0.1`.
//!
//! A term is `NAME[:ITEM,ITEM,..]` or `NAME,ITEM,..`; an item is the term's weight, a setting of the method, or part of its
//! schedule ([`super::schedule`]). `ce` names the cross-entropy with the labels.

use super::{MethodConfig, Objective, SettingValues, Term, TermSchedule, find, schedule};
use crate::{Error, Result};

/// The terms that `text` names, each with its default weight or the user's.
///
/// # Errors
/// [`Error::Config`] for a name that is not in [`super::METHODS`], a weight that is no number from 0, a setting that the
/// method does not have or cannot take, and a method named twice.
pub fn parse(text: &str, shared: &MethodConfig) -> Result<Objective> {
    let (mut terms, mut ce, mut ce_weight) = (Vec::<Term>::new(), None, 1.0);
    for (index, part) in text.split('+').enumerate() {
        let written = Written::read(part)?;
        let twice = terms.iter().any(|t| t.name == written.name) || (written.name == "ce" && ce.is_some());
        if twice {
            return Err(Error::config(
                "method",
                format!("\"{}\" is named twice in \"{text}\"", written.name),
            ));
        }
        if written.name == "ce" {
            SettingValues::new("ce", &[], &MethodConfig::default(), &written.settings)?;
            ce = Some((written.weight.unwrap_or(1.0), written.schedule));
            continue;
        }
        let spec = find(written.name)?;
        if index == 0 || terms.is_empty() {
            ce_weight = spec.ce_weight;
        }
        let mut term = spec.term_with(shared, &written.settings)?.with_schedule(written.schedule);
        term.weight = written.weight.unwrap_or(spec.weight);
        terms.push(term);
    }
    if terms.is_empty() {
        return Err(Error::config("method", format!("\"{text}\" names no method beside ce")));
    }
    let (ce_weight, ce_schedule) = ce.unwrap_or((ce_weight, TermSchedule::default()));
    Ok(Objective { terms, ce_weight, ce_schedule })
}

/// One term as it is written.
struct Written<'a> {
    name: &'a str,
    weight: Option<f32>,
    settings: Vec<(&'a str, &'a str)>,
    schedule: TermSchedule,
}

impl<'a> Written<'a> {
    fn read(part: &'a str) -> Result<Self> {
        let (name, items) = part.split_once([':', ',']).map_or((part, ""), |(name, items)| (name, items));
        let name = name.trim();
        let mut written =
            Self { name, weight: None, settings: Vec::new(), schedule: TermSchedule::default() };
        if items.is_empty() && part.len() > part.trim_end_matches([':', ',']).len() {
            return Err(Error::config("method", format!("nothing follows \"{part}\"")));
        }
        for item in items.split(',').filter(|_| !items.is_empty()) {
            match item.split_once('=') {
                None => written.set_weight(item.trim())?,
                Some((key, value)) if schedule::NAMES.contains(&key.trim()) => {
                    written.schedule.set(key.trim(), value.trim())?
                }
                Some((key, value)) => written.settings.push((key.trim(), value.trim())),
            }
        }
        written.schedule.validate(name)?;
        Ok(written)
    }

    fn set_weight(&mut self, text: &str) -> Result<()> {
        let number = text.parse().ok().filter(|w: &f32| w.is_finite() && *w >= 0.0);
        let fits = number.filter(|_| self.weight.is_none());
        self.weight = Some(fits.ok_or_else(|| {
            let message =
                format!("expected one weight from 0, or name=value, for \"{}\", got \"{text}\"", self.name);
            Error::config("method", message)
        })?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_weights_and_mistakes() {
        let config = MethodConfig::default();
        let read = parse("kd+feature:50", &config).unwrap();
        let terms: Vec<_> = read.terms.iter().map(|t| (t.name, t.weight)).collect();
        assert_eq!((terms, read.ce_weight), (vec![("kd", 0.9), ("feature", 50.0)], 0.1));
        for (text, part) in [
            ("kd+kd", "twice"),
            ("kd:x", "expected one weight"),
            ("kd:-1", "expected one weight"),
            ("kd:1,2", "expected one weight"),
            ("kd:", "nothing follows"),
            ("", "no method \"\""),
            ("ce", "names no method"),
            ("kdd", "there are ab, "),
            ("kd,beta=1", "no setting \"beta\"; there are temperature"),
            ("kd,temperature=0", "expected a number above 0"),
            ("kd,from=0.5,until=0.5", "never"),
            ("kd,decay=linear", "none or cosine"),
            ("kd,reduction=sum", "one of batch-mean, legacy-mean"),
            ("logit-std,logits=plain", "no setting \"logits\""),
        ] {
            let message = parse(text, &config).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn stages_and_the_cross_entropy() {
        let read = parse(
            "feature:50,until=0.25+ce:1,from=0.25+kd,from=0.25,temperature=2",
            &MethodConfig::default(),
        );
        let read = read.unwrap();
        assert_eq!((read.ce_weight, read.ce_schedule.from), (1.0, 0.25));
        assert_eq!((read.terms[0].schedule.until, read.terms[1].schedule.from), (0.25, 0.25));
        assert_eq!(read.terms[1].values.number("temperature").unwrap(), 2.0);
    }

    #[test]
    fn senseless_settings_are_named() {
        for (name, value) in [("temperature", "0"), ("transfer", "1.5"), ("pull", "NaN")] {
            let shared = MethodConfig::default().with(name, value);
            let message = parse("weights", &shared).unwrap_err().to_string();
            assert!(message.starts_with(name), "{message}");
        }
    }
}
