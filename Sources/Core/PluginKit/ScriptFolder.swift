package import EventLoop
package import Repository
import XMLRPC

/// Lists the programs in a folder of the repository: every file below it, by its path.
///
/// Caches names only: each run executes the file as it is then.
package final class ScriptFolder: FileEventHandler {
  /// Absolute path of the folder.
  let folder: String
  /// Paths below the folder.
  private var names: NameSet = []

  package var handlerName: String { "ScriptFolder: \(folder)" }

  /// Watches the folder.
  package init(_ folder: String, monitor: any FileMonitor) {
    self.folder = folder
    monitor.add(folder, recursive: true, handler: self)
  }

  /// Names of the programs, sorted.
  package var scripts: [String] { names.sorted() }

  /// The absolute path of a program.
  package func path(of name: String) -> String { "\(folder)/\(name)" }

  package func handleEvent(_ event: FileEvent) {
    if event.action == .deleted {
      let name = event.relativePath
      names = names.filter { !RepositoryPath.isSameOrBelow($0, name) }
    } else if !event.isDirectory {
      names.insert(event.relativePath)
    }
  }
}

extension ChildProcess.Output {
  /// The error text for a failed program, in the words of 1.4's `Executor`; nil if it succeeded.
  package nonisolated var failure: String? {
    let code: Int32 =
      switch status {
      case .exited(let code): code
      case .signaled(let signal): -signal
      }
    guard code != 0 else { return nil }
    if !standardError.isEmpty { return "\(errorText) (rv: \(code))" }
    if !standardOutput.isEmpty { return "\(outputText) (rv: \(code))" }
    return "No output or error; return value \(code)"
  }

  /// Standard output as text; invalid UTF-8 is replaced.
  package nonisolated var outputText: String { String(decoding: standardOutput, as: UTF8.self) }
  /// Standard error as text; invalid UTF-8 is replaced.
  package nonisolated var errorText: String { String(decoding: standardError, as: UTF8.self) }
}
