import Glibc
import Repository

/// The folder of the XML schemas.
public struct SchemaFolder: Sendable {
  public let path: String

  /// Where packages install them.
  public static let installed = "/usr/share/bcfg2-swift/schemas"

  /// A folder that was named.
  public init(path: String) { self.path = path }

  /// The folder `schemas`, `share/bcfg2-swift/schemas` or `share/bcfg2/schemas` beside the executable or in one of the folders
  /// above it, so that a build in its source finds those of the source, and /usr/local/sbin those of /usr/local; else the
  /// installed one.
  ///
  /// - Parameter program: the path of the executable.
  public static func standard(beside program: String = executable) -> SchemaFolder {
    var folder = RepositoryPath.folder(of: program)
    for _ in 0..<parents where !folder.isEmpty {
      for candidate in ["schemas", "share/bcfg2-swift/schemas", "share/bcfg2/schemas"].map({ "\(folder)/\($0)" })
      where access(candidate + "/common.xsd", R_OK) == 0 {
        return SchemaFolder(path: candidate)
      }
      folder = RepositoryPath.folder(of: folder)
    }
    return SchemaFolder(path: installed)
  }

  /// Folders that are looked at: `.build/TRIPLE/debug/bcfg2-lint` is in the fourth folder of the source, one of a separate build folder
  /// deeper.
  private static let parents = 6

  /// The path of the running program.
  public static var executable: String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    return count > 0 ? String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : ""
  }
}
