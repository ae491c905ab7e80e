/// When a certificate is valid, and the warning where it is not, or not for long.
nonisolated public struct CertificateValidity: Equatable, Sendable {
  /// Its state on a day.
  public enum State: Equatable, Sendable {
    case valid
    /// It ends within `noticeDays`; whole days that are left.
    case ending(days: Int)
    case ended
    case notBegun
  }

  /// Days before its end from which a certificate is warned of.
  public static let noticeDays = 30

  /// The file that holds it.
  public var path: String
  /// Whether it is one that client certificates are checked with.
  public var isAuthority: Bool
  /// Its subject's last common name.
  public var name: String?
  /// Seconds since 1970.
  public var begins: Int64
  public var ends: Int64

  public init(path: String, isAuthority: Bool, name: String?, begins: Int64, ends: Int64) {
    self.path = path
    self.isAuthority = isAuthority
    self.name = name
    self.begins = begins
    self.ends = ends
  }

  /// - Parameter now: seconds since 1970.
  public func state(at now: Int64) -> State {
    if now > ends { return .ended }
    if now < begins { return .notBegun }
    let days = (ends - now) / 86400
    return days < Self.noticeDays ? .ending(days: Int(days)) : .valid
  }

  /// One sentence without a final period; nil where all is well.
  public func sentence(at now: Int64) -> String? {
    let subject = "\(isAuthority ? "CA" : "certificate") \(path)\(name.map { " (CN \($0))" } ?? "")"
    switch state(at: now) {
    case .valid: return nil
    case .ending(let days):
      let left = days == 0 ? "in less than a day" : days == 1 ? "in 1 day" : "in \(days) days"
      return "\(subject) expires \(left), on \(Self.day(ends))"
    case .ended: return "\(subject) has expired on \(Self.day(ends))"
    case .notBegun: return "\(subject) is not valid before \(Self.day(begins))"
    }
  }

  /// `2026-12-24`, in UTC: Howard Hinnant's days algorithm, for years from 0 on.
  static func day(_ seconds: Int64) -> String {
    let days = (seconds >= 0 ? seconds : seconds - 86399) / 86400 + 719_468
    let era = days / 146_097
    let dayOfEra = days - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    func padded(_ number: Int64, _ width: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
  }
}
