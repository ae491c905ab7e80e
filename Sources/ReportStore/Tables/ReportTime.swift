import Glibc

/// A time of the reporting database: local time of the process's zone, without the zone, to the microsecond.
public struct ReportTime: Sendable, Hashable, Comparable {
  /// As if local time were UTC.
  public var microseconds: Int64

  public init(microseconds: Int64) { self.microseconds = microseconds }

  /// The local time of a moment.
  ///
  /// - Parameter since1970: microseconds.
  public init(since1970: Int64) {
    let (seconds, fraction) = Self.split(since1970)
    var time = time_t(seconds)
    var parts = tm()
    localtime_r(&time, &parts)
    microseconds = Int64(timegm(&parts)) * 1_000_000 + fraction
  }

  /// The present time of the zone in TZ.
  public static func now() -> ReportTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return ReportTime(since1970: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
  }

  private static let separators = [
    Array("-".utf8), Array("-".utf8), Array(" T".utf8), Array(":".utf8), Array(":".utf8),
  ]

  /// Reads `YYYY-MM-DD[ HH:MM[:SS[.ffffff]]]`, with a blank or a T in the middle. A zone, which PostgreSQL adds, is that of the
  /// connection and is left out.
  public init?(_ text: String) {
    var fields: [Int] = []
    var fraction: Int64 = 0
    var rest = text.utf8[...]
    for index in 0...5 {
      guard let number = Self.number(&rest, 1...4) else { return nil }
      fields.append(number)
      guard index < 5, let next = rest.first, Self.separators[index].contains(next) else { break }
      rest = rest.dropFirst()
    }
    if fields.count == 6, rest.first == UInt8(ascii: ".") {
      rest = rest.dropFirst()
      let before = rest.count
      guard let number = Self.number(&rest, 1...9) else { return nil }
      fraction = Int64(number)
      for _ in 0..<max(0, 6 - (before - rest.count)) { fraction *= 10 }
      for _ in 0..<max(0, before - rest.count - 6) { fraction /= 10 }
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
    let midnight = timegm(&parts)
    // February 30 would become March 2.
    guard parts.tm_mday == Int32(fields[2]) else { return nil }
    let seconds = Int64(midnight) + Int64(fields[3] * 3600 + fields[4] * 60 + fields[5])
    microseconds = seconds * 1_000_000 + fraction
  }

  /// Takes so many digits from the start of a text.
  private static func number(_ text: inout Substring.UTF8View, _ count: ClosedRange<Int>) -> Int? {
    let digits = text.prefix { (0x30...0x39).contains($0) }
    guard count.contains(digits.count) else { return nil }
    text = text.dropFirst(digits.count)
    return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  private static func isZone(_ text: Substring.UTF8View) -> Bool {
    guard let sign = text.first else { return true }
    return (sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"))
      && text.dropFirst().allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ":") }
  }

  private static func split(_ microseconds: Int64) -> (seconds: Int64, fraction: Int64) {
    let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    return rest < 0 ? (seconds - 1, rest + 1_000_000) : (seconds, rest)
  }

  /// The fields of the calendar and the clock, and the microseconds.
  private var parts: (fields: tm, fraction: Int64) {
    let (seconds, fraction) = Self.split(microseconds)
    var time = time_t(seconds)
    var fields = tm()
    gmtime_r(&time, &fields)
    return (fields, fraction)
  }

  /// As it is written into the database and printed by Python: `YYYY-MM-DD HH:MM:SS`, then microseconds unless there are none.
  public var text: String { text(separator: " ") }

  /// The same with a T in the middle.
  public var isoText: String { text(separator: "T") }

  private func text(separator: String) -> String {
    let fraction = parts.fraction
    let text = day + separator + clock
    return fraction == 0 ? text : text + "." + Self.padded(Int32(fraction), 6)
  }

  /// `YYYY-MM-DD`.
  public var day: String {
    let fields = parts.fields
    return Self.padded(fields.tm_year + 1900, 4) + "-" + Self.padded(fields.tm_mon + 1, 2) + "-"
      + Self.padded(fields.tm_mday, 2)
  }

  /// `HH:MM:SS`.
  public var clock: String {
    let fields = parts.fields
    return [fields.tm_hour, fields.tm_min, fields.tm_sec].map { Self.padded($0, 2) }.joined(separator: ":")
  }

  private static func padded(_ number: Int32, _ width: Int) -> String {
    let digits = "\(number)"
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
  }

  public static func < (one: ReportTime, other: ReportTime) -> Bool { one.microseconds < other.microseconds }

  /// This time, so many hours later.
  public func adding(hours: Int) -> ReportTime {
    ReportTime(microseconds: microseconds + Int64(hours) * 3_600_000_000)
  }

  /// The same time of day, so many days later.
  public func adding(days: Int) -> ReportTime { adding(hours: 24 * days) }

  /// The start of the day.
  public var midnight: ReportTime {
    let day: Int64 = 86_400_000_000
    let rest = microseconds % day
    return ReportTime(microseconds: microseconds - (rest < 0 ? rest + day : rest))
  }

  /// The seconds from another time to this one.
  public func seconds(since other: ReportTime) -> Int64 { (microseconds - other.microseconds) / 1_000_000 }
}
