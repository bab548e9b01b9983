//! Where and for whom a run is served over HTTP.

use std::net::{IpAddr, SocketAddr};

use super::DEFAULT_SERVE;

/// The fewest characters of a token: one that is guessed is none.
const MIN_TOKEN: usize = 8;

/// How a run is served over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeConfig {
    /// Where; port 0 stands for one that is free.
    pub address: SocketAddr,
    /// What one has to know.
    pub token: Option<String>,
}

impl ServeConfig {
    /// At `address`, for those who know `token` where there is one.
    ///
    /// # Errors
    /// A sentence, where the address is open to others and there is no token.
    pub fn new(address: SocketAddr, token: Option<String>) -> Result<Self, String> {
        if !address.ip().is_loopback() && token.is_none() {
            return Err(format!(
                "{address} is open to others in the network; choose what they have to know, with --token or as token in \
                 the config file, or serve this machine alone, with --serve {DEFAULT_SERVE}"
            ));
        }
        Ok(Self { address, token })
    }
}

/// Reads where to serve: ADDRESS:PORT, or one of both. A name other than localhost would have to be looked up, and may
/// stand for several addresses.
///
/// # Errors
/// A sentence.
pub fn serve_address(text: &str) -> Result<SocketAddr, String> {
    let named = text.strip_prefix("localhost").map(|rest| format!("{}{rest}", DEFAULT_SERVE.ip()));
    let text = named.as_deref().unwrap_or(text);
    let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DEFAULT_SERVE.port()));
    let port = || text.trim_start_matches(':').parse().map(|port| SocketAddr::new(DEFAULT_SERVE.ip(), port));
    text.parse().or(address).or_else(|_| port()).map_err(|_| {
        format!("'{text}' is no address to serve at; write it as {DEFAULT_SERVE}, 0.0.0.0:8010, [::1]:8010 or 8010")
    })
}

/// Reads a token.
///
/// # Errors
/// A sentence.
pub fn token(text: &str) -> Result<String, String> {
    // These need no escaping in an address.
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    if plain && text.len() >= MIN_TOKEN {
        return Ok(text.into());
    }
    Err(format!("a token has at least {MIN_TOKEN} letters, digits or -._~"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_serve_at_are_read() {
        for (text, address) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("0.0.0.0", "0.0.0.0:8010"),
            ("::1", "[::1]:8010"),
            ("[::]:9", "[::]:9"),
            ("localhost", "127.0.0.1:8010"),
            ("localhost:0", "127.0.0.1:0"),
            ("8011", "127.0.0.1:8011"),
            (":8011", "127.0.0.1:8011"),
        ] {
            assert_eq!(serve_address(text).map(|a| a.to_string()), Ok(address.to_string()), "{text}");
        }
        for bad in ["", "example.org:80", "1.2.3:80", "127.0.0.1:99999", "localhosts", "-1"] {
            assert!(serve_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn others_need_a_token() {
        let serve = |address: &str, token: Option<&str>| {
            ServeConfig::new(address.parse().unwrap_or(DEFAULT_SERVE), token.map(str::to_string)).is_ok()
        };
        assert!(serve("127.0.0.2:80", None) && serve("[::1]:80", None) && serve("0.0.0.0:80", Some("12345678")));
        assert!(!serve("0.0.0.0:80", None) && !serve("[::]:80", None) && !serve("192.168.0.1:80", None));
        assert!(token("abc-1234").is_ok());
        for bad in ["", "short", "with a space", "per%20cent", "amper&sand"] {
            assert!(token(bad).is_err(), "{bad}");
        }
    }
}
