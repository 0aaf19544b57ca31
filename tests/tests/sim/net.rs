//! The way between a process and the API server: a client whose requests and answers take their
//! time, get lost, come late. What was sent goes on when its sender has died.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tower::service_fn;

use super::sim::{Feed, Shared, Sim, Who, lock};
use super::store::{Key, Refused, Write, meta};

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// The deadline of a write: it lands within it or never.
pub(crate) const DEADLINE: Duration = Duration::from_secs(4);

/// A client of one process of the hub.
pub(crate) fn client(sim: &Shared, process: usize) -> Client {
    let sim = Arc::clone(sim);
    let service = service_fn(move |request: Request<Body>| {
        let (send, answer) = oneshot::channel();
        // Not the process's own task: what is under way outlives it.
        tokio::spawn(carry(Arc::clone(&sim), process, request, send));
        async move { answer.await.unwrap_or_else(|_| Err(broken())) }
    });
    Client::new(service, "default")
}

fn broken() -> Broken {
    "the connection broke".into()
}

/// What becomes of a request.
enum Fate {
    Served,
    Refused(Refused),
    /// Done, and then this answer, or none.
    Lost(Option<Refused>),
    /// The sender hears of a broken connection; it is done then, or never.
    Late(Option<Duration>),
}

async fn carry(
    sim: Shared,
    process: usize,
    request: Request<Body>,
    send: oneshot::Sender<Result<Answer, Broken>>,
) {
    let (parts, body) = request.into_parts();
    let body = body.collect_bytes().await.unwrap_or_default();
    let asked = Asked::read(&parts.method, &parts.uri, &parts.headers, &body);
    let (there, back, fate) = {
        let mut sim = lock(&sim);
        sim.requests += 1;
        let there = pause(&mut sim);
        (there, pause(&mut sim), fate(&mut sim, &asked))
    };
    wait(there).await;
    let answer = match fate {
        Fate::Served => Ok(asked.serve(&sim, process)),
        Fate::Refused(refused) => Ok(refusal(&refused)),
        Fate::Lost(answer) => {
            let _ = asked.serve(&sim, process);
            answer.as_ref().map(refusal).ok_or_else(broken)
        }
        Fate::Late(after) => {
            let _ = send.send(Err(broken()));
            if let Some(after) = after {
                tokio::time::sleep(after).await;
                let _ = asked.serve(&sim, process);
            }
            return;
        }
    };
    wait(back).await;
    let _ = send.send(answer);
}

