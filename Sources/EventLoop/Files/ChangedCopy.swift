import Glibc

/// A copy of a file with some parts changed, written in pieces from file to file, so that it is never whole in memory.
///
/// Before the copy replaces the file, `FileVersion.isPresent` checks that the file did not change meanwhile.
final nonisolated class ChangedCopy {
  /// Bytes that are read and written together.
  private static let blockBytes = 128 << 10

  private let source: FileDescriptor
  private let path: String
  private let size: Int
  private let changes: [FileWrite.Change]
  /// The next change, and how many bytes of it are written.
  private var next = 0
  private var written = 0
  /// How far the source is copied or left out.
  private var at = 0

  /// - Throws: `.changed` where the path now leads to another version.
  init(of path: String, being version: FileVersion, _ changes: [FileWrite.Change]) throws(FileWriteError) {
    self.path = path
    self.changes = changes
    do throws(SystemError) {
      source = try RegularFile.open(path)
      let status = FileVersion.Status(try RegularFile.status(of: source, path))
      size = status.size
      guard status == version.status else { throw SystemError(call: "open", errno: ESTALE, detail: path) }
    } catch {
      if error.errno == ESTALE || error.errno == ENOENT { throw .changed(path: path) }
      throw .system(error)
    }
  }

  /// All is written.
  var isComplete: Bool { next == changes.count && at == size }

  /// Writes at least one byte, if one is left, and at most `limitBytes`.
  ///
  /// - Returns: how many.
  /// - Throws: `.changed` for a file that is shorter by now.
  func write(to descriptor: Int32, limitBytes: Int, detail: String) throws(FileWriteError) -> Int {
    var done = 0
    while done < limitBytes, !isComplete {
      let end = next < changes.count ? changes[next].range.lowerBound : size
      if at < end {
        let count = min(end - at, limitBytes - done, Self.blockBytes)
        let bytes = try read(count)
        try write(bytes[...], to: descriptor, detail)
        at += count
        done += count
      } else {
        let bytes = changes[next].bytes
        let count = min(bytes.count - written, limitBytes - done)
        try write(bytes[written..<written + count], to: descriptor, detail)
        written += count
        done += count
        guard written == bytes.count else { continue }
        at = changes[next].range.upperBound
        next += 1
        written = 0
      }
    }
    return done
  }

  private func read(_ count: Int) throws(FileWriteError) -> [UInt8] {
    do throws(SystemError) {
      return try RegularFile.read(source, path, range: at..<at + count)
    } catch {
      throw error.errno == ENODATA ? .changed(path: path) : .system(error)
    }
  }

  private func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32, _ detail: String) throws(FileWriteError) {
    do throws(SystemError) {
      try AtomicFile.writeAll(bytes, to: descriptor, detail: detail)
    } catch {
      throw .system(error)
    }
  }
}
