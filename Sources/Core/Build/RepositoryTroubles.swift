import EventLoop
package import Repository
import ServerSettings
import XMLRPC

// What of the repository is away or cannot be read: see Repository/FileMonitor/TreeAbsence.swift. Clients are answered with what was
// read last, for a time.
extension ServerCore {
  /// The folder for which answers that are made of the repository may not be what they are to be; nil where all is there.
  /// Of several the one that is away for the longest time.
  package var missingFolder: RepositoryTrouble? {
    fileMonitor.troubles.filter(\.isFolder).min { $0.began < $1.began }
  }

  /// Whether clients get what was read last: false once a folder is away for longer than `[server] repository_grace`.
  var servesWhatWasRead: Bool {
    guard let trouble = missingFolder, let grace = settings.repositoryGrace else { return true }
    return MonotonicTime.now() - trouble.began < grace
  }

  /// - Throws: a `Fault` where `servesWhatWasRead` is false.
  func requireRepository() throws(Fault) {
    guard let trouble = missingFolder, !servesWhatWasRead else { return }
    throw criticalError("The repository cannot be read since \(trouble.sinceText): \(trouble.path): \(trouble.reason)")
  }

  /// An entry of `get_statistics` for each trouble, in the form of the others: `PATH away since TIME (REASON)` to the
  /// seconds since then, three times, and the number of monitored paths.
  var troubleStatistics: [Value.Member] {
    fileMonitor.troubles.map { trouble in
      let seconds = Double((MonotonicTime.now() - trouble.began).wholeNanoseconds) / 1e9
      return Value.Member(
        "\(trouble.path) away since \(trouble.sinceText) (\(trouble.reason))",
        .array([.double(seconds), .double(seconds), .double(seconds), .int(Int64(trouble.pathCount))]))
    }
  }
}
