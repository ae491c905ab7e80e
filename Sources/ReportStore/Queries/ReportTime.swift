import Glibc

/// A time of the reporting database: local time, without a zone, to the microsecond.
public struct ReportTime: Sendable, Hashable, Comparable {
  /// As if local time were UTC.
  public var microseconds: Int64

  public init(microseconds: Int64) { self.microseconds = microseconds }

  /// The present time of the zone in TZ.
  public static func now() -> ReportTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    var seconds = time.tv_sec
    var parts = tm()
    localtime_r(&seconds, &parts)
    return ReportTime(microseconds: Int64(timegm(&parts)) * 1_000_000 + Int64(time.tv_nsec / 1000))
  }

  /// Reads `YYYY-MM-DD[ HH:MM[:SS[.ffffff]]]`, with a blank or a T in the middle. A zone, which PostgreSQL adds, is that of the
  /// connection and is left out.
  public init?(_ text: String) {
    var fields: [Int] = []
    var fraction: Int64 = 0
    var rest = text.utf8[...]
    let separators: [[UInt8]] = [Array("-".utf8), Array("-".utf8), Array(" T".utf8), Array(":".utf8), Array(":".utf8)]
    for index in 0...5 {
      let digits = rest.prefix { (0x30...0x39).contains($0) }
      guard (1...4).contains(digits.count), let number = Int(String(digits) ?? "") else { return nil }
      fields.append(number)
      rest = rest.dropFirst(digits.count)
      guard index < 5, let next = rest.first, separators[index].contains(next) else { break }
      rest = rest.dropFirst()
    }
    if fields.count == 6, rest.first == UInt8(ascii: ".") {
      let digits = rest.dropFirst().prefix { (0x30...0x39).contains($0) }
      guard (1...9).contains(digits.count) else { return nil }
      for digit in (Array(digits) + Array(repeating: 0x30, count: 6)).prefix(6) {
        fraction = fraction * 10 + Int64(digit - 0x30)
      }
      rest = rest.dropFirst(digits.count + 1)
    }
    guard fields.count == 3 || fields.count >= 5, Self.isZone(rest) else { return nil }
    fields += Array(repeating: 0, count: 6 - fields.count)
    guard (1...12).contains(fields[1]), (1...31).contains(fields[2]), fields[3] < 24, fields[4] < 60, fields[5] < 61
    else {
      return nil
    }
    var parts = tm()
    parts.tm_year = Int32(fields[0] - 1900)
    parts.tm_mon = Int32(fields[1] - 1)
    parts.tm_mday = Int32(fields[2])
    parts.tm_hour = Int32(fields[3])
    parts.tm_min = Int32(fields[4])
    parts.tm_sec = Int32(fields[5])
    microseconds = Int64(timegm(&parts)) * 1_000_000 + fraction
  }

  private static func isZone(_ text: Substring.UTF8View) -> Bool {
    guard let sign = text.first else { return true }
    return (sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"))
      && text.dropFirst().allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ":") }
  }

  /// As it is written into the database and printed by Python: `YYYY-MM-DD HH:MM:SS`, then microseconds unless there are none.
  public var text: String { text(separator: " ") }

  /// The same with a T in the middle.
  public var isoText: String { text(separator: "T") }

  private func text(separator: String) -> String {
    var (seconds, fraction) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    if fraction < 0 {
      seconds -= 1
      fraction += 1_000_000
    }
    var time = Int(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    let date = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)]
    let clock = [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)]
    var text = Self.padded(date[0], 4) + "-" + Self.padded(date[1], 2) + "-" + Self.padded(date[2], 2) + separator
    text += clock.map { Self.padded($0, 2) }.joined(separator: ":")
    return fraction == 0 ? text : text + "." + Self.padded(Int(fraction), 6)
  }

  private static func padded(_ number: Int, _ width: Int) -> String {
    let digits = "\(number)"
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }

  public static func < (one: ReportTime, other: ReportTime) -> Bool { one.microseconds < other.microseconds }

  /// This time, so many hours later.
  public func adding(hours: Int) -> ReportTime {
    ReportTime(microseconds: microseconds + Int64(hours) * 3_600_000_000)
  }
}
