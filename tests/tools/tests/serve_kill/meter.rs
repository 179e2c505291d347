//! What a measurement cost, and what of the machine others took meanwhile: from `proc(5)`.

use std::fs;
use std::time::Instant;

/// Ticks in a second, which Linux has told programs for ever.
const TICKS: f64 = 100.0;

/// What was used up to now, in seconds of one processor.
pub(crate) struct Meter {
    processes: Vec<u32>,
    began: Instant,
    ours: f64,
    all: f64,
}

/// What a measurement cost.
pub(crate) struct Cost {
    /// By the clock on the wall, in seconds.
    pub(crate) took: f64,
    /// Seconds of one processor that these processes used.
    pub(crate) ours: f64,
    /// Which part of the machine everybody else used.
    pub(crate) others: f64,
}

impl Meter {
    /// Of this process and another one.
    pub(crate) fn start(other: u32) -> Self {
        let processes = vec![std::process::id(), other];
        Self {
            ours: processes.iter().map(|id| of_process(*id)).sum(),
            all: of_machine(),
            processes,
            began: Instant::now(),
        }
    }

    pub(crate) fn stop(&self) -> Cost {
        let took = self.began.elapsed().as_secs_f64();
        let ours = self.processes.iter().map(|id| of_process(*id)).sum::<f64>() - self.ours;
        let all = of_machine() - self.all;
        let processors = std::thread::available_parallelism().unwrap().get() as f64;
        let others = (all - ours).max(0.0) / (took * processors);
        Cost { took, ours, others }
    }
}

fn of_process(id: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // Its name, in brackets, may hold blanks. Behind it, the 12th and 13th are user and system time.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields = fields.split_whitespace().skip(11).take(2);
    fields.map(|it| it.parse::<f64>().unwrap()).sum::<f64>() / TICKS
}

/// Time in which no processor was idle or waited for a disk.
fn of_machine() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap();
    let fields = stat.lines().next().unwrap().split_whitespace().skip(1);
    let fields: Vec<f64> = fields.map(|it| it.parse().unwrap()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; the guests' are in the first two.
    let busy = [0, 1, 2, 5, 6, 7].map(|at| fields.get(at).copied().unwrap_or(0.0));
    busy.iter().sum::<f64>() / TICKS
}
