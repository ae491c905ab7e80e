import COpenSSL
import Glibc

/// The loop-wide buffer into which OpenSSL writes records, so that an answer leaves in one send.
///
/// One connection at a time uses it, within one call of its transport; between calls it is empty.
nonisolated final class TLSOutput {
  /// Four full records and their framing, with room for an alert or a ticket.
  static let capacityBytes = 4 * (16 * 1024 + 256) + 4096
  /// The plaintext that is certain to fit.
  static let plaintextBytes = 4 * 16 * 1024

  private let storage = UnsafeMutableRawBufferPointer.allocate(byteCount: TLSOutput.capacityBytes, alignment: 64)
  private(set) var count = 0

  init() {}

  deinit { storage.deallocate() }

  var freeBytes: Int { storage.count - count }

  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[0..<count]) }

  /// Appends bytes that are known to fit.
  func append(_ bytes: UnsafeRawBufferPointer) {
    UnsafeMutableRawBufferPointer(rebasing: storage[count...]).copyMemory(from: bytes)
    count += bytes.count
  }

  func removeAll() { count = 0 }

  /// The whole buffer, for a caller that needs room for the length of one call.
  var scratch: UnsafeMutableRawBufferPointer {
    precondition(count == 0, "the loop-wide buffer is lent only between two answers")
    return storage
  }
}

/// The socket below OpenSSL: its input goes straight into OpenSSL's buffers, its output into the loop-wide buffer, and
/// only what the kernel did not take stays with the connection.
nonisolated final class TLSSocket {
  /// The most ciphertext kept for a peer that does not read. `write` is not entered while any is left; what else
  /// OpenSSL sends by itself (alerts, tickets, key updates) is small.
  static let unsentLimitBytes = TLSOutput.capacityBytes + 16 * 1024

  let descriptor: CInt
  let output: TLSOutput
  private(set) var unsent = BoundedBuffer(limitBytes: TLSSocket.unsentLimitBytes)
  /// The peer has sent its FIN.
  private(set) var sawEndOfInput = false
  /// Whether the last read took all that had come, so that another one would find nothing. Only where `recordReadiness`
  /// is called.
  private(set) var isDrained = false
  private var hasReadiness = false
  /// Bytes that may still be received in this turn.
  var allowedBytes = Int.max
  /// Bytes received, handshake and framing included.
  private(set) var receivedBytes = 0
  /// The first errno that ended the socket's use, 0 before.
  private(set) var failure: CInt = 0

  init(descriptor: CInt, output: TLSOutput) {
    self.descriptor = descriptor
    self.output = output
  }

  /// A BIO over this socket; the socket must outlive it.
  func makeBIO() -> OpaquePointer? {
    guard let bio = BIO_new(tlsSocketMethod) else { return nil }
    BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
    BIO_set_init(bio, 1)
    return bio
  }

  /// recv(2) with the results of BIO_read: the count, 0 at the end, -1 with a retry flag or after an error. Asks for a
  /// retry once `allowedBytes` are received: OpenSSL reads on by itself over records that hold no data.
  func receive(_ bio: OpaquePointer, into pointer: UnsafeMutableRawPointer, count: Int) -> CInt {
    copenssl_bio_clear_retry(bio)
    if isDrained || allowedBytes <= 0 {
      copenssl_bio_retry_read(bio)
      return -1
    }
    let wanted = min(count, allowedBytes)
    while true {
      let received = recv(descriptor, pointer, wanted, 0)
      if received > 0 {
        isDrained = hasReadiness && received < wanted
        allowedBytes -= received
        receivedBytes += received
        return CInt(received)
      }
      if received == 0 {
        sawEndOfInput = true
        return 0
      }
      let code = errno
      switch code {
      case EINTR: continue
      case EAGAIN, EWOULDBLOCK:
        isDrained = hasReadiness
        copenssl_bio_retry_read(bio)
        return -1
      default:
        recordFailure(code)
        return -1
      }
    }
  }

  /// Records that the kernel has reported the socket as ready: there may be more to read.
  func recordReadiness() {
    hasReadiness = true
    isDrained = false
  }

  /// Gathers a record, all of it or none.
  func gather(_ bio: OpaquePointer, _ bytes: UnsafeRawBufferPointer) -> CInt {
    copenssl_bio_clear_retry(bio)
    guard bytes.count <= output.freeBytes, output.count + bytes.count <= unsent.freeBytes else {
      copenssl_bio_retry_write(bio)
      return -1
    }
    output.append(bytes)
    return CInt(bytes.count)
  }

  /// Sends what was gathered during this call, or keeps it behind what already waits.
  func sendGathered() {
    defer { output.removeAll() }
    guard output.count > 0, failure == 0 else { return }
    var rest = output.bytes
    if unsent.isEmpty {
      let sent = send(rest)
      rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
    }
    let kept = unsent.append(rest)
    precondition(kept == rest.count, "gather() admitted more than the connection may keep")
  }

  /// Sends what waits, as far as the kernel takes it.
  func sendUnsent() {
    guard !unsent.isEmpty, failure == 0 else { return }
    let sent = unsent.withReadableBytes { send($0) }
    unsent.consume(sent)
  }

  func dropUnsent() { unsent.removeAll() }

  /// send(2) without SIGPIPE until the kernel refuses; returns the bytes taken.
  func send(_ bytes: UnsafeRawBufferPointer) -> Int {
    var sent = 0
    while sent < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
      let count = Glibc.send(descriptor, rest.baseAddress, rest.count, CInt(MSG_NOSIGNAL))
      if count >= 0 {
        sent += count
        continue
      }
      let code = errno
      switch code {
      case EINTR: continue
      case EAGAIN, EWOULDBLOCK: return sent
      default:
        recordFailure(code)
        return sent
      }
    }
    return sent
  }

  /// recv(2) for bytes that are not OpenSSL's, with `flags` such as MSG_PEEK.
  func receiveInClear(into buffer: UnsafeMutableRawBufferPointer, flags: CInt = 0) -> TransferOutcome {
    while true {
      let count = recv(descriptor, buffer.baseAddress, buffer.count, flags)
      if count > 0 { return .bytes(count) }
      if count == 0 {
        sawEndOfInput = true
        return .closed
      }
      let code = errno
      switch code {
      case EINTR: continue
      case EAGAIN, EWOULDBLOCK: return .wantRead
      default:
        recordFailure(code)
        return .failed(.system(code))
      }
    }
  }

  /// Reads and drops up to `limitBytes` and at most the loop-wide buffer's size; nothing is decrypted.
  func discard(upTo limitBytes: Int) -> TransferOutcome {
    if isDrained { return .wantRead }
    let place = UnsafeMutableRawBufferPointer(rebasing: output.scratch[..<min(limitBytes, output.scratch.count)])
    let outcome = receiveInClear(into: place)
    if case .bytes(let count) = outcome { isDrained = hasReadiness && count < place.count }
    return outcome
  }

  private func recordFailure(_ code: CInt) {
    if failure == 0 { failure = code }
  }
}

