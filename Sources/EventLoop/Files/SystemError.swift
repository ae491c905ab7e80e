import Glibc

/// A system call that failed: which, why, and on what.
///
/// The third of the four kinds of error: the caller degrades, says so once, and names the limit to raise.
public nonisolated struct SystemError: Error, Hashable, CustomStringConvertible {
  /// The call's name, as in its man page: `open`, `accept4`.
  public let call: String
  /// The error number, copied right after the call.
  public let errno: Int32
  /// What the call was about, usually a path or an address; may be empty.
  public let detail: String
  /// Why, where the error number says too little: `a FIFO, not a regular file`.
  public let explanation: String?

  public init(call: String, errno: Int32, detail: String = "", explanation: String? = nil) {
    self.call = call
    self.errno = errno
    self.detail = detail
    self.explanation = explanation
  }

  /// The explanation, or else the error number's text: `No such file or directory`.
  public var reason: String { explanation ?? String(cString: strerror(errno)) }

  /// `open /x: No such file or directory`, or `epoll_create1: Too many open files` without a detail.
  public var description: String { detail.isEmpty ? "\(call): \(reason)" : "\(call) \(detail): \(reason)" }
}

/// Makes a call that returns -1 and errno on failure, again while a signal interrupts it.
///
/// - Throws: `SystemError` with the errno of the failed call.
@discardableResult
nonisolated func check<Result: FixedWidthInteger>(
  _ call: String, _ detail: @autoclosure () -> String = "", _ body: () -> Result
) throws(SystemError) -> Result {
  while true {
    let result = body()
    if result != -1 { return result }
    let code = errno
    if code != EINTR { throw SystemError(call: call, errno: code, detail: detail()) }
  }
}
