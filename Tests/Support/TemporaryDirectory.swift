import EventLoop
import Glibc

/// A new directory, removed with all in it when its owner ends.
public final nonisolated class TemporaryDirectory: Sendable {
  public let path: String

  /// - Parameter folder: where it is made: by default the folder for temporary files.
  public init(in folder: String? = nil) {
    let parent = folder ?? getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/bcfg2-test-\(String(repeating: "X", count: 6))".utf8CString)
    guard mkdtemp(&template) != nil else { preconditionFailure("mkdtemp: \(String(cString: strerror(errno)))") }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// A folder of a fixed name in another one.
  public init(named name: String, in folder: TemporaryDirectory) {
    path = folder.file(name)
    guard mkdir(path, 0o755) == 0 else { preconditionFailure("\(path): \(String(cString: strerror(errno)))") }
  }

  deinit { TemporaryDirectory.remove(path) }

  /// The path of a name inside.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// The text of a file, which may have 1 GB.
  public func text(_ name: String) throws -> String {
    String(decoding: try AtomicFile.readFile(file(name), limitBytes: 1 << 30), as: UTF8.self)
  }

  /// Writes a file, with the folders that lead to it.
  @discardableResult
  public func write(_ text: String, to name: String, mode: UInt32 = 0o644) -> String {
    write(Array(text.utf8), to: name, mode: mode)
  }

  /// The same of a file of bytes.
  @discardableResult
  public func write(_ bytes: [UInt8], to name: String, mode: UInt32 = 0o644) -> String {
    let path = file(name)
    var folder = self.path
    for part in name.split(separator: "/").dropLast() {
      folder += "/\(part)"
      mkdir(folder, 0o755)
    }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fchmod(descriptor, mode) == 0,
      close(descriptor) == 0
    else { preconditionFailure("\(path): \(String(cString: strerror(errno)))") }
    if mode & 0o111 != 0 { waitUntilNobodyWrites(path) }
    return path
  }

  /// A program that some process has open for writing cannot be started (ETXTBSY), and a child that another test starts
  /// has our descriptor until it becomes its own program. A read lease (fcntl(2)) is given when nobody has.
  private func waitUntilNobodyWrites(_ path: String) {
    let setLease: Int32 = 1024
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    while fcntl(descriptor, setLease, F_RDLCK) == -1, errno == EAGAIN { sched_yield() }
    close(descriptor)
  }

  /// Removes a file, a link or an empty folder, which has to be there.
  public func remove(_ name: String) {
    guard unlink(file(name)) == 0 || rmdir(file(name)) == 0 else {
      preconditionFailure("\(file(name)): \(String(cString: strerror(errno)))")
    }
  }

  /// The names inside, sorted.
  public func names(in folder: String = "") -> [String] { TemporaryDirectory.names(file(folder)).sorted() }

  static func names(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  private static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    for name in names(path) { remove("\(path)/\(name)") }
    rmdir(path)
  }
}
