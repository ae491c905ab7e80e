import Glibc

/// Times as the reporting database has them: local time as text, `YYYY-MM-DD HH:MM:SS`.
struct LocalTime: Hashable, Comparable {
  /// Seconds since 1970.
  var seconds: Int

  init(seconds: Int) { self.seconds = seconds }

  static func now() -> LocalTime { LocalTime(seconds: time(nil)) }

  /// Reads what the database has, with or without a fraction and a time zone after it.
  init?(_ text: String) {
    let bytes = Array(text.utf8.prefix(19))
    guard bytes.count >= 16, let year = LocalTime.number(bytes[0..<4]), let month = LocalTime.number(bytes[5..<7]),
      let day = LocalTime.number(bytes[8..<10]), let hour = LocalTime.number(bytes[11..<13]),
      let minute = LocalTime.number(bytes[14..<16])
    else { return nil }
    let second = bytes.count == 19 ? LocalTime.number(bytes[17..<19]) ?? 0 : 0
    self.init(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
  }

  init?(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day), (0...23).contains(hour),
      (0...59).contains(minute), (0...60).contains(second)
    else { return nil }
    var fields = tm()
    fields.tm_year = Int32(year - 1900)
    fields.tm_mon = Int32(month - 1)
    fields.tm_mday = Int32(day)
    fields.tm_hour = Int32(hour)
    fields.tm_min = Int32(minute)
    fields.tm_sec = Int32(second)
    fields.tm_isdst = -1
    seconds = mktime(&fields)
    // February 30 would become March 2.
    guard fields.tm_mday == Int32(day) else { return nil }
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> Int? {
    guard bytes.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
    return Int(String(decoding: bytes, as: UTF8.self))
  }

  private var fields: tm {
    var seconds = time_t(seconds)
    var fields = tm()
    localtime_r(&seconds, &fields)
    return fields
  }

  /// `YYYY-MM-DD HH:MM:SS`.
  var text: String { "\(day) \(two(fields.tm_hour)):\(two(fields.tm_min)):\(two(fields.tm_sec))" }

  /// `YYYY-MM-DD`.
  var day: String {
    let fields = fields
    let year = String(Int(fields.tm_year) + 1900)
    return String(repeating: "0", count: max(0, 4 - year.count)) + year
      + "-\(two(fields.tm_mon + 1))-\(two(fields.tm_mday))"
  }

  /// The end of a path that shows this time: `/YYYY-MM-DD/HH-MM`, or without a time of day for midnight.
  var path: String {
    let fields = fields
    return fields.tm_hour == 0 && fields.tm_min == 0
      ? "/\(day)" : "/\(day)/\(two(fields.tm_hour))-\(two(fields.tm_min))"
  }

  /// The day so many days later, at the same time of day.
  func adding(days: Int, hour: Int? = nil) -> LocalTime {
    var fields = fields
    fields.tm_mday += Int32(days)
    if let hour {
      fields.tm_hour = Int32(hour)
      fields.tm_min = 0
      fields.tm_sec = 0
    }
    fields.tm_isdst = -1
    return LocalTime(seconds: mktime(&fields))
  }

  private func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }

  static func < (left: LocalTime, right: LocalTime) -> Bool { left.seconds < right.seconds }

  /// A time of the database as pages show it: to the second, and without a zone.
  static func shown(_ text: String) -> String { String(text.prefix(19)) }
}
