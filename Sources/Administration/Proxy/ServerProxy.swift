import ServerSettings
public import XMLRPC

/// Calls methods of a running server, by XML-RPC over TLS.
public struct ServerProxy {
  /// Most bytes of an answer.
  static let answerLimitBytes = 256 << 20

  private let settings: ProxySettings

  public init(_ settings: ProxySettings) { self.settings = settings }

  /// Calls a method and waits for its value.
  ///
  /// - Throws: `ProxyError`, in the words of Bcfg2's clients.
  public func call(_ method: String, _ parameters: [Value] = []) throws(ProxyError) -> Value {
    var body: [UInt8] = []
    MethodCall(method: method, params: parameters).encode().forEachSegment { body += $0 }
    let answer = try PostTransfer(settings, body: body, limitBytes: Self.answerLimitBytes).run()
    guard answer.status == 200 else { throw .status(settings.address, answer.status, answer.reason) }
    var limits = HTTPLimits().withoutRequestBounds
    limits.bodyBytes = Self.answerLimitBytes
    limits.xmlTextBytes = Self.answerLimitBytes
    limits.callValues = .max
    let decoded: Result<Value, Fault>
    do throws(MethodCallError) {
      decoded = try MethodResponse.decode(answer.body, limits: limits)
    } catch {
      throw .answer("\(error)")
    }
    switch decoded {
    case .success(let value): return value
    case .failure(let fault): throw .fault(fault.code, fault.string)
    }
  }
}

/// Why a call has no value.
public nonisolated enum ProxyError: Error, Sendable, Hashable, CustomStringConvertible {
  /// No answer: the server cannot be reached, or is not the one that it has to be.
  case transfer(String, String)
  case status(String, Int, String)
  case fault(Int32, String)
  /// An answer that is no XML-RPC.
  case answer(String)

  public var description: String {
    switch self {
    case .transfer(let address, let reason): "XML-RPC Protocol Error for \(address): \(reason) (408)"
    case .status(let address, let status, let reason): "XML-RPC Protocol Error for \(address): \(reason) (\(status))"
    case .fault(let code, let text): "XML-RPC Fault: \(text) (\(code))"
    case .answer(let reason): "The answer is not XML-RPC: \(reason)"
    }
  }
}

nonisolated extension ProxySettings {
  /// Host, port and path, for messages: without user and password.
  var address: String { location.description.dropFirst("https://".count) + "/RPC2" }
}
