import ServerSettings
import XMLRPC

/// The output of one probe: lines that name groups, and data.
///
/// An output may have a million lines, so no line is kept as an object of its own.
struct ProbeOutput {
  /// The groups that it names, in their order; one may be named more than once.
  private(set) var groupCount = 0
  /// The output without the lines that name groups.
  private(set) var data: String
  /// How many lines it has: one more than line feeds.
  private(set) var lineCount = 0

  /// - Parameters:
  ///   - compatibility: 1.4 takes the first word after `group:`; 1.3.4 what is between that and a second colon, blanks
  ///     included.
  ///   - onGroup: is called with each group that a line names.
  init(_ text: String, compatibility: Compatibility, onGroup: (String) -> Void) {
    data = text
    var text = text
    let rest = text.withUTF8 { bytes in read(bytes, compatibility, onGroup) }
    if let rest { data = String(decoding: rest, as: UTF8.self) }
  }

  /// - Returns: the data; nil where no line names a group.
  private mutating func read(
    _ bytes: UnsafeBufferPointer<UInt8>, _ compatibility: Compatibility, _ onGroup: (String) -> Void
  ) -> [UInt8]? {
    var rest: [UInt8]?
    var isFirst = true
    var start = 0
    while start <= bytes.count {
      let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
      let line = bytes[start..<end]
      lineCount += 1
      if let group = Self.groupName(line, compatibility) {
        onGroup(group)
        groupCount += 1
        if rest == nil {
          // All lines before this one are data.
          rest = Array(bytes[..<max(0, start - 1)])
          isFirst = start == 0
        }
      } else if rest != nil {
        if !isFirst { rest?.append(UInt8(ascii: "\n")) }
        isFirst = false
        rest?.append(contentsOf: line)
      }
      start = end + 1
    }
    return rest
  }

  private static func groupName(_ line: Slice<UnsafeBufferPointer<UInt8>>, _ compatibility: Compatibility) -> String? {
    guard line.first == UInt8(ascii: "g"), line.starts(with: "group:".utf8) else { return nil }
    let rest = line.dropFirst(6)
    if compatibility == .v1_3 {
      // Python strips all white space of Unicode.
      return String(decoding: rest.prefix { $0 != UInt8(ascii: ":") }, as: UTF8.self).trimmingBlanks
    }
    let name = rest.drop(while: isBlank).prefix { !isBlank($0) }
    return name.isEmpty ? nil : String(decoding: name, as: UTF8.self)
  }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
