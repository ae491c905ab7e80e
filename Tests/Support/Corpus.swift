import EventLoop

/// The files of Tests/Fuzz/Corpus/TARGET: seeds of the fuzz targets, and every input that once trapped.
public nonisolated enum Corpus {
  public typealias File = (name: String, bytes: [UInt8])

  /// More than any seed has.
  private static let limitBytes = 1 << 20

  /// The files of a target, by name.
  ///
  /// - Throws: where there are none.
  public static func files(_ target: String) throws -> [File] {
    let folder = "Tests/Fuzz/Corpus/\(target)"
    let names = Project.files(below: folder, endings: [""])
    guard !names.isEmpty else { throw Empty(folder: folder) }
    return try names.map { name in
      (name, try AtomicFile.readFile("\(Project.root)/\(folder)/\(name)", limitBytes: limitBytes))
    }
  }

  struct Empty: Error, CustomStringConvertible {
    let folder: String
    var description: String { "\(folder) has no files" }
  }
}
