import EventLoop
import Logging
import ServerSettings

/// What a revision is asked for: it is the repository's as long as this is the same.
struct RevisionState: Hashable {
  let repository: UInt64
  let marks: UInt64
}

extension ServerCore {
  /// Asks the Version plugins for the revision of the repository; the first answer counts, `-1` where there is none.
  ///
  /// Called at the start and after each change to the repository, before the next configuration is built.
  public func updateRevision() async {
    guard !interfaces.versions.isEmpty else { return }
    await timed("_update_vcs_revision") {
      for plugin in interfaces.versions {
        do {
          let new = try await plugin.getRevision()
          if new != revision { logger.debug("Updated to revision \(new)") }
          revision = new
          return
        } catch {
          logger.warning("Error getting revision from \(plugin.name): \(error)")
          revision = "-1"
        }
      }
    }
  }

  /// Whether `revision` is that of the repository as it is now.
  var isRevisionKnown: Bool { interfaces.versions.isEmpty || revisionState == presentRevisionState }

  private var presentRevisionState: RevisionState {
    RevisionState(repository: repositoryGeneration, marks: revisionMarks)
  }

  /// A Version plugin has seen that its program may tell another revision, without a change to the repository's files.
  public func revisionMayHaveChanged() { revisionMarks &+= 1 }

  /// Asks for the revision where something changed since it was last asked for. There is one look-up at a time, for which
  /// all wait; one that a change overtook counts for nobody. Edits that keep coming are the caller's affair.
  package func updateRevisionIfNeeded() async {
    for _ in 0..<Self.overtakenLimit where !isRevisionKnown {
      if let lookUp = revisionLookUp {
        await lookUp.value
        continue
      }
      let lookUp = Task {
        let state = presentRevisionState
        await updateRevision()
        revisionState = state
        revisionLookUp = nil
      }
      revisionLookUp = lookUp
      await lookUp.value
    }
  }

  /// Logs the execution statistics every `[logging] performance_interval`, where `[logging] performance` asks for it.
  public func startPerformanceLog() {
    performanceTimer?.cancel()
    performanceTimer = nil
    guard settings.logsPerformance, let interval = settings.performanceInterval else { return }
    performanceTimer = loop.schedule(after: interval) { [weak self] in
      self?.logPerformance()
      self?.startPerformanceLog()
    }
  }

  private func logPerformance() {
    for (name, entry) in statistics.entries.sorted(by: { $0.key < $1.key }) {
      let figures =
        "min=\(entry.minimum.sixDecimals), max=\(entry.maximum.sixDecimals), average=\(entry.mean.sixDecimals), "
        + "count=\(entry.count)"
      logger.info("Performance statistics: \(name) \(figures)")
    }
  }
}

extension Double {
  /// Seconds with six decimals, as the performance log shows them.
  var sixDecimals: String {
    let micros = Int((self * 1_000_000).rounded())
    let fraction = String(micros % 1_000_000)
    return "\(micros / 1_000_000)." + String(repeating: "0", count: 6 - fraction.utf8.count) + fraction
  }
}
