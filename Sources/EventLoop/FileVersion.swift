import COpenSSL
import Glibc

/// What a path held when it was read: a file of certain contents, or nothing.
///
/// A writer gives it back with what it made of the contents; where the path holds something else by then, nothing is
/// written (``FileWrite``).
public nonisolated struct FileVersion: Hashable, Sendable {
  /// What stat(2) tells one version of a file from another by.
  public struct Status: Hashable, Sendable {
    private let device: UInt
    private let inode: UInt
    private let size: Int
    /// Times in nanoseconds since the epoch. The second one cannot be set back, as the first one can.
    private let modified: Int64
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

    private static func nanoseconds(_ time: timespec) -> Int64 {
      Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
  }

  /// nil: there was no file.
  public let status: Status?
  /// nil: there was no file.
  public let digest: FileDigest?

  /// No file.
  public static let missing = FileVersion(status: nil, digest: nil)

  /// Whether a path still leads to this version: the same file, with the same contents.
  ///
  /// Contents are compared too, since the kernel stamps times by the tick: an edit within one can leave them as they
  /// were.
  ///
  /// - Throws: `SystemError` where that cannot be told.
  func isPresent(at path: String) throws(SystemError) -> Bool {
    do throws(SystemError) {
      let file = try RegularFile.open(path)
      let present = try RegularFile.status(of: file, path)
      guard let status, status == Status(present) else { return false }
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
  private let bytes: [UInt8]

  /// Of these bytes.
  public init(_ bytes: [UInt8]) {
    self.bytes = [UInt8](unsafeUninitializedCapacity: Int(SHA256_DIGEST_LENGTH)) { digest, count in
      SHA256(bytes, bytes.count, digest.baseAddress)
      count = digest.count
    }
  }

  /// 64 hexadecimal digits.
  public var description: String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
