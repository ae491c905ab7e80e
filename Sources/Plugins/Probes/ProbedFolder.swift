import EventLoop
import Glibc
import Identity
import Logging
import Repository

/// The probe data of each client in a file of its own, below the plugin's folder: `probed.d/NAME.xml`.
///
/// A file holds the `Client` element that probed.xml has for the client, with the client's name. The file's name follows from
/// that name, and no two clients have the same file.
final class ProbedFolder {
  /// The folder's name. No probe can have it: Bcfg2's server logs that it does not know it, and goes on.
  static let name = "probed.d"
  static let ending = ".xml"
  /// Bytes of a file's name.
  private static let nameLimitBytes = 255

  let path: String
  let logger: Logger
  /// Whether files may be moved aside.
  private let isReadOnly: Bool
  /// Most bytes of a file.
  var limitBytes = ProbedFile.limitBytes
  /// The files as they were read or written last, by client.
  private(set) var versions: [ClientName: FileVersion] = [:]
  /// Clients by the names of their files, compared byte by byte.
  private var files: [[UInt8]: ClientName] = [:]
  /// The file system that the folder was on when it was used last.
  var device: dev_t?

  init(path: String, isReadOnly: Bool, logger: Logger) {
    self.path = path
    self.isReadOnly = isReadOnly
    self.logger = logger
  }

  /// The clients that have a file, in no order.
  var clients: some Collection<ClientName> { versions.keys }

  // MARK: Names

  /// The file of a client.
  ///
  /// - Throws: `ProbeStoreError` if no file of the folder can have that name.
  private func file(of client: ClientName) throws(ProbeStoreError) -> String {
    do throws(NamedFileError) {
      return try NamedFile.path(Self.fileName(of: client), in: path)
    } catch {
      throw ProbeStoreError(description: "\(error)")
    }
  }

  /// The client's name, or its beginning and a digest of it if it is too long for a file's name.
  ///
  /// A name that itself ends like one with a digest gets another digest, so that no client can have the file of another one:
  /// names with a digest are equal only if the digests are, and other names are complete.
  static func fileName(of client: ClientName) -> String {
    let bytes = client.text.utf8
    if bytes.count + ending.utf8.count <= nameLimitBytes, !endsWithDigest(bytes) { return client.text + ending }
    var prefix = bytes.prefix(nameLimitBytes - ending.utf8.count - 65)
    while String(prefix) == nil { prefix = prefix.dropLast() }
    return "\(Substring(prefix))-\(FileDigest(Array(bytes)))\(ending)"
  }

  private static func endsWithDigest(_ name: String.UTF8View) -> Bool {
    guard name.count > 64, name.dropLast(64).last == UInt8(ascii: "-") else { return false }
    return name.suffix(64).allSatisfy {
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
    }
  }

  // MARK: Reading

  /// What became of a file.
  enum Change {
    case same
    case report(ProbeReport, of: ClientName)
    case gone(ClientName)
  }

  /// Reads all files that are not as they were read or written last.
  ///
  /// - Returns: new data, and clients whose files are missing; nothing if the folder is away.
  func refresh() -> [Change] {
    if case .away = state { return [] }
    var changes: [Change] = []
    var names: Set<[UInt8]> = []
    for name in Self.names(in: path) where name.hasSuffix(Self.ending) {
      let key = Array(name.utf8)
      names.insert(key)
      if let client = files[key], versions[client]?.status == FileVersion.Status(of: "\(path)/\(name)") { continue }
      changes.append(refresh(fileNamed: name))
    }
    for (name, client) in files where !names.contains(name) { changes.append(.gone(client)) }
    return changes
  }

  /// Reads a file again if it is not as it was read or written last. A broken file leaves the data that was read before; a
  /// missing one leaves it until `forget`.
  func refresh(fileNamed name: String) -> Change {
    guard name.hasSuffix(Self.ending), !AtomicFile.isTemporaryName(name) else { return .same }
    let file = "\(path)/\(name)"
    let known = files[Array(name.utf8)]
    guard let status = FileVersion.Status(of: file) else {
      return known.map { .gone($0) } ?? .same
    }
    if let known, versions[known]?.status == status { return .same }
    do {
      let (client, report, version) = try read(file, named: name)
      took(version, of: client)
      return .report(report, of: client)
    } catch {
      logger.error("Failed to read \(file): \(error)")
      return .same
    }
  }

