public import EventLoop
import Glibc

/// A disk whose synchronizations end when a test says so.
public final class HeldSynchronizer: FileSynchronizer {
  private var held: [(descriptor: Int32, completion: (Int32) -> Void)] = []
  /// How many synchronizations have begun.
  public private(set) var begun = 0
  /// How many of them were of folders.
  public private(set) var begunFolders = 0
  /// Whether they wait for `release`; else they end at once.
  public var isHolding: Bool
  /// The error number of those that end from now on; 0: none.
  public var failure: Int32 = 0
  /// The folder whose files fail; nil: all do.
  public var failingFolder: String?

  public init(isHolding: Bool = true) { self.isHolding = isHolding }

  /// How many wait.
  public var heldCount: Int { held.count }

  public func synchronize(_ descriptor: Int32, _ completion: @escaping (Int32) -> Void) {
    begun += 1
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { begunFolders += 1 }
    if isHolding { held.append((descriptor, completion)) } else { completion(failure(of: descriptor)) }
  }

  private func failure(of descriptor: Int32) -> Int32 {
    guard failure != 0, let failingFolder else { return failure }
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/fd/\(descriptor)", &path, path.count)
    return path.prefix(max(length, 0)).map(UInt8.init(bitPattern:)).starts(with: (failingFolder + "/").utf8)
      ? failure : 0
  }

  /// Ends those that wait now.
  public func release() {
    let ending = held
    held = []
    for (descriptor, completion) in ending { completion(failure(of: descriptor)) }
  }

  public func close() {
    failure = ECANCELED
    release()
  }
}

extension AtomicFile {
  /// Writes a file whatever it holds: for a test's own files.
  public nonisolated static func writeOver(_ path: String, _ bytes: [UInt8]) throws {
    let version = try version(of: path, limitBytes: 1 << 28)
    try write(FileWrite(bytes, to: path, replacing: version, mode: .ordinary))
  }
}
