//! Connections: how many, for how long, and how large a request's head may be.

use std::io;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use futures_util::future::select;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Sleep, sleep, timeout};

/// Connections at a time; one more is closed at once.
const MAX_CONNECTIONS: usize = 64;
/// Until the head of a (next) request is there.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Lines in the head of a request.
const MAX_HEADERS: usize = 64;
/// Bytes in the head of a request, and those that wait for a slow reader within our own memory.
const MAX_BUFFER: usize = 32 << 10;
/// How long a reader may take nothing of what is sent to it.
const STALL: Duration = Duration::from_secs(20);
/// How long a connection is still read that we have said our last word on. The system would cut one off that holds what was
/// not read, and who sends a photo that is refused would not hear why.
const LINGER: Duration = Duration::from_secs(5);
/// How long the end waits for connections to end by themselves.
const FAREWELL: Duration = Duration::from_millis(300);
/// The wait after the system refused a connection, for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Answers at `listener` until `stopped` is told or its sender is gone.
///
/// # Errors
/// Where the system gives no runtime.
pub fn answer(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().max_blocking_threads(4).build()?;
    let outcome = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        select(pin!(accept(listener, router, Arc::clone(&seats))), stopped).await;
        // Whoever watches learns that the run has ended, and does not only lose the connection.
        let everybody_left = seats.acquire_many(MAX_CONNECTIONS as u32);
        let _ = timeout(FAREWELL, everybody_left).await;
        Ok(())
    });
    // A photo that is being drawn is not waited for.
    runtime.shutdown_background();
    outcome
}

async fn accept(listener: tokio::net::TcpListener, router: Router, seats: Arc<Semaphore>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_headers(MAX_HEADERS).max_buf_size(MAX_BUFFER);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(BREATH).await;
            continue;
        };
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else { continue };
        // Small parts (an event, the end of a picture) are not held back; without it they are only later.
        let _ = stream.set_nodelay(true);
        let stream = TokioIo::new(Impatient { stream, stalled: None, lingering: None });
        let connection = http.serve_connection(stream, TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            // How a connection ends concerns nobody but its other end.
            let _ = connection.await;
            drop(seat);
        });
    }
}

/// A connection that fails when its reader has taken nothing for [`STALL`], and that is closed only when its other end is,
/// or after [`LINGER`].
struct Impatient {
    stream: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn judge<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.judge(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let lingering = this.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        let mut bytes = [0; 4096];
        loop {
            let mut unread = ReadBuf::new(&mut bytes);
            match Pin::new(&mut this.stream).poll_read(context, &mut unread) {
                Poll::Ready(Ok(())) if !unread.filled().is_empty() => {}
                // The other end is closed, or gone.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return lingering.as_mut().poll(context).map(Ok),
            }
        }
    }
}
