import FoundationEssentials

nonisolated extension Output {
  /// A value as JSON, with its names in alphabetical order.
  ///
  /// - Parameter isPretty: whether it has a line for each value; it is one line otherwise.
  public static func json(_ value: some Encodable, isPretty: Bool = true) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if isPretty { encoder.outputFormatting.insert(.prettyPrinted) }
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  /// Prints a value as JSON.
  public static func printJSON(_ value: some Encodable) throws { print(try json(value)) }
}
