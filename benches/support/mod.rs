//! What the benchmarks share.
#![allow(dead_code, reason = "each benchmark uses some of it")]

use onex::model::Time;
use onex::registry::engine::Clock;
use std::time::{SystemTime, UNIX_EPOCH};

/// The wall clock.
#[derive(Debug)]
pub struct Wall;

impl Clock for Wall {
    fn now(&self) -> Time {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
    }
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// The memory that this process holds, in bytes, where the system tells.
pub fn resident_bytes() -> u64 {
    resident_bytes_of(std::process::id())
}

/// The memory that a process holds, in bytes, where the system tells.
pub fn resident_bytes_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) * 1024
}
