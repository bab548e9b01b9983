//! `--serve`: a run over HTTP.

use std::sync::Arc;

use crate::config::{RunConfig, ServeConfig};
use crate::error::Result;
use crate::live::{Attendant, Control, Shelf};
use crate::pipeline::stats::Stats;
use crate::sink::Sink;

#[cfg(feature = "http")]
pub use with::Serving;
#[cfg(not(feature = "http"))]
pub use without::Serving;

/// The run that is served.
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nobody is there to be told of it"))]
pub struct Served {
    pub control: Control,
    pub stats: Arc<Stats>,
    pub attendant: Attendant,
    pub shelf: Shelf,
    /// The source's name, for people.
    pub source: String,
}

#[cfg(feature = "http")]
mod with {
    use super::*;
    use crate::cli::run::opener;
    use crate::cli::{is_quiet, say};
    use crate::config::StyleConfig;
    use crate::serve::{self, Listener, Server, Service, Watched};

    /// An address that is taken, for a run that begins.
    pub struct Serving(Listener);

    impl Serving {
        /// Takes the address.
        ///
        /// # Errors
        /// [`Error::Serve`] where it cannot be had.
        pub fn prepare(config: &ServeConfig) -> Result<Self> {
            Listener::bind(config).map(Self)
        }

        /// The sink that stands for those who watch.
        pub fn sink(&self) -> Box<dyn Sink + Send> {
            Box::new(Watched)
        }

        /// Answers from now on, and says where.
        ///
        /// # Errors
        /// [`Error::Tool`] where the system gives no thread.
        pub fn start(self, config: &RunConfig, run: Served) -> Result<Server> {
            let Served { control, stats, attendant, shelf, source } = run;
            let address = self.0.address_to_open();
            // Photos are drawn on one thread: the run has the others.
            let mut style: StyleConfig = config.style.clone();
            style.engine.threads = 1;
            let service = Service { control, stats, attendant, shelf, opener: Arc::new(opener(&style)), source };
            let server = serve::start(self.0, service)?;
            if !is_quiet() {
                let secret = config.serve.as_ref().is_some_and(|serve| serve.token.is_some());
                let token = if secret { "?token=TOKEN" } else { "" };
                say(&format!("serving at http://{address}/{token}"));
            }
            Ok(server)
        }
    }
}

#[cfg(not(feature = "http"))]
mod without {
    use super::*;
    use crate::error::Error;

    /// Nothing: this program was built without it.
    pub enum Serving {}

    impl Serving {
        pub fn prepare(_: &ServeConfig) -> Result<Self> {
            Err(Error::Serve("this nijigen was built without --serve; build it with the feature 'http'".into()))
        }

        pub fn sink(&self) -> Box<dyn Sink + Send> {
            match *self {}
        }

        pub fn start(self, _: &RunConfig, _: Served) -> Result<()> {
            match self {}
        }
    }
}
