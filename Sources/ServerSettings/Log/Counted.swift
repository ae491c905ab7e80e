/// A number with what it counts, in the form that fits: `1 client`, `2 clients`, `1 entry fails`.
///
/// - Parameters:
///   - one: the words behind 1.
///   - many: those behind another number; nil: `one` with an s.
package nonisolated func counted(_ count: Int, _ one: String, _ many: String? = nil) -> String {
  "\(count) \(count == 1 ? one : many ?? one + "s")"
}
