//! From which pages, and by which names, the server may be asked.
//!
//! A browser sends requests for whatever page it shows. It says in `Origin` which one that is, and in `Host` what the
//! server was called. A page of another site is refused unless its origin is allowed; so is a name that is not this
//! server's, since whoever has a name can let it point at this machine and so pass for the same site.

use super::answer::Accepted;
use crate::graphql::error::ErrorCode;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};

/// What pages of other sites may send.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
/// What pages of other sites may read besides the body.
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after, x-correlation-id");
/// How long a browser need not ask again, in seconds: two hours, which is as much as the strictest keeps.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// Who may ask from where.
#[derive(Debug)]
pub struct Sites {
    /// Whether any name will do: the address can be reached by others anyway, and nobody has said what it is called.
    any_host: bool,
    hosts: Vec<Host>,
    any_origin: bool,
    origins: Vec<String>,
}

/// What the server is called.
#[derive(Debug)]
enum Host {
    Exactly(String),
    /// What ends in this, which begins with a dot.
    Below(String),
}

/// Whether a request may go on.
pub(super) enum Verdict {
    /// It comes from this site, or from no page at all.
    Own,
    /// It comes from a page of another site, which may; the answer says so to the browser.
    Foreign(HeaderValue),
    /// It does not go on.
    Answered(Response),
}

impl Sites {
    /// For a server at an address: the names that it has, such as `registry.example.com` or `*.example.com`, and the
    /// other sites whose pages may ask it, such as `https://app.example.com`; `*` is all.
    ///
    /// # Errors
    /// The setting and what is wrong with it, where a name or an origin cannot be one.
    pub fn try_new(listen: SocketAddr, hosts: &[String], origins: &[String]) -> Result<Self, (&'static str, String)> {
        let read_host = |host: &String| {
            let name = host.trim().to_ascii_lowercase();
            if name.is_empty() || name.contains(['/', ':']) && name.parse::<IpAddr>().is_err() {
                return Err(("http.allowed_hosts", format!("{host:?} is no name of a host, such as registry.local")));
            }
            Ok(match name.strip_prefix('*') {
                Some(below) => Host::Below(below.to_owned()),
                None => Host::Exactly(name),
            })
        };
        let read_origin = |origin: &String| {
            let origin = origin.trim().trim_end_matches('/').to_ascii_lowercase();
            match origin.split_once("://") {
                Some((_, site)) if !site.is_empty() && !site.contains('/') => Ok(origin),
                _ if origin == "*" => Ok(origin),
                _ => Err(("http.allowed_origins", format!("{origin:?} is no origin, such as https://app.example.com"))),
            }
        };
        let origins: Vec<String> = origins.iter().map(read_origin).collect::<Result<_, _>>()?;
        Ok(Sites {
            any_host: hosts.is_empty() && !listen.ip().is_loopback(),
            hosts: hosts.iter().map(read_host).collect::<Result<_, _>>()?,
            any_origin: origins.iter().any(|origin| origin == "*"),
            origins,
        })
    }

    /// Whether a request may go on.
    pub(super) fn judge(&self, request: &Request) -> Verdict {
        let host = match host_of(request.uri(), request.headers()) {
            Ok(host) => host,
            Err(reason) => return refused(request, StatusCode::BAD_REQUEST, ErrorCode::InvalidArgument, reason),
        };
        if let Some(host) = host
            && !self.is_called(host)
        {
            let name = without_port(host).escape_default();
            let reason = format!("this server is not called {name}: http.allowed_hosts names what it is called");
            return refused(request, StatusCode::MISDIRECTED_REQUEST, ErrorCode::PermissionDenied, reason);
        }
        let Some(origin) = request.headers().get(header::ORIGIN) else { return Verdict::Own };
        let site = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, site)| site);
        if site.zip(host).is_some_and(|(site, host)| site.eq_ignore_ascii_case(host)) {
            return Verdict::Own;
        }
        if !self.allows(origin) {
            let reason = "a page of another site may not ask: http.allowed_origins names those that may".to_owned();
            return refused(request, StatusCode::FORBIDDEN, ErrorCode::PermissionDenied, reason);
        }
        match request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            true if request.method() == Method::OPTIONS => Verdict::Answered(preflight(request.headers(), origin)),
            _ => Verdict::Foreign(origin.clone()),
        }
    }

    fn is_called(&self, host: &str) -> bool {
        if self.any_host {
            return true;
        }
        let name = without_port(host).trim_end_matches('.');
        // A name can be made to point here, an address cannot.
        if name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok() {
            return true;
        }
        let name = name.to_ascii_lowercase();
        let named = |host: &Host| match host {
            Host::Exactly(exactly) => name == *exactly,
            Host::Below(below) => name.ends_with(below.as_str()),
        };
        name == "localhost" || name.ends_with(".localhost") || self.hosts.iter().any(named)
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let allowed = |origin: &str| self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin));
        self.any_origin || origin.to_str().is_ok_and(allowed)
    }
}