  private func read(
    _ file: String, named name: String
  ) throws -> (client: ClientName, report: ProbeReport, version: FileVersion) {
    let found = try AtomicFile.readVersion(file, limitBytes: limitBytes)
    let root = try ProbedFile.parse(found.bytes)
    guard root.tag == "Client", let client = try root.name.map({ try ClientName(recorded: $0) }),
      Self.fileName(of: client).utf8.elementsEqual(name.utf8)
    else {
      throw ProbeStoreError(description: "it does not hold the data of the client that it is named after")
    }
    return (client, ProbeReport(root), found.version)
  }

  /// Whether a client's file is there, as it was read or written last.
  func isAsKnown(_ client: ClientName) -> Bool {
    guard let status = versions[client]?.status else { return false }
    return status == FileVersion.Status(of: "\(path)/\(Self.fileName(of: client))")
  }

  /// Whether a client's file is not there.
  func isMissing(_ client: ClientName) -> Bool { !fileExists("\(path)/\(Self.fileName(of: client))") }

  static func names(in path: String) -> [String] {
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(validating: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if let name, name != ".", name != "..", !AtomicFile.isTemporaryName(name) { names.append(name) }
    }
    return names.sorted()
  }

  // MARK: Writing

  /// A write that replaces the version of a client's file that was read. Puts a broken file aside first.
  func write(_ report: ProbeReport, of client: ClientName) throws -> FileWrite {
    var bytes: [UInt8] = []
    report.append(to: &bytes, client: client)
    guard bytes.count <= limitBytes else {
      throw ProbeStoreError(
        description: "the data of \(client) has \(bytes.count) bytes, more than the \(limitBytes) that are read")
    }
    return FileWrite(
      bytes, to: try file(of: client), replacing: versions[client] ?? .missing, mode: .ordinary)
  }

  /// Records a file that was read or written.
  func took(_ version: FileVersion, of client: ClientName) {
    versions[client] = version
    files[Array(Self.fileName(of: client).utf8)] = client
  }

  /// Reads a file that a write found changed, or puts it aside if it is broken.
  func reread(at client: ClientName) throws {
    let file = try file(of: client)
    let name = RepositoryPath.name(of: file)
    do {
      took(try read(file, named: name).version, of: client)
    } catch let error as SystemError where error.errno == ENOENT {
      forget(client)
    } catch {
      guard !isReadOnly else { throw error }
      let aside = try ProbedFile.moveAside(file)
      logger.error("\(file) cannot be read, and was moved to \(aside): \(error)")
      forget(client)
    }
  }

  /// Removes a client's file, if it is as it was read.
  func remove(_ client: ClientName) throws {
    guard let version = versions[client] else { return }
    let file = try file(of: client)
    guard version.status == FileVersion.Status(of: file) else { return }
    guard unlink(file) == 0 || errno == ENOENT else { throw SystemError(call: "unlink", errno: errno, detail: file) }
    forget(client)
  }

  /// Records that the client's file is gone for good.
  func forget(_ client: ClientName) {
    versions[client] = nil
    files[Array(Self.fileName(of: client).utf8)] = nil
  }

  /// Forgets all files.
  func forgetAll() {
    versions = [:]
    files = [:]
  }

  /// Puts files aside that cannot be read: at the start, before anything is written.
  func moveBrokenAside() throws {
    for name in Self.names(in: path) where name.hasSuffix(Self.ending) && files[Array(name.utf8)] == nil {
      let file = "\(path)/\(name)"
      guard !isFolder(file) else { continue }
      let aside = try ProbedFile.moveAside(file)
      logger.error("\(file) cannot be read, and was moved to \(aside)")
    }
  }
}
