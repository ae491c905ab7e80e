import EventLoop
import Glibc

/// The files around the tests: the source tree, the built server.
public nonisolated enum Project {
  /// The root of the source tree.
  public static let root: String = {
    var path = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    path.insert("/", at: path.startIndex)
    return path
  }()

  /// The server that was built with the tests, beside them.
  public static let server: String = {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    precondition(count > 0, "/proc/self/exe cannot be read")
    let path = String(decoding: buffer[..<count], as: UTF8.self)
    // swift test runs either the bundle itself or a helper of the toolchain that loads it.
    for candidate in CommandLine.arguments + [path] {
      guard let slash = candidate.lastIndex(of: "/") else { continue }
      let server = candidate[..<slash] + "/bcfg2-server"
      if access(String(server), X_OK) == 0 { return String(server) }
    }
    return root + "/.build/debug/bcfg2-server"
  }()

  /// Whether the tests, and the programs beside them, were built with address sanitizer: its allocator does not say what it has.
  public static let isSanitized = dlsym(nil, "__asan_init") != nil

  /// The text of a file of the source tree.
  public static func text(_ path: String) throws -> String {
    String(decoding: try AtomicFile.readFile("\(root)/\(path)", limitBytes: 1 << 24), as: UTF8.self)
  }

  /// Files below a folder of the source tree whose names end in one of the endings, sorted, by path below that folder.
  /// Hidden files are left out.
  public static func files(below folder: String, endings: [String]) -> [String] {
    var found: [String] = []
    for (path, isFolder) in entries(below: folder) where !isFolder {
      if endings.contains(where: path.hasSuffix) { found.append(path) }
    }
    return found.sorted()
  }

  /// Folders below a folder of the source tree, at any depth, sorted, by path below it.
  public static func folders(below folder: String) -> [String] {
    entries(below: folder).filter(\.isFolder).map(\.path).sorted()
  }

  private static func entries(below folder: String) -> [(path: String, isFolder: Bool)] {
    var found: [(path: String, isFolder: Bool)] = []
    for name in TemporaryDirectory.names("\(root)/\(folder)") where !name.hasPrefix(".") {
      var status = stat()
      guard lstat("\(root)/\(folder)/\(name)", &status) == 0 else { continue }
      let isFolder = status.st_mode & S_IFMT == S_IFDIR
      found.append((name, isFolder))
      guard isFolder else { continue }
      for entry in entries(below: "\(folder)/\(name)") { found.append(("\(name)/\(entry.path)", entry.isFolder)) }
    }
    return found
  }
}
