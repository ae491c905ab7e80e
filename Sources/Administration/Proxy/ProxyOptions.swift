import EventLoop
public import ServerSettings

/// Options of bcfg2.conf for programs that call the server. The server itself does not read them.
///
/// Source: Bcfg2/bcfg2: src/lib/Bcfg2/Client/Proxy.py.
public nonisolated struct ProxyOptions: OptionGroup {
  public static let standard = ProxyOptions()

  public let user = Option("communication", "user", .text, default: "root", help: "User to authenticate as")
  public let serverCommonNames = Option(
    "communication", "serverCommonNames", .text,
    help: "Names, between colons, of which the certificate of the server must have one")
}

/// How to reach a server.
public nonisolated struct ProxySettings: Sendable {
  public var location = ServerLocation(host: "localhost")
  public var user = "root"
  /// nil: no authentication by password.
  public var password: String?
  /// Paths of PEM files.
  public var key: String?
  public var certificate: String?
  public var authority: String?
  /// Names of which the certificate of the server must have one; empty: any name.
  public var commonNames: [String] = []
  /// For the whole call.
  public var timeout: Duration = .seconds(90)

  public init() {}

  /// As bcfg2.conf and the command line say.
  ///
  /// A certificate that only the built-in default names is presented if it is there, with its key.
  public init(_ settings: Settings) {
    let server = ServerOptions.standard
    location = settings[server.location]
    user = settings[ProxyOptions.standard.user]
    password = settings[server.password]
    let (key, certificate) = (settings[server.key], settings[server.certificate])
    let areNamed = settings.origin(of: server.key) != .builtIn || settings.origin(of: server.certificate) != .builtIn
    if areNamed || fileExists(key) && fileExists(certificate) { (self.key, self.certificate) = (key, certificate) }
    authority = settings[server.certificateAuthority]
    commonNames = (settings[ProxyOptions.standard.serverCommonNames] ?? "").split(separator: ":").map(String.init)
    timeout = settings[server.clientTimeout]
  }
}
