import EventLoop
import Logging
import ServerSettings

/// The state at which the revision was read; the revision stays valid while it is unchanged.
struct RevisionState: Hashable {
  let repository: UInt64
  let marks: UInt64
}

extension ServerCore {
  /// Reads the revision from the Version plugins; the first answer counts, `-1` if there is none.
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

  /// Whether `revision` belongs to the present repository.
  var isRevisionKnown: Bool { interfaces.versions.isEmpty || revisionState == presentRevisionState }

  private var presentRevisionState: RevisionState {
    RevisionState(repository: repositoryGeneration, marks: revisionMarks)
  }

  /// Called by a Version plugin whose program may report another revision, though no file of the repository changed.
  public func revisionMayHaveChanged() { revisionMarks &+= 1 }

  /// Reads the revision again if something has changed since. All callers share one look-up at a time; a look-up that a
  /// change outdates is repeated, up to `retryLimit` times.
  package func updateRevisionIfNeeded() async {
    for _ in 0..<Self.retryLimit where !isRevisionKnown {
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

  /// Logs the execution statistics every `[logging] performance_interval` if `[logging] performance` is set.
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
