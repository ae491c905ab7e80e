/// When a certificate, or what is said of certificates, is valid, and the warning where it is not, or not for long.
nonisolated public struct CertificateValidity: Equatable, Sendable {
  /// Its state on a day.
  public enum State: Equatable, Sendable {
    case valid
    /// It ends within its time of notice; whole days that are left.
    case ending(days: Int)
    case ended
    case notBegun
  }

  /// What the file holds.
  public enum Kind: Equatable, Sendable {
    case certificate
    /// It is one that client certificates are checked with.
    case authority
    /// Which certificates an authority has revoked.
    case revocationList
    /// The stapled response of an OCSP responder.
    case statusResponse
  }

  /// Days before its end from which a certificate is warned of. What is made anew more often: its last quarter at most.
  public static let noticeDays = 30

  /// The file that holds it.
  public var path: String
  public var kind: Kind
  /// The last common name of its subject, or of the issuer of a list.
  public var name: String?
  /// Seconds since 1970; the least number for a time that cannot be read.
  public var begins: Int64
  public var ends: Int64

  public init(path: String, kind: Kind, name: String?, begins: Int64, ends: Int64) {
    self.path = path
    self.kind = kind
    self.name = name
    self.begins = begins
    self.ends = ends
  }

  /// - Parameter now: seconds since 1970.
  public func state(at now: Int64) -> State {
    if now > ends { return .ended }
    if now < begins { return .notBegun }
    let left = ends - now
    return left < noticeSeconds ? .ending(days: Int(left / 86400)) : .valid
  }

  var hasUnreadableTime: Bool { begins == .min || ends == .min }

  private var noticeSeconds: Int64 {
    let longest = Int64(Self.noticeDays) * 86400
    switch kind {
    case .certificate, .authority: return longest
    case .revocationList, .statusResponse:
      // A list without an end has the last moment that there is.
      let (life, overflow) = ends.subtractingReportingOverflow(begins)
      return overflow ? longest : min(longest, life / 4)
    }
  }

  /// What follows from its end, where it is not for clients to decide.
  private var consequence: String {
    switch kind {
    case .certificate, .authority: ""
    case .revocationList: ": certificates of its authority are refused"
    case .statusResponse: ": it is not sent"
    }
  }

  private var noun: String {
    switch kind {
    case .certificate: "certificate"
    case .authority: "CA"
    case .revocationList: "revocation list"
    case .statusResponse: "OCSP response"
    }
  }

  /// One sentence without a final period; nil where all is well.
  public func sentence(at now: Int64) -> String? {
    let subject = "\(noun) \(path)\(name.map { " (CN \($0))" } ?? "")"
    switch state(at: now) {
    case .valid: return nil
    case .ending(let days):
      let left = days == 0 ? "in less than a day" : days == 1 ? "in 1 day" : "in \(days) days"
      return "\(subject) expires \(left), on \(Self.day(ends))"
    case .ended: return "\(subject) has expired on \(Self.day(ends))\(consequence)"
    case .notBegun: return "\(subject) is not valid before \(Self.day(begins))\(consequence)"
    }
  }

  /// `2026-12-24`, in UTC: Howard Hinnant's days algorithm, for years from 0 on. What is earlier is a time that cannot be read.
  static func day(_ seconds: Int64) -> String {
    guard seconds >= -62_167_219_200 else { return "an unreadable date" }
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
