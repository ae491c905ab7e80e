/// How a client fared.
public struct ClientResult: Codable, Sendable, Hashable {
  public enum Outcome: String, Codable, Sendable {
    case ok
    /// The configuration is not as it should be.
    case failure
    /// There is no configuration.
    case error
  }

  public let client: String
  public let outcome: Outcome
  /// What is wrong; empty for `ok`.
  public let text: String
  public let seconds: Double

  public init(client: String, outcome: Outcome, text: String, seconds: Double) {
    self.client = client
    self.outcome = outcome
    self.text = text
    self.seconds = seconds
  }

  /// As nose names the test.
  var title: String { "Building configuration for \(client)" }
}
