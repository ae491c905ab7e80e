import EventLoop
import Glibc
import Support
import Testing

@Suite struct AddressNetworkTests {
  @Test(arguments: [
    ("192.0.2.0/24", "192.0.2.255", true), ("192.0.2.0/24", "192.0.3.0", false), ("192.0.2.77/24", "192.0.2.1", true),
    ("192.0.2.1", "192.0.2.1", true), ("192.0.2.1", "192.0.2.2", false), ("0.0.0.0/0", "203.0.113.9", true),
    ("0.0.0.0/0", "2001:db8::1", false), ("2001:db8::/32", "2001:db8:ffff::1", true),
    ("2001:db8::/32", "2001:db9::1", false), ("2001:db8::/65", "2001:db8::7fff:0:0:1", true),
    ("2001:db8::/65", "2001:db8::8000:0:0:1", false), ("::/0", "2001:db8::1", true), ("::1", "::1", true),
    ("::1/128", "::2", false), ("192.0.2.0/24", "::ffff:192.0.2.9", true), ("::/0", "192.0.2.1", false),
    ("192.0.2.128/25", "192.0.2.127", false), ("192.0.2.128/31", "192.0.2.129", true),
  ])
  func networksContainTheirAddresses(_ row: (network: String, host: String, isInside: Bool)) throws {
    let network = try #require(AddressNetwork(row.network))
    #expect(network.contains(try #require(SocketAddress(host: row.host, port: 40000))) == row.isInside)
    #expect(!network.contains(.unix("/x")))
  }

  @Test(arguments: [
    "", "/", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/+1", "2001:db8::/129", "192.0.2/24", "name",
    "192.0.2.0/24/1", "192.0.2.0/ 24", "192.0.2.0/255.255.255.0",
  ])
  func otherTextIsNoNetwork(_ text: String) { #expect(AddressNetwork(text) == nil) }
}

@Suite struct UnixSocketFileTests {
  private let folder = TemporaryDirectory()

  private func status(_ path: String) -> stat? {
    var status = stat()
    return lstat(path, &status) == 0 ? status : nil
  }

  @Test func theFileHasItsModeWhateverTheMask() throws {
    let path = folder.file("socket")
    let former = umask(0)
    defer { umask(former) }
    let socket = try UnixSocketFile.listen(at: path, mode: 0o660)
    #expect(status(path)?.st_mode == S_IFSOCK | 0o660)
    #expect(umask(0) == 0)
    _ = consume socket
  }

  @Test func whatNobodyListensOnIsReplaced() throws {
    let path = folder.file("socket")
    do { _ = try UnixSocketFile.listen(at: path, mode: 0o600) }
    let old = try UnixSocketFile(at: path)
    // The number of an inode that still has a name is not given to the new file.
    #expect(link(path, folder.file("kept")) == 0)
    let socket = try UnixSocketFile.listen(at: path, mode: 0o660)
    #expect(try UnixSocketFile(at: path) != old)
    // The former owner leaves the new file alone.
    old.remove()
    #expect(status(path) != nil)
    try UnixSocketFile(at: path).remove()
    #expect(status(path) == nil)
    _ = consume socket
  }

  @Test func whatSomebodyListensOnStays() throws {
    let path = folder.file("socket")
    let socket = try UnixSocketFile.listen(at: path, mode: 0o600)
    let file = try UnixSocketFile(at: path)
    let error = #expect(throws: SystemError.self) { _ = try UnixSocketFile.listen(at: path, mode: 0o600) }
    #expect(error?.errno == EADDRINUSE && error?.description.contains("another process listens on it") == true)
    #expect(try UnixSocketFile(at: path) == file)
    _ = consume socket
  }

  @Test func anotherFileStays() throws {
    let path = folder.write("text", to: "file")
    let error = #expect(throws: SystemError.self) { _ = try UnixSocketFile.listen(at: path, mode: 0o600) }
    #expect(error?.errno == EEXIST && error?.description.contains("no socket") == true)
    let link = folder.file("link")
    symlink("/nowhere", link)
    #expect(throws: SystemError.self) { _ = try UnixSocketFile.listen(at: link, mode: 0o600) }
    #expect(status(link)?.st_mode ?? 0 & S_IFMT != 0)
  }
}
