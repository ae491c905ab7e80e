/// How similar two sequences are, as Python's `difflib.SequenceMatcher` tells: twice the length of what they have in common
/// by the length of both.
nonisolated struct SequenceSimilarity<Item: Hashable> {
  private let one: [Item]
  private let other: [Item]
  /// Where items of `other` are; those in more than a hundredth of a long sequence are left out, as in Python.
  private let places: [Item: [Int]]

  init(_ one: [Item], _ other: [Item]) {
    self.one = one
    self.other = other
    var places: [Item: [Int]] = [:]
    for (index, item) in other.enumerated() { places[item, default: []].append(index) }
    if other.count >= 200 {
      let limit = other.count / 100 + 1
      places = places.filter { $0.value.count <= limit }
    }
    self.places = places
  }

  /// An upper bound from the lengths alone.
  var lengthBound: Double { ratio(common: min(one.count, other.count)) }

  /// An upper bound from the items, whatever their order.
  var itemBound: Double {
    var counts: [Item: Int] = [:]
    for item in other { counts[item, default: 0] += 1 }
    var common = 0
    for item in one {
      guard let count = counts[item], count > 0 else { continue }
      counts[item] = count - 1
      common += 1
    }
    return ratio(common: common)
  }

  /// The similarity.
  var ratio: Double {
    var common = 0
    var rest = [(0..<one.count, 0..<other.count)]
    while let (mine, its) = rest.popLast() {
      let match = longestMatch(mine, its)
      guard match.count > 0 else { continue }
      common += match.count
      rest.append((mine.lowerBound..<match.one, its.lowerBound..<match.other))
      rest.append((match.one + match.count..<mine.upperBound, match.other + match.count..<its.upperBound))
    }
    return ratio(common: common)
  }

  private func ratio(common: Int) -> Double {
    let length = one.count + other.count
    return length == 0 ? 1 : 2 * Double(common) / Double(length)
  }

  private func longestMatch(_ mine: Range<Int>, _ its: Range<Int>) -> (one: Int, other: Int, count: Int) {
    var (first, second, count) = (mine.lowerBound, its.lowerBound, 0)
    var lengths: [Int: Int] = [:]
    for index in mine {
      var newLengths: [Int: Int] = [:]
      for place in places[one[index]] ?? [] where place >= its.lowerBound {
        if place >= its.upperBound { break }
        let length = (lengths[place - 1] ?? 0) + 1
        newLengths[place] = length
        if length > count { (first, second, count) = (index - length + 1, place - length + 1, length) }
      }
      lengths = newLengths
    }
    // Frequent items only extend a match.
    while first > mine.lowerBound, second > its.lowerBound, one[first - 1] == other[second - 1] {
      (first, second, count) = (first - 1, second - 1, count + 1)
    }
    while first + count < mine.upperBound, second + count < its.upperBound,
      one[first + count] == other[second + count]
    {
      count += 1
    }
    return (first, second, count)
  }
}
