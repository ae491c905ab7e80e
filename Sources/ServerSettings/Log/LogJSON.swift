import Glibc
import Logging
import XMLRPC

nonisolated extension LogRecord {
  /// The line of console and file with `[logging] format = json`: the object and a line feed.
  public var jsonLine: [UInt8] { jsonObject + [0x0A] }

  /// The record as one JSON object without a line feed in it. Its length is bounded: the message as in text, names and values
  /// of fields by themselves and together.
  package var jsonObject: [UInt8] {
    var line: [UInt8] = []
    line.reserveCapacity(320 + message.utf8.count)
    line += "{\"time\":\"".utf8
    Self.append(time, to: &line)
    line += "\",\"level\":\"\(level.rawValue)\",\"logger\":\"".utf8
    BoundedText.appendJSON(label, to: &line, limitBytes: Self.valueBytes)
    line += "\",\"pid\":\(process),\"message\":\"".utf8
    BoundedText.appendJSON(message, to: &line)
    line.append(UInt8(ascii: "\""))
    for (name, value) in knownFields { Self.append(name, value, to: &line) }
    if self.line > 0 { line += ",\"line\":\(self.line)".utf8 }
    appendFields(to: &line)
    line.append(UInt8(ascii: "}"))
    return line
  }

  /// Names that the record itself uses.
  private static let ownNames: Set<String> = ["time", "level", "logger", "pid", "message", "request", "file", "line"]
  /// Most bytes of a name and of a value.
  static let nameBytes = 64
  static let valueBytes = 1024
  /// Most bytes of all fields.
  static let fieldsBytes = 4096

  /// What the record knows of its request and its place in the source; a field of the same name counts instead.
  var knownFields: [(name: String, value: String)] {
    var known: [(name: String, value: String)] = []
    if let request {
      if let id = request.id { known.append(("request", id)) }
      for (name, value) in [("client", request.client), ("address", request.address), ("method", request.method)]
      where !value.isEmpty && !fields.contains(where: { $0.name == name }) {
        known.append((name, value))
      }
    }
    if !file.isEmpty { known.append(("file", file)) }
    return known
  }

  private func appendFields(to line: inout [UInt8]) {
    let start = line.count
    for (place, field) in fields.enumerated() {
      let before = line.count
      // A field cannot take the place of what the record says itself.
      Self.append(field.name + (Self.ownNames.contains(field.name) ? "_" : ""), field.value, to: &line)
      guard line.count - start > Self.fieldsBytes else { continue }
      line.removeSubrange(before...)
      line += ",\"fields_left_out\":\(fields.count - place)".utf8
      return
    }
  }

  private static func append(_ name: String, _ value: String, to line: inout [UInt8]) {
    append(name: name, to: &line)
    line.append(UInt8(ascii: "\""))
    BoundedText.appendJSON(value, to: &line, limitBytes: valueBytes)
    line.append(UInt8(ascii: "\""))
  }

  private static func append(_ name: String, _ value: Logger.MetadataValue, to line: inout [UInt8]) {
    if case .stringConvertible(let number) = value {
      switch number {
      case let number as any BinaryInteger:
        append(name: name, to: &line)
        line += "\(number)".utf8
        return
      case let number as Double where number.isFinite:
        append(name: name, to: &line)
        line += "\(number)".utf8
        return
      case let flag as Bool:
        append(name: name, to: &line)
        line += "\(flag)".utf8
        return
      default: break
      }
    }
    append(name, "\(value)", to: &line)
  }

  private static func append(name: String, to line: inout [UInt8]) {
    line += ",\"".utf8
    BoundedText.appendJSON(name, to: &line, limitBytes: nameBytes)
    line += "\":".utf8
  }

  /// RFC 3339 with microseconds, in UTC: `2014-01-31T12:00:00.123456Z`.
  static func append(_ time: timespec, to line: inout [UInt8]) {
    var seconds = time.tv_sec
    var parts = tm()
    gmtime_r(&seconds, &parts)
    func add(_ number: Int, _ digits: Int, _ end: Unicode.Scalar) {
      var divisor = 1
      for _ in 1..<digits { divisor *= 10 }
      while divisor > 0 {
        line.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
        divisor /= 10
      }
      line.append(UInt8(ascii: end))
    }
    add(Int(parts.tm_year) + 1900, 4, "-")
    add(Int(parts.tm_mon) + 1, 2, "-")
    add(Int(parts.tm_mday), 2, "T")
    add(Int(parts.tm_hour), 2, ":")
    add(Int(parts.tm_min), 2, ":")
    add(Int(parts.tm_sec), 2, ".")
    add(time.tv_nsec / 1000, 6, "Z")
  }
}
