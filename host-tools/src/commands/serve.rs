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

use crate::output::{BAD, Output, Report, paint};
use crate::proof::challenge::Challenges;
use crate::proof::keeper::{Found, Keeper};
use crate::proof::kept::FILE_NAME;
use crate::proof::stations::Stations;
use crate::proof::units::Units;
use crate::reports::Reports;
use crate::serve::receipts::Desk;
use crate::store::Store;
use crate::{Error, atomic, serve};

/// Serve a store over HTTP: newest digest, images by range, reports, receipts.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  bistable serve store --listen 127.0.0.1:8080 --births births.jsonl --station-key station.pub"
)]
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
    /// The birth records of the units whose receipts are taken; they may grow meanwhile.
    #[arg(long, value_name = "FILE", requires = "station_keys")]
    pub births: Option<PathBuf>,
    /// The keys of the stations that signed them.
    #[command(flatten)]
    pub stations: Stations,
}

/// Runs the command, until SIGTERM or Ctrl-C.
///
/// # Errors
/// The address or the store cannot be used.
pub fn run(arguments: &Arguments, output: &Output) -> Result<(), Error> {
    let store = Store::open(&arguments.store)?;
    let reports = Reports::open(&arguments.store)?;
    let taking = arguments.births.as_deref();
    let taking = taking.map(|births| desk(&arguments.store, births, &arguments.stations));
    let (desk, receipts) = taking.transpose()?.unzip();
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
        output.say(&Listening { address, receipts })?;
        serve::serve(listener, store, reports, desk, stop)
            .await
            .map_err(cannot_listen)
    })
}

/// Said when the server can be reached.
#[derive(Serialize, JsonSchema)]
pub struct Listening {
    /// Address and port.
    pub address: String,
    /// The receipts that are there already; `null` if none are taken.
    pub receipts: Option<Receipts>,
}

/// The receipts that are there already.
#[derive(Serialize, JsonSchema)]
pub struct Receipts {
    /// How many there are.
    pub kept: u64,
    /// How many units sent them.
    pub units: usize,
    /// How many lines are no receipts of units that are known; they are passed over.
    pub strange: u64,
}

impl Display for Listening {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "listening on http://{}", self.address)?;
        let Some(Receipts {
            kept,
            units,
            strange,
        }) = &self.receipts
        else {
            return Ok(());
        };
        writeln!(formatter, "receipts kept so far: {kept}, of {units} units")?;
        match strange {
            0 => Ok(()),
            _ => writeln!(
                formatter,
                "{}: {strange} lines are no receipts of units that are known, and passed over",
                paint(BAD, FILE_NAME)
            ),
        }
    }
}

impl Report for Listening {
    const FORMAT: &'static str = "serve/1";
}

/// Who takes receipts in the store at `directory`, and what is there already.
fn desk(directory: &Path, births: &Path, stations: &Stations) -> Result<(Desk, Receipts), Error> {
    let units = Units::open(births, stations.public()?)?;
    let (keeper, found) = Keeper::open(directory, &units)?;
    let Found {
        receipts: kept,
        units: speakers,
        strange,
    } = found;
    let receipts = Receipts {
        kept,
        units: speakers,
        strange,
    };
    Ok((Desk::new(units, keeper, Challenges::new()?), receipts))
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
