package import EventLoop
import Glibc

/// Why the cache is not ours.
package enum CacheLockError: Error, CustomStringConvertible {
  /// Another process refreshes it.
  case held(by: String, waited: Duration)
  case system(SystemError)

  package var description: String {
    switch self {
    case .held(let holder, let waited):
      "\(holder) refreshes the same cache; gave up after waiting for \(waited.inSeconds.formatted) s"
    case .system(let error): error.description
    }
  }
}

/// The right to change the cache: one process at a time has it, and the kernel takes it back when that process ends.
package struct CacheLock: ~Copyable {
  private let file: FileDescriptor

  /// - Parameter wait: how long to wait for another process.
  package static func take(_ cache: PackageCache, wait: Duration) throws(CacheLockError) -> CacheLock {
    let path = cache.indexes + "/lock"
    let file = try open(cache, path)
    // Who can open the file can hold the lock.
    guard fchmod(file.rawValue, 0o600) == 0 else {
      throw .system(SystemError(call: "fchmod", errno: errno, detail: path))
    }
    let end = ContinuousClock.now + wait
    while flock(file.rawValue, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      guard code == EWOULDBLOCK || code == EINTR else {
        throw .system(SystemError(call: "flock", errno: code, detail: path))
      }
      guard ContinuousClock.now < end else { throw .held(by: holder(file), waited: wait) }
      usleep(100_000)
    }
    // For the message of who waits.
    let text = "\(getpid())\n"
    guard ftruncate(file.rawValue, 0) == 0,
      text.withCString({ pwrite(file.rawValue, $0, text.utf8.count, 0) }) == text.utf8.count
    else { throw .system(SystemError(call: "write", errno: errno, detail: path)) }
    return CacheLock(file: file)
  }

  private static func open(_ cache: PackageCache, _ path: String) throws(CacheLockError) -> FileDescriptor {
    do throws(SystemError) {
      try cache.prepare()
      return try FileDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
    } catch {
      throw .system(error)
    }
  }

  private static func holder(_ file: borrowing FileDescriptor) -> String {
    var text = [UInt8](repeating: 0, count: 16)
    let count = pread(file.rawValue, &text, text.count, 0)
    let digits = text.prefix(max(0, count)).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    return digits.isEmpty ? "another process" : "process \(String(decoding: digits, as: UTF8.self))"
  }
}
