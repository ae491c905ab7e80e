/// Finds the known name that a misspelt one may mean, for "did you mean".
package nonisolated enum NearestName {
  /// Longer names are not compared.
  private static let limitBytes = 64

  /// Returns the nearest name within a few typing mistakes, ignoring case; nil if none is near.
  ///
  /// One mistake is a letter too many, too few, wrong, or two swapped letters. A name of up to five letters may have
  /// one mistake, a longer one two, one of twelve or more three. Of equally near names the first counts.
  package static func of(_ name: String, among known: some Sequence<String>) -> String? {
    let typed = Array(name.asciiLowercased.utf8)
    guard !typed.isEmpty, typed.count <= limitBytes else { return nil }
    var best: (name: String, distance: Int)?
    for candidate in known {
      let bytes = Array(candidate.asciiLowercased.utf8)
      guard bytes.count <= limitBytes, candidate != name else { continue }
      let shorter = min(bytes.count, typed.count)
      let allowed = shorter < 3 ? 0 : shorter <= 5 ? 1 : shorter < 12 ? 2 : 3
      guard abs(bytes.count - typed.count) <= allowed else { continue }
      let distance = distance(typed, bytes)
      if distance <= allowed, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
  }

  /// `; did you mean NAME?`, or nothing.
  package static func hint(_ name: String, among known: some Sequence<String>) -> String {
    of(name, among: known).map { "; did you mean \($0)?" } ?? ""
  }

  /// The fewest mistakes between two names: the distance of optimal string alignment.
  private static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
    var beforeLast = [Int](repeating: 0, count: other.count + 1)
    var last = Array(0...other.count)
    for row in 1...one.count {
      var next = [row] + [Int](repeating: 0, count: other.count)
      for column in 0..<other.count {
        let isSame = one[row - 1] == other[column]
        next[column + 1] = min(next[column] + 1, last[column + 1] + 1, last[column] + (isSame ? 0 : 1))
        if row > 1, column > 0, one[row - 1] == other[column - 1], one[row - 2] == other[column] {
          next[column + 1] = min(next[column + 1], beforeLast[column - 1] + 1)
        }
      }
      (beforeLast, last) = (last, next)
    }
    return last[other.count]
  }
}
