//! Binds the sockets of a server.

use std::io;
use std::net::SocketAddr;

use anyhow::Context as _;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

use crate::config::Config;
use crate::limits;

/// The bound sockets of a server.
#[derive(Debug)]
pub struct Listeners {
    /// The public port.
    pub public: Vec<TcpListener>,
    /// The port for metrics and health.
    pub admin: Vec<TcpListener>,
}

impl Listeners {
    /// Binds the addresses of the configuration.
    ///
    /// # Errors
    /// When no address of a port can be bound.
    pub fn bind(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            public: bind(&config.http.listen())?,
            admin: bind(&config.http.admin_listen())?,
        })
    }
}

/// Binds the addresses of one port. One of them is enough: on all interfaces, IPv4 stands beside
/// IPv6, and many systems serve both on one socket. Elsewhere, the log names the address that
/// another program holds.
fn bind(addresses: &[SocketAddr]) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut failed = Vec::new();
    for address in addresses {
        match listen(*address) {
            Ok(listener) => listeners.push(listener),
            Err(error) => failed.push((address, error)),
        }
    }
    if listeners.is_empty()
        && let Some((address, error)) = failed.pop()
    {
        return Err(error).with_context(|| {
            format!(
                "cannot listen on {address}; choose another port, or stop the program that uses \
                 this one"
            )
        });
    }
    if !listeners.iter().any(serves_both_families) {
        for (address, error) in &failed {
            if error.kind() == io::ErrorKind::AddrInUse {
                warn_of_other_program(address, error);
            }
        }
    }
    Ok(listeners)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()?
    } else {
        TcpSocket::new_v4()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::LISTEN_BACKLOG)
}

/// Whether a listener on all IPv6 addresses also accepts IPv4.
fn serves_both_families(listener: &TcpListener) -> bool {
    let is_v6 = listener.local_addr().is_ok_and(|address| address.is_ipv6());
    is_v6 && SockRef::from(listener).only_v6().is_ok_and(|only| !only)
}

fn warn_of_other_program(address: &SocketAddr, error: &io::Error) {
    tracing::warn!(
        %address,
        %error,
        "another program uses this port for one address family: clients of that family do not \
         reach this server; choose another port, or stop that program"
    );
}
