import Glibc
import InstanceTags
import ServerSettings

/// `[awstags]`: how EC2 is asked. The first three are Bcfg2's.
nonisolated struct AWSTagsOptions: OptionGroup {
  static let standard = AWSTagsOptions()

  let accessKey = Option("awstags", "access_key_id", .text, help: "Access key of AWS")
  let secretKey = Option("awstags", "secret_access_key", .secret, help: "Secret of the access key")
  let keepsTags = Option(
    "awstags", "cache", .boolean, default: "true",
    help: "Ask for a client's tags once in each of its runs; false: at each of its calls")
  let sessionToken = Option(
    "awstags", "session_token", .secret, .ours, help: "Token that belongs to keys which are valid for a while")
  let credentials = Option(
    "awstags", "credentials", .choice(AWSCredentialChoice.self), default: "options", .ours,
    help:
      "Where the keys come from: these options, the environment (AWS_ACCESS_KEY_ID and so on), or the role of the "
      + "instance that the server runs on")
  let region = Option("awstags", "region", .text, default: "us-east-1", .ours, help: "Region of AWS that is asked")
  let endpoint = Option(
    "awstags", "endpoint", .text, .ours,
    help: "URL of another service that answers as EC2 does; default: that of EC2 in the region")
  let authority = Option(
    "awstags", "ca", .path, .ours, help: "Certificates that the endpoint's leads to; default: those of the system")
  let metadataService = Option(
    "awstags", "metadata_service", .text, default: "http://169.254.169.254", .ours,
    help: "URL of the instance metadata service, for credentials = instance")
  let program = Option(
    "awstags", "program", .path, .ours,
    help: "The program that asks EC2; default: bcfg2-packages beside the server's executable")
  let timeout = Option(
    "awstags", "timeout", .seconds, default: "10", .ours,
    help: "Seconds for the tags of one client, further attempts included")
  let parallel = Option(
    "awstags", "parallel", .integer(1...64), default: "8", .ours, help: "The most requests at once")
  let allowedGroups = Option(
    "awstags", "allowed_groups", .patterns, default: ".*", .ours,
    help: "Regular expressions, anchored at both ends, of the groups that tags may put a client in")
}

/// `[awstags] credentials`.
nonisolated enum AWSCredentialChoice: String, Sendable, CaseIterable {
  case options, environment, instance
}

/// Why EC2 cannot be asked as the settings say.
nonisolated struct AWSTagsSettingsError: Error, CustomStringConvertible {
  let description: String
}

extension Settings {
  /// How EC2 is asked, for the program that does so.
  func instanceTags(userAgent: String) throws(AWSTagsSettingsError) -> TagMessages.Settings {
    let options = AWSTagsOptions.standard
    let region = self[options.region]
    guard ServiceEndpoint.isRegion(region) else {
      throw AWSTagsSettingsError(description: "[awstags] region = \(region) is no region, such as us-east-1")
    }
    let endpoint = self[options.endpoint].map { ServiceEndpoint($0) } ?? ServiceEndpoint.ec2(region: region)
    guard let endpoint else {
      throw AWSTagsSettingsError(
        description: "[awstags] endpoint = \(self[options.endpoint] ?? "") is no URL, such as https://ec2.example.com")
    }
    return TagMessages.Settings(
      endpoint: endpoint.url, region: region, credentials: try credentialSource(), authority: self[options.authority],
      timeoutMilliseconds: max(1, Int(self[options.timeout] / .milliseconds(1))), parallel: self[options.parallel],
      userAgent: userAgent)
  }

  private func credentialSource() throws(AWSTagsSettingsError) -> CredentialSource {
    let options = AWSTagsOptions.standard
    switch self[options.credentials] {
    case .options:
      guard let accessKey = self[options.accessKey], !accessKey.isEmpty else { throw Self.missing("access_key_id") }
      guard let secretKey = self[options.secretKey], !secretKey.isEmpty else { throw Self.missing("secret_access_key") }
      return .given(
        AWSCredentials(accessKey: accessKey, secretKey: secretKey, sessionToken: self[options.sessionToken]))
    case .environment:
      func variable(_ name: String) throws(AWSTagsSettingsError) -> String {
        guard let value = getenv(name), value.pointee != 0 else {
          throw AWSTagsSettingsError(description: "\(name) is not set, and [awstags] credentials = environment")
        }
        return String(cString: value)
      }
      let token = getenv("AWS_SESSION_TOKEN").map { String(cString: $0) }
      return .given(
        AWSCredentials(
          accessKey: try variable("AWS_ACCESS_KEY_ID"), secretKey: try variable("AWS_SECRET_ACCESS_KEY"),
          sessionToken: token?.isEmpty ?? true ? nil : token))
    case .instance:
      guard let service = ServiceEndpoint(self[options.metadataService]) else {
        throw AWSTagsSettingsError(
          description: "[awstags] metadata_service = \(self[options.metadataService]) is no URL")
      }
      return .instance(service.url)
    }
  }

  /// In the words of Bcfg2.
  private static func missing(_ option: String) -> AWSTagsSettingsError {
    AWSTagsSettingsError(
      description: "AWSTags is not configured in bcfg2.conf: No option '\(option)' in section: 'awstags'")
  }
}
