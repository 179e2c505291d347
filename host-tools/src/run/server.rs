//! The update server of a run, and how the unit gets to know it.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bistable_qemu::FlashFile;

use crate::Error;
use crate::facts::Facts;
use crate::run::emulation;
use crate::run::project::Project;

/// Where the emulator's user network shows the host.
const HOST: &str = "10.0.2.2";

/// Where the unit looks if this run is no server.
const USUAL_PORT: u16 = 8080;

/// The partition whose first line names the update server.
const PARTITION: &str = "data";

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// `bistable serve`, until this is dropped.
pub(super) struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts it; its log goes to a file.
    pub(super) fn start(store: &Path, project: &Project) -> Result<Self, Error> {
        let port_file = project.file("serve.port");
        let _ = fs::remove_file(&port_file); // Fails if there is none, which is what is wanted.
        let log = project.file("serve.log");
        let file = File::create(&log).map_err(Error::io(&log, "make the server's log"))?;
        let this = env::current_exe().map_err(Error::io(store, "find this program"))?;
        let process = Command::new(this)
            .arg("serve")
            .arg(store)
            .args(["--listen", "127.0.0.1:0", "--port-file"])
            .arg(&port_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(Error::io(store, "serve the store"))?;
        let mut server = Self { process, port: 0 };
        server.port = server.wait_for_port(&port_file, &log)?;
        eprintln!(
            "serving {} at http://127.0.0.1:{}, log in {}",
            store.display(),
            server.port,
            log.display()
        );
        Ok(server)
    }

    fn wait_for_port(&mut self, port_file: &PathBuf, log: &Path) -> Result<u16, Error> {
        let begun = Instant::now();
        let ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        while begun.elapsed() < PATIENCE && !ended(&mut self.process) {
            let text = fs::read_to_string(port_file).unwrap_or_default();
            if let Ok(port) = text.trim().parse() {
                return Ok(port);
            }
            sleep(Duration::from_millis(20));
        }
        let said = fs::read_to_string(log).unwrap_or_default();
        Err(Error::unexpected(
            log,
            format!("no server ({})", said.trim()),
            "one that says its port",
            "see whether `bistable serve` works with this store",
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill(); // Fails only for a process that has ended already.
        let _ = self.process.wait();
    }
}

/// Writes into the unit's flash where its update server is. A layout without room for that is one whose
/// application finds its server otherwise.
pub(super) fn tell(
    flash: &mut FlashFile,
    facts: &Facts,
    server: Option<&Server>,
    layout: &Path,
) -> Result<(), Error> {
    let port = server.map_or(USUAL_PORT, |server| server.port);
    let line = format!("{HOST}:{port}\n");
    match (facts.product.partitions.get(PARTITION), server) {
        (Some(partition), _) => {
            let written = flash.corrupt(partition.offset, line.as_bytes());
            written.map_err(|error| emulation(layout, &error))
        }
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Error::unexpected(
            layout,
            format!("no partition `{PARTITION}`"),
            "one whose first line names the update server",
            "leave out --serve, and serve where the application looks",
        )),
    }
}
