/// Bounds the log lines about parts of one request: logs the first ones, then the number of the others.
///
/// A request may have a million bad parts.
package struct RequestLogBudget {
  /// Most lines, without the one with the number.
  static let limit = 10
  /// Most bytes of a name in such a line.
  package static let nameBytes = 256

  private var count = 0

  package init() {}

  /// Counts one more line and returns whether to log it.
  package mutating func admit() -> Bool {
    count += 1
    return count <= Self.limit
  }

  /// Number of lines that were not logged.
  package var suppressedCount: Int { max(count - Self.limit, 0) }
}
