//! Sets of words that are damaged in hundreds of ways: errors of one line, and no panics.

use std::path::Path;

use super::*;
use crate::files::scratch::Scratch;
use crate::platform::damage::damage;
use crate::rng::Stream;
use crate::{Error, Result};

fn vectors() -> WordVectors {
    let values = (0..18).map(|k| (k * k % 7) as f32 - 2.0).collect();
    WordVectors::new(["tiger", "cat", "a", "b", "c", "d"].into_iter().collect(), 3, values).unwrap()
}

fn try_all(name: &str, whole: &str, rounds: usize, use_it: impl Fn(&Path) -> Result<()>) {
    let dir = Scratch::new();
    use_it(&dir.write(name, whole)).unwrap();
    let (mut stream, mut used) = (Stream::new(3, name), 0);
    for _ in 0..rounds {
        match use_it(&dir.write(name, damage(whole.as_bytes(), &mut stream))) {
            Ok(()) => used += 1,
            Err(Error::File { message, .. }) => {
                assert!(!message.contains('\n') && message.len() < 600, "{message}")
            }
            Err(e) => panic!("{e}"),
        }
    }
    assert!((1..rounds).contains(&used), "{name}: {used} of {rounds}");
}

#[test]
fn pairs() {
    let use_it = |path: &Path| {
        let pairs = WordPairs::read(path)?;
        if let Some(found) = spearman(&vectors(), &pairs) {
            assert!((-1.0..=1.0).contains(&found.rho) && found.found <= found.pairs);
        }
        Ok(())
    };
    try_all("tabs", "tiger\tcat\t7.35\r\ntiger\ttiger\t10.00\r\na\tb\t1\r\n", 400, use_it);
    try_all("commas", "Word 1,Word 2,Mean\n\"tiger\",cat,7.35,1\n\na,b,-2,3\n#x\nc,b,0\n", 400, use_it);
    try_all("spaces", "tiger cat N 7.35 1\na b V .5 2\nd c A 1e1 3\n", 400, use_it);
}

#[test]
fn analogies() {
    let use_it = |path: &Path| {
        let questions = Analogies::read(path)?;
        let whole = questions.answer(&vectors()).whole;
        assert!(whole.right <= whole.asked && whole.asked + whole.unknown == questions.len());
        Ok(())
    };
    try_all(
        "questions",
        ": first\ntiger cat a b\nA b C d\r\n: second\n\na b x y\nc d a tiger\n",
        600,
        use_it,
    );
}
