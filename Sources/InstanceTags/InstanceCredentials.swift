import Formats
import Glibc

/// Keys that an instance has from its role, as the metadata service tells them.
///
/// Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
package struct InstanceCredentials: Sendable, Equatable {
  package let credentials: AWSCredentials
  /// When they end, in seconds since 1970.
  package let expiry: Int

  /// - Returns: nil for a document that has no keys. Key and token become headers, and are visible ASCII in one piece.
  package init?(_ document: [UInt8]) {
    guard let text = String(validating: document, as: UTF8.self), let value = try? JSONValue(json: text),
      case .string(let accessKey)? = value["AccessKeyId"], case .string(let secretKey)? = value["SecretAccessKey"],
      case .string(let token)? = value["Token"], case .string(let end)? = value["Expiration"],
      let expiry = Self.seconds(end), !accessKey.isEmpty, !secretKey.isEmpty,
      (accessKey + token).utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else { return nil }
    credentials = AWSCredentials(accessKey: accessKey, secretKey: secretKey, sessionToken: token)
    self.expiry = expiry
  }

  /// `2026-11-30T18:05:00Z` in seconds since 1970.
  static func seconds(_ text: String) -> Int? {
    guard text.utf8.count == 20, text.last == "Z" else { return nil }
    let numbers = text.dropLast().split(whereSeparator: { "-T:".contains($0) }).compactMap { Int32($0) }
    guard numbers.count == 6, numbers[0] >= 1970 else { return nil }
    var parts = tm()
    (parts.tm_year, parts.tm_mon, parts.tm_mday) = (numbers[0] - 1900, numbers[1] - 1, numbers[2])
    (parts.tm_hour, parts.tm_min, parts.tm_sec) = (numbers[3], numbers[4], numbers[5])
    return timegm(&parts)
  }
}
