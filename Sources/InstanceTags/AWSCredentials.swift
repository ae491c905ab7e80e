/// Keys of an account, or of a role for a while.
package struct AWSCredentials: Sendable, Equatable {
  package var accessKey: String
  package var secretKey: String
  /// Of keys that are valid for a while.
  package var sessionToken: String?

  package init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
    self.accessKey = accessKey
    self.secretKey = secretKey
    self.sessionToken = sessionToken
  }

  /// A text of somebody else without these secrets: errors about signatures repeat what was sent.
  package func removed(from text: String) -> String {
    var text = text
    for secret in [secretKey, sessionToken ?? ""] where secret.utf8.count >= 8 {
      text = text.replacing(secret, with: "***")
    }
    return text
  }
}

/// Where the keys come from.
package enum CredentialSource: Sendable, Equatable {
  case given(AWSCredentials)
  /// The role of the instance that this runs on, at the metadata service with this URL.
  case instance(String)
}

/// A tag of an instance.
package struct InstanceTag: Sendable, Hashable {
  package let name: String
  package let value: String

  package init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}
