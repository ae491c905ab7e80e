import EventLoop
import Support
import Testing

/// A certificate authority as `openssl ca` knows it, in a folder of its own.
final class TestAuthority {
  let directory = TemporaryDirectory()
  /// The section of bcfg2.conf.
  var settings: String {
    "[sslca_test]\nconfig = \(directory.file("ca.cnf"))\nchaincert = \(directory.file("ca.crt"))\nroot_ca = true\n"
  }

  init(on loop: Reactor) async throws {
    let folder = directory.path
    directory.write(
      """
      [ca]
      default_ca = c
      [c]
      database = \(folder)/index.txt
      new_certs_dir = \(folder)
      serial = \(folder)/serial
      certificate = \(folder)/ca.crt
      private_key = \(folder)/ca.key
      default_md = sha256
      policy = p
      copy_extensions = copy
      [p]
      commonName = supplied
      countryName = optional
      organizationName = optional
      """, to: "ca.cnf")
    directory.write("", to: "index.txt")
    directory.write("unique_subject = no\n", to: "index.txt.attr")
    directory.write("01\n", to: "serial")
    let made = try await ChildProcess.run(
      [
        "openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-keyout", "\(folder)/ca.key", "-out",
        "\(folder)/ca.crt", "-days", "2", "-subj", "/CN=test CA",
      ], timeout: .seconds(120), outputLimitBytes: 1 << 16, on: loop)
    try #require(made.status.isSuccess)
  }

  /// The serial number of the next certificate.
  func serial() throws -> String {
    try directory.text("serial")
  }
}
