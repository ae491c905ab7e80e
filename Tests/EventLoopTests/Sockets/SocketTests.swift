import CLinux
import Glibc
import Support
import Testing

@testable import EventLoop

struct SocketAddressTests {
  @Test(
    arguments: [
      ("192.0.2.1", "192.0.2.1", "192.0.2.1:80"), ("::1", "::1", "[::1]:80"), ("[2001:DB8::5]", "2001:db8::5", nil),
      ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7:80"), ("fe80::1%3", "fe80::1%3", "[fe80::1%3]:80"),
      ("0.0.0.0", "0.0.0.0", nil), ("::", "::", nil), ("255.255.255.255", "255.255.255.255", nil),
      ("localhost", nil, nil), ("", nil, nil), ("1.2.3", nil, nil), ("1.2.3.4.5", nil, nil), ("256.1.1.1", nil, nil),
      ("fe80::1%eth0", nil, nil), ("192.0.2.1\0", nil, nil), (":::", nil, nil),
    ] as [(String, String?, String?)])
  func numericAddressesAreReadAndWritten(text: String, host: String?, description: String?) {
    let address = SocketAddress(host: text, port: 80)
    #expect(address?.host == host)
    if let description { #expect(address?.description == description) }
  }

  @Test func anAddressSurvivesItsSockaddr() throws {
    let addresses: [SocketAddress] = [
      .ipv4(0xc000_0201, port: 65535), .ipv6(high: 0x2001_0db8 << 32, low: 0x1_0000_0002, port: 1, scope: 4),
      .unix("/run/bcfg2.sock"),
    ]
    for address in addresses {
      let copy = try address.withSockaddr { pointer, length in
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) {
          $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: Int(length)))
        }
        return SocketAddress(storage, length: length)
      }
      #expect(copy == address)
    }
    let error = #expect(throws: SystemError.self) {
      try SocketAddress.unix(String(repeating: "x", count: 108)).withSockaddr { _, _ in }
    }
    #expect(error?.errno == ENAMETOOLONG)
    #expect(SocketAddress.unix("/x").description == "unix:/x")
  }

  @Test func loopbackAndMappedAddressesAreKnown() throws {
    let mapped = try #require(SocketAddress(host: "::ffff:127.0.0.1", port: 9))
    #expect(mapped.unmapped == .ipv4(0x7f00_0001, port: 9) && mapped.isLoopback && mapped.family == AF_INET6)
    #expect(SocketAddress(host: "::1", port: 9)?.isLoopback == true)
    #expect(SocketAddress(host: "128.0.0.1", port: 9)?.isLoopback == false)
    #expect(try SocketAddress.resolve(host: "127.0.0.1", port: 6789) == [.ipv4(0x7f00_0001, port: 6789)])
    #expect(try SocketAddress.resolve(host: "localhost", port: 1).allSatisfy { $0.isLoopback && $0.port == 1 })
  }
}

struct ListenerTests {
  private static let anyPort = SocketAddress.ipv4(0x7f00_0001, port: 0)

