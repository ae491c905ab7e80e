import Core
public import EventLoop
import Glibc
import Plugins
import ServerSettings

/// A new installation: a repository, bcfg2.conf, a key and a certificate, as `bcfg2-admin init` makes them.
public struct Installation {
  public var hostname: String
  public var server: String
  public var configurationFile: String
  public var repository: String
  public var password: String
  public var key: String
  public var certificate: String
  public var country = "US"
  public var state = "Illinois"
  public var locality = "Argonne"
  /// Names of `[server] plugins`.
  public var plugins: [String]

  public struct Problem: Error, CustomStringConvertible {
    public let description: String
  }

  /// - Parameter configurationFile: where the key and the certificate are beside, if the system has no folder for them.
  public init(hostname: String, configurationFile: String, repository: String, plugins: [String]) {
    self.hostname = hostname
    self.configurationFile = configurationFile
    self.repository = repository
    self.plugins = plugins
    server = Self.server(of: hostname)
    password = Self.randomPassword()
    if isFolder("/etc/pki/tls") {
      (key, certificate) = ("/etc/pki/tls/private/bcfg2.key", "/etc/pki/tls/certs/bcfg2.crt")
    } else if isFolder("/etc/ssl") {
      (key, certificate) = ("/etc/ssl/bcfg2.key", "/etc/ssl/bcfg2.crt")
    } else {
      let folder = Self.folder(of: configurationFile)
      (key, certificate) = ("\(folder)/bcfg2.key", "\(folder)/bcfg2.crt")
    }
  }

  public static func server(of hostname: String) -> String { "https://\(hostname):6789" }

  /// Letters and digits that nobody guesses: the password is kept in a file, and nobody types it.
  static func randomPassword(count: Int = 24) -> String {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
    var generator = SystemRandomNumberGenerator()
    return String((0..<count).map { _ in letters[Int.random(in: 0..<letters.count, using: &generator)] })
  }

  // MARK: The files

  /// bcfg2.conf.
  var configuration: String {
    """
    [server]
    repository = \(repository)
    plugins = \(plugins.joined(separator: ","))
    # Uncomment the following to listen on all interfaces
    #listen_all = true

    [database]
    # sqlite3, postgresql or mysql; without a name SQLite's file is <repository>/etc/bcfg2.sqlite
    #engine = sqlite3
    #name =
    #user =
    #password =
    #host =
    #port =

    [reporting]
    transport = LocalFilesystem

    [communication]
    # TLS 1.2 and later
    protocol = xmlrpc/ssl
    password = \(password.replacing("%", with: "%%"))
    certificate = \(certificate)
    key = \(key)
    ca = \(certificate)

    [components]
    bcfg2 = \(server)

    """
  }

  private static let groups = """
    <Groups>
      <Group profile='true' public='true' default='true' name='basic'/>
    </Groups>

    """

  /// Checks what the names become: lines of bcfg2.conf, attributes and parts of a certificate's subject.
  public func check() throws(Problem) {
    for (name, value) in [
      ("host name", hostname), ("server", server), ("repository", repository), ("password", password), ("key", key),
      ("certificate", certificate), ("country", country), ("state", state), ("locality", locality),
    ] {
      guard !value.isEmpty, value.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else {
        throw Problem(description: "The \(name) is empty, or has a control character")
      }
    }
    guard hostname.utf8.allSatisfy({ $0.isNameByte }) else {
      throw Problem(description: "\(hostname) is not the name of a host")
    }
    guard server.hasPrefix("https://"), ServerLocation(server) != nil else {
      throw Problem(description: "The server is https://HOST:PORT, not \(server)")
    }
    guard country.utf8.count == 2 else {
      throw Problem(description: "The country is a code of two letters, not \(country)")
    }
  }

  /// Makes the folders of the repository, and groups.xml and clients.xml where they are missing.
  ///
  /// A symbolic link in the place of a folder is refused: it would choose where files are made.
  ///
  /// - Returns: the files that were there and stay as they are.
  public func makeRepository() throws(Problem) -> [String] {
    let folders = plugins.compactMap { PluginRegistry.standard.type(named: $0) }.filter { $0.createsFolder }
    do {
      try makeFolders(repository)
      for folder in ["etc", "Metadata"] + folders.map({ $0.name }) { try Self.makeFolder("\(repository)/\(folder)") }
      let clients = "<Clients>\n  <Client profile=\"basic\" name=\"\(hostname)\"/>\n</Clients>\n"
      var kept: [String] = []
      for (name, text, mode) in [
        ("groups.xml", Self.groups, FileWrite.Mode.ordinary), ("clients.xml", clients, .secret),
      ] {
        let path = "\(repository)/Metadata/\(name)"
        if fileExists(path) {
          kept.append(path)
        } else {
          // Also a link that leads to nothing is refused: it would choose where the file is made.
          try AtomicFile.write(
            FileWrite(Array(text.utf8), to: path, replacing: .missing, mode: mode, followsLinks: false))
        }
      }
      return kept
    } catch {
      throw Problem(description: "Failed to create \(repository): \(error)")
    }
  }

