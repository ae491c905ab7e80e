import Glibc

/// Brings files to disk by fsync(2), which takes as long as the disk does.
public protocol FileSynchronizer: AnyObject {
  /// Brings an open file or folder to disk.
  ///
  /// - Parameters:
  ///   - descriptor: stays the caller's, and open until the completion is called.
  ///   - completion: called once, with 0 or the error number; perhaps before this returns.
  func synchronize(_ descriptor: Int32, _ completion: @escaping (Int32) -> Void)
  /// Ends the synchronizer. Files that are not on disk by then complete with ECANCELED.
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
