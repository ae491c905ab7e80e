import CoreSupport
import EventLoop
import Identity
import Networking
import Support
import XMLRPC

@testable import Core
@testable import Server

/// Asks a core through the path of a request, without sockets. Client n is at 127.0.0.(n + 1).
final class LocalRequests {
  let core: NetworkCore
  private var admitted: [Int: Caller] = [:]
  private let head = HTTPRequestHead(
    method: "POST", target: "/RPC2", headers: [HTTPField("Authorization", "Basic cm9vdDpmb29iYXQ=")])

  init(_ core: NetworkCore) { self.core = core }

  static func address(_ client: Int) -> ClientAddress { ClientAddress(ip: "127.0.0.\(client + 1)", port: 1) }

  /// The body of the response to a client; nil where it may not come in.
  func ask(_ client: Int, _ method: String, _ parameters: [Value] = []) async -> [UInt8]? {
    core.bytesCame()
    guard await authenticate(client) else { return nil }
    return await body(client, method, parameters)
  }

  /// The head of a request whose body has not arrived yet; false where the client may not come in.
  func authenticate(_ client: Int) async -> Bool {
    guard case .admitted(let caller) = await core.authenticate(head, peer: peer(client)).value else {
      admitted[client] = nil
      return false
    }
    admitted[client] = caller
    return true
  }

  /// The body of a request whose head was admitted.
  func body(_ client: Int, _ method: String, _ parameters: [Value] = []) async -> [UInt8] {
    let call = MethodCall(method: method, params: parameters).encode().bytes()
    let request = HTTPRequest(head: head, body: call)
    return await core.respond(to: request, peer: peer(client)).value.body.bytes()
  }

  private func peer(_ client: Int) -> PeerIdentity {
    var peer = PeerIdentity(address: .ipv4(0x7f00_0001 + UInt32(client), port: 1))
    peer.caller = admitted[client]
    return peer
  }
}