  /// A blocking client socket, connected: the kernel completes it without an accept.
  private func connect(to address: SocketAddress) throws -> FileDescriptor {
    let raw = socket(address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    let client = FileDescriptor(owning: raw)
    #expect(try address.withSockaddr { Glibc.connect(raw, $0, $1) } == 0)
    return client
  }

  @Test(arguments: ["127.0.0.1", "::1"])
  func connectionsArriveWithTheirPeer(host: String) throws {
    let loop = try Reactor()
    var peers: [SocketAddress] = []
    let address = try #require(SocketAddress(host: host, port: 0))
    let listener = try Listener(on: loop, address: address) { connection, peer in
      #expect(fcntl(connection.rawValue, F_GETFL) & O_NONBLOCK != 0)
      #expect(fcntl(connection.rawValue, F_GETFD) & FD_CLOEXEC != 0)
      // From the listener, without a call for each connection.
      var isUndelayed: Int32 = 0
      var size = socklen_t(MemoryLayout<Int32>.size)
      #expect(getsockopt(connection.rawValue, Int32(IPPROTO_TCP), TCP_NODELAY, &isUndelayed, &size) == 0)
      #expect(isUndelayed != 0)
      peers.append(peer)
      loop.closeLater(connection)
    }
    #expect(listener.address.port != 0)
    let client = try connect(to: listener.address)
    #expect(LoopDriver.run(loop) { peers.count == 1 })
    #expect(peers == [try SocketAddress.local(of: client.rawValue)])
    #expect(try SocketAddress.peer(of: client.rawValue) == listener.address)
    let error = #expect(throws: SystemError.self) { _ = try Listener.bind(to: listener.address) }
    #expect(error?.description == "bind \(listener.address): Address already in use")
    listener.close()
    loop.runOnce()
    #expect(loop.shutDown().isEmpty)
  }

  @Test func bothFamiliesShareAPort() throws {
    let six = try Listener.bind(to: .ipv6(high: 0, low: 1, port: 0))
    let port = try SocketAddress.local(of: six.rawValue).port
    let four = try Listener.bind(to: .ipv4(0x7f00_0001, port: port))
    #expect(try SocketAddress.local(of: four.rawValue).port == port)
  }

  @Test func aUnixSocketAccepts() throws {
    let loop = try Reactor()
    let folder = TemporaryDirectory()
    var accepted = 0
    let listener = try Listener(on: loop, address: .unix(folder.file("socket"))) { _, peer in
      #expect(peer == .unix(""))
      accepted += 1
    }
    let client = try connect(to: listener.address)
    #expect(LoopDriver.run(loop) { accepted == 1 })
    client.close()
    listener.close()
  }

  @Test func theBudgetAndPauseBoundATurn() throws {
    let loop = try Reactor()
    var accepted = 0
    let socket = try Listener.bind(to: ListenerTests.anyPort)
    let listener = try Listener(on: loop, socket: socket, budget: 2) { connection, _ in
      accepted += 1
      loop.closeLater(connection)
    }
    let clients = ClientList()
    for _ in 0..<5 { clients.add(try connect(to: listener.address)) }
    loop.runOnce(wait: .zero)
    #expect(accepted == 2)
    listener.pause()
    loop.runOnce(wait: .zero)
    #expect(accepted == 2 && listener.isPaused)
    listener.resume()
    loop.runOnce(wait: .zero)
    loop.runOnce(wait: .zero)
    #expect(accepted == 5)
    listener.close()
  }

  @Test(arguments: [EMFILE, ENFILE, ENOMEM])
  func exhaustionPausesUntilADescriptorCloses(code: Int32) throws {
    let loop = try Reactor()
    var accepted = 0
    var calls = 0
    var errors: [Int32] = []
    let socket = try Listener.bind(to: ListenerTests.anyPort)
    let listener = try Listener(
      on: loop, socket: socket, budget: 4,
      acceptCall: { raw, address, length in
        calls += 1
        // The first connection was reset in the queue; then descriptors are used up.
        if calls <= 2 {
          errno = calls == 1 ? ECONNABORTED : code
          return -1
        }
        return clinux_accept(raw, address, length)
      },
      handler: { _, _ in accepted += 1 })
    listener.onExhausted = { errors.append($0.errno) }
    let client = try connect(to: listener.address)
    loop.runOnce(wait: .zero)
    #expect(calls == 2 && listener.isExhausted && errors == [code])
    // The waiting connection does not spin the loop.
    loop.runOnce(wait: .zero)
    #expect(calls == 2)
    loop.closeLater(try FileDescriptor.open("/dev/null", O_RDONLY))
    loop.runOnce(wait: .zero)
    #expect(!listener.isExhausted)
    loop.runOnce(wait: .zero)
    #expect(accepted == 1 && errors == [code])
    client.close()
    listener.close()
  }

  @Test func exhaustionIsTriedAgainWithoutAClose() throws {
    let (loop, kernel) = FakePoller.makeLoop()
    let listener = try Listener(
      on: loop, socket: try Listener.bind(to: ListenerTests.anyPort), budget: 4,
      acceptCall: { _, _, _ in
        errno = EMFILE
        return -1
      }, handler: { _, _ in })
    let descriptor = try #require(kernel.registrations.keys.first)
    kernel.report([descriptor: .readable])
    loop.runOnce()
    #expect(kernel.registrations[descriptor]?.interest == [])
    loop.runOnce()
    #expect(kernel.waits.last == Listener.exhaustedRetry)
    #expect(kernel.registrations[descriptor]?.interest == .read)
    listener.close()
  }
}

/// Keeps noncopyable descriptors open.
private final class ClientList {
  private var raw: [Int32] = []
  func add(_ client: consuming FileDescriptor) { raw.append(client.take()) }
  isolated deinit { for descriptor in raw { close(descriptor) } }
}
