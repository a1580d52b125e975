use super::*;
use crate::files::scratch::Scratch;

fn read(text: impl AsRef<[u8]>) -> Result<WordPairs> {
    WordPairs::read(Scratch::new().write("A set.v2.txt", text))
}

#[test]
fn files_of_all_kinds_are_read() {
    let expected = [("Tiger", "cat", 7.35), ("tiger", "tiger", 10.0)];
    for text in [
        "Tiger\tcat\t7.35\r\ntiger\ttiger\t10.00\r\n",
        "\u{feff}# said by 13 people\nTiger,cat,7.35,1,2\n\ntiger,tiger,10,3,x\n",
        "Word 1;Word 2;Human (mean)\nTiger;cat;7.35\ntiger;tiger;1e1",
        "word1 word2 POS SimLex999 conc\nTiger   cat N 7.35 4\n tiger tiger V 10 N\n",
        "\"Tiger\", \"cat\", 7.35\n\"tiger\", \"tiger\", 10\n",
    ] {
        let pairs = read(text).unwrap();
        let found: Vec<_> = pairs.pairs().iter().map(|(a, b, score)| (&**a, &**b, *score)).collect();
        assert_eq!((pairs.name(), found), ("A set.v2", expected.to_vec()), "{text:?}");
    }
    // Words of several parts, where spaces separate nothing.
    assert_eq!(read("New York\ta\t1\n").unwrap().pairs()[0].0, "New York");
}

#[test]
fn what_is_no_pair_is_named_by_its_line() {
    for (text, words) in [
        (
            "a b 1\na b\n",
            "line 2: expected two words and a score (separated by spaces), found nothing where field 3",
        ),
        ("a\tb\t1\na\tb\tc\n", "line 2: expected two words and a score (separated by tabs), found \"c\""),
        ("a,b,c\nd,e,f\n", "line 2: expected"),
        (
            "a,b,1\n,e,2\n",
            "line 2: expected two words and a score (separated by commas), found \"\" where field 1, a word",
        ),
        ("a;b;1\na;b;nan\n", "found \"nan\" where field 3, a number"),
        ("a b\nc d 1\n", "line 1: expected"),
        ("# nothing\n\n", "found none"),
        ("a,b,c\n", "found none"),
        ("", "0 bytes"),
    ] {
        let message = read(text).unwrap_err().to_string();
        assert!(message.contains("A set.v2.txt: ") && message.contains(words), "{text:?}: {message}");
    }
    assert!(read(b"a b 1\n\xff b 2\n").unwrap_err().to_string().contains("line 2: expected UTF-8"));
}

#[test]
fn pairs_with_unknown_words_are_left_out() {
    let words = ["a", "b", "c", "ö"].into_iter().collect();
    let vectors = WordVectors::new(words, 2, vec![1.0, 0.0, 2.0, 2.0, 0.0, 3.0, -1.0, 0.0]).unwrap();
    let of = |text: &str| spearman(&vectors, &read(text).unwrap());
    // Cosines 0.71, 0, -1.
    let found = of("a B 3\nA x 9\nÖ a 1\na c 2\n").unwrap();
    assert_eq!((found.rho, found.found, found.pairs), (1.0, 3, 4));
    assert_eq!(of("a b 1\na c 2\na ö 3\n").unwrap().rho, -1.0);
    assert_eq!(of("a b 1\nx b 2\n"), None, "one pair");
    assert_eq!(of("a b 1\na c 1\n"), None, "equal scores");
    assert_eq!(of("a b 1\nb a 2\n"), None, "equal cosines");
}
