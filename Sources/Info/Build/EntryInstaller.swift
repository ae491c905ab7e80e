import Core
import Glibc
import Repository
import XMLRPC

/// Writes Path entries below a folder.
@MainActor
struct EntryInstaller {
  /// The types that it writes, in the order in which they have to be written.
  nonisolated static let types = ["directory", "file", "device", "hardlink", "symlink"]

  struct Problem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    static func of(_ call: String) -> Problem { Problem("\(call): \(String(cString: strerror(errno)))") }
  }

  private let folder: String
  /// Whether what gives power to who may reach the folder is made, too: setuid and setgid bits, block and character devices.
  private let keepsPrivileges: Bool

  init(_ folder: String, keepsPrivileges: Bool) {
    self.folder = folder
    self.keepsPrivileges = keepsPrivileges
  }

  /// - Returns: what was left out; nil if the whole entry was written.
  /// - Throws: `Problem`.
  func install(_ entry: Element) throws -> String? {
    guard let name = entry.name, name.hasPrefix("/") else { throw Problem("it has no absolute name") }
    let path = try makeParents(of: RepositoryPath.normalised(name))
    switch entry["type"] {
    case "directory":
      if mkdir(path, 0o777) != 0 {
        guard errno == EEXIST else { throw Problem.of("mkdir") }
        guard kind(of: path) == S_IFDIR else { throw Problem("\(path) is there and no folder") }
      }
    case "file": try write(entry.contentBytes, to: path)
    case "device":
      if !keepsPrivileges, entry["dev_type"] != "fifo" { return "left out: --privileged makes devices" }
      try makeDevice(entry, path)
    case "hardlink":
      guard let target = entry["to"] else { throw Problem("it has no target") }
      try replace(path) { link(try makeParents(of: RepositoryPath.normalised(target)), path) == 0 }
      return nil
    case "symlink":
      guard let target = entry["to"] else { throw Problem("it has no target") }
      try replace(path) { symlink(target, path) == 0 }
      return nil
    default: throw Problem("its type is none that is written")
    }
    return try setAttributes(entry, path)
  }

  /// Makes the folders above a path, and returns where it is below the folder.
  private func makeParents(of path: String) throws -> String {
    let steps = path.split(separator: "/")
    guard !steps.contains(".."), let last = steps.last else { throw Problem("\(path) is no path to write") }
    var place = folder
    for step in steps.dropLast() {
      place += "/\(step)"
      if mkdir(place, 0o777) == 0 { continue }
      guard errno == EEXIST else { throw Problem.of("mkdir") }
      // Also a link to a folder is refused: it may lead out of here.
      guard kind(of: place) == S_IFDIR else { throw Problem("\(place) is there and no folder") }
    }
    return "\(place)/\(last)"
  }

  private func kind(of path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
  }

  private func write(_ bytes: [UInt8], to path: String) throws {
    if let kind = kind(of: path) {
      guard kind == S_IFREG else { throw Problem("\(path) is there and no file") }
      // The old file may have another name elsewhere, and its mode may let others read the new contents.
      guard unlink(path) == 0 else { throw Problem.of("unlink") }
    }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Problem.of("open") }
    defer { close(descriptor) }
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Problem.of("write") }
      rest = rest.dropFirst(count)
    }
  }

  private func makeDevice(_ entry: Element, _ path: String) throws {
    let kinds: [String: mode_t] = ["block": S_IFBLK, "char": S_IFCHR, "fifo": S_IFIFO]
    guard let kind = entry["dev_type"].flatMap({ kinds[$0] }) else { throw Problem("it has no dev_type that is known") }
    let (major, minor) = (UInt32(entry["major"] ?? "0"), UInt32(entry["minor"] ?? "0"))
    guard let major, let minor else { throw Problem("major and minor are no numbers") }
    try replace(path) { mknod(path, kind | 0o600, Self.device(dev_t(major), dev_t(minor))) == 0 }
  }

  /// As makedev(3) makes it.
  private static func device(_ major: dev_t, _ minor: dev_t) -> dev_t {
    (major & ~0xFFF) << 32 | (major & 0xFFF) << 8 | (minor & ~0xFF) << 12 | (minor & 0xFF)
  }

  /// Makes something in the place of what is there, unless that is a folder.
  private func replace(_ path: String, _ make: () throws -> Bool) throws {
    if kind(of: path) != nil, unlink(path) != 0 { throw Problem.of("unlink") }
    guard try make() else { throw Problem.of(path) }
  }

  /// - Returns: what was left out.
  private func setAttributes(_ entry: Element, _ path: String) throws -> String? {
    if geteuid() == 0 {
      let owner = entry["owner"].flatMap { name in getpwnam(name).map { $0.pointee.pw_uid } ?? uid_t(name) }
      let group = entry["group"].flatMap { name in getgrnam(name).map { $0.pointee.gr_gid } ?? gid_t(name) }
      guard lchown(path, owner ?? uid_t.max, group ?? gid_t.max) == 0 else { throw Problem.of("chown") }
    }
    guard let text = entry["mode"] else { return nil }
    guard let mode = mode_t(text, radix: 8), mode <= 0o7777 else { throw Problem("mode \(text) is no file mode") }
    let given = keepsPrivileges ? mode : mode & 0o1777
    guard chmod(path, given) == 0 else { throw Problem.of("chmod") }
    return given == mode ? nil : "written without its setuid and setgid bits, which --privileged keeps"
  }
}
