import CCurl
import EventLoop
import Glibc
import InstanceTags

/// The keys for requests: those of the settings, or those of the instance's role, which are asked for again before they end.
///
/// Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html, version 2.
final class RoleKeys {
  /// For each of the three requests to the metadata service, which is on this machine.
  private static let milliseconds = 2000
  /// How long before their end keys are asked for again.
  private static let marginSeconds = 300
  private static let answerBytes = 64 << 10
  /// An answer that takes longer is a slow one. Nothing else goes on while it is waited for, so that after one without keys none
  /// is asked for in `pause`.
  private static let slowTime = Duration.milliseconds(500)
  private static let pause = Duration.seconds(5)

  private let source: CredentialSource
  private let userAgent: String
  private var known: InstanceCredentials?
  private var pausedUntil: ContinuousClock.Instant?

  init(_ source: CredentialSource, userAgent: String) {
    self.source = source
    self.userAgent = userAgent
  }

  /// Keys that are valid for a while; nil: the metadata service has none.
  func current() -> AWSCredentials? {
    switch source {
    case .given(let credentials): return credentials
    case .instance(let url):
      if let known, known.expiry - Self.marginSeconds > time(nil) { return known.credentials }
      askUnlessPaused(url)
      // Until their end the old ones do.
      guard let known, known.expiry > time(nil) else { return nil }
      return known.credentials
    }
  }

  /// Forgets keys that were refused.
  /// - Returns: whether others may be had.
  func forget() -> Bool {
    guard case .instance = source, known != nil else { return false }
    known = nil
    return true
  }

  /// A foreign text without the secrets.
  func removed(from text: String) -> String {
    switch source {
    case .given(let credentials): credentials.removed(from: text)
    case .instance: known?.credentials.removed(from: text) ?? text
    }
  }

  private func askUnlessPaused(_ url: String) {
    let start = ContinuousClock.now
    if let pausedUntil, start < pausedUntil { return }
    pausedUntil = nil
    if let fresh = ask(url) {
      known = fresh
    } else if ContinuousClock.now - start > Self.slowTime {
      pausedUntil = ContinuousClock.now + Self.pause
    }
  }

  private func ask(_ url: String) -> InstanceCredentials? {
    let base = url.hasSuffix("/") ? String(url.dropLast()) : url
    let lifetime = [(name: "X-aws-ec2-metadata-token-ttl-seconds", value: "600")]
    guard let token = text(get("\(base)/latest/api/token", "PUT", lifetime)) else { return nil }
    let session = [(name: "X-aws-ec2-metadata-token", value: token)]
    let folder = "\(base)/latest/meta-data/iam/security-credentials/"
    guard let role = text(get(folder, "GET", session))?.split(separator: "\n").first, role.utf8.count <= 128 else {
      return nil
    }
    return get(folder + RequestSignature.escaped(String(role)), "GET", session).flatMap { InstanceCredentials($0) }
  }

  private func get(_ url: String, _ method: String, _ headers: [(name: String, value: String)]) -> [UInt8]? {
    TagTransfer(
      .init(
        url: url, method: method, headers: headers, limitBytes: Self.answerBytes, milliseconds: Self.milliseconds,
        userAgent: userAgent, usesProxy: false)
    ).run()
  }

  /// One line of printable ASCII: it becomes a header or a part of a URL.
  private func text(_ body: [UInt8]?) -> String? {
    guard let body, !body.isEmpty, body.count <= 8192, body.allSatisfy({ ($0 >= 0x20 && $0 < 0x7F) || $0 == 0x0A })
    else { return nil }
    return String(decoding: body, as: UTF8.self)
  }
}
