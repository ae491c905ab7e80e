import COpenSSL
import Glibc

/// What a path held when it was read: a file of certain contents, or nothing.
///
/// A writer passes it along with the new contents; if the path holds something else by then, nothing is written
/// (``FileWrite``).
public nonisolated struct FileVersion: Hashable, Sendable {
  /// The fields of stat(2) that distinguish versions of a file.
  public struct Status: Hashable, Sendable {
    private let device: UInt
    private let inode: UInt
    /// Bytes of the file.
    public let size: Int
    /// Times in nanoseconds since the epoch. The second one cannot be set back, as the first one can.
    let modified: Int64
    private let changed: Int64

    init(_ status: stat) {
      device = UInt(status.st_dev)
      inode = UInt(status.st_ino)
      size = Int(status.st_size)
      modified = Self.nanoseconds(status.st_mtim)
      changed = Self.nanoseconds(status.st_ctim)
    }

    /// Of what a path leads to; nil where that cannot be told.
    public init?(of path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      self.init(status)
    }

    /// Whether the clock has gone on since the file was last changed: an edit from now on has another time.
    ///
    /// The kernel stamps times by the tick, 10 ms at most; a file system may keep whole seconds, or even ones.
    var isSettled: Bool {
      var now = timespec()
      clock_gettime(CLOCK_REALTIME, &now)
      let age = Self.nanoseconds(now) - changed
      return age > (changed % Self.second == 0 ? 3 * Self.second : Self.second / 20)
    }

    private static let second: Int64 = 1_000_000_000

    static func nanoseconds(_ time: timespec) -> Int64 { Int64(time.tv_sec) &* second &+ Int64(time.tv_nsec) }
  }

  /// nil: there was no file.
  public let status: Status?
  /// nil: there was no file, or its bytes were not all read; then the status alone tells the version.
  public let digest: FileDigest?
  /// Whether every later edit of the file shows in its status, so that its contents need not be compared.
  public let isToldByStatus: Bool

  /// No file.
  public static let missing = FileVersion(status: nil, digest: nil, isToldByStatus: false)

  /// Whether a path still leads to this version: the same file, with the same contents.
  ///
  /// Contents are compared where the status does not tell.
  ///
  /// - Throws: `SystemError` where that cannot be told.
  public func isPresent(at path: String) throws(SystemError) -> Bool {
    do throws(SystemError) {
      let file = try RegularFile.open(path)
      let present = try RegularFile.status(of: file, path)
      guard let status, status == Status(present) else { return false }
      if isToldByStatus { return true }
      guard let digest else { return false }
      return FileDigest(try RegularFile.read(file, path, limitBytes: Int(present.st_size))) == digest
    } catch {
      switch error.errno {
      case ENOENT: return status == nil
      // It has grown, or is no file any more.
      case EFBIG, EISDIR, EINVAL: return false
      default: throw error
      }
    }
  }
}

/// SHA-256 of a file's contents.
public nonisolated struct FileDigest: Hashable, Sendable, CustomStringConvertible {
  /// Its 32 bytes, eight in each: in place, because thousands are held.
  private let first, second, third, fourth: UInt64

  /// Of these bytes.
  public init(_ bytes: [UInt8]) {
    (first, second, third, fourth) = withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 4) { words in
      SHA256(bytes, bytes.count, UnsafeMutableRawPointer(words.baseAddress!))
      return (words[0], words[1], words[2], words[3])
    }
  }

  /// 64 hexadecimal digits.
  public var description: String {
    [first, second, third, fourth].map { word in
      let digits = String(word.bigEndian, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
