//! Who may ask.
//!
//! A page from elsewhere, open in a browser on this machine, can send requests to our port. It is told apart by `Origin`
//! and `Sec-Fetch-Site`; and where it has made its own name point to our address (DNS rebinding), by `Host`, which is
//! then that name. Others in the network have to know the token.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::reply::Refusal;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// What the control page is made of. It tells nothing of the run, and a page's address for it can carry no token.
const OPEN_TO_ALL: [&str; 2] = ["/page.css", "/page.js"];

/// Decides about requests.
#[derive(Debug)]
pub struct Guard {
    /// The token's SHA-256: of one length whatever the token's is.
    token: Option<[u8; 32]>,
    /// Names of this machine in the network, where the service is open to it.
    names: Vec<String>,
}

impl Guard {
    /// For a service at `address`, open to those who know `token` where there is one.
    pub fn new(address: SocketAddr, token: Option<String>) -> Self {
        let names = if address.ip().is_loopback() { Vec::new() } else { own_names() };
        Self { token: token.map(|token| digest(token.as_bytes())), names }
    }

    /// Lets a request pass, or says why not.
    pub fn check(&self, request: &Parts) -> Result<(), Refusal> {
        let headers = &request.headers;
        let forbidden = |why: &str| Err(Refusal::new(StatusCode::FORBIDDEN, why));
        let Some(host) = only(headers, &HOST) else {
            return forbidden("the request names no host");
        };
        if !self.is_ours(host) {
            return forbidden("this host is not known here; use the address that nijigen printed");
        }
        if headers.contains_key(ORIGIN) {
            let own = only(headers, &ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
            if !own.is_some_and(|own| own.eq_ignore_ascii_case(host)) {
                return forbidden("pages from elsewhere may not ask");
            }
        }
        let site = headers.get(SITE).map_or("none", |site| site.to_str().unwrap_or_default());
        // A link may lead here.
        let visits = request.method == Method::GET
            && headers.get(MODE).is_some_and(|m| m == "navigate")
            && request.uri.path() == "/";
        if !["none", "same-origin"].contains(&site) && !visits {
            return forbidden("pages from elsewhere may not ask");
        }
        if OPEN_TO_ALL.contains(&request.uri.path()) || self.knows_token(request) {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "the token is missing or wrong; it is what nijigen was given with --token or as token in its config file",
        ))
    }

    /// Whether `host` leads here by a name that nobody else can give to our address.
    fn is_ours(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }

    fn knows_token(&self, request: &Parts) -> bool {
        let Some(token) = &self.token else { return true };
        let bearer = only(&request.headers, &AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        // Pictures and event streams of a page have no headers of their own; what changes something does.
        let query = request.uri.query().filter(|_| request.method.is_safe()).unwrap_or_default();
        let parameter = query.split('&').find_map(|pair| pair.strip_prefix("token="));
        let same = |given: &str| bool::from(digest(given.as_bytes()).ct_eq(token));
        bearer.is_some_and(same) || parameter.is_some_and(same)
    }
}

/// The value of a header that is there once, in ASCII.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// This machine's name, as it is and as mDNS has it. None where the system does not tell.
fn own_names() -> Vec<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { Vec::new() } else { vec![name.to_string(), format!("{name}.local")] }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use axum::http::Request;

    use super::*;

    fn verdict(guard: &Guard, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        guard.check(&parts).map_or_else(|refusal| refusal.status().as_u16(), |()| 200)
    }

    fn local() -> Guard {
        Guard::new("127.0.0.1:8010".parse().unwrap(), None)
    }

    #[test]
    fn only_our_own_names_are_answered() {
        for host in ["127.0.0.1:8010", "localhost:8010", "LOCALHOST", "[::1]:8010", "127.0.0.1", "192.168.1.7:8010"] {
            assert_eq!(verdict(&local(), "GET", "/", &[("host", host)]), 200, "{host}");
        }
        for host in
            ["evil.example:8010", "localhost.evil.example", "127.0.0.1.evil.example", "", ":8010", "a:b:c", "[x]"]
        {
            assert_eq!(verdict(&local(), "GET", "/", &[("host", host)]), 403, "{host}");
        }
        assert_eq!(verdict(&local(), "GET", "/", &[]), 403);
        assert_eq!(verdict(&local(), "GET", "/", &[("host", "localhost"), ("host", "evil.example")]), 403);
    }

    #[test]
    fn pages_from_elsewhere_are_refused() {
        let host = ("host", "127.0.0.1:8010");
        for (origin, status) in [
            ("http://127.0.0.1:8010", 200),
            ("http://evil.example", 403),
            ("http://127.0.0.1:9000", 403),
            ("https://127.0.0.1:8010", 403),
            ("null", 403),
        ] {
            assert_eq!(verdict(&local(), "PATCH", "/api/settings", &[host, ("origin", origin)]), status, "{origin}");
        }
        for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
            assert_eq!(verdict(&local(), "GET", "/stream.mjpg", &[host, ("sec-fetch-site", site)]), status, "{site}");
        }
        let link = [host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
        assert_eq!(verdict(&local(), "GET", "/", &link), 200, "a link may lead to the page");
        assert_eq!(verdict(&local(), "POST", "/api/image", &link), 403, "a form may not send");
    }

    #[test]
    fn a_token_is_demanded_of_everything_that_tells_something() {
        let guard = Guard::new("0.0.0.0:8010".parse().unwrap(), Some("a-long-token".into()));
        let host = ("host", "192.168.1.7:8010");
        let bearer = |token| verdict(&guard, "GET", "/api/status", &[host, ("authorization", token)]);
        assert_eq!(bearer("Bearer a-long-token"), 200);
        assert_eq!(bearer("bearer a-long-token"), 200);
        for wrong in ["Bearer a-long-toke", "Bearer a-long-tokens", "Bearer ", "Basic a-long-token", "a-long-token"] {
            assert_eq!(bearer(wrong), 401, "{wrong}");
        }
        for path in ["/", "/stream.mjpg", "/snapshot.jpg", "/api/settings", "/metrics", "/no/such/page"] {
            assert_eq!(verdict(&guard, "GET", path, &[host]), 401, "{path}");
            assert_eq!(verdict(&guard, "GET", &format!("{path}?token=a-long-token"), &[host]), 200, "{path}");
            assert_eq!(verdict(&guard, "GET", &format!("{path}?token=another"), &[host]), 401, "{path}");
        }
        let patch = "/api/settings?token=a-long-token";
        assert_eq!(verdict(&guard, "PATCH", patch, &[host]), 401, "what changes something has a header");
        assert_eq!(verdict(&guard, "HEAD", patch, &[host]), 200, "players ask so before they open a stream");
        assert_eq!(verdict(&guard, "GET", "/page.js", &[host]), 200);
    }
}
