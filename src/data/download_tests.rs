use super::*;
use crate::data::testing::{Scratch, gzip, message};
use std::net::TcpListener;

/// Answers each request on 127.0.0.1 with the content of that path, else 404. Ends with the process.
fn serve(contents: Vec<(&'static str, Vec<u8>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (mut request, mut chunk) = (Vec::new(), [0; 1024]);
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                match stream.read(&mut chunk) {
                    Ok(n) if n > 0 => request.extend(&chunk[..n]),
                    _ => break,
                }
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let found = contents.iter().find(|(name, _)| path == format!("/mirror/{name}"));
            let (status, body) = found.map_or(("404 Not Found", &[][..]), |(_, body)| ("200 OK", &body[..]));
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    format!("{address}/mirror")
}

fn remote(name: &'static str, content: &[u8], unpack: &'static [&'static str]) -> RemoteFile {
    let sha256 = Box::leak(hex(&Sha256::digest(content)).into_boxed_str());
    RemoteFile { name, place: name, bytes: content.len() as u64, sha256, unpack }
}

fn run(base_url: &str, dir: &Path, files: &[RemoteFile]) -> Result<()> {
    let agent = agent_config().proxy(None).build().new_agent();
    Job { agent, base_url, dir, progress: false }.run(files)
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Written by hand: `set_path` refuses the ".." that the test wants.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    gzip(&tar.into_inner().unwrap())
}

#[test]
fn fetches_checks_and_renames() {
    let (a, b) = (vec![7u8; 200_000], b"labels".to_vec());
    let base = serve(vec![("a.gz", a.clone()), ("b.gz", b.clone())]);
    let dir = Scratch::new();
    let target = dir.path().join("new/folder");
    let files = [remote("a.gz", &a, &[]), remote("b.gz", &b, &[])];
    run(&base, &target, &files).unwrap();
    assert_eq!(std::fs::read(target.join("a.gz")).unwrap(), a);
    assert_eq!(std::fs::read(target.join("b.gz")).unwrap(), b);
    assert_eq!(std::fs::read_dir(&target).unwrap().count(), 2);
    // A second run finds both whole and asks no server.
    run("http://127.0.0.1:1", &target, &files).unwrap();
    // A damaged one is fetched again.
    std::fs::write(target.join("b.gz"), b"lobels").unwrap();
    run(&base, &target, &files).unwrap();
    assert_eq!(std::fs::read(target.join("b.gz")).unwrap(), b);
}

#[test]
fn a_checksum_mismatch_leaves_nothing_behind() {
    let base =
        serve(vec![("a.gz", b"tampered".to_vec()), ("short", b"ab".to_vec()), ("long", b"abcdef".to_vec())]);
    let dir = Scratch::new();
    let text = message(run(&base, dir.path(), &[remote("a.gz", b"original", &[])]));
    assert!(text.contains("checksum differs") && text.contains("/mirror/a.gz"), "{text}");
    let text = message(run(&base, dir.path(), &[remote("short", b"abcd", &[])]));
    assert!(text.contains("expected 4 bytes, got 2"), "{text}");
    let text = message(run(&base, dir.path(), &[remote("long", b"abcd", &[])]));
    assert!(text.contains("expected 4 bytes, got more"), "{text}");
    assert!(message(run(&base, dir.path(), &[remote("gone", b"", &[])])).contains("404"));
    assert!(dir.list().is_empty(), "{:?}", dir.list());
    // A file that was there stays.
    dir.write("a.gz", b"older");
    assert!(run(&base, dir.path(), &[remote("a.gz", b"original", &[])]).is_err());
    assert_eq!(dir.list(), ["a.gz"]);
}

#[test]
fn a_refused_connection_says_where_to_put_which_file() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base = format!("http://127.0.0.1:{port}/x/");
    let dir = Scratch::new();
    let file = remote("t10k-images.gz", b"content", &[]);
    let text = message(run(&base, dir.path(), &[file]));
    let target = dir.path().join("t10k-images.gz").display().to_string();
    for part in [format!("{base}t10k-images.gz"), format!("put it at {target}"), file.sha256.to_owned()] {
        assert!(text.contains(&part), "{part} in {text}");
    }
    let text = message(run(&base, dir.path(), &[remote("c.tar.gz", b"", &["train.bin", "test.bin"])]));
    assert!(text.contains("put train.bin, test.bin from it into"), "{text}");
    assert!(dir.list().is_empty());
}

#[test]
fn unpacks_known_names_only() {
    let packed = archive(&[
        ("cifar/readme.html", b"no"),
        ("cifar/train.bin", b"train"),
        ("../../test.bin", b"test"),
        ("/etc/evil", b"no"),
    ]);
    let base = serve(vec![("c.tar.gz", packed.clone())]);
    let dir = Scratch::new();
    let file = remote("c.tar.gz", &packed, &["train.bin", "test.bin"]);
    run(&base, dir.path(), &[file]).unwrap();
    assert_eq!(dir.list(), ["test.bin", "train.bin"]);
    assert_eq!(std::fs::read(dir.path().join("test.bin")).unwrap(), b"test");
    run("http://127.0.0.1:1", dir.path(), &[file]).unwrap();
}

#[test]
fn a_bad_archive_leaves_nothing_behind() {
    let missing = archive(&[("x/train.bin", b"train")]);
    let twice = archive(&[("x/train.bin", b"1"), ("y/train.bin", b"2"), ("test.bin", b"3")]);
    let whole = archive(&[("train.bin", &[1; 5000]), ("test.bin", &[2; 5000])]);
    let truncated = whole[..whole.len() / 2].to_vec();
    for (bytes, expected) in
        [(missing, "test.bin"), (twice, "twice"), (truncated, "unpack"), (b"x".to_vec(), "unpack")]
    {
        let base = serve(vec![("c.tar.gz", bytes.clone())]);
        let dir = Scratch::new();
        let text = message(run(&base, dir.path(), &[remote("c.tar.gz", &bytes, &["train.bin", "test.bin"])]));
        assert!(text.contains(expected), "{expected} in {text}");
        assert!(dir.list().is_empty(), "{:?}", dir.list());
    }
}

#[test]
fn sets_without_published_files_are_refused() {
    let text = message(download("digits", &DownloadOptions::default()));
    assert!(text.contains("built in") && text.contains("fashion-mnist"), "{text}");
    assert!(message(download("folder", &DownloadOptions::default())).contains("your own images"));
    assert!(message(download("nope", &DownloadOptions::default())).contains("nope"));
    // The mirror and the directory are used: nothing listens on port 1.
    let dir = Scratch::new();
    let options = DownloadOptions {
        dir: Some(dir.path().join("m")),
        base_url: Some("http://127.0.0.1:1".into()),
        progress: true,
    };
    assert!(message(download("mnist", &options)).contains("http://127.0.0.1:1/train-images-idx3-ubyte.gz"));
}
