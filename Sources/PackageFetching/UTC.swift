import Glibc

/// Times for people.
package nonisolated enum UTC {
  /// `2026-11-30 02:20 UTC`.
  package static func text(_ seconds: Int) -> String {
    var time = time_t(seconds)
    var parts = tm()
    guard gmtime_r(&time, &parts) != nil else { return "\(seconds)" }
    func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let date = "\(1900 + Int(parts.tm_year))-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday))"
    return "\(date) \(padded(parts.tm_hour)):\(padded(parts.tm_min)) UTC"
  }

  /// `3 days`, `5 hours`, `1 minute`: the largest unit of which there is at least one.
  package static func age(_ seconds: Int) -> String {
    for (unit, length) in [("day", 86400), ("hour", 3600), ("minute", 60)] where seconds >= length {
      return "\(seconds / length) \(unit)\(seconds / length == 1 ? "" : "s")"
    }
    return "\(max(0, seconds)) seconds"
  }
}