/// The BIO method of every TLS connection, made once.
nonisolated(unsafe) private let tlsSocketMethod: OpaquePointer = {
  guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gathering socket"),
    BIO_meth_set_read(method, tlsSocketRead) == 1,
    BIO_meth_set_write(method, tlsSocketWrite) == 1,
    BIO_meth_set_ctrl(method, tlsSocketControl) == 1
  else { fatalError("OpenSSL has no memory for its first BIO method") }
  return method
}()

// C calls these on whatever isolation it runs: they belong to none and reach the socket by the BIO's own pointer.

nonisolated private func socket(of bio: OpaquePointer) -> TLSSocket? {
  BIO_get_data(bio).map { Unmanaged<TLSSocket>.fromOpaque($0).takeUnretainedValue() }
}

nonisolated private func tlsSocketRead(_ bio: OpaquePointer?, _ pointer: UnsafeMutablePointer<CChar>?, _ count: CInt)
  -> CInt
{
  guard let bio, let pointer, count > 0, let socket = socket(of: bio) else { return -1 }
  return socket.receive(bio, into: UnsafeMutableRawPointer(pointer), count: Int(count))
}

nonisolated private func tlsSocketWrite(_ bio: OpaquePointer?, _ pointer: UnsafePointer<CChar>?, _ count: CInt) -> CInt
{
  guard let bio, let pointer, count > 0, let socket = socket(of: bio) else { return -1 }
  return socket.gather(bio, UnsafeRawBufferPointer(start: pointer, count: Int(count)))
}

nonisolated private func tlsSocketControl(
  _ bio: OpaquePointer?, _ command: CInt, _ number: CLong, _ pointer: UnsafeMutableRawPointer?
) -> CLong {
  // Each record asks some ten times, mostly for kernel TLS, which a BIO of ours has not.
  switch command {
  case BIO_CTRL_FLUSH: return 1
  case BIO_CTRL_EOF:
    guard let bio, let socket = socket(of: bio) else { return 0 }
    return socket.sawEndOfInput ? 1 : 0
  default: return 0
  }
}
