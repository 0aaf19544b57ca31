//! One answer of one host: https, bounded redirects, a bounded body, in time.

use heyun_member::error::{Class, describe};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{Response, StatusCode, Url};

use super::auth::Challenge;
use super::client::{Endpoint, Registries};
use super::{Failure, REDIRECTS_MAX};

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) url: Url,
    /// Media types that are taken.
    pub(super) accept: &'a str,
    /// Value of the `Authorization` header, for the host of the URL alone.
    pub(super) authorization: Option<&'a str>,
    /// Most bytes of the answer.
    pub(super) most: usize,
}

/// What was answered.
pub(super) enum Said {
    /// The answer.
    Answer {
        /// Its media type.
        content_type: Option<String>,
        /// All of it.
        body: Vec<u8>,
    },
    /// It asks who asks.
    Challenged(Option<Challenge>),
}

impl Registries {
    /// Asks, and follows redirects within bounds. Credentials go to the first host alone.
    pub(super) async fn ask(
        &self,
        endpoint: &Endpoint,
        question: Question<'_>,
    ) -> Result<Said, Failure> {
        let mut url = question.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            self.may_ask(endpoint, &url)?;
            // One that is not listed leads to nothing that its own client does not reach.
            let there = self.at(&url).filter(|_| endpoint.listed);
            let http = &there.unwrap_or(endpoint).http;
            let mut request = http.get(url.clone()).header(ACCEPT, question.accept);
            if let Some(value) = question.authorization
                && url.origin() == question.url.origin()
            {
                request = request.header(AUTHORIZATION, value);
            }
            let response = request.send().await.map_err(|e| unreachable(endpoint, e))?;
            let status = response.status();
            if !is_redirect(status) {
                return answered(endpoint, response, question.most).await;
            }
            let location = response.headers().get(LOCATION);
            let location = location
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default();
            url = url.join(location).map_err(|_| {
                Failure::denied(format!("{} redirects to what is no URL", endpoint.host))
            })?;
        }
        Err(Failure::denied(format!(
            "{} redirects more than {REDIRECTS_MAX} times",
            endpoint.host
        )))
    }

    /// Whether a URL may be asked: over https, or over http where the configuration says so of its
    /// host; and on behalf of a registry that is not listed, at a public address.
    pub(super) fn may_ask(&self, endpoint: &Endpoint, url: &Url) -> Result<(), Failure> {
        let host = url.host_str().unwrap_or_default();
        let plain = (endpoint.listed && self.at(url).is_some_and(|there| there.insecure))
            || (endpoint.insecure && endpoint.is_on(host));
        if url.scheme() != "https" && !(url.scheme() == "http" && plain) {
            let problem = format!("{} leads to {} without https", endpoint.host, shown(url));
            let fix = "a platform administrator lists that host with insecure: true, or the registry \
                       is moved to https";
            return Err(Failure::denied(format!("{problem}; {fix}")));
        }
        let address = host.trim_matches(['[', ']']).parse().ok();
        if !endpoint.listed && address.is_some_and(|address| !super::guard::is_public(address)) {
            return Err(Failure::denied(format!(
                "{} is at no public address and is not listed in the platform's configuration of \
                 registries",
                endpoint.host
            )));
        }
        Ok(())
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Scheme and host: of a query, which may hold a signature, nothing.
fn shown(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

fn unreachable(endpoint: &Endpoint, error: reqwest::Error) -> Failure {
    let host = &endpoint.host;
    if error.is_timeout() {
        return Failure::new(
            Class::Unreachable,
            format!("{host} does not answer in time"),
        );
    }
    // What stands where no registry is listed is not told to whoever names it.
    let message = if endpoint.listed {
        format!(
            "{host} cannot be reached: {}",
            describe(&error.without_url())
        )
    } else {
        format!("{host} cannot be reached, or the system trusts no authority of its certificate")
    };
    Failure::new(Class::Unreachable, message)
}

async fn answered(endpoint: &Endpoint, response: Response, most: usize) -> Result<Said, Failure> {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let texts = headers.filter_map(|value| value.to_str().ok());
        return Ok(Said::Challenged(Challenge::of(texts)));
    }
    if status != StatusCode::OK {
        return Err(refused(endpoint, &response));
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let body = body(endpoint, response, most).await?;
    Ok(Said::Answer { content_type, body })
}

/// The whole body; not a byte more is kept than the bound.
async fn body(
    endpoint: &Endpoint,
    mut response: Response,
    most: usize,
) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        let host = &endpoint.host;
        Failure::denied(format!("the answer of {host} is larger than {most} bytes"))
    };
    let told = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    if told.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|e| unreachable(endpoint, e))?
    {
        if body.len().saturating_add(chunk.len()) > most {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn refused(endpoint: &Endpoint, response: &Response) -> Failure {
    let (host, status) = (&endpoint.host, response.status());
    match status.as_u16() {
        403 => Failure::denied(format!("{host} does not let the hub read it (403)")),
        404 => Failure::new(Class::Transient, format!("{host} has no such image (404)")),
        429 => {
            let after = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|v| v.to_str().ok());
            let seconds = after.and_then(|text| text.parse().ok()).unwrap_or(60_u64);
            // A registry may ask for less or more than is sensible.
            let after = std::time::Duration::from_secs(seconds.clamp(1, 600));
            Failure::new(
                Class::Throttled { after },
                format!("{host} asks to wait (429)"),
            )
        }
        code if code >= 500 => Failure::new(
            Class::Transient,
            format!("{host} answers with an error ({code})"),
        ),
        code => Failure::denied(format!("{host} refuses the request ({code})")),
    }
}
