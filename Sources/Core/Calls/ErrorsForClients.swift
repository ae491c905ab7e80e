import Databases
import EventLoop
import Repository
import ServerSettings

extension ServerCore {
  /// The text of an error for clients: the file by its path in the repository, and the reason; no folder of this
  /// machine and no system call. The log gets all of it.
  ///
  /// Errors of reading files keep their paths, as in Bcfg2, whose clients show them.
  public func textForClients(_ error: any Error) -> String {
    switch error {
    case FileWriteError.changed(let path): "\(pathForClients(path)) was changed by somebody else meanwhile"
    case FileWriteError.system(let error): text(error)
    case let error as SystemError: text(error)
    case let error as StatisticsNotKept: text(error.reason)
    case let error as PluginExecutionError: error.textForClients ?? error.description
    case let error as DatabaseError: text(error)
    case let error as MetadataRuntimeError: error.textForClients ?? error.description
    default: "\(error)"
    }
  }

  /// As `textForClients(_:)`, for a failed write: always names the file.
  public func textForClients(_ error: any Error, writing path: String) -> String {
    if error is FileWriteError || error is SystemError { return textForClients(error) }
    return "\(pathForClients(path)): \(textForClients(error))"
  }

  /// A path relative to the repository; for a path outside it, the last component.
  public func pathForClients(_ path: String) -> String {
    let folder = settings.repository + "/"
    return path.hasPrefix(folder) ? String(path.dropFirst(folder.count)) : RepositoryPath.name(of: path)
  }

  private func text(_ error: DatabaseError) -> String {
    switch error.kind {
    case .unavailable, .busy: "The database is not available; try again later"
    case .full: "The database has no room; try again later"
    case .value: "The database cannot keep a value: it is too long, or not of its kind"
    case .denied, .constraint, .missing, .other: "The database refuses it; the server's log says why"
    }
  }

  private func text(_ error: SystemError) -> String {
    error.detail.contains("/") ? "\(pathForClients(error.detail)): \(error.reason)" : error.reason
  }
}
