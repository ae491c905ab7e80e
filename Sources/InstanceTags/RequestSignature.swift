import COpenSSL
import Glibc
import XMLRPC

/// Signature Version 4: proves for some minutes that a request was made with a key.
///
/// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
package struct RequestSignature: Sendable {
  package let credentials: AWSCredentials
  package let region: String
  package let service: String

  package init(_ credentials: AWSCredentials, region: String, service: String) {
    self.credentials = credentials
    self.region = region
    self.service = service
  }

  /// What is signed.
  package struct Request: Sendable {
    package var method: String
    /// From the first slash on, not escaped.
    package var path: String
    /// Names and values, not escaped.
    package var query: [(name: String, value: String)]
    /// All headers that count, Host and X-Amz-Date among them.
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]

    package init(
      method: String, path: String, query: [(name: String, value: String)] = [],
      headers: [(name: String, value: String)], body: [UInt8] = []
    ) {
      self.method = method
      self.path = path
      self.query = query
      self.headers = headers
      self.body = body
    }
  }

  /// The value of the header Authorization.
  ///
  /// - Parameter time: as `stamp` writes it, and as X-Amz-Date has it.
  package func authorization(_ request: Request, time: String) -> String {
    let date = String(time.prefix(8))
    let scope = "\(date)/\(region)/\(service)/aws4_request"
    let (canonical, signed) = Self.canonical(request)
    let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(Self.digest(Array(canonical.utf8)))"
    var key = Array("AWS4\(credentials.secretKey)".utf8)
    for step in [date, region, service, "aws4_request", text] { key = Self.authenticator(of: step, key) }
    return
      "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope), SignedHeaders=\(signed), Signature=\(Hexadecimal.text(key))"
  }

  /// The request in the one form that both sides hash, and the names of its headers.
  static func canonical(_ request: Request) -> (text: String, signedHeaders: String) {
    var headers: [String: String] = [:]
    for (name, value) in request.headers {
      let value = value.split(separator: " ").joined(separator: " ")
      let name = name.lowercased()
      headers[name] = headers[name].map { "\($0),\(value)" } ?? value
    }
    let names = headers.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let query = request.query.map { (escaped($0.name), escaped($0.value)) }
      .sorted { one, other in
        one.0 == other.0
          ? one.1.utf8.lexicographicallyPrecedes(other.1.utf8) : one.0.utf8.lexicographicallyPrecedes(other.0.utf8)
      }
      .map { "\($0)=\($1)" }.joined(separator: "&")
    let signed = names.joined(separator: ";")
    let lines = names.map { "\($0):\(headers[$0] ?? "")\n" }.joined()
    let path = escaped(request.path, allowing: UInt8(ascii: "/"))
    return ("\(request.method)\n\(path)\n\(query)\n\(lines)\n\(signed)\n\(digest(request.body))", signed)
  }

  // MARK: Forms

  /// A text with all but letters, digits, `-`, `.`, `_` and `~` escaped (RFC 3986, 2.3).
  package static func escaped(_ text: String, allowing other: UInt8? = nil) -> String {
    let result = Hexadecimal.percentEncoded(text.utf8) { Hexadecimal.isUnreserved($0) || $0 == other }
    return String(decoding: result, as: UTF8.self)
  }

  /// `20150830T123600Z`.
  package static func stamp(_ seconds: Int) -> String {
    var time = time_t(seconds)
    var parts = tm()
    guard gmtime_r(&time, &parts) != nil else { return "" }
    func digits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let date = "\(1900 + Int(parts.tm_year))\(digits(parts.tm_mon + 1))\(digits(parts.tm_mday))"
    return "\(date)T\(digits(parts.tm_hour))\(digits(parts.tm_min))\(digits(parts.tm_sec))Z"
  }

  // MARK: Digests

  private static func authenticator(of text: String, _ key: [UInt8]) -> [UInt8] {
    let bytes = Array(text.utf8)
    return [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { buffer, count in
      var length: UInt32 = 0
      guard
        HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, buffer.baseAddress, &length) != nil
      else { fatalError("libcrypto has no HMAC with SHA-256") }
      count = Int(length)
    }
  }

  private static func digest(_ bytes: [UInt8]) -> String {
    Hexadecimal.text(
      [UInt8](unsafeUninitializedCapacity: Int(SHA256_DIGEST_LENGTH)) { buffer, count in
        SHA256(bytes, bytes.count, buffer.baseAddress)
        count = Int(SHA256_DIGEST_LENGTH)
      })
  }
}
