import Administration
import ArgumentParser
import Commands
import Core
import EventLoop
import Glibc
import Plugins
import ServerSettings

/// `bcfg2-admin init`.
struct InitMode: AdminMode {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Interactively initialize a new repository.",
    discussion: """
      Asks for what the options do not say, with a default for each, and makes a repository, bcfg2.conf (mode 0600), a key and a \
      certificate. With --batch nothing is asked. Files that are there stay, unless the answer to a question, or --force, says \
      otherwise; groups.xml and clients.xml of a repository always stay.
      """)

  @ArgumentParser.Option(help: "The server's host name.") var hostname: String?
  @ArgumentParser.Option(help: "Server location: https://HOST:PORT.") var server: String?
  @ArgumentParser.Option(
    name: [.customShort("Q"), .customLong("repository")], help: "Location of the repository.")
  var repository: String?
  @ArgumentParser.Option(help: "Plugins of [server] plugins, between commas.") var plugins: String?
  @ArgumentParser.Option(
    help: "A file whose first line is the password of clients; without it, a random one, or what is typed.")
  var passwordFile: String?
  @ArgumentParser.Option(name: .customLong("ssl-key"), help: "Where the private key will be.") var key: String?
  @ArgumentParser.Option(name: .customLong("ssl-cert"), help: "Where the certificate will be.") var certificate: String?
  @ArgumentParser.Option(help: "Country code for the certificate.") var country: String?
  @ArgumentParser.Option(help: "State or province for the certificate.") var state: String?
  @ArgumentParser.Option(help: "Locality, such as a city, for the certificate.") var locality: String?
  @Flag(help: "Ask nothing: options and defaults.") var batch = false
  @Flag(help: "Replace bcfg2.conf, the key and the certificate if they are there.") var force = false
  @ArgumentParser.OptionGroup var common: ConfigurationArguments

  @MainActor func run(_ context: AdminContext) throws -> Int32 {
    do {
      var installation = try defaults(context)
      if !batch { try ask(&installation, namesFile: context.options.configurationFile != nil) }
      try installation.check()
      let kept = try installation.makeRepository()
      for path in kept { Output.print("Leaving \(path) unchanged") }
      // Bcfg2's spelling, which scripts look for.
      Output.print("Repository created successfuly in \(installation.repository)")
      if mayWrite(installation.configurationFile, leaving: installation.configurationFile) {
        try installation.writeConfiguration()
      }
      let files = [installation.key, installation.certificate].filter { fileExists($0) }
      if let file = files.first {
        guard mayWrite(file, leaving: files.joined(separator: " and ")) else { return 0 }
      }
      let made = installation
      return try context.onLoop { loop in
        try await made.makeKey(on: loop)
        return 0
      }
    } catch let problem as Installation.Problem {
      throw AdminProblem("\(problem)")
    }
  }

  // MARK: Answers

  @MainActor private func defaults(_ context: AdminContext) throws -> Installation {
    let registry = PluginRegistry.standard.settings
    let settings: Settings
    let path = Paths.absolute(context.options.configurationFile ?? environmentFile ?? Settings().configurationFile)
    if fileExists(path) {
      settings = try Settings.load(context.options, registry: registry)
    } else {
      settings = try Settings(INIFile(), commandLine: context.options, registry: registry)
    }
    var installation = Installation(
      hostname: hostname ?? Self.ownName(), configurationFile: path,
      repository: repository.map { Paths.absolute($0) } ?? settings.repository,
      plugins: plugins.map { $0.split(separator: ",").map(String.init) } ?? settings.plugins)
    if let server { installation.server = server }
    if let key { installation.key = Paths.absolute(key) }
    if let certificate { installation.certificate = Paths.absolute(certificate) }
    if let country { installation.country = country }
    if let state { installation.state = state }
    if let locality { installation.locality = locality }
    if let passwordFile {
      let bytes: [UInt8]
      do {
        bytes = try RegularFile.read(passwordFile, limitBytes: 1 << 16)
      } catch {
        throw AdminProblem("\(passwordFile): \(error)")
      }
      installation.password = String(
        decoding: bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    }
    let unknown = installation.plugins.filter { PluginRegistry.standard.type(named: $0) == nil }
    guard unknown.isEmpty else { throw AdminProblem("Unknown plugins: \(unknown.joined(separator: ", "))") }
    return installation
  }

  private var environmentFile: String? {
    for name in ["BCFG2_CONFIG_FILE", "BCFG2_CONFIG"] {
      if let value = getenv(name) { return String(cString: value) }
    }
    return nil
  }

  /// The questions of Bcfg2, in its order.
  ///
  /// - Parameter namesFile: whether the command line names bcfg2.conf.
  @MainActor private func ask(_ installation: inout Installation, namesFile: Bool) throws {
    if hostname == nil {
      installation.hostname = try answer("What is the server's hostname", installation.hostname)
      if server == nil { installation.server = Installation.server(of: installation.hostname) }
    }
    if server == nil { installation.server = try answer("Server location", installation.server) }
    if !namesFile {
      let path = try answer("Path to Bcfg2 configuration", installation.configurationFile)
      installation.configurationFile = Paths.absolute(path)
    }
    if repository == nil {
      while true {
        let path = try answer("Location of Bcfg2 repository", installation.repository)
        installation.repository = Paths.absolute(path)
        if !isFolder(installation.repository) { break }
        let reply = try line("Directory \(installation.repository) exists. Add what is missing? [y/N]: ")
        if ["y", "Y"].contains(reply) { break }
      }
    }
    if passwordFile == nil {
      let typed = try secret(
        "Input password used for communication verification (without echoing; leave blank for random): ")
      if !typed.isEmpty { installation.password = typed }
    }
    if key == nil {
      installation.key = Paths.absolute(
        try answer("Path where Bcfg2 server private key will be created", installation.key))
    }
    if certificate == nil {
      installation.certificate = Paths.absolute(
        try answer("Path where Bcfg2 server cert will be created", installation.certificate))
    }
    guard country == nil || state == nil || locality == nil else { return }
    Output.print("The following questions affect SSL certificate generation.")
    Output.print("If no data is provided, the default values are used.")
    if country == nil { installation.country = try answer("Country code for certificate", installation.country) }
    if state == nil {
      installation.state = try answer("State or Province Name (full name) for certificate", installation.state)
    }
    if locality == nil {
      installation.locality = try answer("Locality Name (e.g., city) for certificate", installation.locality)
    }
  }

  private func answer(_ question: String, _ standard: String) throws -> String {
    let text = try line("\(question) [\(standard)]: ")
    return text.isEmpty ? standard : text
  }

  /// - Throws: `AdminProblem` where standard input ends.
  private func line(_ question: String) throws -> String {
    Output.write(question)
    guard let text = readLine() else {
      throw AdminProblem("\nStandard input has ended; --batch asks nothing")
    }
    return String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }

  /// A line that is not shown while it is typed.
  private func secret(_ question: String) throws -> String {
    var terminal = termios()
    guard tcgetattr(STDIN_FILENO, &terminal) == 0 else { return try line(question) }
    var silent = terminal
    silent.c_lflag &= ~tcflag_t(ECHO)
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent)
    defer {
      tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal)
      Output.print("")
    }
    return try line(question)
  }

  /// Whether a file may be written: it is not there, or is to be replaced.
  private func mayWrite(_ path: String, leaving: String) -> Bool {
    if force || !fileExists(path) { return true }
    if !batch, let reply = try? line("\nWarning: \(path) already exists. Overwrite? [y/N]: "),
      ["y", "Y"].contains(reply)
    {
      return true
    }
    Output.print("Leaving \(leaving) unchanged")
    return false
  }

  /// This machine's name in full, as far as name service has it.
  private static func ownName() -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
    let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var hints = addrinfo()
    hints.ai_flags = AI_CANONNAME
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(name, nil, &hints, &found) == 0, let found else { return name }
    defer { freeaddrinfo(found) }
    return found.pointee.ai_canonname.map { String(cString: $0) } ?? name
  }
}
