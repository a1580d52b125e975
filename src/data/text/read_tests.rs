use super::*;
use crate::data::testing::{Scratch, message};
use crate::data::text::Column;

fn texts(file: &str, content: impl AsRef<[u8]>, options: &TextOptions) -> Result<Texts> {
    read(Scratch::new().write(file, content), options)
}

fn plain() -> TextOptions {
    TextOptions::default()
}

fn columns(text: &str, label: &str) -> TextOptions {
    TextOptions { text: Some(text.into()), label: Some(label.into()), ..plain() }
}

#[test]
fn lines_are_texts_as_they_are() {
    let read = texts("a.txt", "\u{feff}one\r\n\n  two, \"three\"\t4\nlast", &plain()).unwrap();
    assert_eq!(read.firsts(), ["one", "", "  two, \"three\"\t4", "last"]);
    assert_eq!((read.name(), read.empty_texts()), ("a", 1));
    assert!(read.labels().is_none() && read.seconds().is_none() && read.scores().is_none());
    assert_eq!(texts("a", "one\ntwo\n", &plain()).unwrap().len(), 2);
    let first = TextOptions { limit: Some(2), ..plain() };
    assert_eq!(texts("a.txt", "1\n2\n3\n", &first).unwrap().firsts(), ["1", "2"]);
}

#[test]
fn tables_of_tabs() {
    // As SST-2's: no header, and quotes are text.
    let sst = texts("train.tsv", "a \"great\" film\t1\nbad , really\t0\n\n\"so so\t1\n", &plain()).unwrap();
    assert_eq!(sst.firsts(), ["a \"great\" film", "bad , really", "\"so so"]);
    assert_eq!((sst.labels(), sst.class_names()), (Some(&[1, 0, 1][..]), &["0".to_string(), "1".into()][..]));
    // As GLUE's.
    let glue = texts("train.tsv", "index\tSentence\tlabel\n0\tgood\tpos\n1\tbad\tneg\n", &plain()).unwrap();
    assert_eq!((glue.firsts(), glue.labels()), (&["good".to_string(), "bad".into()][..], Some(&[1, 0][..])));
    assert_eq!(glue.class_names(), ["neg", "pos"]);
    // As the STS benchmark's: a .csv of tabs with more to say at the ends of some lines.
    let options = TextOptions {
        text: Some(5.into()),
        second: Some(Column::Number(6)),
        score: Some("4".into()),
        ..plain()
    };
    let content = "main\tMSRvid\t2012\t0001\t5.000\tA plane, it is.\tAn \"air plane\".\nm\tn\t1\t2\t3.8\tA man.\tA flute.\tlink\n";
    let sts = texts("sts-dev.csv", content, &options).unwrap();
    assert_eq!(sts.firsts(), ["A plane, it is.", "A man."]);
    assert_eq!(sts.seconds().unwrap(), ["An \"air plane\".", "A flute."]);
    assert_eq!((sts.scores(), sts.labels()), (Some(&[5.0, 3.8][..]), None));
    let one_by_one = sts.one_by_one();
    assert_eq!(one_by_one.firsts(), ["A plane, it is.", "An \"air plane\".", "A man.", "A flute."]);
    assert_eq!((one_by_one.scores(), one_by_one.seconds()), (Some(&[5.0, 5.0, 3.8, 3.8][..]), None));
    let [left, right] = sts.sides().unwrap();
    assert_eq!((left.firsts(), right.firsts()), (sts.firsts(), sts.seconds().unwrap()));
}

#[test]
fn tables_of_commas() {
    let content = "label,text,note\npos,\"good, \"\"very\"\" good\nreally\",x\nneg,bad,\n";
    let read = texts("a.csv", content, &plain()).unwrap();
    assert_eq!(read.firsts(), ["good, \"very\" good\nreally", "bad"]);
    assert_eq!(
        (read.labels(), read.class_names()),
        (Some(&[1, 0][..]), &["neg".to_string(), "pos".into()][..])
    );
    let read = texts("a.csv", content, &columns("note", "label")).unwrap();
    assert_eq!((read.firsts(), read.empty_texts()), (&["x".to_string(), String::new()][..], 1));
    // A quote inside of a cell is text, also in the last line.
    let read = texts("a.csv", "5\" disk,1\n7\" disk,0", &plain()).unwrap();
    assert_eq!(read.firsts(), ["5\" disk", "7\" disk"]);
    let headless = TextOptions { header: Some(false), ..plain() };
    assert_eq!(texts("a.csv", "text,label\ngood,bad\n", &headless).unwrap().len(), 2);
    assert_eq!(texts("a.csv", "\"closed\"", &plain()).unwrap().firsts(), ["closed"]);
}

#[test]
fn objects_of_json() {
    let content = "{\"text\": \"a\\u0041\", \"label\": 10}\n\n{\"label\": 2, \"text\": \"b\"}\n";
    let read = texts("a.jsonl", content, &plain()).unwrap();
    assert_eq!((read.firsts(), read.labels()), (&["aA".to_string(), "b".into()][..], Some(&[1, 0][..])));
    assert_eq!(read.class_names(), ["2", "10"]);
    let pairs = "{\"sentence1\":\"x\",\"sentence2\":\"y\",\"score\":0.5}";
    let read = texts("a.json", pairs, &plain()).unwrap();
    assert_eq!((read.seconds().unwrap(), read.scores().unwrap()), (&["y".to_string()][..], &[0.5][..]));
    let read = texts("a.jsonl", "{\"q\":\"x\",\"good\":true}", &columns("q", "good")).unwrap();
    assert_eq!(read.class_names(), ["true"]);
}