  /// Writes bcfg2.conf, mode 0600. A symbolic link is refused.
  public func writeConfiguration() throws(Problem) {
    do {
      try makeFolders(Self.folder(of: configurationFile))
      var version = FileVersion.missing
      if fileExists(configurationFile) {
        // The new file gets the mode of the old one.
        let old = try FileDescriptor.open(configurationFile, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        guard fchmod(old.rawValue, 0o600) == 0 else {
          throw SystemError(call: "fchmod", errno: errno, detail: configurationFile)
        }
        version = try AtomicFile.version(of: configurationFile, limitBytes: 1 << 24)
      }
      try AtomicFile.write(
        FileWrite(
          Array(configuration.utf8), to: configurationFile, replacing: version, mode: .secret, followsLinks: false))
    } catch {
      throw Problem(description: "Error trying to write configuration file '\(configurationFile)': \(error)")
    }
  }

  /// Makes an RSA key and a certificate for 1000 days that it signs itself, by openssl. Both are there, or neither.
  public func makeKey(on loop: Reactor) async throws(Problem) {
    func escaped(_ text: String) -> String { text.replacing("\\", with: "\\\\").replacing("/", with: "\\/") }
    let isAddress = hostname.contains(":") || hostname.utf8.allSatisfy { $0.isDigit || $0 == UInt8(ascii: ".") }
    // openssl writes to what it finds: in folders that nobody else can have filled.
    let made = NewFolders()
    let duty = EndingDuty { made.remove() }
    defer {
      made.remove()
      withExtendedLifetime(duty) {}
    }
    umask(0o077)
    do {
      try makeFolders(Self.folder(of: key))
      try makeFolders(Self.folder(of: certificate))
      for path in [key, certificate] { made.paths.append(try Self.ownFolder(beside: path)) }
      let (newKey, newCertificate) = ("\(made.paths[0])/new", "\(made.paths[1])/new")
      let result = try await ChildProcess.run(
        [
          "openssl", "req", "-batch", "-x509", "-nodes", "-newkey", "rsa:2048", "-sha256", "-days", "1000", "-subj",
          "/C=\(escaped(country))/ST=\(escaped(state))/L=\(escaped(locality))/CN=\(escaped(hostname))", "-addext",
          "subjectAltName=\(isAddress ? "IP" : "DNS"):\(hostname)", "-keyout", newKey, "-out", newCertificate,
        ], timeout: .seconds(120), outputLimitBytes: 1 << 20, on: loop)
      guard result.status.isSuccess else {
        throw Problem(
          description: "Error generating key: \(String(decoding: result.standardError, as: UTF8.self))")
      }
      guard chmod(newKey, 0o600) == 0, chmod(newCertificate, 0o644) == 0, rename(newKey, key) == 0,
        rename(newCertificate, certificate) == 0
      else { throw SystemError(call: "rename", errno: errno, detail: "\(key), \(certificate)") }
    } catch {
      if let problem = error as? Problem { throw problem }
      throw Problem(description: "Error generating key: \(error)")
    }
  }

  /// Makes a folder for this user alone, in which a file is made that is then renamed to a path.
  private static func ownFolder(beside path: String) throws(SystemError) -> String {
    var name = Array("\(folder(of: path))/.bcfg2-init.XXXXXX".utf8CString)
    guard mkdtemp(&name) != nil else { throw SystemError(call: "mkdtemp", errno: errno, detail: folder(of: path)) }
    return String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func folder(of path: String) -> String {
    let end = path.lastIndex(of: "/") ?? path.startIndex
    return end == path.startIndex ? "/" : String(path[..<end])
  }

  /// Makes a folder, unless it is there.
  private static func makeFolder(_ path: String) throws(Problem) {
    if mkdir(path, 0o777) == 0 { return }
    var code = errno
    var status = stat()
    if code == EEXIST, lstat(path, &status) == 0 {
      if status.st_mode & S_IFMT == S_IFDIR { return }
      if status.st_mode & S_IFMT == S_IFLNK { code = ELOOP }
    }
    throw Problem(description: "\(path): \(code == ELOOP ? "it is a symbolic link" : String(cString: strerror(code)))")
  }

  private func makeFolders(_ path: String) throws { try EventLoop.makeFolders(path) }
}

/// Folders with one file each, `new`.
@MainActor private final class NewFolders {
  var paths: [String] = []

  func remove() {
    for folder in paths {
      unlink("\(folder)/new")
      rmdir(folder)
    }
    paths = []
  }
}

nonisolated extension UInt8 {
  fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

  fileprivate var isNameByte: Bool {
    let letter = self | 0x20
    return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter) || isDigit
      || [0x2d, 0x2e, 0x5f, 0x3a].contains(self)
  }
}
