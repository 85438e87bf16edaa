//! Signals: those that are meant for the command, and how they show in an exit status.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::process::ExitCode;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// What is passed on to the command: all that people and supervisors send to a program they mean to steer.
const PASSED_ON: [Signal; 6] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// The signals that this process is sent, from when this was made on. They do not end it any more.
pub(in crate::cli) struct Signals {
    streams: Vec<(Signal, unix::Signal)>,
    /// Never read. A parent that ignores SIGCHLD would have left that to this process, and then no child's status is
    /// kept for anybody; a handler ends it.
    _children: unix::Signal,
}

impl Signals {
    /// Takes the signals, except those that this process was told to ignore: a handler would undo that for the command
    /// too. `nohup` ignores SIGHUP, and a shell's script SIGINT for what it runs in the background.
    pub(in crate::cli) fn take() -> io::Result<Self> {
        let ignored = ignored(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        let mut streams = Vec::new();
        for signal in PASSED_ON {
            if ignored & bit(signal) == 0 {
                streams.push((signal, unix::signal(SignalKind::from_raw(signal.as_raw()))?));
            }
        }
        Ok(Self { streams, _children: unix::signal(SignalKind::child())? })
    }

    /// The next signal. What came while nobody waited is still there.
    pub(in crate::cli) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, stream) in &mut self.streams {
                if stream.poll_recv(context) == Poll::Ready(Some(())) {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Whether a program that has not begun yet should not begin. The other signals are a command's own affair.
pub(in crate::cli) fn asks_to_stop(signal: Signal) -> bool {
    ![Signal::USR1, Signal::USR2].contains(&signal)
}

/// The exit status that tells of a signal, as shells have it.
pub(in crate::cli) fn status(signal: i32) -> ExitCode {
    u8::try_from(signal).map_or(ExitCode::FAILURE, |signal| ExitCode::from(signal.saturating_add(128)))
}

/// The ignored signals in a text as /proc has it (proc(5), `SigIgn`); none where the system has no /proc.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn bit(signal: Signal) -> u64 {
    u32::try_from(signal.as_raw() - 1).ok().and_then(|place| 1_u64.checked_shl(place)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_process_status() {
        let status = "Name:\tonex\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000440\n";
        let ignored = ignored(status);
        assert_ne!(ignored & bit(Signal::HUP), 0);
        assert_ne!(ignored & bit(Signal::PIPE), 0);
        assert_eq!(ignored & bit(Signal::TERM), 0);
        assert_eq!(super::ignored("no such line"), 0);
    }

    #[test]
    fn a_signal_shows_as_128_and_its_number() {
        assert_eq!(status(Signal::TERM.as_raw()), ExitCode::from(143));
        assert_eq!(status(Signal::INT.as_raw()), ExitCode::from(130));
    }
}
