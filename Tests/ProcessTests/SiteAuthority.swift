import EventLoop
import Support

/// A certificate authority as a site has it: `openssl ca` in a folder, which makes certificates, revocation lists and
/// responses of OCSP.
struct SiteAuthority {
  let folder: TemporaryDirectory
  private let loop: Reactor

  var certificate: String { folder.file("site/ca.crt") }
  var lists: String { folder.file("site/crl.pem") }
  var response: String { folder.file("site/response.der") }

  private static let configuration = """
    [ca]
    default_ca = site
    [site]
    database = index.txt
    serial = serial
    crlnumber = crlnumber
    new_certs_dir = .
    certificate = ca.crt
    private_key = ca.key
    default_md = sha256
    default_days = 2
    default_crl_days = 2
    policy = any
    copy_extensions = copy
    [any]
    commonName = supplied
    [req]
    distinguished_name = any
    """

  /// Makes the authority and a certificate for each name.
  init(in folder: TemporaryDirectory, names: [String], on loop: Reactor) async throws {
    self.folder = folder
    self.loop = loop
    folder.write(Self.configuration, to: "site/ca.cnf")
    for (file, text) in [("index.txt", ""), ("serial", "1000\n"), ("crlnumber", "01\n")] {
      folder.write(text, to: "site/\(file)")
    }
    try await run("openssl req -x509 \(Self.newKey) -days 2 -subj '/CN=site CA' -keyout ca.key -out ca.crt")
    for name in names {
      try await run(
        "openssl req -new \(Self.newKey) -subj /CN=\(name) -addext subjectAltName=DNS:\(name),IP:127.0.0.1"
          + " -keyout \(name).key -out \(name).csr && openssl ca -batch -notext -config ca.cnf -in \(name).csr"
          + " -out \(name).crt")
    }
    try await makeList()
  }

  private static let newKey = "-nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256"

  /// Replaces the list as one step.
  func makeList() async throws {
    try await run("openssl ca -config ca.cnf -gencrl -out crl.new && mv crl.new crl.pem")
  }

  func revoke(_ name: String) async throws {
    try await run("openssl ca -config ca.cnf -revoke \(name).crt")
    try await makeList()
  }

  /// What the authority itself says of a certificate by now.
  func respond(about name: String) async throws {
    try await run(
      "openssl ocsp -issuer ca.crt -cert \(name).crt -no_nonce -reqout request.der && openssl ocsp -index index.txt"
        + " -CA ca.crt -rsigner ca.crt -rkey ca.key -reqin request.der -ndays 2 -respout response.new"
        + " && mv response.new response.der")
  }

  func identity(_ name: String) -> TestIdentity {
    TestIdentity(certificate: folder.file("site/\(name).crt"), key: folder.file("site/\(name).key"))
  }

  /// Runs a line of the shell in the authority's folder; returns what it wrote.
  @discardableResult
  func run(_ line: String) async throws -> String {
    let result = try await ChildProcess.run(
      ["/bin/sh", "-c", "cd \(folder.file("site")) && { \(line) ; } 2>&1"], timeout: .seconds(120),
      outputLimitBytes: 1 << 20, on: loop)
    let output = String(decoding: result.standardOutput, as: UTF8.self)
    guard result.status.isSuccess else { throw FixtureError(description: "\(line): \(output)") }
    return output
  }
}
