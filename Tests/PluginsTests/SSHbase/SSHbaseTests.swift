import Core
import CoreSupport
import EventLoop
import Glibc
import Repository
import ServerSettings
import Support
import Testing

@testable import Plugins

private func paths(_ names: String...) -> String {
  names.map { "<Path name=\"/etc/ssh/\($0)\"/>" }.joined()
}

@Test func knownHostsListEveryNameOfAKey() async throws {
  let files = RepositoryFixture.files(
    bundle: paths("ssh_known_hosts", "ssh_host_rsa_key", "ssh_host_key"),
    [
      "SSHbase/ssh_host_rsa_key.H_one.example.com": "private one\n",
      "SSHbase/ssh_host_rsa_key.pub.H_one.example.com": "ssh-rsa ONE\n",
      "SSHbase/ssh_host_rsa_key.pub.H_two.example.com": "ssh-rsa TWO",
      "SSHbase/ssh_host_rsa_key.pub.H_stranger": "ssh-rsa STRANGER\n",
      "SSHbase/ssh_host_dsa_key.pub.G10_web": "ssh-dsa WEB\n",
      "SSHbase/ssh_host_key.H_one.example.com": "binary\u{1}", "SSHbase/b.static": "b static\n\n",
      "SSHbase/a.static": "a static", "SSHbase/unknown": "",
    ])
  let names = ["192.0.2.1": "one.example.com", "192.0.2.2": "dos", "2001:db8::2": "two.example.com"]
  try await RepositoryFixture.run(files: files, names: names, settings: RepositoryFixture.settings("SSHbase")) {
    fixture async throws in
    let hosts = "/etc/ssh/ssh_known_hosts"
    let one = "192.0.2.1,one,one.example.com,uno"
    // Addresses of clients.xml are no names: 127.0.0.1 is in the list only as an address.
    let shared = """
      a static
      b static
      127.0.0.1,\(one) ssh-dsa WEB
      127.0.0.1,\(one) ssh-rsa ONE
      127.0.0.2,2001:db8::2,two,two.example.com ssh-rsa TWO

      """
    let entry = try #require(try await fixture.entry(hosts))
    let local = "localhost,localhost.localdomain,127.0.0.1"
    #expect(entry.text == shared + "\(local) ssh-dsa WEB\n\(local) ssh-rsa ONE\n")
    #expect(entry["mode"] == "0644" && entry["type"] == "file" && entry["secontext"] == nil)
    #expect(try await fixture.entry(hosts, of: "two.example.com")?.text == shared + "\(local) ssh-rsa TWO")
    #expect(try await fixture.entry("/etc/ssh/ssh_host_rsa_key")?.text == "private one\n")
    #expect(try await fixture.entry("/etc/ssh/ssh_host_rsa_key")?["mode"] == "0600")
    let old = try #require(try await fixture.entry("/etc/ssh/ssh_host_key"))
    #expect(old.text == "YmluYXJ5AQ==" && old["encoding"] == "base64")

    fixture.edit("SSHbase/ssh_host_rsa_key.pub.H_one.example.com", "ssh-rsa EDITED\n")
    fixture.edit("SSHbase/info.xml", "<FileInfo><Info owner=\"sshd\" mode=\"0444\"/></FileInfo>")
    let edited = try #require(try await fixture.entry(hosts))
    #expect(edited.text?.contains("\(one) ssh-rsa EDITED\n") ?? false)
    #expect(edited["owner"] == "sshd" && edited["mode"] == "0444" && edited["group"] == "root")
    fixture.edit("SSHbase/ssh_known_hosts.H_one.example.com", "given\n")
    #expect(try await fixture.entry(hosts)?.text == "given\n")
    let data = try await fixture.metadata()[connector: "SSHbase"] as? SSHbaseData
    #expect(data?.publicKeys["ssh_host_rsa_key.pub"] == Array("ssh-rsa EDITED\n".utf8))
  }
}

@Test func keysAreMadeOnce() async throws {
  let files = RepositoryFixture.files(bundle: paths("ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"))
  try await RepositoryFixture.run(files: files, settings: RepositoryFixture.settings("SSHbase")) {
    fixture async throws in
    let open = "SSHbase/ssh_host_ed25519_key.pub.H_one.example.com"
    let secret = "SSHbase/ssh_host_ed25519_key.H_one.example.com"
    let entry = try #require(try await fixture.entry("/etc/ssh/ssh_host_ed25519_key"))
    #expect(entry.text == (try fixture.text(secret)))
    #expect(entry.text?.hasPrefix("-----BEGIN OPENSSH PRIVATE KEY-----") ?? false)
    let line = try fixture.text(open)
    #expect(line.hasPrefix("ssh-ed25519 ") && line.hasSuffix(" root@one.example.com\n"))
    #expect(try await fixture.entry("/etc/ssh/ssh_host_ed25519_key")?.text == entry.text)
    // A lost public key is made again from the private one, which stays.
    fixture.repository.write("", to: open)
    #expect(unlink(fixture.repository.file(open)) == 0)
    #expect(try await fixture.entry("/etc/ssh/ssh_host_ed25519_key.pub")?.text == line)
    #expect(try fixture.text(secret) == entry.text)
    let choices = try fixture.plugin(SSHbasePlugin.self).acceptChoices(
      Element("Path", ["name": "/etc/ssh/ssh_host_rsa_key"]), try await fixture.metadata())
    #expect(choices == [fixture.repository.file("SSHbase/ssh_host_rsa_key.H_one.example.com")])
  }
}

@Test func keysAreEncryptedWithTheNamedPassphrase() async throws {
  let directory = TemporaryDirectory()
  let conf = directory.write(
    """
    [server]
    repository = \(directory.path)
    plugins = Bundler,Metadata,SSHbase
    [sshbase]
    passphrase = keys
    [encryption]
    keys = secret
    """, to: "bcfg2.conf")
  var settings = try Settings(INIFile(path: conf), registry: PluginRegistry.standard.settings)
  settings.password = "foobat"
  let files = RepositoryFixture.files(bundle: paths("ssh_host_ed25519_key"))
  try await RepositoryFixture.run(files: files, settings: settings) { fixture async throws in
    let entry = try #require(try await fixture.entry("/etc/ssh/ssh_host_ed25519_key"))
    #expect(entry.text?.hasPrefix("-----BEGIN OPENSSH PRIVATE KEY-----") ?? false)
    let stored = try fixture.text("SSHbase/ssh_host_ed25519_key.H_one.example.com.crypt")
    #expect(Encryption.isEncrypted(Array(stored.utf8)))
    #expect(!fileExists(fixture.repository.file("SSHbase/ssh_host_ed25519_key.H_one.example.com")))
    // A key that cannot be decrypted must not be replaced.
    fixture.edit("SSHbase/ssh_host_ed25519_key.H_one.example.com.crypt", "U2FsdGVkX18AAAAAAAAAAA==")
    #expect(
      try await fixture.entry("/etc/ssh/ssh_host_ed25519_key")?["failure"]?.contains("Failed to decrypt") ?? false)
  }
}
