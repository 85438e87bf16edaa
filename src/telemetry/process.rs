//! This process as the kernel sees it.

/// What the kernel says of this process.
#[derive(Debug)]
pub(super) struct Process {
    pub cpu_seconds: f64,
    /// Since 1970.
    pub start_seconds: f64,
    pub resident_bytes: u64,
    pub virtual_bytes: u64,
    pub open_fds: u64,
    /// `None` where there is no limit.
    pub max_fds: Option<u64>,
    pub threads: i64,
}

/// `None` where the kernel does not say.
#[cfg(target_os = "linux")]
pub(super) fn look() -> Option<Process> {
    use procfs::process::LimitValue;
    use procfs::{CurrentSI, KernelStats};
    let own = procfs::process::Process::myself().ok()?;
    let stat = own.stat().ok()?;
    let ticks = procfs::ticks_per_second() as f64;
    let boot = KernelStats::current().ok()?.btime as f64;
    let max_fds = match own.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(max) => Some(max),
        LimitValue::Unlimited => None,
    };
    Some(Process {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
        start_seconds: boot + stat.starttime as f64 / ticks,
        resident_bytes: stat.rss * procfs::page_size(),
        virtual_bytes: stat.vsize,
        open_fds: own.fd_count().ok()? as u64,
        max_fds,
        threads: stat.num_threads,
    })
}

/// `None`: only Linux is asked.
#[cfg(not(target_os = "linux"))]
pub(super) fn look() -> Option<Process> {
    None
}
