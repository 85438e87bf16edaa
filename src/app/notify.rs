//! Tells the service manager how far the start and the end are, where one asked for it (systemd's sd_notify).

/// Says this to whoever NOTIFY_SOCKET names; nothing where it names nobody. It is a courtesy: what goes wrong is told to
/// the log alone.
#[cfg(target_os = "linux")]
pub fn notify(state: &str) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Some(name) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return };
    let address = match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        _ => SocketAddr::from_pathname(&name),
    };
    let told = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = told {
        tracing::warn!(%error, "the service manager could not be told {state:?}");
    }
}

/// Only systemd asks.
#[cfg(not(target_os = "linux"))]
pub fn notify(_: &str) {}