/// What the request calls the server, with its port; `None` where it does not say, as HTTP/1.0 need not.
fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Option<&'a str>, String> {
    if let Some(authority) = uri.authority() {
        return Ok(Some(authority.as_str()));
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => Ok(None),
        (Some(host), None) => host.to_str().map(Some).map_err(|_| "the Host header cannot be read".to_owned()),
        (Some(_), Some(_)) => Err("the request has several Host headers".to_owned()),
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

fn refused(request: &Request, status: StatusCode, code: ErrorCode, reason: String) -> Verdict {
    Verdict::Answered(Accepted::of(request.headers()).refused(status, code, reason))
}

/// What a browser asks before it sends what a page of another site has made.
fn preflight(asked: &HeaderMap, origin: &HeaderValue) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
    if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    allow(&mut response, origin.clone());
    response
}

/// Lets a browser show an answer to a page of another site. Nothing is sent along by the browser itself, such as
/// cookies: who asks is said in headers.
pub(super) fn allow(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn sites(listen: &str, hosts: &[&str], origins: &[&str]) -> Sites {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Sites::try_new(listen.parse().unwrap(), &owned(hosts), &owned(origins)).unwrap()
    }

    fn status(sites: &Sites, host: &str, origin: Option<&str>) -> u16 {
        let mut request = Request::builder().uri("/graphql").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        match sites.judge(&request.body(Body::empty()).unwrap()) {
            Verdict::Own => 1,
            Verdict::Foreign(_) => 2,
            Verdict::Answered(response) => response.status().as_u16(),
        }
    }

    #[test]
    fn on_loopback_only_its_own_names_will_do() {
        let here = sites("127.0.0.1:4000", &["registry.test", "*.example.com"], &[]);
        let own = [
            "localhost:4000",
            "LOCALHOST",
            "app.localhost",
            "127.0.0.1:4000",
            "[::1]:4000",
            "10.0.0.7",
            "registry.test:80",
            "a.example.com",
            "localhost.",
        ];
        for host in own {
            assert_eq!(status(&here, host, None), 1, "{host}");
        }
        for host in ["evil.test", "evil.test:4000", "example.com", "localhost.evil.test", "", "1.2.3.4.evil.test"] {
            assert_eq!(status(&here, host, None), 421, "{host}");
        }
        let everywhere = sites("0.0.0.0:4000", &[], &[]);
        assert_eq!(status(&everywhere, "registry.test", None), 1);
        let named = sites("0.0.0.0:4000", &["registry.test"], &[]);
        assert_eq!(status(&named, "evil.test", None), 421);
    }

    #[test]
    fn a_page_of_another_site_is_refused_unless_it_is_allowed() {
        let closed = sites("127.0.0.1:4000", &[], &[]);
        assert_eq!(status(&closed, "localhost:4000", Some("http://localhost:4000")), 1);
        for origin in ["http://localhost:4001", "https://evil.test", "null", "localhost:4000", ""] {
            assert_eq!(status(&closed, "localhost:4000", Some(origin)), 403, "{origin}");
        }
        let open = sites("127.0.0.1:4000", &[], &["https://app.test"]);
        assert_eq!(status(&open, "localhost:4000", Some("https://app.test")), 2);
        assert_eq!(status(&open, "localhost:4000", Some("https://app.test.evil")), 403);
        assert_eq!(status(&sites("127.0.0.1:4000", &[], &["*"]), "localhost:4000", Some("null")), 2);
    }

    #[test]
    fn what_is_no_host_or_no_origin_is_refused_with_the_setting() {
        let listen = "127.0.0.1:1".parse().unwrap();
        for host in ["http://registry.test", "registry.test:80", ""] {
            assert_eq!(Sites::try_new(listen, &[host.to_owned()], &[]).unwrap_err().0, "http.allowed_hosts");
        }
        for origin in ["app.test", "https://app.test/path", "https://"] {
            assert_eq!(Sites::try_new(listen, &[], &[origin.to_owned()]).unwrap_err().0, "http.allowed_origins");
        }
    }
}
