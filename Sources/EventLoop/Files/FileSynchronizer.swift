import Glibc

/// Brings files to disk: fsync(2), where the disk says how long that takes.
public protocol FileSynchronizer: AnyObject {
  /// Brings an open file or folder to disk.
  ///
  /// - Parameters:
  ///   - descriptor: stays the caller's, and open until the completion is called.
  ///   - completion: called once, with 0 or the error number; perhaps before this returns.
  func synchronize(_ descriptor: Int32, _ completion: @escaping (Int32) -> Void)
  /// Ends what was begun for this. What is not on disk by then is told by ECANCELED.
  func close()
}

/// Waits for the disk on the loop: for tools and tests, which have nobody else to serve.
public final class BlockingSynchronizer: FileSynchronizer {
  public init() {}

  public func synchronize(_ descriptor: Int32, _ completion: @escaping (Int32) -> Void) {
    completion(SyncHelper.synchronize(descriptor, .file))
  }

  public func close() {}
}
