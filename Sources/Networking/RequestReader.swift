import EventLoop
import Identity
import XMLRPC

/// Reads the requests of one connection: the parser, and the bytes behind the request that is being answered.
///
/// It is a class so that states hand it on without copying what it holds.
final class RequestReader {
  private var parser: HTTPRequestParser
  /// Bytes beyond the last step of the parser.
  private var pending: BoundedBuffer
  /// Bytes of the body that count in the table's sum.
  var heldBytes = 0

  /// - Parameter limitBytes: the most bytes that `parse` is given at once.
  init(limits: HTTPLimits, limitBytes: Int) {
    parser = HTTPRequestParser(limits: limits)
    pending = BoundedBuffer(limitBytes: limitBytes)
  }

  /// No byte of a request has come.
  var isIdle: Bool { parser.isIdle && pending.isEmpty }

  /// Bytes that were read and not parsed yet.
  var pendingBytes: Int { pending.count }

  /// Bytes of the body so far.
  var bodyBytes: Int { parser.bodyBytesReceived }

  /// Parses the pending bytes up to the next step.
  func parsePending() -> HTTPRequestParser.Step {
    let (consumed, step) = pending.withReadableBytes { parser.consume($0) }
    pending.consume(consumed)
    return step
  }

  /// Parses bytes up to the next step, and keeps those beyond it. No bytes are pending before.
  func parse(_ bytes: UnsafeRawBufferPointer) -> HTTPRequestParser.Step {
    let (consumed, step) = parser.consume(bytes)
    let kept = pending.append(UnsafeRawBufferPointer(rebasing: bytes[consumed...]))
    precondition(kept == bytes.count - consumed, "what was read does not fit behind the request")
    return step
  }

  /// Goes on with the body of the request whose head was parsed last: the request, if there is no body.
  func acceptBody() -> HTTPRequestParser.Step { parser.acceptBody() }
}

/// One request and its answer, from the end of the headers to the answer.
nonisolated struct Exchange {
  let head: HTTPRequestHead
  let reader: RequestReader
  /// Who authenticated with the request.
  var caller: Caller?
  /// Waits for the handler where that did not answer at once.
  var task: Task<Void, Never>?

  init(_ head: HTTPRequestHead, from reader: RequestReader) {
    self.head = head
    self.reader = reader
  }
}
