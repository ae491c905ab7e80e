package import XMLRPC

/// The call of EC2 that has the tags of the instance with a private DNS name.
package enum DescribeInstances {
  /// The version of EC2's interface, of which this call has not changed since.
  static let version = "2016-11-15"
  /// Most bytes of an answer.
  package static let answerBytes = 4 << 20
  /// Most tags of an instance; AWS allows 50, and adds some of its own.
  package static let tagLimit = 500
  /// Most bytes of the names and values of an instance's tags.
  package static let tagBytes = 256 << 10

  /// The form that is posted.
  ///
  /// - Parameter token: where the answer before this one ended.
  package static func form(host: String, token: String? = nil) -> [UInt8] {
    // `*` and `?` in a value stand for any text.
    let literal = host.map { "*?\\".contains($0) ? "\\\($0)" : "\($0)" }.joined()
    var fields = [
      ("Action", "DescribeInstances"), ("Filter.1.Name", "private-dns-name"), ("Filter.1.Value.1", literal),
      ("Version", version),
    ]
    if let token { fields.append(("NextToken", token)) }
    let text = fields.map { "\($0)=\(RequestSignature.escaped($1))" }.joined(separator: "&")
    return Array(text.utf8)
  }

  /// The headers of the request, signed.
  package static func headers(
    _ endpoint: ServiceEndpoint, _ signature: RequestSignature, body: [UInt8], seconds: Int
  ) -> [(name: String, value: String)] {
    let time = RequestSignature.stamp(seconds)
    var headers = [
      (name: "Host", value: endpoint.host), (name: "X-Amz-Date", value: time),
      (name: "Content-Type", value: "application/x-www-form-urlencoded; charset=utf-8"),
    ]
    if let token = signature.credentials.sessionToken { headers.append((name: "X-Amz-Security-Token", value: token)) }
    let request = RequestSignature.Request(method: "POST", path: endpoint.path, headers: headers, body: body)
    headers.append((name: "Authorization", value: signature.authorization(request, time: time)))
    return headers
  }

  // MARK: Answers

  /// What an answer says.
  package enum Page: Sendable, Equatable {
    /// The tags of the first reservation's first instance; nil: it has no instance. And how many other instances there are.
    case tags([InstanceTag]?, others: Int = 0)
    /// There was none so far; the next answer may have one.
    case more(token: String)
  }

  /// An error as AWS tells it.
  package struct Failure: Sendable, Equatable {
    package let code: String
    package let message: String

    /// Whether it asks for fewer requests, or failed in a way that the next one may not.
    package var isTransient: Bool {
      [
        "RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled", "TooManyRequestsException",
        "InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable",
      ].contains(code)
    }

    /// Whether the time of the request is not AWS's.
    package var isOfTime: Bool {
      code == "RequestExpired" || code == "RequestTimeTooSkewed" || message.contains("Signature expired")
        || message.contains("Signature not yet current")
    }

    /// Whether the keys are no longer valid.
    package var isOfKeys: Bool { ["ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId"].contains(code) }
  }

  /// Reads an answer of status 200.
  ///
  /// - Throws: where it is none of this call, such as a page of a proxy: without tags a client would lose groups.
  package static func page(_ document: [UInt8]) throws(XMLError) -> Page {
    var tags: [InstanceTag]?
    var token = ""
    var name: String?
    var value = ""
    var bytes = 0
    var reservations = 0
    var instances = 0
    var isFirst: Bool { reservations == 1 && instances == 1 }
    try read(document) { (event, path, text, reader) throws(XMLError) in
      if event == .start, path.count == 1, path != [Places.answer] {
        throw reader.error("a document of type \(shown(path[0], 100))")
      }
      switch (event, path.dropFirst().joined(separator: "/")) {
      case (.start, Places.reservation): reservations += 1
      case (.start, Places.instance):
        instances += 1
        if isFirst { tags = [] }
      case (.start, Places.tag): (name, value) = (nil, "")
      case (.end, Places.key) where isFirst: name = text
      case (.end, Places.value) where isFirst: value = text
      case (.end, Places.tag) where isFirst:
        guard let name else { throw reader.error("a tag without a key") }
        bytes += name.utf8.count + value.utf8.count
        guard tags?.count ?? 0 < tagLimit else { throw reader.error("an instance with more than \(tagLimit) tags") }
        guard bytes <= tagBytes else { throw reader.error("an instance with tags of more than \(tagBytes) bytes") }
        tags?.append(InstanceTag(name, value))
      case (.end, "nextToken"): token = text
      default: break
      }
    }
    // Where a filter is given an answer may have no instance and go on all the same.
    if tags == nil && reservations == 0 && !token.isEmpty { return .more(token: token) }
    return .tags(tags, others: tags == nil ? instances : instances - 1)
  }

  /// Reads an answer of another status; nil where it is no error of AWS.
  package static func failure(_ document: [UInt8]) -> Failure? {
    var code: String?
    var message = ""
    do throws(XMLError) {
      try read(document) { (event, path, text, _) throws(XMLError) in
        guard event == .end, path.count >= 2, path[path.count - 2] == "Error" else { return }
        if path.last == "Code", code == nil { code = text }
        if path.last == "Message", message.isEmpty { message = text }
      }
    } catch {
      return nil
    }
    return code.map { Failure(code: shown($0, 100), message: shown(message, 300)) }
  }

  /// A foreign text for a log: its first line, at most so many characters, without what cannot be seen.
  package static func shown(_ text: String, _ limit: Int) -> String {
    let line = text.unicodeScalars.prefix { $0 != "\n" && $0 != "\r" }.filter { $0.value >= 0x20 && !$0.isInvisible }
    var result = String.UnicodeScalarView()
    result.append(contentsOf: line.prefix(limit))
    return String(result)
  }

  // MARK: Reading

  private enum Places {
    static let answer = "DescribeInstancesResponse"
    static let reservation = "reservationSet/item"
    static let instance = "reservationSet/item/instancesSet/item"
    static let tag = "\(instance)/tagSet/item"
    static let key = "\(tag)/key"
    static let value = "\(tag)/value"
  }

  private enum Event { case start, end }

  /// Calls `body` with each begin and end, the names above it and its own text.
  private static func read(
    _ document: [UInt8],
    _ body: (_ event: Event, _ path: [String], _ text: String, _ reader: XMLReader) throws(XMLError) -> Void
  ) throws(XMLError) {
    // The answer's size is bounded where it is received.
    var reader = try XMLReader(document, limits: HTTPLimits().withoutRequestBounds)
    var path: [String] = []
    var text: [UInt8] = []
    while let token = try reader.next() {
      switch token {
      case .start(let name, _):
        path.append(name)
        text = []
        try body(.start, path, "", reader)
      case .text(let bytes): text += bytes
      case .end:
        try body(.end, path, String(decoding: text, as: UTF8.self), reader)
        path.removeLast()
        text = []
      }
    }
  }
}
