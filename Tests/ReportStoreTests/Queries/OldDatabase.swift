import Databases
import Glibc
import ReportStore
import Support
import Testing

/// A copy of a database that Bcfg2 itself filled, from a conformance case: five runs of three clients in 2014.
final class OldDatabase {
  let path: String
  private let folder = TemporaryDirectory()

  enum Version: String, CaseIterable, Sendable {
    /// Without columns `dry_run` and `only_important`.
    case bcfg13 = "reporting-old-server-134"
    case bcfg14 = "reporting-old-reports"
  }

  init(_ version: Version, file: String = #filePath) throws {
    let tests = file.split(separator: "/").dropLast(3).joined(separator: "/")
    let original = "/\(tests)/Conformance/cases/\(version.rawValue)/repo/etc/old.sqlite"
    path = folder.file("old.sqlite")
    let copy = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    try #require(copy >= 0)
    let source = open(original, O_RDONLY)
    try #require(source >= 0, "\(original)")
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = read(source, &buffer, buffer.count)
      try #require(count >= 0)
      guard count > 0 else { break }
      try #require(write(copy, buffer, count) == count)
    }
    close(source)
    close(copy)
  }

  func store() throws -> ReportStore {
    ReportStore(try Databases.open(DatabaseSettings(engine: .sqlite, name: path)))
  }
}
