import EventLoop
import Glibc

// A folder that was deleted is made again; one that is away is waited for.
//
// The rule is that of the file monitor (``MonitoredTree``). A folder that is missing while the plugin's folder exists was
// deleted, by whatever command. One that is missing together with the plugin's folder, or was on a file system that is not
// mounted now, is away.
extension ProbedFolder {
  enum State {
    case there
    /// Missing, while the plugin's folder exists.
    case missing
    /// Missing or no folder; nothing may be written in its place.
    case away(SystemError)
  }

  var state: State {
    var status = stat()
    guard stat(path, &status) == 0 else {
      let code = errno
      guard code == ENOENT else { return away(code) }
      // A link that leads nowhere.
      if lstat(path, &status) == 0 { return away(code) }
      return isFolder(pluginFolder) ? .missing : away(code)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else { return away(ENOTDIR) }
    if let device, device != status.st_dev, !versions.isEmpty, Self.names(in: path).isEmpty {
      // The place where a file system was mounted.
      return away(ENODEV)
    }
    return .there
  }

  private func away(_ code: Int32) -> State { .away(SystemError(call: "open", errno: code, detail: path)) }

  private var pluginFolder: String { String(path.dropLast(Self.name.utf8.count + 1)) }

  /// Makes the folder, if it is missing, or was deleted. Waits for the disk, as it is made once.
  ///
  /// - Returns: false where the files that were in it are gone with it: they are forgotten.
  /// - Throws: `SystemError` where it is away, or cannot be made.
  func make() throws(SystemError) -> Bool {
    switch state {
    case .there:
      recordDevice()
      return true
    case .away(let error): throw error
    case .missing:
      try AtomicFile.makeFolder(path)
      recordDevice()
      guard !versions.isEmpty else { return true }
      forgetAll()
      return false
    }
  }

  private func recordDevice() {
    var status = stat()
    if stat(path, &status) == 0 { device = status.st_dev }
  }
}
