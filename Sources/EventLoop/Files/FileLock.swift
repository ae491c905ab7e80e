import CLinux
import Glibc

/// Locks of fcntl(2) on open files, which tell whether the process that made a file still lives.
///
/// A lock of flock(2) is held by everybody who has the descriptor: also by a helper that waits for the disk when the process that it
/// waited for has been killed.
public nonisolated enum FileLock {
  /// Locks a file for writing, for this process alone, until it ends or closes any descriptor of the file.
  ///
  /// - Returns: false if another process has a lock of the file. True also on a file system that knows no locks.
  public static func lockForProcess(_ file: borrowing FileDescriptor) -> Bool {
    var lock = flock()
    lock.l_type = Int16(F_WRLCK)
    return fcntl(file.rawValue, F_SETLK, &lock) == 0 || (errno != EACCES && errno != EAGAIN)
  }

  /// Locks a file for reading, as long as this descriptor is open.
  ///
  /// - Returns: false if a process has locked it for writing, this one included, or no lock can be had.
  public static func lockForReading(_ file: borrowing FileDescriptor) -> Bool {
    clinux_lock_for_reading(file.rawValue) == 0
  }
}
