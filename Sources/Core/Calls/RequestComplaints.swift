/// Lines of the log about parts of one request: of many alike the first ones, then their number.
///
/// What a client sends may have a million parts, each of which deserves a line.
package struct RequestComplaints {
  /// Most lines beside the one with the number.
  static let limit = 10
  /// Most bytes of a name in such a line.
  package static let nameBytes = 256

  private var count = 0

  package init() {}

  /// Counts one more. Returns whether it is to be told.
  package mutating func add() -> Bool {
    count += 1
    return count <= Self.limit
  }

  /// How many were not to be told.
  package var untold: Int { max(count - Self.limit, 0) }
}