#[test]
fn questions_of_trec() {
    let content = b"DESC:manner How did it start ?\nENTY:cremat What Caf\xe9 : why ?\n";
    let trec = TextOptions { format: Some(TextFormat::Trec), ..plain() };
    let read = texts("train.txt", content, &trec).unwrap();
    assert_eq!(read.firsts(), ["How did it start ?", "What Café : why ?"]);
    assert_eq!(
        (read.labels(), read.class_names()),
        (Some(&[0, 1][..]), &["DESC".to_string(), "ENTY".into()][..])
    );
    let fine = TextOptions { label: Some(1.into()), ..trec.clone() };
    assert_eq!(texts("train.txt", content, &fine).unwrap().class_names(), ["cremat", "manner"]);
    assert!(message(texts("train.txt", "DESC:manner\n", &trec)).contains("line 1: expected COARSE:fine"));
}

#[test]
fn classes_that_are_given() {
    let given = TextOptions { classes: Some(vec!["neg".into(), "pos".into(), "?".into()]), ..plain() };
    let read = texts("a.tsv", "a\tpos\nb\t0\nc\tneg\n", &given).unwrap();
    assert_eq!((read.labels(), read.class_names().len()), (Some(&[1, 0, 0][..]), 3));
    for bad in ["3", "-1", "good", ""] {
        let says = message(texts("a.tsv", format!("a\tpos\nb\t{bad}\n"), &given));
        let expected = format!("line 2: the label \"{bad}\" is none of the 3 classes (neg, pos, ?)");
        assert!(says.contains(&expected), "{says}");
    }
}

#[test]
fn everything_wrong_is_named_with_its_line() {
    let pair = TextOptions { score: Some(1.into()), ..plain() };
    let named = columns("body", "class");
    let cases: [(&str, &[u8], &TextOptions, &str); 22] = [
        ("a.txt", b"", &plain(), "empty"),
        ("a.tsv", b"\n \n\n", &plain(), "found no line with one"),
        ("a.txt", b"a\nb\n\xff\n", &plain(), "line 3: expected UTF-8, found the byte 0xff"),
        ("a.txt", b"\xff\xfea\0", &plain(), "UTF-16"),
        ("a.txt", b"a\nb\0c\n", &plain(), "line 2: has a zero byte"),
        ("a.tsv", b"text\tlabel\na\t1\n\nb\n", &plain(), "line 4: has 1 columns, and line 1 has 2"),
        ("a.csv", b"text,label\na,1\nb,c,1\n", &plain(), "line 3: has 3 columns, and line 1 has 2"),
        ("a.csv", b"a,1\nb,1,2\n", &plain(), "line 2: has 3 columns, and line 1 has 2"),
        (
            "a.csv",
            b"text,label\na,1\n\"b,1\nc,0\n",
            &plain(),
            "line 3: a quote (\") is opened and never closed",
        ),
        ("a.csv", b"text,label\na,\"1", &plain(), "line 2: a quote"),
        ("a.tsv", b"a\t1\nb\n", &plain(), "line 2: has 1 columns, and column 1 is needed"),
        (
            "a.tsv",
            b"text\tclass\na\t1\n",
            &named,
            "line 1: no column \"body\" for the text; there are text, class",
        ),
        (
            "a.tsv",
            b"a\t1\n",
            &columns("0", "5"),
            "line 1: no column 5 for the label; there are 2 columns, from 0",
        ),
        (
            "a.tsv",
            b"no\tyes\tlabel\na\t1\tb\n",
            &plain(),
            "line 1: which column is the text? There are no, yes, label",
        ),
        ("a.txt", b"a\n", &columns("0", "1"), "line 1: no column 1 for the label"),
        ("a.tsv", b"a\t1.5\nb\t1e99\n", &pair, "line 2: expected a score, a finite number, found \"1e99\""),
        ("a.tsv", b"a\t1\nb\t\n", &plain(), "line 2: has no label"),
        ("a.jsonl", b"{\"text\":\"a\"}\n{\"text\":1\n", &plain(), "line 2: expected an object of JSON"),
        ("a.jsonl", b"[1]\n", &plain(), "line 1: expected an object such as"),
        ("a.jsonl", b"{\"a\":\"x\"}\n", &plain(), "line 1: which key is the text? There are a"),
        (
            "a.jsonl",
            b"{\"text\":\"a\",\"label\":1}\n{\"text\":\"a\"}\n",
            &plain(),
            "line 2: no key \"label\"",
        ),
        (
            "a.jsonl",
            b"{\"text\":null}\n",
            &plain(),
            "line 1: expected a text or a number as \"text\", found null",
        ),
    ];
    for (file, content, options, says) in cases {
        let refused = message(texts(file, content, options));
        assert!(refused.contains(says) && refused.contains(file), "{refused}");
    }
    let numbered = message(texts("a.jsonl", "{\"text\":\"a\"}", &columns("0", "1")));
    assert!(numbered.contains("columns of JSON lines have names, got the number 0"), "{numbered}");
    assert!(message(read("/nowhere/a.txt", &plain())).contains("a.txt"));
}

#[test]
fn formats_have_names_and_endings() {
    for format in TextFormat::ALL {
        assert_eq!(format.name().parse::<TextFormat>().unwrap(), format);
    }
    assert!(message("xml".parse::<TextFormat>()).contains("lines, csv, tsv, jsonl, trec"));
    let of = |name: &str, line: &str| TextFormat::of(Path::new(name), line);
    assert_eq!(
        (of("a.TSV", ""), of("a.ndjson", ""), of("a.txt", "a\tb"), of("a", "")),
        (TextFormat::Tsv, TextFormat::JsonLines, TextFormat::Lines, TextFormat::Lines)
    );
    assert_eq!((of("a.csv", "a,b\tc"), of("a.csv", "a\tb\tc, d")), (TextFormat::Csv, TextFormat::Tsv));
}
