//! A real registry that asks for tokens, and a small server that gives them.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use heyun_member::error::Class;
use heyun_tests::registry::{Auth, PASSWORD, Registry, USER, authority};
use rcgen::{KeyPair, SigningKey};
use serde_json::json;

use super::{asked, block_on, configure, set};

/// Gives tokens to [`USER`].
struct Realm {
    certificate: rcgen::Certificate,
    key: KeyPair,
    /// The registry that the tokens are for.
    service: String,
    /// Queries that came.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Realm {
    fn serve(self, listener: TcpListener) {
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = self.reply(stream);
            }
        });
    }

    fn reply(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let mut known = false;
        let basic = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            known |= line.to_lowercase().starts_with("authorization:") && line.ends_with(&basic);
        }
        let query = first.split(' ').nth(1).unwrap_or_default().to_owned();
        self.asked.lock().unwrap().push(query);
        let (status, body) = if known {
            ("200 OK", json!({"token": self.token()}).to_string())
        } else {
            ("401 Unauthorized", "{}".to_owned())
        };
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    }

    /// A JWT for one repository, signed with ES256.
    fn token(&self) -> String {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let chain = BASE64_STANDARD.encode(self.certificate.der());
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [chain]});
        let claims = json!({
            "iss": "heyun-tests", "sub": USER, "aud": self.service, "jti": "1",
            "iat": now - 10, "nbf": now - 10, "exp": now + 300,
            "access": [{"type": "repository", "name": "civil/web", "actions": ["pull"]}],
        });
        let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = fixed(&self.key.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The two numbers of an ECDSA signature in DER, as JWTs have them: 32 bytes each.
fn fixed(der: &[u8]) -> Vec<u8> {
    let mut rest = &der[2..];
    let mut both = Vec::new();
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let number = &rest[2..2 + length];
        let digits = &number[number.len().saturating_sub(32)..];
        both.extend(vec![0; 32 - digits.len()]);
        both.extend_from_slice(digits);
        rest = &rest[2 + length..];
    }
    both
}

#[test]
fn a_token_is_had_from_the_realm_for_reading_one_repository() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = Registry::new(folder, false);
    {
        let _running = plain.start(&Auth::Open);
        block_on(plain.push("civil/web", "1", &["linux/arm64"], false));
    }
    let (own, _) = plain.host.split_once(':').unwrap();
    let listener = TcpListener::bind(format!("{own}:0")).unwrap();
    let realm = format!("http://{}/token", listener.local_addr().unwrap());
    let (certificate, key) = authority("realm");
    let file = folder.join("realm.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    let queries = Arc::default();
    let service = plain.host.clone();
    Realm {
        certificate,
        key,
        service,
        asked: Arc::clone(&queries),
    }
    .serve(listener);
    let _running = plain.start(&Auth::Token {
        realm,
        certificate: file,
    });

    let host = &plain.host;
    std::fs::write(folder.join("password"), PASSWORD).unwrap();
    let with = format!(
        "unlisted: Skip\nregistries: [{{host: '{host}', insecure: true, username: {USER}, \
         passwordFile: password}}]\n"
    );
    let web = format!("{host}/civil/web:1");
    let config = configure(folder, &with);
    assert_eq!(asked(&config, &web, &[]), Ok(set(&["linux/arm64"])));
    // One token for manifest and configuration; for reading, and for this repository alone.
    let seen: Vec<String> = std::mem::take(&mut *queries.lock().unwrap());
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(
        seen[0].contains("scope=repository%3Acivil%2Fweb%3Apull"),
        "{seen:?}"
    );
    let nobody = format!("unlisted: Skip\nregistries: [{{host: '{host}', insecure: true}}]\n");
    let refused = asked(&configure(folder, &nobody), &web, &[]).unwrap_err();
    assert_eq!(refused.class, Class::Denied);
    assert!(
        refused.message.contains("asks for credentials (401)"),
        "{refused}"
    );
}
