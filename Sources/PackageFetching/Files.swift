import EventLoop
import Glibc

/// Files of the cache: each is written under another name, and then takes its place whole.
nonisolated enum Files {
  /// The size of a file; nil where there is none.
  static func size(_ path: String) -> Int? {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : nil
  }

  /// Size and time of the last change, to see that a file is still the one that was checked.
  static func fingerprint(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return "\(status.st_size).\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
  }

  /// Replaces a file by these bytes, for everyone to read: the old file or the new one is there after a crash.
  static func replace(_ path: String, with bytes: [UInt8]) throws(SystemError) {
    let temporary = path + ".new"
    unlink(temporary)
    let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644)
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes { write(file.rawValue, $0.baseAddress! + written, bytes.count - written) }
      if count < 0 {
        let code = errno
        if code == EINTR { continue }
        unlink(temporary)
        throw SystemError(call: "write", errno: code, detail: path)
      }
      written += count
    }
    try move(temporary, to: path)
  }

  /// Makes a written file durable and gives it its name, in place of an older one.
  static func move(_ path: String, to name: String) throws(SystemError) {
    let file = try FileDescriptor.open(path, O_RDONLY)
    guard fsync(file.rawValue) == 0 else { throw SystemError(call: "fsync", errno: errno, detail: path) }
    guard rename(path, name) == 0 else { throw SystemError(call: "rename", errno: errno, detail: name) }
    let folder = try FileDescriptor.open(String(name[..<(name.lastIndex(of: "/") ?? name.startIndex)]) + "/", O_RDONLY)
    guard fsync(folder.rawValue) == 0 else { throw SystemError(call: "fsync", errno: errno, detail: name) }
  }

  /// The names in a folder, sorted; none where there is no folder.
  static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}
