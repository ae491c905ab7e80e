import EventLoop
package import Repository
import ServerSettings
import XMLRPC

// Parts of the repository that are missing or unreadable: see Repository/FileMonitor/TreeAbsence.swift. Clients get
// answers made from the last state read, for a limited time.
extension ServerCore {
  /// The missing folder that makes answers possibly wrong; nil if everything is there. Of several, the one missing
  /// longest.
  package var missingFolder: RepositoryTrouble? {
    fileMonitor.troubles.filter(\.isFolder).min { $0.began < $1.began }
  }

  /// Whether clients still get answers from the last state read: false once a folder is missing for longer than
  /// `[server] repository_grace`.
  var isWithinRepositoryGrace: Bool {
    guard let trouble = missingFolder, let grace = settings.repositoryGrace else { return true }
    return MonotonicTime.now() - trouble.began < grace
  }

  /// - Throws: a `Fault` after `[server] repository_grace`.
  func requireRepository() throws(Fault) {
    guard let trouble = missingFolder, !isWithinRepositoryGrace else { return }
    throw criticalError("The repository cannot be read since \(trouble.sinceText): \(trouble.path): \(trouble.reason)")
  }

  /// Entries of `get_statistics`, one for each trouble, shaped like the others: `PATH away since TIME (REASON)`, the
  /// seconds since then three times, and the number of monitored paths.
  var troubleStatistics: [Value.Member] {
    fileMonitor.troubles.map { trouble in
      let seconds = Double((MonotonicTime.now() - trouble.began).wholeNanoseconds) / 1e9
      return Value.Member(
        "\(trouble.path) away since \(trouble.sinceText) (\(trouble.reason))",
        .array([.double(seconds), .double(seconds), .double(seconds), .int(Int64(trouble.pathCount))]))
    }
  }
}
