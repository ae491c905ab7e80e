import EventLoop

/// What the server and the program that asks EC2 send each other: frames over a stream socket, numbers little-endian.
///
/// The server sends `settings` first, and again where they change, then questions. Each question gets one answer, in any order,
/// with the question's number.
package enum TagMessages {
  /// The program's descriptor of the socket.
  package static let socketNumber: Int32 = 3
  /// Most bytes of a message behind its header.
  package static let limitBytes = 1 << 20

  package enum Kind {
    package static let settings: UInt8 = 1
    package static let question: UInt8 = 2
    package static let tags: UInt8 = 3
    package static let failure: UInt8 = 4
    /// A line for the server's log.
    package static let notice: UInt8 = 5
  }

  /// Bytes that are none of these messages.
  package struct Malformed: Error {}

  /// How EC2 is asked.
  package struct Settings: Sendable, Equatable {
    package var endpoint: String
    package var region: String
    package var credentials: CredentialSource
    /// A file of certificates that the endpoint's must lead to; nil: those of the system.
    package var authority: String?
    /// For one question, with all that is tried again.
    package var timeoutMilliseconds: Int
    /// Most requests at once.
    package var parallel: Int
    package var userAgent: String

    package init(
      endpoint: String, region: String, credentials: CredentialSource, authority: String?, timeoutMilliseconds: Int,
      parallel: Int, userAgent: String
    ) {
      self.endpoint = endpoint
      self.region = region
      self.credentials = credentials
      self.authority = authority
      self.timeoutMilliseconds = timeoutMilliseconds
      self.parallel = parallel
      self.userAgent = userAgent
    }
  }

  /// What became of a question.
  package enum Answer: Sendable, Equatable {
    /// nil: there is no such instance.
    case tags([InstanceTag]?)
    case failure(Failure)
  }

  /// Why there are no tags.
  package struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
    /// Whether the next question would fail in the same way.
    package let isOfService: Bool
    package let description: String

    package init(isOfService: Bool, _ description: String) {
      self.isOfService = isOfService
      self.description = description
    }
  }

  // MARK: Writing

  package static func frame(_ settings: Settings) -> [UInt8] {
    var writer = Writer()
    writer.write(settings.endpoint)
    writer.write(settings.region)
    switch settings.credentials {
    case .given(let credentials):
      writer.write(0)
      writer.write(credentials.accessKey)
      writer.write(credentials.secretKey)
      writer.write(credentials.sessionToken ?? "")
    case .instance(let url):
      writer.write(1)
      writer.write(url)
    }
    writer.write(settings.authority ?? "")
    writer.write(settings.timeoutMilliseconds)
    writer.write(settings.parallel)
    writer.write(settings.userAgent)
    return FrameHeader.frame(kind: Kind.settings, request: 0, writer.bytes)
  }

  package static func frame(question number: UInt64, host: String) -> [UInt8] {
    FrameHeader.frame(kind: Kind.question, request: number, Array(host.utf8))
  }

  package static func frame(_ answer: Answer, to number: UInt64) -> [UInt8] {
    var writer = Writer()
    switch answer {
    case .tags(let tags):
      writer.write(tags == nil ? 0 : 1)
      writer.write(tags?.count ?? 0)
      for tag in tags ?? [] {
        writer.write(tag.name)
        writer.write(tag.value)
      }
      return FrameHeader.frame(kind: Kind.tags, request: number, writer.bytes)
    case .failure(let failure):
      writer.write(failure.isOfService ? 1 : 0)
      writer.write(failure.description)
      return FrameHeader.frame(kind: Kind.failure, request: number, writer.bytes)
    }
  }

  package static func frame(notice text: String) -> [UInt8] {
    FrameHeader.frame(kind: Kind.notice, request: 0, Array(text.utf8))
  }

  // MARK: Reading

  package static func settings(_ payload: ArraySlice<UInt8>) throws(Malformed) -> Settings {
    var reader = Reader(rest: payload)
    let endpoint = try reader.text()
    let region = try reader.text()
    let credentials: CredentialSource
    switch try reader.number() {
    case 0:
      let accessKey = try reader.text()
      let secretKey = try reader.text()
      let token = try reader.text()
      credentials = .given(
        AWSCredentials(accessKey: accessKey, secretKey: secretKey, sessionToken: token.isEmpty ? nil : token))
    case 1: credentials = .instance(try reader.text())
    default: throw Malformed()
    }
    let authority = try reader.text()
    let settings = Settings(
      endpoint: endpoint, region: region, credentials: credentials, authority: authority.isEmpty ? nil : authority,
      timeoutMilliseconds: try reader.number(), parallel: try reader.number(), userAgent: try reader.text())
    guard reader.rest.isEmpty else { throw Malformed() }
    return settings
  }

  /// - Parameter kind: `Kind.tags` or `Kind.failure`.
  package static func answer(_ kind: UInt8, _ payload: ArraySlice<UInt8>) throws(Malformed) -> Answer {
    var reader = Reader(rest: payload)
    let flag = try reader.number()
    let answer: Answer
    switch kind {
    case Kind.tags:
      let count = try reader.number()
      // Each has two lengths.
      guard count <= reader.rest.count / 8 else { throw Malformed() }
      var tags: [InstanceTag] = []
      for _ in 0..<count {
        let name = try reader.text()
        tags.append(InstanceTag(name, try reader.text()))
      }
      answer = .tags(flag == 0 ? nil : tags)
    case Kind.failure: answer = .failure(Failure(isOfService: flag != 0, try reader.text()))
    default: throw Malformed()
    }
    guard reader.rest.isEmpty else { throw Malformed() }
    return answer
  }

  // MARK: Forms

  private struct Writer {
    var bytes: [UInt8] = []

    mutating func write(_ number: Int) {
      withUnsafeBytes(of: UInt32(clamping: number).littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func write(_ text: String) {
      write(text.utf8.count)
      bytes.append(contentsOf: text.utf8)
    }
  }

  private struct Reader {
    var rest: ArraySlice<UInt8>

    mutating func number() throws(Malformed) -> Int {
      guard rest.count >= 4 else { throw Malformed() }
      let number = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
      rest = rest.dropFirst(4)
      return number
    }

    mutating func text() throws(Malformed) -> String {
      let count = try number()
      guard rest.count >= count, let text = String(validating: rest.prefix(count), as: UTF8.self) else {
        throw Malformed()
      }
      rest = rest.dropFirst(count)
      return text
    }
  }
}
