/// How files are fetched, how much of them, and what is checked.
package nonisolated struct FetchOptions: Sendable {
  /// What is done about signatures.
  package enum Verification: String, Sendable, CaseIterable {
    /// Checks the signature of a source that has a key, if the mirror has a signature; a wrong one fails the source.
    case ifPossible = "if-possible"
    /// Fails a source without a key, or whose mirror has no signature.
    case required
  }

  package var verification = Verification.ifPossible
  /// The most transfers at once.
  package var parallel = 8
  /// The most transfers from one server at once.
  package var parallelPerServer = 4
  package var connectTimeout = Duration.seconds(30)
  /// A transfer that brings less than `leastBytesPerSecond` during this time is given up.
  package var stallTimeout = Duration.seconds(30)
  /// After this time no transfer is begun or goes on.
  package var totalTimeout = Duration.seconds(3600)
  package var leastBytesPerSecond = 100
  /// The most bytes of one file, as it is transferred.
  package var limitBytes = 2 << 30
  /// The most bytes of one file, decompressed.
  package var limitUnpackedBytes = 8 << 30
  /// The most redirects of one transfer.
  package var redirects = 8
  /// How often a transfer whose connection broke is taken up again.
  package var retries = 2
  package var userAgent = "bcfg2-packages"

  package init() {}
}
