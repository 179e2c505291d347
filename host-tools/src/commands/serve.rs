//! `bistable serve`: a store over HTTP until somebody stops it.

use std::fmt::{self, Display};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::output::{Output, Report};
use crate::reports::Reports;
use crate::store::Store;
use crate::{Error, atomic, serve};

/// Serve a store over HTTP: newest digest, images by range, reports.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  bistable serve store --listen 127.0.0.1:8080")]
pub struct Arguments {
    /// The store, which is made if it is not there.
    #[arg(value_name = "DIR")]
    pub store: PathBuf,
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The port is written to this file when the server can be reached.
    #[arg(long, value_name = "FILE")]
    pub port_file: Option<PathBuf>,
}

/// Runs the command, until SIGTERM or Ctrl-C.
///
/// # Errors
/// The address or the store cannot be used.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let store = Store::open(&arguments.store)?;
    let reports = Reports::open(&arguments.store)?;
    let cannot_listen = |source| Error::Io {
        place: arguments.listen.to_string(),
        doing: "listen here",
        source,
    };
    let runtime = Runtime::new().map_err(cannot_listen)?;
    runtime.block_on(async {
        // Before anybody is told the port: whoever knows it may stop the server at once.
        let stop = stop_signal().map_err(cannot_listen)?;
        let listener = TcpListener::bind(arguments.listen)
            .await
            .map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        write_port(address, arguments.port_file.as_deref())?;
        let address = address.to_string();
        output.say(&Listening { address })?;
        serve::serve(listener, store, reports, stop)
            .await
            .map_err(cannot_listen)
    })
}

/// Said when the server can be reached.
#[derive(Serialize, JsonSchema)]
pub struct Listening {
    /// Address and port.
    pub address: String,
}

impl Display for Listening {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "listening on http://{}", self.address)
    }
}

impl Report for Listening {
    const FORMAT: &'static str = "serve/1";
}

fn write_port(address: SocketAddr, port_file: Option<&Path>) -> Result<(), Error> {
    let Some(path) = port_file else {
        return Ok(());
    };
    let line = format!("{}\n", address.port());
    atomic::replace(path, line.as_bytes()).map_err(Error::io(path, "write the port"))
}

fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
