/// The part of the clients that one process is for.
public nonisolated struct WorkPart: Hashable, Sendable {
  /// 0 for the first.
  public let place: Int
  public let count: Int

  public init(place: Int, count: Int) {
    precondition(count > 0 && (0..<count).contains(place), "a part is one of those that there are")
    self.place = place
    self.count = count
  }

  /// Reads `2/4`.
  public init?(_ text: String) {
    let numbers = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
    guard numbers.count == 2, let place = numbers[0], let count = numbers[1], count > 0, (1...count).contains(place)
    else { return nil }
    self.init(place: place - 1, count: count)
  }

  /// All parts of so many.
  public static func all(_ count: Int) -> [WorkPart] { (0..<count).map { WorkPart(place: $0, count: count) } }

  public var text: String { "\(place + 1)/\(count)" }

  /// Every so many-th: clients of one kind are spread over all.
  public func of<Item>(_ items: [Item]) -> [Item] {
    items.indices.filter { $0 % count == place }.map { items[$0] }
  }
}
