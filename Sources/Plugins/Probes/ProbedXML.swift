import EventLoop
import Glibc
import Identity
import Logging

/// probed.xml on disk: how it was read or written last, and whether somebody else has changed it since.
final class ProbedXML {
  let path: String
  /// Most bytes of the file: no more is written than is read.
  var limitBytes = ProbedFile.limitBytes
  /// What the file is, as far as it is known: `.copy` if a start would not read it for data that the files of clients
  /// lack.
  private(set) var origin = ProbedFile.Origin.foreign
  private let logger: Logger
  private var version = FileVersion.missing

  init(path: String, logger: Logger) {
    self.path = path
    self.logger = logger
  }

  /// Whether the file is there, as it was read or written last.
  var isAsKnown: Bool { version.status != nil && FileVersion.Status(of: path) == version.status }

  // MARK: Reading

  enum Reading {
    case same
    case read([ClientName: ProbeReport])
    case broken(String)
  }

  /// Reads the file if it is not as it was read or written last. A missing file is `.same`: it has no new data.
  func readIfChanged() -> Reading {
    guard let status = FileVersion.Status(of: path) else {
      version = .missing
      origin = .foreign
      return .same
    }
    return status == version.status ? .same : read()
  }

  /// Reads the file.
  func read() -> Reading {
    switch ProbedFile.read(path, limitBytes: limitBytes, complain: { logger.error("\($0)") }) {
    case .missing: return .same
    case .broken(let reason): return .broken(reason)
    case .reports(let found, let read, let origin):
      version = read
      self.origin = origin
      return .read(found)
    }
  }

  /// Puts the file aside, because it cannot be read.
  ///
  /// - Throws: `SystemError` if it cannot be renamed: it stays, and is not overwritten.
  func moveAside(_ reason: String) throws(SystemError) {
    let aside = try ProbedFile.moveAside(path)
    version = .missing
    origin = .foreign
    logger.error("\(path) cannot be read, and was moved to \(aside): \(reason)")
  }

  // MARK: Writing

  /// A write over what was read.
  ///
  /// - Throws: `ProbeStoreError` where the file would be larger than what is read.
  func write(_ bytes: [UInt8], remedy: String) throws(ProbeStoreError) -> FileWrite {
    guard bytes.count <= limitBytes else {
      throw ProbeStoreError(
        description: "\(path) would have \(bytes.count) bytes, more than the \(limitBytes) that are read: \(remedy)")
    }
    return FileWrite(bytes, to: path, replacing: version, mode: .ordinary)
  }

  /// Records what was written.
  func took(_ version: FileVersion, as kind: ProbedFile.Kind) {
    self.version = version
    origin = kind.origin
  }
}
