//! A load balancer: distributes connections over the servers whose `/readyz` responds with 200, as
//! a Kubernetes Service does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// One port in front of several servers. Closes when dropped.
pub struct Balancer {
    /// Where clients connect.
    pub address: SocketAddr,
    servers: Arc<Mutex<Vec<Server>>>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Clone, Copy, Debug)]
struct Server {
    address: SocketAddr,
    admin: SocketAddr,
    is_ready: bool,
}

impl Balancer {
    /// A balancer without servers.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let servers: Arc<Mutex<Vec<Server>>> = Arc::default();
        let tasks = [
            tokio::spawn(probe(Arc::clone(&servers))),
            tokio::spawn(accept(listener, Arc::clone(&servers))),
        ];
        Self {
            address,
            servers,
            tasks,
        }
    }

    /// Adds a server by its public and its admin port.
    pub fn add(&self, address: SocketAddr, admin: SocketAddr) {
        self.servers.lock().push(Server {
            address,
            admin,
            is_ready: false,
        });
    }

    /// The number of servers that are ready.
    pub fn ready_servers(&self) -> usize {
        self.servers
            .lock()
            .iter()
            .filter(|server| server.is_ready)
            .count()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn probe(servers: Arc<Mutex<Vec<Server>>>) {
    loop {
        let all = servers.lock().clone();
        for (number, server) in all.into_iter().enumerate() {
            let is_ready = is_ready(server.admin).await;
            servers.lock()[number].is_ready = is_ready;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn is_ready(admin: SocketAddr) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let probe = async {
        let mut stream = TcpStream::connect(admin).await?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.starts_with("HTTP/1.1 200 "))
    };
    probe.await.unwrap_or(false)
}

async fn accept(listener: TcpListener, servers: Arc<Mutex<Vec<Server>>>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let (mut client, _) = listener.accept().await.expect("a connection");
        let ready: Vec<SocketAddr> = servers
            .lock()
            .iter()
            .filter(|server| server.is_ready)
            .map(|server| server.address)
            .collect();
        // No server is ready: close the connection.
        let Some(address) = ready.get(number % ready.len().max(1)).copied() else {
            continue;
        };
        connections.spawn(async move {
            if let Ok(mut server) = TcpStream::connect(address).await {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
