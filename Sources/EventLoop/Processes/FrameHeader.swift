/// The header of a message between the server and a process that it started: 16 bytes, with the size of what follows.
///
/// Little-endian: payload bytes (4), kind (1), three zero bytes, request (8).
public nonisolated struct FrameHeader: Equatable, Sendable {
  public static let byteCount = 16

  public let payloadBytes: Int
  /// What the payload is, in the words of who sends it.
  public let kind: UInt8
  /// The number that an answer shares with its request.
  public let request: UInt64

  /// - Parameter payloadBytes: less than 4 GiB.
  public init(kind: UInt8, request: UInt64, payloadBytes: Int) {
    self.kind = kind
    self.request = request
    self.payloadBytes = payloadBytes
  }

  /// Reads a header; nil where the bytes can be none, or tell of a larger payload than `limitBytes`.
  public init?(_ bytes: ArraySlice<UInt8>, limitBytes: Int) {
    guard bytes.count >= Self.byteCount else { return nil }
    (payloadBytes, kind, request) = bytes.withUnsafeBytes { raw in
      (
        Int(UInt32(littleEndian: raw.loadUnaligned(as: UInt32.self))), raw[4],
        UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
    guard payloadBytes <= limitBytes, bytes.dropFirst(5).prefix(3).allSatisfy({ $0 == 0 }) else { return nil }
  }

  /// Writes it to the beginning of a buffer, which has room for it.
  public func write(to raw: UnsafeMutableRawBufferPointer) {
    raw.storeBytes(of: UInt32(payloadBytes).littleEndian, as: UInt32.self)
    raw.storeBytes(of: UInt32(kind).littleEndian, toByteOffset: 4, as: UInt32.self)
    raw.storeBytes(of: request.littleEndian, toByteOffset: 8, as: UInt64.self)
  }
}
