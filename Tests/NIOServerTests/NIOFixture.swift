#if NIO
  import EventLoop
  import Glibc
  import Identity
  import Logging
  import Networking
  import ServerSettings
  import Support
  import XMLRPC

  @testable import NIOServer

  /// A table whose connections come from NIO, with clients on loopback.
  final class NIOFixture {
    let loop: Reactor
    let handler = Handler()
    let table: ConnectionTable
    let library: NIOConnections
    let context: TLSContext
    let certificates: TestCertificates
    let address: SocketAddress
    let log = LogRecorder(level: .trace)
    private(set) var warnings: [String] = []
    private(set) var exhaustions: [SystemError] = []

    var port: UInt16 { address.port }

    /// - Parameters:
    ///   - bounds: limits that are not the usual ones.
    ///   - files: of the server; by default a certificate of its own.
    ///   - socket: listens already; the fixture takes it.
    ///   - isServing: false where connections are to wait in the kernel's queue.
    init(
      _ bounds: [NetworkLimit: Int] = [:], settings: Settings = Settings(), certificates: TestCertificates = .init(),
      files: TLSContext.Files? = nil, floor: TLSContext.ProtocolFloor = .tls12, socket: CInt? = nil,
      isServing: Bool = true, on loop: Reactor
    ) async throws {
      self.loop = loop
      self.certificates = certificates
      var limits = NetworkLimits()
      for (limit, value) in bounds { limits[limit] = value }
      let files = files ?? certificates.write(certificates.makeIdentity(["server"]), as: "server")
      context = try TLSContext(files: files, floor: floor)
      table = ConnectionTable(on: loop, handler: handler, limits: limits, context: context)
      table.logger = log.logger(label: "Connection")
      library = NIOConnections(on: loop, settings: settings)
      warnings = try library.open(for: table, context: context)
      let listening = try socket ?? Self.makeListeningSocket()
      address = try library.listen(on: FileDescriptor(owning: listening))
      library.onExhausted = { [unowned self] in exhaustions.append($0) }
      if isServing { try await library.serve() }
    }

    /// A client that has shaken hands.
    func connect(_ options: TestClient.Options = .init()) async throws -> TestClient {
      let client = try TestClient(port: port, options)
      guard try await client.handshake(on: loop) else {
        throw FixtureError(description: "no handshake: \(client.failure ?? "")")
      }
      return client
    }

    /// Waits until something holds, two minutes at most.
    func wait(until condition: () -> Bool) async -> Bool {
      let deadline = MonotonicTime.now() + .seconds(120)
      while !condition() {
        if MonotonicTime.now() > deadline { return false }
        await loop.nextIteration()
      }
      return true
    }

    /// A socket that listens on loopback; the caller closes it.
    static func makeListeningSocket() throws -> CInt {
      let socket = try Listener.bind(to: .ipv4(0x7f00_0001, port: 0))
      return socket.take()
    }

    /// Begins the end, as a core does.
    func beginEnd(finishesNew: Bool = false, _ completion: @escaping () -> Void = {}) {
      library.close { [self] in
        table.drain(finishesNew: finishesNew) { [self] in library.finish(completion) }
      }
    }

    /// Ends everything; whether all connections ended within their time.
    func end() async -> Bool {
      var isDone = false
      beginEnd { isDone = true }
      return await wait { isDone } && table.count == 0
    }

    /// A request with this body.
    static func request(_ body: [UInt8], method: String = "POST") -> [UInt8] {
      Array("\(method) / HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body
    }

    /// Answers as the test says; admits everybody, unless it is told to refuse.
    final class Handler: RequestHandler {
      var refusal: HTTPResponse?
      /// Answers are made when the test says so, by `goOn`.
      var holds = false
      private var held: [CheckedContinuation<Void, Never>] = []
      var heldCount: Int { held.count }
      var respond: (HTTPRequest) -> HTTPResponse = { .xml(ByteSegments($0.body)) }
      private(set) var peers: [PeerIdentity] = []
      private(set) var requests: [HTTPRequest] = []

      func authenticate(_ head: HTTPRequestHead, peer: PeerIdentity) -> Answer<AuthenticationOutcome> {
        peers.append(peer)
        return .now(refusal.map { .refused($0) } ?? .admitted(Caller("one", ip: peer.clientAddress.ip)))
      }

      func respond(to request: HTTPRequest, peer: PeerIdentity) -> Answer<HTTPResponse> {
        requests.append(request)
        guard holds else { return .now(respond(request)) }
        return .later { [self] in
          await withCheckedContinuation { held.append($0) }
          return respond(request)
        }
      }

      /// Has the answers made that were asked for.
      func goOn() {
        for continuation in held { continuation.resume() }
        held = []
      }
    }
  }
#endif
