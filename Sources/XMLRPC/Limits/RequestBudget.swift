/// A bound that a request, or the data to be kept for a client, has exceeded.
///
/// `name` is what an administrator looks for: an option as `[section] option`, or a fixed bound of docs/reliability.md.
public struct LimitExceeded: Error, Sendable, Hashable, CustomStringConvertible {
  public let name: String
  /// The bound, in its unit.
  public let limit: Int

  public init(_ name: String, _ limit: Int) {
    self.name = name
    self.limit = limit
  }

  public var description: String { "more than \(name) (\(limit)) allows" }
}

/// What one request may cost, charged by everything that reads what the client sent: the call, probe data, statistics,
/// JSON, YAML.
///
/// Readers charge before they keep something; the first charge over a bound is refused, and with it the request.
/// Costs are the readers' estimates of what they allocate, so that a document whose tree would be a hundred times its
/// size is refused long before. A request that is larger may cost more: see `HTTPLimits.requestBytesPerByte`.
///
/// A class, because all readers of a request charge one. It is used by one task at a time and on one thread: nothing
/// is locked.
public final class RequestBudget: @unchecked Sendable {
  /// The budget of the request that this task carries out; nil outside of requests: a reader then
  /// makes one for what it reads.
  @TaskLocal public static var current: RequestBudget?

  /// The bounds.
  public let limits: HTTPLimits
  /// Most bytes that may be held at once for this request.
  public let limitBytes: Int
  /// Bytes that are held, by the readers' estimates.
  public private(set) var heldBytes = 0
  /// Elements, attributes, values, members and nodes that were read.
  public private(set) var elements = 0
  /// Lines that were looked at one by one.
  public private(set) var lines = 0
  /// Bytes of distinct names: tags, namespaces, attributes, members.
  public private(set) var nameBytes = 0

  /// Steps that regular expressions have taken, those of quick matches not counted.
  public private(set) var regexSteps = 0

  /// - Parameter bodyBytes: how many bytes the client sent.
  public init(limits: HTTPLimits = HTTPLimits(), bodyBytes: Int) {
    self.limits = limits
    let (product, overflow) = bodyBytes.multipliedReportingOverflow(by: limits.requestBytesPerByte)
    limitBytes =
      overflow
      ? .max
      : product.addingReportingOverflow(limits.requestBytes).overflow
        ? .max : product + limits.requestBytes
  }

  /// The budget of the request that is carried out, else one for a text of so many bytes.
  public static func currentOr(bytes: Int, limits: HTTPLimits = HTTPLimits()) -> RequestBudget {
    current ?? RequestBudget(limits: limits, bodyBytes: bytes)
  }

  /// Charges what is about to be allocated.
  @inline(__always)
  public func charge(bytes: Int) throws(LimitExceeded) {
    heldBytes += bytes
    if heldBytes > limitBytes { throw LimitExceeded("[server] request_bytes", limits.requestBytes) }
  }

  /// Charges one element, attribute, value, member or node, and what it takes.
  @inline(__always)
  public func chargeElement(bytes: Int) throws(LimitExceeded) {
    elements += 1
    if elements > limits.requestElements { throw LimitExceeded("[server] request_elements", limits.requestElements) }
    try charge(bytes: bytes)
  }

  /// Charges lines that are looked at one by one.
  public func charge(lines count: Int) throws(LimitExceeded) {
    lines += count
    if lines > limits.requestLines { throw LimitExceeded("requestLines", limits.requestLines) }
  }

  /// Charges a name that is kept once, however often it occurs.
  public func chargeName(bytes: Int) throws(LimitExceeded) {
    nameBytes += bytes
    if nameBytes > limits.requestNameBytes { throw LimitExceeded("requestNameBytes", limits.requestNameBytes) }
    try charge(bytes: bytes + RequestBudget.stringBytes)
  }

  /// Charges steps of regular expressions. Returns false, and charges nothing, where fewer are left.
  public func spend(regexSteps count: Int) -> Bool {
    guard count <= limits.requestRegexSteps - regexSteps else { return false }
    regexSteps += count
    return true
  }

  /// Releases what is no longer held.
  public func release(bytes: Int) { heldBytes -= bytes }

  /// What a text that does not fit into its variable takes beside its bytes.
  public static let stringBytes = 32

  /// What a text of so many bytes takes on the heap: nothing up to 15.
  @inline(__always)
  public static func heapBytes(ofText count: Int) -> Int { count > 15 ? count + stringBytes : 0 }
}
