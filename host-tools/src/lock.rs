//! The lock of a file that has one writer at a time; it lasts until the file is closed.

use std::fs::{File, TryLockError};
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a lock is waited for: a process that was just started holds what its parent had open until it executes its own
/// program, and one that was killed until it is gone.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// Locks the file; whether nobody else holds the lock.
///
/// # Errors
/// The file cannot be locked.
pub(crate) fn take(file: &File) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(source)) => return Err(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_ends_in_a_moment_is_waited_for() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(path.path()).unwrap();
        let (first, second) = (open(), open());
        assert!(take(&first).unwrap());
        let begun = Instant::now();
        assert!(!take(&second).unwrap());
        assert!(begun.elapsed() >= PATIENCE);
        let holder = std::thread::spawn(move || {
            sleep(PATIENCE / 10);
            drop(first);
        });
        assert!(take(&second).unwrap());
        holder.join().unwrap();
    }
}
