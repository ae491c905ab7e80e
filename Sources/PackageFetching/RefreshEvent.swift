/// What a refresh tells while it runs.
package nonisolated enum RefreshEvent: Sendable {
  package enum Level: String, Sendable {
    case debug, info, warning, error
  }

  /// A line for the log.
  case log(Level, String)
  /// A line for the log about a source that is done; `done` tells the same to people.
  case verdict(Level, String)
  /// A source is done.
  case done(RefreshResult)
}

/// What has become of one source.
package nonisolated struct RefreshResult: Sendable {
  package enum Outcome: Sendable {
    /// The index is new.
    case made(packages: Int, parts: Int, bytes: Int, duration: Duration)
    /// The mirror has what the index was made from.
    case unchanged(made: Int)
    /// Something failed; the index is the last good one, or has a part of an earlier time.
    case kept(made: Int)
    /// Something failed; the index has no packages of some parts.
    case partial(packages: Int, missing: Int)
    /// Something failed, and there is no index.
    case failed
  }

  /// `PackageSource.indexFileName`, which is what the source is called between the daemon and this program.
  package let name: String
  /// `PackageSource.displayName`.
  package let source: String
  package let outcome: Outcome
  /// Why something failed; empty otherwise.
  package let problems: [String]
  /// Bytes that were transferred.
  package let transferred: Int

  package var isGood: Bool {
    switch outcome {
    case .made, .unchanged: true
    case .kept, .partial, .failed: false
    }
  }
}
