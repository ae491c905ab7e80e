public import Databases
import Glibc

/// How the pages are served.
public struct WebSettings: Sendable {
  /// Who may look.
  public enum Authentication: Sendable, Hashable {
    /// Everyone who reaches the address.
    case none
    /// Who is in a file of names and hashed passwords.
    case basic(usersFile: String)
    /// Whoever a proxy at one of these addresses names in a header.
    case header(name: String, proxies: [String])
  }

  public var database: DatabaseSettings
  /// An address, not a name.
  public var address = "127.0.0.1"
  /// 0 for any that is free.
  public var port = 8080
  /// `""` or a path such as `/reports`: what links begin with.
  public var prefix = ""
  public var authentication = Authentication.none
  /// Names of the server in the header Host, besides those of the loopback interface.
  public var hosts: [String] = []

  public init(database: DatabaseSettings) { self.database = database }

  public var isLoopback: Bool { address == "::1" || address.hasPrefix("127.") }

  /// Reads `ADDRESS:PORT`, `[ADDRESS]:PORT` or a port alone.
  ///
  /// - Returns: nil for anything else.
  public static func listen(_ text: String) -> (address: String, port: Int)? {
    guard let colon = text.lastIndex(of: ":") else { return port(text[...]).map { ("127.0.0.1", $0) } }
    guard let port = port(text[text.index(after: colon)...]) else { return nil }
    var address = text[..<colon]
    if address.hasPrefix("["), address.hasSuffix("]") {
      address = address.dropFirst().dropLast()
    } else if address.contains(":") {
      return nil
    }
    if address == "localhost" { address = "127.0.0.1" }
    guard !address.isEmpty, address.utf8.allSatisfy({ isAddressByte($0) }) else { return nil }
    return (String(address), port)
  }

  /// An address as it is written of a connection's peer.
  ///
  /// - Returns: nil if the text is none.
  public static func address(_ text: String) -> String? {
    var (four, six) = (in_addr(), in6_addr())
    if inet_pton(AF_INET, text, &four) == 1 { return text }
    guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
    var bytes = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard inet_ntop(AF_INET6, &six, &bytes, socklen_t(bytes.count)) != nil else { return nil }
    return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  private static func port(_ text: Substring) -> Int? {
    Route.id(String(text)).flatMap { (0...65535).contains($0) ? $0 : nil }
  }

  private static func isAddressByte(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".") || (48...57).contains(byte) || (97...102).contains(byte)
      || (65...70).contains(byte)
  }

  /// The path of `[reporting] web_prefix`, which may be a whole URL: `""`, or with a slash before it and none behind.
  public static func prefix(_ text: String) -> String {
    var path = text[...]
    if let scheme = path.firstRange(of: "://") {
      path = path[scheme.upperBound...]
      path = path.firstIndex(of: "/").map { path[$0...] } ?? ""
    }
    let steps = path.split(separator: "/", omittingEmptySubsequences: true)
    return steps.map { "/" + URLCoding.encode(String($0)) }.joined()
  }
}

/// Bounds of what strangers may take.
enum WebLimit {
  static let connections = 256
  static let headerBytes = 16 * 1024
  static let headers = 100
  static let pathBytes = 4096
  /// A form's.
  static let bodyBytes = 16 * 1024
  /// Seconds for a request to arrive whole, and that a connection without one stays.
  static let requestSeconds: Int64 = 20
  /// Seconds for an answer to be taken.
  static let answerSeconds: Int64 = 120
  /// Seconds that the end waits for answers.
  static let endSeconds: Int64 = 10
  static let databaseThreads = 4
  /// Requests that wait for the database, and those that it works on.
  static let databaseRequests = 64
  static let passwordThreads = 2
  static let passwordRequests = 32
}
