public import EventLoop
import Glibc

/// A transport whose peer and kernel are the test: what is read, how far writes go, and when things fail.
public final class ScriptedTransport: Transport {
  /// One thing that a read meets.
  public enum Input: Equatable {
    case bytes([UInt8])
    case wantRead
    case wantWrite
    case closed
    case failed(TransportFailure)
  }

  public let descriptor: CInt
  /// What the handshake says, one per call; then `.done`.
  public var handshakeScript: [StepOutcome] = []
  /// What the reads meet, in order; then `.wantRead`.
  public var input: [Input] = []
  /// Outcomes that the next writes have instead of taking bytes.
  public var writeScript: [TransferOutcome] = []
  /// Bytes the peer still takes before the socket is full.
  public var windowBytes = Int.max
  /// What the peer got through TLS.
  public private(set) var received: [UInt8] = []
  /// What the peer got past TLS.
  public private(set) var receivedInClear: [UInt8] = []
  public private(set) var hasSentCloseNotify = false
  public private(set) var discardedBytes = 0
  public private(set) var reads = 0
  public private(set) var handshakes = 0
  public var peerCommonName: String?
  public var verifyResult = 0
  public var applicationProtocol: String? = "http/1.1"
  public var protocolText = "scripted"
  /// What comes below TLS, one piece each read; then `.wantRead`.
  public var inputInClear: [Input] = []
  public var peerCertificateFault: String?
  private var unsent: [UInt8] = []

  public init(descriptor: CInt) { self.descriptor = descriptor }

  /// Bytes that TLS itself has to send, such as a flight of the handshake.
  public func hold(_ text: String) { unsent += Array(text.utf8) }

  /// Adds bytes for the next reads.
  public func feed(_ text: String) { input.append(.bytes(Array(text.utf8))) }

  public func handshake() -> StepOutcome {
    handshakes += 1
    return handshakeScript.isEmpty ? .done : handshakeScript.removeFirst()
  }

  public func readInClear(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome {
    take(from: &inputInClear, into: buffer)
  }

  public func peekInClear(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome {
    var left = inputInClear
    return take(from: &left, into: buffer)
  }

  public func read(into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome {
    reads += 1
    return take(from: &input, into: buffer)
  }

  private func take(from input: inout [Input], into buffer: UnsafeMutableRawBufferPointer) -> TransferOutcome {
    guard let next = input.first else { return .wantRead }
    switch next {
    case .bytes(let bytes):
      let count = min(bytes.count, buffer.count)
      buffer.copyBytes(from: bytes[0..<count])
      if count == bytes.count { input.removeFirst() } else { input[0] = .bytes(Array(bytes[count...])) }
      return .bytes(count)
    case .wantRead:
      input.removeFirst()
      return .wantRead
    case .wantWrite:
      input.removeFirst()
      return .wantWrite
    // The end is not consumed: a socket says the same again.
    case .closed: return .closed
    case .failed(let failure): return .failed(failure)
    }
  }

  public func write(_ bytes: UnsafeRawBufferPointer) -> TransferOutcome {
    if !writeScript.isEmpty { return writeScript.removeFirst() }
    guard flush() == .done else { return .wantWrite }
    let count = min(bytes.count, 65536)
    unsent.append(contentsOf: bytes[0..<count])
    _ = flush()
    return .bytes(count)
  }

  public func flush() -> StepOutcome {
    if case .failed(let failure) = input.first, unsent.count > windowBytes { return .failed(failure) }
    let count = min(unsent.count, windowBytes)
    received.append(contentsOf: unsent[0..<count])
    unsent.removeFirst(count)
    if windowBytes != .max { windowBytes -= count }
    return unsent.isEmpty ? .done : .wantWrite
  }

  public func shutdown() -> StepOutcome {
    let outcome = flush()
    if outcome == .done { hasSentCloseNotify = true }
    return outcome
  }

  public func discardInput(upTo limitBytes: Int) -> TransferOutcome {
    switch input.first {
    case nil: return .wantRead
    case .bytes(let bytes):
      let count = min(bytes.count, limitBytes)
      if count == bytes.count { input.removeFirst() } else { input[0] = .bytes(Array(bytes[count...])) }
      discardedBytes += count
      return .bytes(count)
    case .wantRead, .wantWrite:
      input.removeFirst()
      return .wantRead
    case .closed: return .closed
    case .failed(let failure): return .failed(failure)
    }
  }

  public func writeInClear(_ bytes: UnsafeRawBufferPointer) { receivedInClear.append(contentsOf: bytes) }

  public var hasBufferedInput: Bool {
    if case .bytes = input.first { return true }
    return false
  }

  public var hasUnsentOutput: Bool { !unsent.isEmpty }

  public var receivedText: String { String(decoding: received, as: UTF8.self) }
}
