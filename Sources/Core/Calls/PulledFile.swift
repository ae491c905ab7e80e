public import EventLoop
import Glibc
import Repository
import ServerSettings

extension ServerCore {
  /// Stores what a client has as a file of the repository.
  ///
  /// The client chose the contents, so that a symbolic link must not choose the place: a file that is a link is refused, and
  /// a folder that is reached by links has to be one of the repository.
  ///
  /// - Parameter limitBytes: of what is there.
  /// - Throws: `PluginExecutionError`, `SystemError`, `FileWriteError`.
  public func storePulled(
    _ bytes: [UInt8], to path: String, mode: FileWrite.Mode, limitBytes: Int
  ) async throws {
    let folder = try Self.real(RepositoryPath.folder(of: path))
    let top = try Self.real(settings.repository)
    guard folder == top || folder.hasPrefix(top == "/" ? top : top + "/") else {
      throw PluginExecutionError("\(path): a symbolic link on the way leads out of the repository")
    }
    try await loop.fileWriter.overwrite(
      path, with: bytes, mode: mode, limitBytes: limitBytes, followsLinks: false)
  }

  private static func real(_ path: String) throws(SystemError) -> String {
    guard let found = realpath(path, nil) else { throw SystemError(call: "realpath", errno: errno, detail: path) }
    defer { free(found) }
    return String(cString: found)
  }
}
