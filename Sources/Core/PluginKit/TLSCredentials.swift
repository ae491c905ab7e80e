package import EventLoop
package import Identity
import Logging
package import ServerSettings

/// Makes and checks TLS keys and certificates, for plugins with files of them.
///
/// It runs the openssl program, because the `openssl ca` configuration defines an authority.
///
/// Sources: Bcfg2/bcfg2: src/lib/Bcfg2/Server/Plugins/Cfg/CfgSSLCACertCreator.py, and 1.3.4's Plugins/SSLCA.py.
package struct TLSCredentials {
  package let loop: Reactor
  /// Prefix of errors: `SSLCA: `, or empty.
  package let label: String

  package init(loop: Reactor, label: String) {
    self.loop = loop
    self.label = label
  }

  /// Serializes signing, by the authority's configuration file: `openssl ca` does not lock its database, and two runs
  /// at once give two certificates one serial number.
  private static var signing: [String: ExclusiveTurn] = [:]

  /// A certificate authority: `[sslca_NAME]` of bcfg2.conf.
  package struct Authority {
    package let name: String
    let configuration: String?
    let passphrase: String?
    package let chain: String?
    let isRoot: Bool

    package init(_ name: String, _ settings: Settings) {
      self.name = name
      let section = "sslca_\(name)"
      let options = AuthorityOptions.standard
      configuration = settings[options.configuration, in: section]
      passphrase = settings[options.passphrase, in: section]
      chain = settings[options.chain, in: section]
      isRoot = settings[options.isRoot, in: section]
    }
  }

  // swift-format-ignore: UseSynthesizedInitializer
  /// The owner of a certificate.
  package struct Subject {
    /// Host name, the common name.
    let name: ClientName
    /// Every name in the certificate.
    let alternativeNames: [String]
    /// C, L, ST and so on, in this order.
    let fields: [(name: String, value: String)]

    /// The fields that may be set besides the common name.
    package static let fieldNames = ["C", "L", "ST", "O", "OU", "emailAddress"]

    package init(name: ClientName, alternativeNames: [String], fields: [(name: String, value: String)]) {
      self.name = name
      self.alternativeNames = alternativeNames
      self.fields = fields
    }

    /// Returns the configuration for `openssl req`.
    ///
    /// - Throws: `PluginExecutionError` if a field or name cannot be in it.
    func requestConfiguration() throws -> String {
      var lines = [
        "[req]", "default_md = sha256", "distinguished_name = req_distinguished_name", "req_extensions = v3_req",
        "prompt = no", "", "[req_distinguished_name]",
      ]
      for field in fields where !field.value.isEmpty {
        lines.append("\(field.name) = \(try ForeignGrammar.opensslValue(field.value, of: field.name))")
      }
      lines.append("CN = \(try ForeignGrammar.opensslValue(HostNames.withoutFinalDot(name.text), of: "CN"))")
      lines += ["", "[v3_req]", "subjectAltName = @alt_names", "", "[alt_names]"]
      for (index, name) in alternativeNames.enumerated() {
        lines.append("DNS.\(index + 1) = \(try ForeignGrammar.certificateHost(name))")
      }
      return lines.joined(separator: "\n") + "\n"
    }
  }

  /// Makes a private key.
  ///
  /// - Parameters:
  ///   - type: `rsa` or `dsa`.
  /// - purpose: the failed task, for the error.
  /// - Throws: `PluginExecutionError`.
  package func makeKey(type: String, bits: String, purpose: String) async throws -> [UInt8] {
    let command: [String]
    switch type {
    case "rsa": command = ["openssl", "genrsa", bits]
    case "dsa": command = ["openssl", "dsaparam", "-noout", "-genkey", bits]
    default: throw PluginExecutionError("\(label)\(purpose): unknown type of key \(type): rsa or dsa")
    }
    return try await run(command, purpose).standardOutput
  }

  /// Makes a certificate for a key, signed by the authority.
  ///
  /// - Parameter appendsChain: appends the authority's chain to the certificate.
  /// - Throws: `PluginExecutionError`, or `SystemError` where files cannot be read or written.
  package func makeCertificate(
    _ subject: Subject, key: [UInt8], days: String, by authority: Authority, appendsChain: Bool
  ) async throws -> [UInt8] {
    guard let configuration = authority.configuration else {
      throw PluginExecutionError("\(label)[sslca_\(authority.name)] section has no 'config' option")
    }
    // openssl would block on a FIFO.
    _ = try RegularFile.open(configuration)
    let folder = try TemporaryFolder()
    let request = folder.path + "/request.pem"
    let requestConfiguration = try folder.write(Array(try subject.requestConfiguration().utf8), "request.cnf")
    _ = try await run(
      [
        "openssl", "req", "-new", "-config", requestConfiguration, "-key", try folder.write(key, "key.pem"), "-text",
        "-out", request,
      ], "Failed to generate CSR")
    var command = ["openssl", "ca", "-config", configuration, "-in", request, "-days", days, "-batch"]
    var secrets: [Int32: [UInt8]] = [:]
    if let passphrase = authority.passphrase {
      command += ["-passin", "fd:3"]
      secrets[3] = Array("\(passphrase)\n".utf8)
    }
    let turn = Self.signing[configuration] ?? ExclusiveTurn()
    Self.signing[configuration] = turn
    var bytes = try await turn.run { [secrets, command] in
      try await run(command, "Failed to generate cert", secrets: secrets)
    }.standardOutput
    if appendsChain, let chain = authority.chain {
      bytes += try AtomicFile.readFile(chain, limitBytes: KeyProgram.outputLimitBytes)
    }
    return bytes
  }

  /// Checks that the authority signed a certificate and that it has not expired. Without a chain there is nothing to
  /// check.
  ///
  /// - Throws: `PluginExecutionError` if the check fails.
  package func verify(_ certificate: [UInt8], of name: String, against authority: Authority) async throws {
    guard let chain = authority.chain else { return }
    let folder = try TemporaryFolder()
    let file = try folder.write(certificate, "cert.pem")
    let options = authority.isRoot ? ["-CAfile", chain] : ["-purpose", "sslserver", "-untrusted", chain]
    _ = try await run(["openssl", "verify"] + options + [file], "\(name) failed verification against CA")
  }

  /// Checks that a certificate belongs to a key.
  ///
  /// - Parameter keyName: name of the key's entry, for the error.
  /// - Throws: `PluginExecutionError` if the check fails.
  package func verify(_ certificate: [UInt8], of name: String, fits key: [UInt8], named keyName: String) async throws {
    let folder = try TemporaryFolder()
    let certificateFile = try folder.write(certificate, "cert.pem")
    let keyFile = try folder.write(key, "key.pem")
    let purpose = "Failed to get public key of \(name)"
    let ofCertificate = try await run(["openssl", "x509", "-noout", "-pubkey", "-in", certificateFile], purpose)
    let ofKey = try await run(["openssl", "pkey", "-pubout", "-in", keyFile], purpose)
    guard ofCertificate.standardOutput == ofKey.standardOutput else {
      throw PluginExecutionError("\(label)\(name) failed verification against key \(keyName)")
    }
  }

  private func run(
    _ arguments: [String], _ purpose: String, secrets: [Int32: [UInt8]] = [:]
  ) async throws -> ChildProcess.Output {
    try await KeyProgram.run(arguments, purpose: label + purpose, secrets: secrets, on: loop)
  }
}

/// `[sslca_NAME]`: a certificate authority, for Cfg and SSLCA.
nonisolated struct AuthorityOptions: OptionGroup {
  static let standard = AuthorityOptions()

  let configuration = Option("sslca_*", "config", .path, help: "OpenSSL configuration of this certificate authority")
  let passphrase = Option("sslca_*", "passphrase", .secret, help: "Passphrase of the authority's private key")
  let chain = Option("sslca_*", "chaincert", .path, help: "Certificate chain to verify with")
  let isRoot = Option("sslca_*", "root_ca", .boolean, default: "false", help: "Whether chaincert is a root certificate")
}
