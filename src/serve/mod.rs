//! A run seen and steered over HTTP: a control page, the picture as a stream, and an interface for programs.
//!
//! The service has a thread of its own with a small runtime, and another that encodes the stream. It reads what the run
//! shares ([`Control`], [`Stats`]) and never stands in the way of a frame; whatever fails here, the run goes on.
//!
//! Who may ask is decided in [`guard`]: the service is there for this machine, or for those who know its token.

mod api;
mod connection;
mod events;
mod gallery;
pub mod guard;
mod jpeg;
mod metrics;
mod photo;
mod reply;
mod routes;
mod stream;
mod watched;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{Semaphore, oneshot};

pub use watched::Watched;

use crate::config::ServeConfig;
use crate::error::{Error, Result};
use crate::live::{Attendant, Control, Look, Shelf};
use crate::pipeline::stats::Stats;
use crate::style::Stylizer;
use crate::threads;
use gallery::Gallery;
use guard::Guard;
use photo::Studio;
use stream::Stream;

/// The name in the statistics of the sink that stands for those who watch.
const SINK: &str = "http";

/// Opens a look, apart from the run's own: for photos and thumbnails.
pub type Opener = Arc<dyn Fn(&Look) -> Result<Stylizer> + Send + Sync>;

/// What the service shows and steers.
pub struct Service {
    /// The run.
    pub control: Control,
    /// What it measures.
    pub stats: Arc<Stats>,
    /// Takes snapshots, and is told that there is somebody.
    pub attendant: Attendant,
    /// The styles that may be chosen. Nothing else can be opened from outside, whatever path is named.
    pub shelf: Shelf,
    /// Opens styles.
    pub opener: Opener,
    /// The source's name, for people.
    pub source: String,
}

/// What all requests share.
struct Site {
    control: Control,
    stats: Arc<Stats>,
    attendant: Attendant,
    shelf: Shelf,
    gallery: Gallery,
    studio: Studio,
    stream: Arc<Stream>,
    /// Places for those who listen to events.
    listeners: Arc<Semaphore>,
    guard: Guard,
    source: String,
    began: Instant,
}

/// An address that is ours, at which nobody is answered yet.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    token: Option<String>,
}

impl Listener {
    /// Takes the address, so that it is known before anything starts whether it can be had.
    ///
    /// # Errors
    /// [`Error::Serve`] where it cannot.
    pub fn bind(config: &ServeConfig) -> Result<Self> {
        let cannot = |error: std::io::Error| {
            let remedy = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "another program uses this port; end it, or choose another port".into()
                }
                std::io::ErrorKind::AddrNotAvailable => {
                    "this machine has no such address; choose one that it has".into()
                }
                std::io::ErrorKind::PermissionDenied => "this port is not permitted; choose one above 1023".into(),
                _ => error.to_string(),
            };
            Error::Serve(format!("cannot serve at {}: {remedy}", config.address))
        };
        let listener = TcpListener::bind(config.address).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self { listener, address, token: config.token.clone() })
    }

    /// The address, with the port that the system gave where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address to open. Where it is served at all addresses of this machine, which none can open, it is the one that
    /// others in the network reach.
    pub fn address_to_open(&self) -> SocketAddr {
        reachable(self.address)
    }
}

/// `address`, or where it stands for all of this machine the one that it shows to others; as it is where it shows none.
fn reachable(address: SocketAddr) -> SocketAddr {
    // Addresses for documentation (RFC 5737, RFC 3849): they lie beyond any network of our own.
    const ELSEWHERE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const ELSEWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    if !address.ip().is_unspecified() {
        return address;
    }
    let v4 = || own_address(Ipv4Addr::UNSPECIFIED.into(), ELSEWHERE_V4.into());
    let own = match address.ip() {
        IpAddr::V4(_) => v4(),
        // Elsewhere than on Windows, whoever listens at [::] is reached by IPv4 as well.
        IpAddr::V6(any) => own_address(any.into(), ELSEWHERE_V6.into()).or_else(|| v4().filter(|_| cfg!(unix))),
    };
    own.map_or(address, |own| SocketAddr::new(own, address.port()))
}

/// The address with which this machine would speak to `other`. To connect a datagram socket sends nothing: the system only
/// looks up the way.
fn own_address(any: IpAddr, other: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((other, 9)).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_unspecified() && !own.is_loopback()).then_some(own)
}

/// A service that runs until this is dropped.
#[derive(Debug)]
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    stream: Arc<Stream>,
    threads: Vec<JoinHandle<()>>,
}

/// Starts to answer at `listener`.
///
/// # Errors
/// [`Error::Tool`] where the system gives no thread.
pub fn start(listener: Listener, service: Service) -> Result<Server> {
    Ok(serve(listener, service)?.0)
}

fn serve(listener: Listener, service: Service) -> Result<(Server, Arc<Site>)> {
    let Service { control, stats, attendant, shelf, opener, source } = service;
    let Listener { listener, address, token } = listener;
    let stream = Arc::new(Stream::default());
    let studio = Studio::new(Arc::clone(&opener));
    let gallery = Gallery::start(control.clone(), &shelf, opener)?;
    let site = Arc::new(Site {
        control: control.clone(),
        stats,
        attendant: attendant.clone(),
        shelf,
        gallery,
        studio,
        stream: Arc::clone(&stream),
        listeners: Arc::new(Semaphore::new(events::MAX_LISTENERS)),
        guard: Guard::new(address, token),
        source,
        began: Instant::now(),
    });
    let mut server = Server { stop: None, stream: Arc::clone(&stream), threads: Vec::new() };
    server.threads.push(threads::spawn("http encode", move || stream.feed(&control, &attendant))?);
    let (stop, stopped) = oneshot::channel();
    server.stop = Some(stop);
    let router = routes::router(Arc::clone(&site));
    server.threads.push(threads::spawn("http", move || {
        if let Err(error) = connection::answer(listener, router, stopped) {
            tracing::warn!("the HTTP service ended ({error}); the run goes on without it");
        }
    })?);
    Ok((server, site))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stream.end();
        if let Some(stop) = self.stop.take() {
            // Nobody listens where the service has ended by itself.
            let _ = stop.send(());
        }
        for thread in self.threads.drain(..) {
            // One that broke has said so in the log.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
