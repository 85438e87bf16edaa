//! Where a registry is: from what a user writes to the addresses that are dialled.

use reqwest::Url;

use super::Error;

/// One place, in the forms it is needed.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Where requests are posted.
    pub(super) http: Url,
    /// The same place for websockets.
    pub(super) socket: String,
    /// What errors show: the base, as a user would write it.
    pub(super) shown: String,
    /// Whether connections are made with TLS.
    pub(super) is_secret: bool,
}

impl Address {
    /// Tolerates a trailing slash and a given `/graphql`, because both are what people copy from a browser.
    pub(super) fn try_new(server: &str) -> Result<Self, Error> {
        let bad = |reason| Error::BadAddress { server: server.to_owned(), reason };
        let mut url = Url::parse(server.trim()).map_err(|_| bad("it is not a URL"))?;
        match url.scheme() {
            "http" | "https" => {}
            _ => return Err(bad("it begins with neither http:// nor https://")),
        }
        let is_secret = url.scheme() == "https";
        if !url.username().is_empty() || url.password().is_some() {
            // Not quoted back: what stands there is a secret.
            return Err(Error::BadAddress {
                server: url.host_str().unwrap_or_default().to_owned(),
                reason: "it holds a user or password, which belongs in --token",
            });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("it has a part after ? or #"));
        }

        let path = url.path().trim_end_matches('/');
        let base = path.strip_suffix("/graphql").unwrap_or(path).trim_end_matches('/').to_owned();
        url.set_path(&base);
        let shown = url.as_str().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/graphql"));
        let mut socket = url.clone();
        socket.set_scheme(if is_secret { "wss" } else { "ws" }).map_err(|()| bad("it has no form for websockets"))?;
        Ok(Self { http: url, socket: socket.into(), shown, is_secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(server: &str, http: &str, socket: &str, shown: &str) {
        let address = Address::try_new(server).unwrap();
        assert_eq!((address.http.as_str(), address.socket.as_str(), address.shown.as_str()), (http, socket, shown));
    }

    #[track_caller]
    fn check_refused(server: &str, says: &str) {
        let said = Address::try_new(server).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }

    #[test]
    fn a_base_a_slash_and_the_full_path_are_one_place() {
        for server in ["http://h:4000", "http://h:4000/", "http://h:4000/graphql", " http://h:4000/graphql/ "] {
            check(server, "http://h:4000/graphql", "ws://h:4000/graphql", "http://h:4000");
        }
    }

    #[test]
    fn a_path_before_graphql_is_kept() {
        for server in ["http://h/onex", "http://h/onex/", "http://h/onex/graphql"] {
            check(server, "http://h/onex/graphql", "ws://h/onex/graphql", "http://h/onex");
        }
    }

    #[test]
    fn an_ipv6_address_keeps_its_brackets() {
        check("http://[::1]:4000", "http://[::1]:4000/graphql", "ws://[::1]:4000/graphql", "http://[::1]:4000");
    }

    #[test]
    fn https_goes_with_websockets_over_tls() {
        check("https://h/", "https://h/graphql", "wss://h/graphql", "https://h");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        check_refused("localhost:4000", "http://HOST:PORT");
        check_refused("127.0.0.1:4000", "http://HOST:PORT");
        check_refused("", "http://HOST:PORT");
        check_refused("http://h/?a=b", "after ?");
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let said = Address::try_new("http://me:hunter2@h").unwrap_err().to_string();
        assert!(said.contains("--token") && !said.contains("hunter2"), "{said}");
    }
}