async fn wait(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

fn pause(sim: &mut Sim) -> Duration {
    let slow = sim.faults.slow;
    let millis = if slow == 0 {
        1
    } else if sim.random.permille(slow) {
        sim.random.between(20, 1400)
    } else {
        sim.random.between(0, 4)
    };
    Duration::from_millis(millis)
}

fn fate(sim: &mut Sim, asked: &Asked) -> Fate {
    let faults = sim.faults;
    let of = |code: u16, reason| Refused::new(code, reason, "a fault of the simulation");
    if faults.refused > 0 && sim.random.permille(faults.refused) {
        let all = [
            of(429, "TooManyRequests"),
            of(500, "InternalError"),
            of(503, "ServiceUnavailable"),
            of(504, "Timeout"),
            of(409, "Conflict"),
        ];
        return Fate::Refused(sim.random.one_of(&all));
    }
    if asked.method != Method::GET && faults.lost > 0 {
        if sim.random.permille(faults.lost) {
            let all = [
                None,
                Some(of(500, "InternalError")),
                Some(of(504, "Timeout")),
            ];
            return Fate::Lost(sim.random.one_of(&all));
        }
        if sim.random.permille(faults.late) {
            let never = sim.random.permille(200);
            let after = sim.random.between(1, 2500);
            return Fate::Late((!never).then(|| Duration::from_millis(after)));
        }
    }
    Fate::Served
}

/// A request, understood.
struct Asked {
    method: Method,
    key: Key,
    status: bool,
    query: String,
    write: Option<Write>,
}

impl Asked {
    fn read(method: &Method, uri: &http::Uri, headers: &http::HeaderMap, body: &Bytes) -> Self {
        let parts: Vec<&str> = uri
            .path()
            .split('/')
            .filter(|part| !part.is_empty())
            .collect();
        let rest = if parts.first() == Some(&"api") {
            &parts[2..]
        } else {
            &parts[3..]
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let at = |n: usize| rest.get(n).copied().unwrap_or_default();
        let json = || {
            let text = std::str::from_utf8(body).unwrap_or_default();
            text.parse::<Value>().unwrap_or_default()
        };
        let content = headers
            .get(http::header::CONTENT_TYPE)
            .map(|v| v.to_str().unwrap());
        let status = at(2) == "status";
        let write = match method.as_str() {
            "POST" => Some(Write::Create(json())),
            "PUT" => Some(Write::Replace(json())),
            "PATCH" if content.is_some_and(|c| c.contains("apply")) => Some(Write::Apply(json())),
            "PATCH" => Some(Write::Merge(json(), status)),
            "DELETE" => {
                let said = json()["preconditions"].clone();
                let text = |field: &str| said[field].as_str().map(str::to_owned);
                Some(Write::Delete(text("uid"), text("resourceVersion")))
            }
            _ => None,
        };
        let mut key = Key::new(at(0), namespace, at(1));
        if let Some(Write::Create(object)) = &write {
            meta(object, "name").clone_into(&mut key.name);
        }
        Self {
            method: method.clone(),
            key,
            status,
            query: uri.query().unwrap_or_default().to_owned(),
            write,
        }
    }

    fn asks(&self, name: &str) -> Option<&str> {
        let pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .into_iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// What the API server does, at once, and what it answers.
    fn serve(mut self, sim: &Shared, process: usize) -> Answer {
        let mut sim = lock(sim);
        if let Some(write) = self.write.take() {
            debug_assert!(!self.status || matches!(write, Write::Merge(_, true)));
            if self.key.res == "events" {
                return full(200, Bytes::from_static(b"{}"));
            }
            let dry = self.asks("dryRun").is_some();
            return match sim.write(Who::Hub(process), &self.key, write, dry) {
                Ok(object) => full(200, object),
                Err(refused) => refusal(&refused),
            };
        }
        if !self.key.name.is_empty() {
            let key = &self.key;
            return match sim.store.text(key) {
                Some(object) => full(200, object.clone()),
                None => refusal(&Refused::new(404, "NotFound", format!("{key} not found"))),
            };
        }
        if self.asks("watch").is_some() {
            return self.watch(&mut sim, process);
        }
        full(
            200,
            sim.store
                .list_text(&self.key.res, &self.key.namespace)
                .into(),
        )
    }

    /// A stream of what changes from a version on, as late as it is drawn.
    fn watch(&self, sim: &mut Sim, process: usize) -> Answer {
        let from = self
            .asks("resourceVersion")
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        let (send, receive) = mpsc::unbounded_channel();
        let now = Instant::now();
        if sim.random.permille(sim.faults.expired) && from < sim.store.version {
            let status = json!({"type": "ERROR", "object": {
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "too old resource version", "reason": "Expired", "code": 410,
            }});
            let _ = send.send((now, format!("{status}\n").into()));
        } else {
            for change in &sim.store.log {
                if change.res == self.key.res && change.version > from {
                    let _ = send.send((now, change.line.clone()));
                }
            }
            sim.feeds.push(Feed {
                res: self.key.res.clone(),
                process,
                due: now,
                send,
            });
        }
        let cut = sim.random.permille(sim.faults.cut);
        let lasts = if cut {
            sim.random.between(50, 9000)
        } else {
            280_000
        };
        let until = now + Duration::from_millis(lasts);
        let events = stream::unfold(receive, move |mut receive| async move {
            let (due, line) = tokio::time::timeout_at(until, receive.recv())
                .await
                .ok()??;
            tokio::time::sleep_until(due).await;
            Some((Ok(hyper::body::Frame::data(line)), receive))
        });
        Response::new(StreamBody::new(events).boxed_unsync())
    }
}

fn full(code: u16, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body).boxed_unsync());
    *answer.status_mut() = http::StatusCode::from_u16(code).unwrap();
    answer
}

fn refusal(refused: &Refused) -> Answer {
    full(refused.code, refused.body().into())
}
