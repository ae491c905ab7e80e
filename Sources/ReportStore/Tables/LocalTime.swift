import Glibc

/// Times as the database has them: local time of the process's zone, `2026-11-29 04:12:16.000123`, without a fraction where
/// it is zero.
public enum LocalTime {
  /// - Parameter microseconds: since 1970.
  public static func text(_ microseconds: Int64) -> String {
    let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    let fraction = rest < 0 ? rest + 1_000_000 : rest
    var time = time_t(rest < 0 ? seconds - 1 : seconds)
    var parts = tm()
    localtime_r(&time, &parts)
    let date =
      "\(digits(Int(parts.tm_year) + 1900, 4))-\(digits(Int(parts.tm_mon) + 1, 2))-\(digits(Int(parts.tm_mday), 2))"
    let clock = "\(digits(Int(parts.tm_hour), 2)):\(digits(Int(parts.tm_min), 2)):\(digits(Int(parts.tm_sec), 2))"
    return fraction == 0 ? "\(date) \(clock)" : "\(date) \(clock).\(digits(Int(fraction), 6))"
  }

  /// Now, as text.
  public static var now: String { text(microseconds) }

  /// Now, in microseconds since 1970.
  public static var microseconds: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }

  private static func digits(_ number: Int, _ count: Int) -> String {
    let text = String(number)
    return text.count >= count ? text : String(repeating: "0", count: count - text.count) + text
  }
}
