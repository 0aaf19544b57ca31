//! A registry that misbehaves: endless redirects, endless answers, other content than was named.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use heyun_hub::images::Failure;

use super::{asked, configure};

/// Answers every request with this head, and with a body that goes on until the other side ends.
fn serve(answer: impl Fn(&str) -> (String, usize) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let own = host.clone();
    // It ends with the process: nothing waits for it.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = reply(stream, &answer, &own);
        }
    });
    host
}

fn reply(
    mut stream: TcpStream,
    answer: &impl Fn(&str) -> (String, usize),
    host: &str,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (head, body) = answer(path);
    let head = head.replace("HOST", host);
    write!(stream, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n")?;
    let chunk = vec![b' '; 64 << 10];
    for _ in 0..body / chunk.len() {
        stream.write_all(&chunk)?;
    }
    Ok(())
}

fn told(image: &str, answer: impl Fn(&str) -> (String, usize) + Send + 'static) -> Failure {
    let folder = tempfile::tempdir().unwrap();
    let host = serve(answer);
    let yaml = format!("unlisted: Skip\nregistries: [{{host: '{host}', insecure: true}}]\n");
    let config = configure(folder.path(), &yaml);
    asked(&config, &format!("{host}/a{image}"), &[]).unwrap_err()
}

#[test]
fn redirects_are_followed_within_bounds_and_never_out_of_https() {
    let turns = |path: &str| {
        let next = path.len() + 1;
        (
            format!(
                "307 Temporary Redirect\r\nLocation: http://HOST/{}",
                "x".repeat(next)
            ),
            0,
        )
    };
    let error = told(":1", turns);
    assert!(
        error.message.ends_with("redirects more than 4 times"),
        "{error}"
    );
    let out = |_: &str| {
        let location = "http://metadata.example/latest?key=secret";
        (format!("302 Found\r\nLocation: {location}"), 0)
    };
    let error = told(":1", out);
    let words = "leads to http://metadata.example without https";
    assert!(
        error.message.contains(words) && !error.message.contains("secret"),
        "{error}"
    );
    let file = |_: &str| ("302 Found\r\nLocation: file:///etc/passwd".to_owned(), 0);
    let error = told(":1", file);
    assert!(error.message.contains("without https"), "{error}");
}

#[test]
fn what_is_too_large_is_not_read_whether_it_says_so_or_not() {
    let words = "is larger than 4194304 bytes";
    let said = |_: &str| ("200 OK\r\nContent-Length: 5000000".to_owned(), 0);
    let error = told(":1", said);
    assert!(error.message.ends_with(words), "{error}");
    // A gigabyte, of which nobody knows the end.
    let endless = |_: &str| ("200 OK".to_owned(), 1 << 30);
    let error = told(":1", endless);
    assert!(error.message.ends_with(words), "{error}");
}

#[test]
fn what_is_no_manifest_or_another_than_the_digest_names_is_refused() {
    let page = |_: &str| ("200 OK\r\nContent-Type: text/html".to_owned(), 64 << 10);
    let error = told(":1", page);
    assert!(
        error
            .message
            .ends_with("its answer is no manifest of OCI or Docker"),
        "{error}"
    );
    let digest = format!("@sha256:{}", "0".repeat(64));
    let error = told(&digest, page);
    assert!(
        error
            .message
            .ends_with("with something else than the digest names"),
        "{error}"
    );
}

#[test]
fn a_realm_is_asked_over_https_or_on_the_registrys_own_host_alone() {
    let realm = |_: &str| {
        let header = "WWW-Authenticate: Bearer realm=\"http://realm.example/token\"";
        (format!("401 Unauthorized\r\n{header}"), 0)
    };
    let error = told(":1", realm);
    assert!(
        error
            .message
            .contains("leads to http://realm.example without https"),
        "{error}"
    );
}

#[test]
fn a_name_that_nobody_listed_and_that_leads_inside_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), "unlisted: Ask\n");
    let error = asked(&config, &format!("localhost:{port}/a:1"), &[]).unwrap_err();
    assert!(error.message.contains("cannot be reached"), "{error}");
    let came = listener.accept().map(|(_, from)| from);
    assert_eq!(came.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
