import Core
import EventLoop
import Identity
import Logging
import Repository
import Server
import XMLRPC

/// A core whose transport is a function: what the handler of a web framework would call for each POST.
final class FunctionCore: NetworkCore, CoreImplementation {
  override var name: String { "FunctionCore" }

  private var isServing = false
  private var underWay = 0
  /// Set while the core waits for pending answers.
  private var end: (timer: Timer, completion: () -> Void)?

  /// A transport with sockets takes them, its key and its certificate here.
  func open() throws {}

  override func serve() async throws { isServing = true }

  func request(
    authorization: String, body: [UInt8], from address: ClientAddress
  ) async -> (status: Int, body: [UInt8]) {
    guard isServing else { return (503, []) }
    underWay += 1
    defer {
      underWay -= 1
      if underWay == 0 { finish() }
    }
    guard let credentials = BasicAuth.parse(authorization),
      case .admitted(let caller) = await authenticate(
        certificate: nil, user: credentials.userText, password: credentials.passwordText, address: address
      ).value
    else { return (401, []) }
    let call: MethodCall
    do {
      call = try MethodCall.decode(body, limits: httpLimits)
    } catch {
      logger.error("Unexpected dispatch error for \(address.ip): \(error)")
      return (500, [])
    }
    switch await dispatch(call, from: caller) {
    case .value(let value): return (200, MethodResponse.encode(value).bytes())
    case .fault(let fault): return (200, MethodResponse.encode(fault: fault).bytes())
    case .denied: return (401, [])
    }
  }

  func stop(_ completion: @escaping () -> Void) {
    isServing = false
    guard underWay > 0, end == nil else {
      finish()
      shutdown()
      completion()
      return
    }
    let timer = loop.schedule(after: .seconds(10)) { [weak self] in self?.finish() }
    end = (timer, completion)
  }

  private func finish() {
    guard let (timer, completion) = end else { return }
    end = nil
    timer.cancel()
    shutdown()
    completion()
  }

  func reload() { fileMonitor.rescan() }

  func logCounters() { logger.notice("FunctionCore: \(underWay) requests under way") }
}
