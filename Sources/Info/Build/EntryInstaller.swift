import Core
import EventLoop
import Glibc
import Repository
import XMLRPC

/// Writes Path entries below a folder.
///
/// Everything is done by descriptors of folders, never by paths from the top: somebody who may write to a folder below could
/// put a link there at any moment.
@MainActor
struct EntryInstaller: ~Copyable {
  /// The types that it writes, in the order in which they have to be written.
  nonisolated static let types = ["directory", "file", "device", "hardlink", "symlink"]

  struct Problem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    static func of(_ call: String) -> Problem { Problem("\(call): \(String(cString: strerror(errno)))") }
  }

  private let top: FileDescriptor
  /// Whether what gives power to who may reach the folder is made, too: setuid and setgid bits, block and character devices.
  private let keepsPrivileges: Bool

  /// - Throws: `SystemError` if the folder cannot be opened.
  init(_ folder: String, keepsPrivileges: Bool) throws(SystemError) {
    top = try FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY)
    self.keepsPrivileges = keepsPrivileges
  }

  /// Writes an entry. A folder belongs to this user alone until `finish`: nobody else changes what is being written in it.
  ///
  /// - Returns: what was left out; nil if the whole entry was written.
  /// - Throws: `Problem`.
  func install(_ entry: Element) throws -> String? {
    let place = try place(of: entry)
    let (raw, name) = (place.folder.rawValue, place.name)
    switch entry["type"] {
    case "directory": _ = try Self.enter(name, in: raw)
    case "file": return try write(entry, to: name, in: raw)
    case "device":
      if !keepsPrivileges, entry["dev_type"] != "fifo" { return "left out: --privileged makes devices" }
      return try makeDevice(entry, name, in: raw)
    case "hardlink":
      guard let target = entry["to"] else { throw Problem("it has no target") }
      let old = try self.place(at: target)
      try Self.replace(name, in: raw) { linkat(old.folder.rawValue, old.name, raw, name, 0) == 0 }
    case "symlink":
      guard let target = entry["to"] else { throw Problem("it has no target") }
      try Self.replace(name, in: raw) { symlinkat(target, raw, name) == 0 }
    default: throw Problem("its type is none that is written")
    }
    return nil
  }

  /// Gives folders their owners and modes, those within others first: after everything else was written.
  ///
  /// - Returns: of each, what was left out, or the problem.
  func finish(_ folders: [Element]) -> [(Element, Result<String?, any Error>)] {
    func depth(_ entry: Element) -> Int { RepositoryPath.normalised(entry.name ?? "").split(separator: "/").count }
    return folders.sorted { depth($0) > depth($1) }.map { entry in
      let result = Result {
        let place = try place(of: entry)
        let folder = try Self.enter(place.name, in: place.folder.rawValue)
        return try setAttributes(entry, folder.rawValue)
      }
      return (entry, result)
    }
  }

  // MARK: Places

  /// A name in an open folder.
  private struct Place: ~Copyable {
    let folder: FileDescriptor
    let name: String
  }

  private func place(of entry: Element) throws -> Place {
    guard let name = entry.name, name.hasPrefix("/") else { throw Problem("it has no absolute name") }
    return try place(at: name)
  }

  /// Makes the folders above a path, for this user alone.
  private func place(at path: String) throws -> Place {
    let path = RepositoryPath.normalised(path)
    let steps = path.split(separator: "/")
    guard !steps.contains(".."), let last = steps.last else { throw Problem("\(path) is no path to write") }
    var folder = try Self.enter(".", in: top.rawValue)
    for step in steps.dropLast() { folder = try Self.enter(String(step), in: folder.rawValue) }
    return Place(folder: folder, name: String(last))
  }

  /// Opens a folder in another one, and makes it where it is missing: mode 0700 whatever the umask.
  private static func enter(_ name: String, in folder: Int32) throws -> FileDescriptor {
    let isNew = name != "." && mkdirat(folder, name, 0o700) == 0
    if !isNew, name != ".", errno != EEXIST { throw Problem.of("mkdir") }
    // Also a link to a folder is refused: it may lead out of here.
    let raw = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard raw >= 0 else {
      if errno == ENOTDIR || errno == ELOOP { throw Problem("\(name) is there and no folder") }
      throw Problem.of("open \(name)")
    }
    let opened = FileDescriptor(owning: raw)
    if isNew, fchmod(raw, 0o700) != 0 { throw Problem.of("chmod") }
    return opened
  }

  private static func kind(of name: String, in folder: Int32) -> mode_t? {
    var status = stat()
    return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_mode & S_IFMT : nil
  }

  /// Makes something in the place of what is there, unless that is a folder.
  private static func replace(_ name: String, in folder: Int32, _ make: () -> Bool) throws {
    if kind(of: name, in: folder) != nil, unlinkat(folder, name, 0) != 0 { throw Problem.of("unlink") }
    guard make() else { throw Problem.of(name) }
  }

  // MARK: Files

  private func write(_ entry: Element, to name: String, in folder: Int32) throws -> String? {
    if let kind = Self.kind(of: name, in: folder) {
      guard kind == S_IFREG else { throw Problem("\(name) is there and no file") }
      // The old file may have another name elsewhere, and its mode may let others read the new contents.
      guard unlinkat(folder, name, 0) == 0 else { throw Problem.of("unlink") }
    }
    let raw = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard raw >= 0 else { throw Problem.of("open") }
    let file = FileDescriptor(owning: raw)
    var rest = entry.contentBytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file.rawValue, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Problem.of("write") }
      rest = rest.dropFirst(count)
    }
    return try setAttributes(entry, file.rawValue)
  }

  private func makeDevice(_ entry: Element, _ name: String, in folder: Int32) throws -> String? {
    let kinds: [String: mode_t] = ["block": S_IFBLK, "char": S_IFCHR, "fifo": S_IFIFO]
    guard let kind = entry["dev_type"].flatMap({ kinds[$0] }) else { throw Problem("it has no dev_type that is known") }
    let (major, minor) = (UInt32(entry["major"] ?? "0"), UInt32(entry["minor"] ?? "0"))
    guard let major, let minor else { throw Problem("major and minor are no numbers") }
    let number = Self.device(dev_t(major), dev_t(minor))
    try Self.replace(name, in: folder) { mknodat(folder, name, kind | 0o600, number) == 0 }
    // A descriptor that opens nothing: a FIFO would wait, and a device may do something.
    let raw = openat(folder, name, FileDescriptor.opensNothing | O_NOFOLLOW | O_CLOEXEC)
    guard raw >= 0 else { throw Problem.of("open") }
    let device = FileDescriptor(owning: raw)
    var status = stat()
    guard fstat(device.rawValue, &status) == 0 else { throw Problem.of("fstat") }
    guard status.st_mode & S_IFMT == kind, status.st_nlink == 1, status.st_uid == geteuid(),
      kind == S_IFIFO || status.st_rdev == number
    else { throw Problem("\(name) was exchanged for something else") }
    return try setAttributes(entry, device.rawValue, through: "/proc/self/fd/\(device.rawValue)")
  }

  /// As makedev(3) makes it.
  private static func device(_ major: dev_t, _ minor: dev_t) -> dev_t {
    (major & ~0xFFF) << 32 | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (minor & 0xFF)
  }

  /// - Parameter path: of a descriptor that opens nothing.
  /// - Returns: what was left out.
  private func setAttributes(_ entry: Element, _ raw: Int32, through path: String? = nil) throws -> String? {
    if geteuid() == 0 {
      let owner = entry["owner"].flatMap { name in getpwnam(name).map { $0.pointee.pw_uid } ?? uid_t(name) }
      let group = entry["group"].flatMap { name in getgrnam(name).map { $0.pointee.gr_gid } ?? gid_t(name) }
      let (user, others) = (owner ?? uid_t.max, group ?? gid_t.max)
      let result = if let path { chown(path, user, others) } else { fchown(raw, user, others) }
      guard result == 0 else { throw Problem.of("chown") }
    }
    guard let text = entry["mode"] else { return nil }
    guard let mode = mode_t(text, radix: 8), mode <= 0o7777 else { throw Problem("mode \(text) is no file mode") }
    let given = keepsPrivileges ? mode : mode & 0o1777
    let result = if let path { chmod(path, given) } else { fchmod(raw, given) }
    guard result == 0 else { throw Problem.of("chmod") }
    return given == mode ? nil : "written without its setuid and setgid bits, which --privileged keeps"
  }
}
