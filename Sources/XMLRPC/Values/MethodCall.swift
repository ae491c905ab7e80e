/// Why bytes are not a method call. The Python server answers these with status 500 and no body. It has no limits; a call
/// that exceeds one of ours is answered with a fault that names it.
public enum MethodCallError: Error, Sendable, Equatable {
  /// Not well-formed, not in a known encoding, or beyond a limit of the reader.
  case xml(XMLError)
  /// Well-formed, but a value is not what its tag says, or the elements are not a call.
  case invalid(String, offset: Int)
  /// More than a limit allows.
  case limit(LimitExceeded)

  /// The limit that the call goes over, where that is the reason.
  public var exceeded: LimitExceeded? {
    switch self {
    case .xml(let error): error.exceeded
    case .limit(let exceeded): exceeded
    case .invalid: nil
    }
  }
}

extension MethodCallError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .xml(let error): error.description
    case .invalid(let reason, let offset): "\(reason) before byte \(offset)"
    case .limit(let exceeded): exceeded.description
    }
  }
}

/// A method's name and its parameters.
public struct MethodCall: Sendable, Equatable {
  public var method: String
  public var params: [Value]

  public init(method: String, params: [Value]) {
    self.method = method
    self.params = params
  }

  /// Decodes the body of a request.
  ///
  /// Accepts what Python's `xmlrpclib.loads` accepts, which is more than XML-RPC: `nil`, `i1` to `i8`, `biginteger`,
  /// `float`, namespace prefixes, a value without a type as a string, no `params`, elements out of place. Refuses
  /// what Python refuses, and also a document type, which Python reads.
  ///
  /// - Parameter budget: is charged with what is read. nil: one for this body.
  public static func decode(
    _ body: [UInt8], limits: HTTPLimits = HTTPLimits(), budget: RequestBudget? = nil
  ) throws(MethodCallError) -> MethodCall {
    var decoder = ValueDecoder(limits: limits, budget: budget ?? RequestBudget(limits: limits, bodyBytes: body.count))
    let document = try decoder.decode(body)
    guard let method = document.method, !document.isFault else {
      throw .invalid(document.isFault ? "a fault, not a method call" : "no methodName", offset: body.count)
    }
    return MethodCall(method: method, params: document.values)
  }
}

extension MethodResponse {
  /// Decodes the body of a response: its value, or the fault that was answered.
  public static func decode(
    _ body: [UInt8], limits: HTTPLimits = HTTPLimits()
  ) throws(MethodCallError) -> Result<Value, Fault> {
    var decoder = ValueDecoder(limits: limits, budget: RequestBudget(limits: limits, bodyBytes: body.count))
    let document = try decoder.decode(body)
    guard document.method == nil, document.values.count == 1, let value = document.values.first else {
      throw .invalid("not a method response", offset: body.count)
    }
    guard document.isFault else { return .success(value) }
    guard let code = value["faultCode"]?.int, let short = Int32(exactly: code), let text = value["faultString"]?.string
    else { throw .invalid("malformed fault", offset: body.count) }
    return .failure(Fault(code: short, string: text))
  }
}
